//! The terms of the OpenID AuthZEN Authorization API 1.0, mapped to this model.
//!
//! A subject is an identity, a resource is a node, and an action is the last segment of a permission key. Unknown terms
//! are denied, never an error.

use canopy_domain::access::DenialReason;
use canopy_domain::string_enum;
use canopy_domain::{NodeType, PermissionKey, SYSTEM_PERMISSION_KEYS};

/// The resource type that every node has.
pub const ANY_NODE: &str = "node";

/// The largest number of bytes of a type, a name or an action that can mean anything: a longer text is denied without a
/// look at what is in it.
pub const MAX_TERM_BYTES: usize = canopy_domain::transfer::SlugPath::MAX_CHARS;

/// Returns whether subjects of this type are identities; there are no others.
pub fn is_identity(subject_type: &str) -> bool {
    matches!(subject_type, "user" | "identity")
}

/// The nodes that are resources of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceType {
    /// All nodes.
    AnyNode,
    /// Nodes of this type.
    Of(NodeType),
}

impl ResourceType {
    /// Parses the type; `None` if no node can have it.
    pub fn parse(resource_type: &str) -> Option<Self> {
        if resource_type == ANY_NODE {
            return Some(Self::AnyNode);
        }
        NodeType::parse(resource_type).ok().map(Self::Of)
    }

    /// Returns the node type, if it is a single one.
    pub const fn node_type(&self) -> Option<&NodeType> {
        match self {
            Self::AnyNode => None,
            Self::Of(node_type) => Some(node_type),
        }
    }

    /// Returns whether nodes of this type belong to it.
    pub fn has(&self, node_type: &NodeType) -> bool {
        match self {
            Self::AnyNode => true,
            Self::Of(own) => own == node_type,
        }
    }
}

/// Returns the permission key of an action on a resource type: the action itself if it contains a dot, otherwise the
/// action of that type. `None` if the type would form a system permission, which must be named by its whole key, and
/// for texts longer than any name.
///
/// ```
/// # use canopy_app::authzen::terms::permission;
/// assert_eq!(permission("document", "read").as_deref(), Some("document.read"));
/// assert_eq!(permission("document", "billing.read").as_deref(), Some("billing.read"));
/// assert_eq!(permission("role", "manage"), None);
/// ```
pub fn permission(resource_type: &str, action: &str) -> Option<String> {
    if resource_type.len().max(action.len()) > MAX_TERM_BYTES {
        return None;
    }
    if action.contains('.') {
        return Some(action.to_owned());
    }
    let key = format!("{resource_type}.{action}");
    (!is_system(&key)).then_some(key)
}

/// Returns the action that names a permission on resources of a type. The reverse of [`permission`].
pub fn action<'k>(resource_type: &str, key: &'k PermissionKey) -> &'k str {
    let whole = key.as_str();
    let bare = whole
        .strip_prefix(resource_type)
        .and_then(|rest| rest.strip_prefix('.'));
    match bare {
        Some(bare) if !bare.contains('.') && !is_system(whole) => bare,
        _ => whole,
    }
}

fn is_system(key: &str) -> bool {
    SYSTEM_PERMISSION_KEYS.contains(&key)
}

string_enum!(
    /// Selects the checks that are answered.
    Semantic {
        /// All checks.
        ExecuteAll = "execute_all",
        /// All up to the first denied one.
        DenyOnFirstDeny = "deny_on_first_deny",
        /// All up to the first permitted one.
        PermitOnFirstPermit = "permit_on_first_permit",
    }
);

impl Semantic {
    /// Returns whether evaluation stops after this decision.
    pub const fn ends_at(self, is_permitted: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !is_permitted,
            Self::PermitOnFirstPermit => is_permitted,
        }
    }
}

/// A decision with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Granted,
    /// Denied by the rules of the model.
    Denied(DenialReason),
    /// Denied: several identities have the name of the subject.
    AmbiguousSubject,
    /// Denied: several nodes have the name of the resource.
    AmbiguousResource,
    /// Denied: the caller may not request this check.
    ScopeMissing,
    /// Denied: the check lacks a part, or a part has the wrong type.
    InvalidRequest,
}

impl Verdict {
    /// Returns whether it allows access.
    pub const fn is_permitted(self) -> bool {
        matches!(self, Self::Granted)
    }

    /// Returns the reason on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied(reason) => reason.as_str(),
            Self::AmbiguousSubject => "ambiguous_subject",
            Self::AmbiguousResource => "ambiguous_resource",
            Self::ScopeMissing => "scope_missing",
            Self::InvalidRequest => "invalid_request",
        }
    }

    /// Returns every verdict.
    pub fn all() -> impl Iterator<Item = Self> {
        let denied = DenialReason::ALL.iter().map(|reason| Self::Denied(*reason));
        let others = [
            Self::AmbiguousSubject,
            Self::AmbiguousResource,
            Self::ScopeMissing,
            Self::InvalidRequest,
        ];
        core::iter::once(Self::Granted).chain(denied).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_key_by_itself_or_of_the_type() {
        for (resource_type, name, key) in [
            ("record", "read", Some("record.read")),
            ("record", "billing.read", Some("billing.read")),
            ("record", "node.manage", Some("node.manage")),
            ("node", "archive", Some("node.archive")),
            ("node", "manage", None),
            ("environment", "manage", None),
            ("record", "", Some("record.")),
            ("record", ".", Some(".")),
        ] {
            assert_eq!(
                permission(resource_type, name).as_deref(),
                key,
                "{resource_type} {name}"
            );
        }
    }

    #[test]
    fn every_key_has_an_action_that_leads_back_to_it() {
        let keys = SYSTEM_PERMISSION_KEYS.into_iter().chain([
            "record.read",
            "record.read.all",
            "record-x.read",
            "billing.read",
            "node.archive",
        ]);
        for key in keys {
            let key = PermissionKey::parse(key).unwrap();
            for resource_type in ["record", "node", "role", "billing", "record.read", ""] {
                let name = action(resource_type, &key);
                let back = permission(resource_type, name);
                assert_eq!(back.as_deref(), Some(key.as_str()), "{resource_type} {name}");
            }
        }
        let read = PermissionKey::parse("record.read").unwrap();
        assert_eq!(action("record", &read), "read");
        assert_eq!(action("node", &read), "record.read");
        let all = PermissionKey::parse("record.read.all").unwrap();
        assert_eq!(action("record", &all), "record.read.all");
        let system = PermissionKey::parse("node.read").unwrap();
        assert_eq!(action("node", &system), "node.read");
    }

    #[test]
    fn semantics_say_where_to_end() {
        for (semantic, after_yes, after_no) in [
            (Semantic::ExecuteAll, false, false),
            (Semantic::DenyOnFirstDeny, false, true),
            (Semantic::PermitOnFirstPermit, true, false),
        ] {
            assert_eq!((semantic.ends_at(true), semantic.ends_at(false)), (after_yes, after_no));
        }
    }

    #[test]
    fn types_name_identities_and_nodes() {
        assert!(is_identity("user") && is_identity("identity"));
        assert!(!is_identity("User") && !is_identity("group") && !is_identity(""));
        let team = NodeType::parse("team").unwrap();
        assert!(ResourceType::parse("node").is_some_and(|any| any.has(&team)));
        assert!(ResourceType::parse("team").is_some_and(|own| own.has(&team)));
        assert!(ResourceType::parse("Team").is_some_and(|own| !own.has(&team)));
        assert_eq!(ResourceType::parse("a.b"), None);
        assert_eq!(ResourceType::parse(""), None);
    }

    #[test]
    fn every_verdict_has_a_word_of_its_own() {
        let words: std::collections::HashSet<&str> = Verdict::all().map(Verdict::as_str).collect();
        assert_eq!(words.len(), Verdict::all().count());
        assert_eq!(words.len(), DenialReason::ALL.len() + 5);
    }
}
