//! The engines of this process: ours, Cedar and Casbin.

use crate::Outcome;
use crate::engine::{Decide, Engine, in_process};
use crate::facts::Facts;
use canopy_domain::access::AccessIndex;
use canopy_domain::{IdentityId, NodeId, Timestamp};
use canopy_testkit::workload::Asked;
use casbin::{CoreApi as _, DefaultModel, Enforcer, StringAdapter};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr as _;

#[derive(Debug)]
struct Ours {
    index: AccessIndex,
    questions: Vec<Asked>,
    now: Timestamp,
}

impl Decide for Ours {
    fn decide(&self, question: usize) -> Outcome<bool> {
        let asked = self.questions.get(question).ok_or("no such question")?;
        Ok(self.index.decide(&asked.question(), self.now).is_allowed())
    }

    fn memory(&self) -> Option<u64> {
        u64::try_from(self.index.memory_bytes()).ok()
    }
}

/// The engine of this house.
pub fn ours(facts: &Facts) -> Outcome<Engine> {
    let remark = "in process, one thread; judges windows and switches itself, says why";
    in_process("Canopy", remark, || {
        Ok(Ours {
            index: AccessIndex::build(&facts.workload.snapshot)?,
            questions: facts.questions().to_vec(),
            now: facts.workload.now,
        })
    })
}

#[derive(Debug)]
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Decide for Cedar {
    fn decide(&self, question: usize) -> Outcome<bool> {
        let request = self.requests.get(question).ok_or("no such question")?;
        let response = self.authorizer.is_authorized(request, &self.policies, &self.entities);
        Ok(response.decision() == Decision::Allow)
    }
}

/// Cedar: a policy for each role. Permissions are actions below the role that bundles them, nodes lie below their parents,
/// and an identity has an attribute for each of its roles: the nodes where it holds it.
pub fn cedar(facts: &Facts) -> Outcome<Engine> {
    let remark = "in process, one thread; spared windows, switches and the making of requests";
    in_process("cedar-policy 4.14", remark, || {
        let mut policies = String::new();
        for role in facts.roles() {
            let role = role.label;
            writeln!(
                policies,
                "permit (principal, action in Action::\"{role}\", resource)\n\
                 when {{ principal has {role} && resource in principal.{role} }};"
            )?;
        }
        let request = |asked: &Asked| -> Outcome<Request> {
            let principal = uid("Identity", asked.identity)?;
            let action = uid("Action", &asked.permission)?;
            Ok(Request::new(
                principal,
                action,
                uid("Node", asked.node)?,
                Context::empty(),
                None,
            )?)
        };
        Ok(Cedar {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&policies)?,
            entities: Entities::from_entities(entities(facts)?, None)?,
            requests: facts.questions().iter().map(request).collect::<Outcome<_>>()?,
        })
    })
}

fn uid(kind: &str, id: impl ToString) -> Outcome<EntityUid> {
    let kind = EntityTypeName::from_str(kind)?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id.to_string())))
}

fn entities(facts: &Facts) -> Outcome<Vec<Entity>> {
    let mut bundling: HashMap<&str, HashSet<EntityUid>> = facts.keys().map(|key| (key, HashSet::new())).collect();
    for role in facts.roles() {
        for key in &role.keys {
            bundling.entry(key).or_default().insert(uid("Action", &role.label)?);
        }
    }
    let mut held: HashMap<IdentityId, HashMap<String, Vec<RestrictedExpression>>> = HashMap::new();
    for live in facts.live() {
        let node = RestrictedExpression::new_entity_uid(uid("Node", live.node)?);
        let roles = held.entry(live.identity).or_default();
        roles.entry(live.role.to_owned()).or_default().push(node);
    }
    let mut entities = Vec::new();
    for (key, roles) in bundling {
        entities.push(Entity::new_no_attrs(uid("Action", key)?, roles));
    }
    for (node, parent) in facts.nodes() {
        let parent: Option<EntityUid> = parent.map(|parent: NodeId| uid("Node", parent)).transpose()?;
        entities.push(Entity::new_no_attrs(uid("Node", node)?, parent.into_iter().collect()));
    }
    for (identity, roles) in held {
        let roles = roles
            .into_iter()
            .map(|(role, nodes)| (role, RestrictedExpression::new_set(nodes)));
        entities.push(Entity::new(
            uid("Identity", identity)?,
            roles.collect(),
            HashSet::new(),
        )?);
    }
    Ok(entities)
}

/// Casbin's "RBAC with domains": a role in a domain is a role at a node.
const MODEL: &str = "
[request_definition]
r = sub, dom, act
[policy_definition]
p = sub, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && g(r.sub, p.sub, r.dom)
";

/// A question as Casbin is asked it: once for each node of the path.
#[derive(Debug)]
struct Paths {
    identity: String,
    permission: String,
    path: Vec<String>,
}

struct Casbin {
    enforcer: Enforcer,
    questions: Vec<Paths>,
}

impl std::fmt::Debug for Casbin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Casbin").finish_non_exhaustive()
    }
}

impl Decide for Casbin {
    fn decide(&self, question: usize) -> Outcome<bool> {
        let asked = self.questions.get(question).ok_or("no such question")?;
        for node in &asked.path {
            if self.enforcer.enforce((&asked.identity, node, &asked.permission))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Casbin: a policy for each key of a role, a grouping for each assignment, a request for each node of the path.
///
/// The other way, a policy for each assignment and the tree as a second role definition, walks all assignments for each
/// question and is slower.
pub fn casbin(facts: &Facts) -> Outcome<Engine> {
    let remark = "in process, one thread; spared windows and switches; the caller walks up the tree";
    in_process("casbin 2.20", remark, || {
        let mut rules = String::new();
        for role in facts.roles() {
            for key in role.keys {
                writeln!(rules, "p, {}, {key}", role.label)?;
            }
        }
        for live in facts.live() {
            writeln!(rules, "g, {}, {}, {}", live.identity, live.role, live.node)?;
        }
        let load = async {
            let model = DefaultModel::from_str(MODEL).await?;
            Enforcer::new(model, StringAdapter::new(rules)).await
        };
        let question = |asked: &Asked| Paths {
            identity: asked.identity.to_string(),
            permission: asked.permission.clone(),
            path: facts.path(asked.node).iter().map(NodeId::to_string).collect(),
        };
        Ok(Casbin {
            enforcer: tokio::runtime::Builder::new_current_thread().build()?.block_on(load)?,
            questions: facts.questions().iter().map(question).collect(),
        })
    })
}
