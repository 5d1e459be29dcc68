//! Decoding. Each value is validated by its own type, so that damage never becomes a fact.

use super::{CodecError, Shared, VERSION, given, kind};
use canopy_domain::access::{Change, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, SubjectFact};
use canopy_domain::api_key::{AccessMode, KeyAccess};
use canopy_domain::{
    ApiKeyId, AssignmentId, AssignmentKey, IdentityId, MembershipStatus, NodeId, NodeType, PermissionId, PermissionKey,
    RoleId, RoleName, Slug, Timestamp, Window,
};
use uuid::Uuid;

/// Decodes the bytes that [`encode`](super::encode) wrote.
///
/// # Errors
/// A [`CodecError`] for any other bytes. Never panics, and never uses more memory than a few times their length.
pub fn decode(bytes: &[u8]) -> Result<Vec<Change>, CodecError> {
    let mut reader = Reader {
        rest: bytes,
        before: None,
    };
    let version = reader.byte()?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let count = reader.count(SHORTEST_CHANGE)?;
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        changes.push(reader.change()?);
    }
    if reader.rest.is_empty() {
        Ok(changes)
    } else {
        Err(CodecError::Trailing)
    }
}

/// A kind and an id.
const SHORTEST_CHANGE: usize = 17;
/// A length and one byte.
const SHORTEST_TEXT: usize = 3;

struct Reader<'a> {
    rest: &'a [u8],
    before: Option<Shared>,
}

impl Reader<'_> {
    fn change(&mut self) -> Result<Change, CodecError> {
        let kind = self.byte()?;
        Ok(match kind {
            kind::PERMISSION_PUT => Change::PermissionPut(self.permission()?),
            kind::PERMISSION_REMOVED => Change::PermissionRemoved(PermissionId::new(self.id()?)),
            kind::ROLE_PUT => Change::RolePut(self.role()?),
            kind::ROLE_REMOVED => Change::RoleRemoved(RoleId::new(self.id()?)),
            kind::NODE_PUT => Change::NodePut(self.node()?),
            kind::NODE_REMOVED => Change::NodeRemoved(NodeId::new(self.id()?)),
            kind::SUBJECT_PUT => Change::SubjectPut(self.subject()?),
            kind::SUBJECT_REMOVED => Change::SubjectRemoved(IdentityId::new(self.id()?)),
            kind::GRANT_PUT => Change::GrantPut(self.grant()?),
            kind::GRANT_REMOVED => Change::GrantRemoved(AssignmentId::new(self.id()?)),
            kind::KEY_PUT => Change::KeyPut(self.key()?),
            kind::KEY_REMOVED => Change::KeyRemoved(ApiKeyId::new(self.id()?)),
            other => return Err(CodecError::Unknown(other)),
        })
    }

    fn permission(&mut self) -> Result<PermissionFact, CodecError> {
        let id = PermissionId::new(self.id()?);
        let key = PermissionKey::parse(self.text()?).map_err(|_| CodecError::Value("permission key"))?;
        Ok(PermissionFact { id, key })
    }

    fn role(&mut self) -> Result<RoleFact, CodecError> {
        let id = RoleId::new(self.id()?);
        let is_active = self.switch()?;
        let raw = self.text()?;
        // A stored name is trimmed already, so a name with surrounding space is damage.
        let name = RoleName::parse(raw).ok().filter(|name| name.as_str() == raw);
        let name = name.ok_or(CodecError::Value("role name"))?;
        let count = self.count(16)?;
        let mut permissions = Vec::with_capacity(count);
        for _ in 0..count {
            permissions.push(PermissionId::new(self.id()?));
        }
        Ok(RoleFact {
            id,
            name,
            is_active,
            permissions,
        })
    }

    fn node(&mut self) -> Result<NodeFact, CodecError> {
        let id = NodeId::new(self.id()?);
        let is_active = self.switch()?;
        let parent = if self.switch()? {
            Some(NodeId::new(self.id()?))
        } else {
            None
        };
        let node_type = NodeType::parse(self.text()?).map_err(|_| CodecError::Value("node type"))?;
        let slug = Slug::parse(self.text()?).map_err(|_| CodecError::Value("slug"))?;
        Ok(NodeFact {
            id,
            parent,
            node_type,
            slug,
            is_active,
        })
    }

    fn subject(&mut self) -> Result<SubjectFact, CodecError> {
        let id = IdentityId::new(self.id()?);
        let is_active = self.switch()?;
        let membership = match self.byte()? {
            0 => MembershipStatus::Invited,
            1 => MembershipStatus::Active,
            2 => MembershipStatus::Deactivated,
            3 => MembershipStatus::Suspended,
            other => return Err(CodecError::Unknown(other)),
        };
        Ok(SubjectFact {
            id,
            is_active,
            membership,
        })
    }

    fn grant(&mut self) -> Result<GrantFact, CodecError> {
        let parts = self.byte()?;
        let id = AssignmentId::new(self.id()?);
        let shared = self.shared(parts)?;
        self.before = Some(shared);
        let window = Window::restored(shared.from, shared.to).map_err(|_| CodecError::Value("window"))?;
        Ok(GrantFact {
            id,
            key: shared.key,
            window,
        })
    }

    fn key(&mut self) -> Result<KeyFact, CodecError> {
        let id = ApiKeyId::new(self.id()?);
        let expires_at = if self.switch()? { Some(self.instant()?) } else { None };
        let is_full = self.switch()?;
        let count = self.count(SHORTEST_TEXT)?;
        let mut scopes = Vec::with_capacity(count);
        for _ in 0..count {
            let scope = PermissionKey::parse(self.text()?).map_err(|_| CodecError::Value("permission key"))?;
            scopes.push(scope);
        }
        let mode = if is_full {
            AccessMode::FullAccess
        } else {
            AccessMode::Scoped
        };
        let access = KeyAccess::new(mode, scopes).ok_or(CodecError::Value("mode of a key"))?;
        Ok(KeyFact { id, access, expires_at })
    }

    fn shared(&mut self, parts: u8) -> Result<Shared, CodecError> {
        let has = |part: u8| parts & part != 0;
        if parts & !(given::ALL | given::NO_END) != 0 || (has(given::NO_END) && !has(given::TO)) {
            return Err(CodecError::Unknown(parts));
        }
        let before = self.before;
        let before = || before.ok_or(CodecError::Unknown(parts));
        let identity = if has(given::IDENTITY) {
            IdentityId::new(self.id()?)
        } else {
            before()?.key.identity
        };
        let role = if has(given::ROLE) {
            RoleId::new(self.id()?)
        } else {
            before()?.key.role
        };
        let node = if has(given::NODE) {
            NodeId::new(self.id()?)
        } else {
            before()?.key.node
        };
        let from = if has(given::FROM) {
            self.instant()?
        } else {
            before()?.from
        };
        let to = match (has(given::TO), has(given::NO_END)) {
            (true, true) => None,
            (true, false) => Some(self.instant()?),
            (false, _) => before()?.to,
        };
        Ok(Shared {
            key: AssignmentKey { identity, role, node },
            from,
            to,
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CodecError::CutOff)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn switch(&mut self) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::Unknown(other)),
        }
    }

    fn id(&mut self) -> Result<Uuid, CodecError> {
        self.take().map(Uuid::from_bytes)
    }

    fn instant(&mut self) -> Result<Timestamp, CodecError> {
        let micros = i64::from_le_bytes(self.take()?);
        Timestamp::from_micros(micros).map_err(|_| CodecError::Value("instant"))
    }

    /// Reads a number of values of at least `shortest` bytes each, so that no more memory is reserved than they can
    /// need.
    fn count(&mut self, shortest: usize) -> Result<usize, CodecError> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count > self.rest.len() / shortest {
            Err(CodecError::CutOff)
        } else {
            Ok(count)
        }
    }

    fn text(&mut self) -> Result<&str, CodecError> {
        let len = usize::from(u16::from_le_bytes(self.take()?));
        let (text, rest) = self.rest.split_at_checked(len).ok_or(CodecError::CutOff)?;
        self.rest = rest;
        core::str::from_utf8(text).map_err(|_| CodecError::Value("text"))
    }
}
