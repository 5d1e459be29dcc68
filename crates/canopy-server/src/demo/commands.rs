//! The commands to paste: each stands by itself, on one line.

use super::{ACCOUNT, APPLICATION, Demo, ENVIRONMENT};
use canopy_domain::{IdentityId, NodeId};
use std::fmt;

/// What to try, with a token that may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Makes permissions and roles; `None` where there are some already.
    pub bootstrap: Option<String>,
    /// Assigns roles, all or nothing; `None` where nobody or nothing is left to assign.
    pub bulk_create: Option<String>,
    /// Asks who may do what.
    pub evaluate: Option<String>,
}

const BOOTSTRAP: &str = r#"{"resources":[{"name":"note","actions":["read","write","share"]},{"name":"comment","actions":["read","write"]}],"roles":[{"name":"Editor","description":"Reads and writes notes and comments","permission_keys":["note.read","note.write","note.share","comment.read","comment.write"]},{"name":"Viewer","description":"Reads notes and comments","permission_keys":["note.read","comment.read"]}]}"#;

/// The commands that fit what is there.
pub fn commands(base_url: &str, token: &str, demo: &Demo) -> Commands {
    let environment =
        format!("{base_url}/portal/v1/accounts/{ACCOUNT}/applications/{APPLICATION}/environments/{ENVIRONMENT}");
    let authorization = format!("-H 'Authorization: Bearer {token}'");
    let post = |tail: &str, body: &str| {
        format!(
            "curl -sS -w '\\n' -X POST '{environment}/{tail}' {authorization} -H 'Content-Type: application/json' -d {body}"
        )
    };
    let bulk_create = match (demo.roles.as_slice(), items(demo)) {
        (_, None) => None,
        // The roles get their ids from the first command, so the second one looks them up by name: sed makes the body
        // out of the list of roles.
        ([], Some(items)) => Some(format!(
            "curl -sS '{environment}/roles?type=custom' {authorization} | sed -E 's/{}/{}/' | {}",
            r#".*"id":"([^"]*)"[^{}]*"name":"Editor".*"id":"([^"]*)"[^{}]*"name":"Viewer".*"#,
            body(&items, r"\1", r"\2"),
            post("assignments/bulk-create", "@-"),
        )),
        ([first, others @ ..], Some(items)) => {
            let second = others.first().unwrap_or(first);
            let body = body(&items, &first.to_string(), &second.to_string());
            Some(post("assignments/bulk-create", &format!("'{body}'")))
        }
    };
    let evaluate = demo.people.first().map(|person| {
        let body = format!(
            r#"{{"identity_id":"{person}","permission":"note.write","scope":"node","node_id":"{}"}}"#,
            demo.teams[0]
        );
        post("permissions/evaluate", &format!("'{body}'"))
    });
    Commands {
        bootstrap: demo
            .roles
            .is_empty()
            .then(|| post("setup/access-bootstrap", &format!("'{BOOTSTRAP}'"))),
        bulk_create,
        evaluate,
    }
}

/// Who is to get which of two roles where: the first person edits a whole region, the others one team each.
fn items(demo: &Demo) -> Option<[(IdentityId, NodeId, usize); 3]> {
    let [first, second, third] = demo.people.as_slice() else {
        return None;
    };
    let [near, far] = demo.teams;
    Some([(*first, demo.region, 0), (*second, near, 1), (*third, far, 1)])
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
            ("Make permissions and roles (bootstrap)", &self.bootstrap),
            ("Assign roles, all or nothing (bulk-create)", &self.bulk_create),
            ("Ask whether somebody may do something (evaluate)", &self.evaluate),
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
