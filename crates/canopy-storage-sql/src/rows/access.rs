//! Rows that the decision index is built from.

use crate::shape::shape;
use canopy_domain::access::{Change, GrantFact, IndexSize, NodeFact, PermissionFact, RoleFact};
use canopy_domain::port::CommitTag;
use canopy_domain::{EnvironmentId, NodeType, PermissionId, PermissionKey, Revision, RoleId, RoleName, Slug};
use canopy_store_kit::change_codec;
use std::collections::HashMap;

shape! {
    /// A permission.
    PermissionFactRow in "permissions" reads PermissionFact {
        id: "id" as id,
        key: "key" as text(PermissionKey::parse),
    }
}

shape! {
    /// A role, without its permissions: see [`bundle`].
    RoleFactRow in "roles" reads (RoleFact) {
        id: "id" as id,
        name: "name" as text(RoleName::restored),
        is_active: "is_active" as flag,
    } => RoleFact { id, name, is_active, permissions: vec![] }
}

/// Gives each role the permissions of its pairs.
pub fn bundle(roles: &mut [RoleFact], pairs: impl IntoIterator<Item = (RoleId, PermissionId)>) {
    let mut bundles: HashMap<RoleId, Vec<PermissionId>> = HashMap::new();
    for (role, permission) in pairs {
        bundles.entry(role).or_default().push(permission);
    }
    for role in roles {
        role.permissions = bundles.remove(&role.id).unwrap_or_default();
    }
}

shape! {
    /// A node.
    NodeFactRow in "nodes" reads NodeFact {
        id: "id" as id,
        parent: "parent_id" as optional_id,
        node_type: "node_type" as text(NodeType::parse),
        slug: "slug" as text(Slug::parse),
        is_active: "status" as is_active_node,
    }
}

shape! {
    /// An assignment.
    GrantRow in "assignments" reads GrantFact {
        id: "id" as id,
        key: ["identity_id", "role_id", "node_id"] as assignment_key,
        window: ["effective_from", "effective_to"] as window,
    }
}

shape! {
    /// The size of an environment's index.
    IndexSizeRow in "environments" reads IndexSize {
        permissions: _ as count,
        permission_key_bytes: _ as count,
        roles: _ as count,
        role_name_bytes: _ as count,
        pairs: _ as count,
        nodes: _ as count,
        subjects: _ as count,
        assignments: _ as count,
        api_keys: _ as count,
        scopes: _ as count,
    }
}

shape! {
    /// An environment and its revision.
    RevisionRow in "environments" reads ((EnvironmentId, Revision)) {
        environment: "id" as id,
        revision: "revision" as revision,
    } => (environment, revision)
}

/// A change record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The revision that the changes lead to.
    pub revision: Revision,
    /// The changes.
    pub changes: Vec<Change>,
    /// The length of their encoding, in bytes.
    pub bytes: usize,
}

shape! {
    /// A change record.
    ChangeRecordRow in "change_records" reads (ChangeRecord) {
        _environment: "environment_id" as optional_uuid,
        revision: "revision" as revision,
        changes: "changes" as bytes(|bytes| change_codec::decode(bytes).map(|changes| (changes, bytes.len()))),
    } => ChangeRecord { revision, changes: changes.0, bytes: changes.1 }
}

shape! {
    /// The tag of a commit.
    CommitTagRow in "change_records" reads ((Revision, CommitTag)) {
        _environment: "environment_id" as optional_uuid,
        revision: "revision" as revision,
        tag: "tag" as number,
    } => (revision, CommitTag::from_stored(tag))
}
