//! The commands to paste, each on one line.

use super::Demo;
use canopy_domain::{IdentityId, NodeId};
use std::fmt;

/// The commands to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Creates permissions and roles; `None` if there are some already.
    pub bootstrap: Option<String>,
    /// Assigns roles, all or nothing; `None` if there is nothing left to assign.
    pub bulk_create: Option<String>,
    /// Runs a check, by ids.
    pub evaluate: Option<String>,
    /// Runs the same check by names, with AuthZEN.
    pub ask_by_name: Option<String>,
}

const BOOTSTRAP: &str = r#"{"resources":[{"name":"note","actions":["read","write","share"]},{"name":"comment","actions":["read","write"]}],"roles":[{"name":"Editor","description":"Reads and writes notes and comments","permission_keys":["note.read","note.write","note.share","comment.read","comment.write"]},{"name":"Viewer","description":"Reads notes and comments","permission_keys":["note.read","comment.read"]}]}"#;

/// Returns the commands that fit the data. They use the variables that [`exports`](crate::exports::exports) sets.
pub fn commands(demo: &Demo) -> Commands {
    let authorization = r#"-H "Authorization: Bearer $TOKEN""#;
    let post = |url: &str, body: &str| {
        format!("curl -sS -w '\\n' -X POST \"{url}\" {authorization} -H 'Content-Type: application/json' -d {body}")
    };
    let bulk_create = match (demo.roles.as_slice(), items(demo)) {
        (_, None) => None,
        // The first command creates the ids of the roles, so the second one looks them up by name: sed builds the body
        // from the list of roles.
        ([], Some(items)) => Some(format!(
            "curl -sS \"$ENV/roles?type=custom\" {authorization} | sed -E 's/{}/{}/' | {}",
            r#".*"id":"([^"]*)"[^{}]*"name":"Editor".*"id":"([^"]*)"[^{}]*"name":"Viewer".*"#,
            body(&items, r"\1", r"\2"),
            post("$ENV/assignments/bulk-create", "@-"),
        )),
        ([first, others @ ..], Some(items)) => {
            let second = others.first().unwrap_or(first);
            let body = body(&items, &first.to_string(), &second.to_string());
            Some(post("$ENV/assignments/bulk-create", &format!("'{body}'")))
        }
    };
    let evaluate = demo.people.first().map(|person| {
        let body = format!(
            r#"{{"identity_id":"{}","permission":"note.write","scope":"node","node_id":"{}"}}"#,
            person.id, demo.teams[0]
        );
        post("$ENV/permissions/evaluate", &format!("'{body}'"))
    });
    let ask_by_name = demo.people.first().map(|person| {
        let body = format!(
            r#"{{"subject":{{"type":"user","id":"{}"}},"action":{{"name":"note.write"}},"resource":{{"type":"team","id":"{}"}}}}"#,
            person.email, demo.team_path
        );
        post("$BASE/access/v1/evaluation", &format!("'{body}'"))
    });
    Commands {
        bootstrap: demo
            .roles
            .is_empty()
            .then(|| post("$ENV/setup/access-bootstrap", &format!("'{BOOTSTRAP}'"))),
        bulk_create,
        evaluate,
        ask_by_name,
    }
}

/// Returns the assignments: the first person edits a whole region, the others one team each.
fn items(demo: &Demo) -> Option<[(IdentityId, NodeId, usize); 3]> {
    let [first, second, third] = demo.people.as_slice() else {
        return None;
    };
    let [near, far] = demo.teams;
    Some([(first.id, demo.region, 0), (second.id, near, 1), (third.id, far, 1)])
}

fn body(items: &[(IdentityId, NodeId, usize); 3], editor: &str, viewer: &str) -> String {
    let items = items.map(|(identity, node, role)| {
        let role = if role == 0 { editor } else { viewer };
        format!(r#"{{"identity_id":"{identity}","node_id":"{node}","role_id":"{role}"}}"#)
    });
    format!(r#"{{"assignments":[{}]}}"#, items.join(","))
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = [
            ("Create permissions and roles (bootstrap)", &self.bootstrap),
            ("Assign roles, all or nothing (bulk-create)", &self.bulk_create),
            ("Check whether an identity has a permission (evaluate)", &self.evaluate),
            ("Run the same check by names (AuthZEN)", &self.ask_by_name),
        ];
        let steps = steps
            .iter()
            .filter_map(|(about, command)| command.as_ref().map(|command| (about, command)));
        for (index, (about, command)) in steps.enumerate() {
            write!(f, "\n# {}. {about}\n{command}\n", index + 1)?;
        }
        Ok(())
    }
}
