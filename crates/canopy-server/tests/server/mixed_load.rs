//! Clients that write to one environment at the same time and get in each other's way.

use crate::process::Client;
use crate::recorder::{Clerk, ENVIRONMENT, id};
use canopy_conformance::history::{Answer, ItemAnswer, RoleState, State};
use canopy_domain::{AssignmentId, AssignmentKey, IdentityId, NodeId, RoleId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// The permissions that are given and asked about.
const PERMISSIONS: [&str; 2] = ["note.read", "note.write"];
/// Few enough that clients meet.
const PEOPLE: usize = 8;

/// The data to write to: the demo data with two roles without assignments.
pub struct Stage {
    /// The state before the load.
    pub start: State,
    people: Vec<IdentityId>,
    roles: Vec<RoleId>,
    regions: Vec<NodeId>,
    known: Mutex<Known>,
}

/// The state that clients learned from responses.
struct Known {
    rows: Vec<(AssignmentId, AssignmentKey)>,
    nodes: Vec<NodeId>,
}

fn grow(tree: &Value, parent: Option<NodeId>, into: &mut BTreeMap<NodeId, Option<NodeId>>) {
    for node in tree.as_array().unwrap() {
        let node_id = id(&node["id"]);
        into.insert(node_id, parent);
        grow(&node["children"], Some(node_id), into);
    }
}

impl Stage {
    /// Sets up the environment of a server that was started with the demo.
    pub async fn set(client: &Client) -> Arc<Self> {
        let role = |name: &str, keys: &[&str]| json!({"name": name, "description": "x", "permission_keys": keys});
        let body = json!({
            "resources": [{"name": "note", "actions": ["read", "write"]}],
            "roles": [role("Editor", &PERMISSIONS), role("Viewer", &PERMISSIONS[..1])],
        });
        let (status, answer) = client
            .post(&format!("{ENVIRONMENT}/setup/access-bootstrap"), &body)
            .await;
        assert_eq!(status, 201, "{answer}");
        let (_, roles) = client.get(&format!("{ENVIRONMENT}/roles?type=custom")).await;
        let (_, tree) = client.get(&format!("{ENVIRONMENT}/nodes")).await;
        let path = format!("/portal/v1/accounts/acme/identities?take={PEOPLE}");
        let (_, people) = client.get(&path).await;
        let people: Vec<IdentityId> = people["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| id(&one["id"]))
            .collect();
        let mut start = State::default();
        grow(&tree["tree"], None, &mut start.nodes);
        for role in roles["items"].as_array().unwrap() {
            let path = format!("{ENVIRONMENT}/roles/{}/permissions", role["id"].as_str().unwrap());
            let (_, keys) = client.get(&path).await;
            let keys = keys["items"].as_array().unwrap().iter();
            let role_state = RoleState {
                name: role["name"].as_str().unwrap().to_owned(),
                keys: keys.map(|key| key.as_str().unwrap().to_owned()).collect(),
            };
            start.roles.insert(id(&role["id"]), role_state);
        }
        let root = &tree["tree"][0];
        let regions: Vec<NodeId> = root["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| id(&one["id"]))
            .collect();
        // The root, a region, and the teams of it.
        let mut nodes = vec![id(&root["id"]), regions[0]];
        nodes.extend(
            root["children"][0]["children"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| id::<NodeId>(&one["id"])),
        );
        assert_eq!((people.len(), start.roles.len(), nodes.len()), (PEOPLE, 2, 6));
        let asked = json!({"identity_id": people[0].to_string(), "permission": "note.read", "scope": "app_wide"});
        let path = format!("{ENVIRONMENT}/permissions/evaluate");
        let answer = client.send(reqwest::Method::POST, &path, Some(&asked)).await;
        start.revision = answer.headers()["canopy-revision"].to_str().unwrap().parse().unwrap();
        Arc::new(Self {
            people,
            roles: start.roles.keys().copied().collect(),
            regions,
            known: Mutex::new(Known {
                rows: Vec::new(),
                nodes,
            }),
            start,
        })
    }

    /// Starts this many clients, each of which makes so many calls of all kinds to servers chosen by chance. A client ends
    /// early when a server is gone.
    pub fn load(self: &Arc<Self>, clerks: &[Clerk], clients: usize, calls: usize) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let client = LoadClient {
                stage: Arc::clone(self),
                clerks: clerks.iter().map(|clerk| clerk.numbered(number)).collect(),
                dice: Dice::new(number),
            };
            tasks.spawn(client.work(calls));
        }
        tasks
    }

    /// Asks everything that can be asked of every server, and reads what is there.
    pub async fn survey(&self, clerks: &[Clerk]) {
        let nodes = self.known.lock().unwrap().nodes.clone();
        for clerk in clerks {
            for person in &self.people {
                for permission in PERMISSIONS {
                    for node in [nodes.first().unwrap(), nodes.last().unwrap()] {
                        let answer = clerk.evaluate(*person, permission, *node, true).await;
                        assert_ne!(answer, Answer::Open);
                    }
                }
            }
            clerk.list().await;
        }
    }
}

/// The same numbers in every run, other ones for each client.
struct Dice(u64);

impl Dice {
    fn new(number: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::try_from(number).unwrap() + 1))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

struct LoadClient {
    stage: Arc<Stage>,
    clerks: Vec<Clerk>,
    dice: Dice,
}

/// Checks of a client after a call, or the lack of a response.
type Done = Result<Option<(IdentityId, NodeId)>, NoAnswer>;

struct NoAnswer;

impl LoadClient {
    async fn work(mut self, calls: usize) {
        for _ in 0..calls {
            if self.clerks.is_empty() {
                return;
            }
            let chosen = self.dice.below(self.clerks.len());
            let clerk = self.clerks[chosen].clone();
            let done = match self.dice.below(20) {
                0..=7 => self.create(&clerk).await,
                8..=10 => self.remove(&clerk).await,
                11..=12 => self.set_permissions(&clerk).await,
                13 => self.create_node(&clerk).await,
                _ => self.ask(&clerk).await,
            };
            match done {
                Ok(Some((person, node))) => {
                    // The first check after the answer is sent to another server.
                    let other = self.clerks[(chosen + 1) % self.clerks.len()].clone();
                    let permission = self.dice.pick(&PERMISSIONS);
                    other.evaluate(person, permission, node, true).await;
                }
                Ok(None) => {}
                Err(NoAnswer) if clerk.comes_back().await => {}
                Err(NoAnswer) => drop(self.clerks.remove(chosen)),
            }
        }
    }

    fn place(&mut self) -> NodeId {
        let nodes = self.stage.known.lock().unwrap().nodes.clone();
        self.dice.pick(&nodes)
    }

    async fn create(&mut self, clerk: &Clerk) -> Done {
        let mut items = BTreeSet::new();
        for _ in 0..=self.dice.below(5) {
            items.insert(AssignmentKey {
                identity: self.dice.pick(&self.stage.people),
                role: self.dice.pick(&self.stage.roles),
                node: self.place(),
            });
        }
        let items: Vec<_> = items.into_iter().collect();
        // Some hang up before they are answered.
        let patience = (self.dice.below(15) == 0).then(|| Duration::from_micros(self.dice.0 % 8_000));
        let atomic = self.dice.below(3) > 0;
        let Answer::Created(answers) = clerk.create(items.clone(), atomic, patience).await else {
            return if patience.is_some() { Ok(None) } else { Err(NoAnswer) };
        };
        let mut known = self.stage.known.lock().unwrap();
        for (item, answer) in items.iter().zip(answers) {
            if let ItemAnswer::Stored(id) | ItemAnswer::Taken(Some(id)) = answer
                && !known.rows.contains(&(id, *item))
            {
                known.rows.push((id, *item));
            }
        }
        Ok(items.first().map(|item| (item.identity, item.node)))
    }

    async fn remove(&mut self, clerk: &Clerk) -> Done {
        let known = self.stage.known.lock().unwrap().rows.clone();
        let count = self.dice.below(3) + 1;
        let rows: BTreeSet<_> = (0..count.min(known.len())).map(|_| self.dice.pick(&known)).collect();
        let Some((_, first)) = rows.first().copied() else {
            return self.ask(clerk).await;
        };
        let gone = match clerk.remove(rows.iter().copied().collect()).await {
            Answer::Removed => rows.iter().map(|(id, _)| *id).collect(),
            Answer::NotThere(ids) => ids,
            _ => return Err(NoAnswer),
        };
        self.stage
            .known
            .lock()
            .unwrap()
            .rows
            .retain(|(id, _)| !gone.contains(id));
        Ok(Some((first.identity, first.node)))
    }

    async fn set_permissions(&mut self, clerk: &Clerk) -> Done {
        let role = self.dice.pick(&self.stage.roles);
        let wanted = self.dice.below(4);
        let keys = PERMISSIONS
            .iter()
            .enumerate()
            .filter(|(bit, _)| wanted & (1 << bit) != 0);
        let keys = keys.map(|(_, &key)| key.to_owned()).collect();
        match clerk.set_permissions(role, keys).await {
            Answer::Open => Err(NoAnswer),
            _ => Ok(Some((self.dice.pick(&self.stage.people), self.place()))),
        }
    }

    async fn create_node(&mut self, clerk: &Clerk) -> Done {
        let parent = self.dice.pick(&self.stage.regions);
        let Answer::NodeCreated(node) = clerk.create_node(parent).await else {
            return Err(NoAnswer);
        };
        self.stage.known.lock().unwrap().nodes.push(node);
        Ok(Some((self.dice.pick(&self.stage.people), node)))
    }

    async fn ask(&mut self, clerk: &Clerk) -> Done {
        let (person, permission) = (self.dice.pick(&self.stage.people), self.dice.pick(&PERMISSIONS));
        let (node, is_strong) = (self.place(), self.dice.below(2) == 0);
        match clerk.evaluate(person, permission, node, is_strong).await {
            Answer::Open => Err(NoAnswer),
            _ => Ok(None),
        }
    }
}
