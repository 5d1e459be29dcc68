//! The caller of a call.

use canopy_domain::api_key::KeyAccess;
use canopy_domain::audit::{Actor, ActorType};
use canopy_domain::{AccountId, ApiKeyId, EnvironmentRef, Expected, IdentityId};
use std::sync::Arc;

/// An authenticated principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A caller who runs the installation.
    Operator {
        /// The subject of the token.
        subject: Arc<str>,
    },
    /// A caller who administers one account. Admins bypass RBAC.
    Admin {
        /// The account.
        account: AccountId,
        /// The subject of the token.
        subject: Arc<str>,
        /// The environment of the token, which belongs to the account.
        environment: Option<EnvironmentRef>,
    },
    /// An end user.
    Identity {
        /// The account.
        account: AccountId,
        /// The identity, which belongs to the account.
        id: IdentityId,
        /// The environment of the token, which belongs to the account.
        environment: Option<EnvironmentRef>,
    },
    /// A backend of the customer.
    ApiKey {
        /// The environment that the key is bound to.
        place: EnvironmentRef,
        /// The key.
        id: ApiKeyId,
        /// Its access to the environment.
        access: Arc<KeyAccess>,
    },
}

impl Caller {
    /// Returns its account; an operator has none.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Operator { .. } => None,
            Self::Admin { account, .. } | Self::Identity { account, .. } => Some(*account),
            Self::ApiKey { place, .. } => Some(place.account),
        }
    }

    /// Returns the environment of its credential.
    pub const fn environment(&self) -> Option<EnvironmentRef> {
        match self {
            Self::Operator { .. } => None,
            Self::Admin { environment, .. } | Self::Identity { environment, .. } => *environment,
            Self::ApiKey { place, .. } => Some(*place),
        }
    }

    /// Returns the caller as an actor of audit events.
    pub fn actor(&self) -> Actor {
        let (id, kind) = match self {
            Self::Operator { subject } => (subject.to_string(), ActorType::Operator),
            Self::Admin { subject, .. } => (subject.to_string(), ActorType::Admin),
            Self::Identity { id, .. } => (id.to_string(), ActorType::Identity),
            Self::ApiKey { id, .. } => (id.to_string(), ActorType::ApiKey),
        };
        Actor {
            label: id.clone(),
            id,
            kind,
        }
    }
}

/// One call: its caller, and the id that logs and audit events use for it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The caller.
    pub caller: Caller,
    /// The request's id.
    pub request_id: String,
    /// The expected versions of the resource that it changes, unless the call has its own.
    pub expected: Expected,
}

impl Call {
    /// Creates a call that accepts any version.
    pub const fn new(caller: Caller, request_id: String) -> Self {
        Self {
            caller,
            request_id,
            expected: Expected::Any,
        }
    }
}
