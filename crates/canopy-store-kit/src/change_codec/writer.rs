//! Encoding.

use super::{Shared, VERSION, given, kind};
use canopy_domain::access::{Change, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, SubjectFact};
use canopy_domain::api_key::KeyAccess;
use canopy_domain::{MembershipStatus, Timestamp};
use uuid::Uuid;

/// Encodes changes as bytes for [`decode`](super::decode).
pub fn encode(changes: &[Change]) -> Vec<u8> {
    let mut writer = Writer {
        bytes: Vec::with_capacity(8 + changes.len() * 36),
        before: None,
    };
    writer.bytes.push(VERSION);
    // A batch of more than four thousand million changes does not fit in memory.
    writer.count(changes.len());
    for change in changes {
        writer.change(change);
    }
    writer.bytes
}

struct Writer {
    bytes: Vec<u8>,
    before: Option<Shared>,
}

impl Writer {
    fn change(&mut self, change: &Change) {
        match change {
            Change::PermissionPut(permission) => self.permission(permission),
            Change::PermissionRemoved(id) => self.removed(kind::PERMISSION_REMOVED, id.as_uuid()),
            Change::RolePut(role) => self.role(role),
            Change::RoleRemoved(id) => self.removed(kind::ROLE_REMOVED, id.as_uuid()),
            Change::NodePut(node) => self.node(node),
            Change::NodeRemoved(id) => self.removed(kind::NODE_REMOVED, id.as_uuid()),
            Change::SubjectPut(subject) => self.subject(subject),
            Change::SubjectRemoved(id) => self.removed(kind::SUBJECT_REMOVED, id.as_uuid()),
            Change::GrantPut(grant) => self.grant(grant),
            Change::GrantRemoved(id) => self.removed(kind::GRANT_REMOVED, id.as_uuid()),
            Change::KeyPut(key) => self.key(key),
            Change::KeyRemoved(id) => self.removed(kind::KEY_REMOVED, id.as_uuid()),
        }
    }

    fn removed(&mut self, kind: u8, id: Uuid) {
        self.bytes.push(kind);
        self.id(id);
    }

    fn permission(&mut self, permission: &PermissionFact) {
        self.bytes.push(kind::PERMISSION_PUT);
        self.id(permission.id.as_uuid());
        self.text(permission.key.as_str());
    }

    fn role(&mut self, role: &RoleFact) {
        self.bytes.push(kind::ROLE_PUT);
        self.id(role.id.as_uuid());
        self.bytes.push(u8::from(role.is_active));
        self.text(role.name.as_str());
        self.count(role.permissions.len());
        for permission in &role.permissions {
            self.id(permission.as_uuid());
        }
    }

    fn node(&mut self, node: &NodeFact) {
        self.bytes.push(kind::NODE_PUT);
        self.id(node.id.as_uuid());
        self.bytes.push(u8::from(node.is_active));
        self.bytes.push(u8::from(node.parent.is_some()));
        if let Some(parent) = node.parent {
            self.id(parent.as_uuid());
        }
        self.text(node.node_type.as_str());
        self.text(node.slug.as_str());
    }

    fn subject(&mut self, subject: &SubjectFact) {
        self.bytes.push(kind::SUBJECT_PUT);
        self.id(subject.id.as_uuid());
        self.bytes.push(u8::from(subject.is_active));
        self.bytes.push(match subject.membership {
            MembershipStatus::Invited => 0,
            MembershipStatus::Active => 1,
            MembershipStatus::Deactivated => 2,
            MembershipStatus::Suspended => 3,
        });
    }

    fn grant(&mut self, grant: &GrantFact) {
        let (key, from, to) = (grant.key, grant.window.from(), grant.window.to());
        let mut parts = given::ALL;
        if let Some(before) = self.before {
            let mut same = |is_same: bool, part: u8| {
                if is_same {
                    parts &= !part;
                }
            };
            same(before.key.identity == key.identity, given::IDENTITY);
            same(before.key.role == key.role, given::ROLE);
            same(before.key.node == key.node, given::NODE);
            same(before.from == from, given::FROM);
            same(before.to == to, given::TO);
        }
        if parts & given::TO != 0 && to.is_none() {
            parts |= given::NO_END;
        }
        self.bytes.extend_from_slice(&[kind::GRANT_PUT, parts]);
        self.id(grant.id.as_uuid());
        if parts & given::IDENTITY != 0 {
            self.id(key.identity.as_uuid());
        }
        if parts & given::ROLE != 0 {
            self.id(key.role.as_uuid());
        }
        if parts & given::NODE != 0 {
            self.id(key.node.as_uuid());
        }
        if parts & given::FROM != 0 {
            self.instant(from);
        }
        if let Some(to) = to
            && parts & given::TO != 0
        {
            self.instant(to);
        }
        self.before = Some(Shared { key, from, to });
    }

    fn key(&mut self, key: &KeyFact) {
        self.bytes.push(kind::KEY_PUT);
        self.id(key.id.as_uuid());
        self.bytes.push(u8::from(key.expires_at.is_some()));
        if let Some(end) = key.expires_at {
            self.instant(end);
        }
        let scopes = key.access.scopes();
        self.bytes.push(u8::from(key.access == KeyAccess::Full));
        self.count(scopes.len());
        for scope in scopes {
            self.text(scope);
        }
    }

    fn id(&mut self, id: Uuid) {
        self.bytes.extend_from_slice(id.as_bytes());
    }

    fn instant(&mut self, at: Timestamp) {
        self.bytes.extend_from_slice(&at.as_micros().to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.bytes
            .extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Writes a text. No text of a change is longer than 400 bytes.
    fn text(&mut self, text: &str) {
        self.bytes
            .extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}
