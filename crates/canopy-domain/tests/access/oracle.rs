//! The rules of the contract over plain lists. Shares no code with the engine and has no optimisation.

use canopy_domain::access::{Change, DenialReason, GrantFact, Question, RoleFact, Snapshot, Target};
use canopy_domain::{MembershipStatus, NodeId, Timestamp};

/// The reason of a denial or `None`, and the names of the granting roles.
pub(crate) type Answer = (Option<DenialReason>, Vec<String>);

/// Returns whether the facts would still be consistent after a change.
pub(crate) fn admits(facts: &Snapshot, change: &Change) -> bool {
    let known = |node: NodeId| facts.nodes.iter().any(|n| n.id == node);
    match change {
        Change::PermissionPut(fact) => !facts.permissions.iter().any(|p| p.key == fact.key && p.id != fact.id),
        Change::RolePut(fact) => fact
            .permissions
            .iter()
            .all(|id| facts.permissions.iter().any(|permission| permission.id == *id)),
        Change::RoleRemoved(id) => !facts.grants.iter().any(|grant| grant.key.role == *id),
        Change::NodePut(fact) => match fact.parent {
            None => {
                facts.nodes.iter().all(|n| n.parent.is_some() || n.id == fact.id) && {
                    // An inner node cannot become a root: there is one.
                    !facts.nodes.iter().any(|n| n.id == fact.id && n.parent.is_some())
                }
            }
            Some(parent) => known(parent) && !path(facts, parent).contains(&fact.id) && parent != fact.id,
        },
        Change::NodeRemoved(id) => {
            !facts.nodes.iter().any(|n| n.parent == Some(*id)) && !facts.grants.iter().any(|g| g.key.node == *id)
        }
        Change::GrantPut(fact) => known(fact.key.node) && facts.roles.iter().any(|role| role.id == fact.key.role),
        Change::PermissionRemoved(_)
        | Change::SubjectPut(_)
        | Change::SubjectRemoved(_)
        | Change::GrantRemoved(_)
        | Change::KeyPut(_)
        | Change::KeyRemoved(_) => true,
    }
}

/// The facts after a change.
pub(crate) fn apply(facts: &mut Snapshot, change: &Change) {
    match change.clone() {
        Change::PermissionPut(fact) => {
            facts.permissions.retain(|one| one.id != fact.id);
            facts.permissions.push(fact);
        }
        Change::PermissionRemoved(id) => {
            facts.permissions.retain(|one| one.id != id);
            for role in &mut facts.roles {
                role.permissions.retain(|one| *one != id);
            }
        }
        Change::RolePut(fact) => {
            facts.roles.retain(|one| one.id != fact.id);
            facts.roles.push(fact);
        }
        Change::RoleRemoved(id) => facts.roles.retain(|one| one.id != id),
        Change::NodePut(fact) => {
            facts.nodes.retain(|one| one.id != fact.id);
            facts.nodes.push(fact);
        }
        Change::NodeRemoved(id) => facts.nodes.retain(|one| one.id != id),
        Change::SubjectPut(fact) => {
            facts.subjects.retain(|one| one.id != fact.id);
            facts.subjects.push(fact);
        }
        Change::SubjectRemoved(id) => {
            facts.subjects.retain(|one| one.id != id);
            facts.grants.retain(|one| one.key.identity != id);
        }
        Change::GrantPut(fact) => {
            facts.grants.retain(|one| one.id != fact.id);
            facts.grants.push(fact);
        }
        Change::GrantRemoved(id) => facts.grants.retain(|one| one.id != id),
        Change::KeyPut(fact) => {
            facts.keys.retain(|one| one.id != fact.id);
            facts.keys.push(fact);
        }
        Change::KeyRemoved(id) => facts.keys.retain(|one| one.id != id),
    }
}

/// The nodes from one to the root.
pub(crate) fn path(facts: &Snapshot, node: NodeId) -> Vec<NodeId> {
    let mut path = Vec::new();
    let mut next = Some(node);
    while let Some(at) = next {
        path.push(at);
        next = facts.nodes.iter().find(|n| n.id == at).and_then(|n| n.parent);
    }
    path
}

fn is_active(facts: &Snapshot, node: NodeId) -> bool {
    path(facts, node)
        .iter()
        .all(|at| facts.nodes.iter().any(|n| n.id == *at && n.is_active))
}

fn role_of<'a>(facts: &'a Snapshot, grant: &GrantFact) -> &'a RoleFact {
    facts.roles.iter().find(|role| role.id == grant.key.role).unwrap()
}

/// The assignments of an identity whose roles bundle a permission, by id, each with what it falls short by, if so.
pub(crate) fn bearing(
    facts: &Snapshot,
    question: &Question<'_>,
    at: Timestamp,
) -> Vec<(GrantFact, Option<&'static str>)> {
    let Some(permission) = facts
        .permissions
        .iter()
        .find(|one| one.key.as_str() == question.permission)
    else {
        return vec![];
    };
    let subject = facts.subjects.iter().find(|one| one.id == question.identity);
    let mut all = vec![];
    for grant in &facts.grants {
        let role = role_of(facts, grant);
        if grant.key.identity != question.identity || !role.permissions.contains(&permission.id) {
            continue;
        }
        let (in_reach, asked_node_is_off) = match question.target {
            Target::AppWide => (true, false),
            Target::Node(node) => (path(facts, node).contains(&grant.key.node), !is_active(facts, node)),
        };
        let own_node_is_off = !is_active(facts, grant.key.node);
        let falls_short = [
            ("out_of_reach", !in_reach),
            ("identity_not_found", subject.is_none()),
            ("identity_inactive", subject.is_some_and(|one| !one.is_active)),
            (
                "membership_inactive",
                subject.is_some_and(|one| one.membership != MembershipStatus::Active),
            ),
            ("node_inactive", asked_node_is_off),
            ("assignment_scheduled", at < grant.window.from()),
            ("assignment_expired", grant.window.to().is_some_and(|to| at >= to)),
            ("role_inactive", !role.is_active),
            ("node_inactive", own_node_is_off),
        ];
        let first = falls_short.into_iter().find(|(_, applies)| *applies);
        all.push((grant.clone(), first.map(|(reason, _)| reason)));
    }
    all.sort_by_key(|(grant, _)| grant.id);
    all
}

pub(crate) fn decide(facts: &Snapshot, question: &Question<'_>, at: Timestamp) -> Answer {
    use DenialReason as R;
    let no = |reason| (Some(reason), vec![]);
    let Some(subject) = facts.subjects.iter().find(|one| one.id == question.identity) else {
        return no(R::IdentityNotFound);
    };
    if !subject.is_active {
        return no(R::IdentityInactive);
    }
    if subject.membership != MembershipStatus::Active {
        return no(R::MembershipInactive);
    }
    let Some(permission) = facts
        .permissions
        .iter()
        .find(|one| one.key.as_str() == question.permission)
    else {
        return no(R::PermissionNotFound);
    };
    if let Target::Node(node) = question.target {
        if !facts.nodes.iter().any(|one| one.id == node) {
            return no(R::NodeNotFound);
        }
        if !is_active(facts, node) {
            return no(R::NodeInactive);
        }
    }
    let counts_here = |grant: &&GrantFact| match question.target {
        Target::Node(node) => path(facts, node).contains(&grant.key.node),
        Target::AppWide => true,
    };
    let bundles = |grant: &&GrantFact| role_of(facts, grant).permissions.contains(&permission.id);
    let rows = facts
        .grants
        .iter()
        .filter(|grant| grant.key.identity == question.identity);
    let mut reasons = vec![R::NoGrant];
    let mut names = vec![];
    for grant in rows.filter(counts_here).filter(bundles) {
        let role = role_of(facts, grant);
        if at < grant.window.from() {
            reasons.push(R::AssignmentScheduled);
        } else if grant.window.to().is_some_and(|to| at >= to) {
            reasons.push(R::AssignmentExpired);
        } else if !role.is_active {
            reasons.push(R::RoleInactive);
        } else if !is_active(facts, grant.key.node) {
            reasons.push(R::NodeInactive);
        } else {
            names.push(role.name.as_str().to_owned());
        }
    }
    if names.is_empty() {
        return (reasons.into_iter().min(), vec![]);
    }
    names.sort();
    names.dedup();
    (None, names)
}
