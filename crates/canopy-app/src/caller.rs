//! Who makes a call.

use canopy_domain::api_key::KeyAccess;
use canopy_domain::audit::{Actor, ActorType};
use canopy_domain::{AccountId, ApiKeyId, EnvironmentRef, Expected, IdentityId};
use std::sync::Arc;

/// An authenticated principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Runs the installation.
    Operator {
        /// The subject of the token.
        subject: Arc<str>,
    },
    /// Administers one account. Admins bypass RBAC.
    Admin {
        /// The account.
        account: AccountId,
        /// The subject of the token.
        subject: Arc<str>,
        /// The environment that the token names, which lies in the account.
        environment: Option<EnvironmentRef>,
    },
    /// An end user.
    Identity {
        /// The account.
        account: AccountId,
        /// The identity, which belongs to the account.
        id: IdentityId,
        /// The environment that the token names, which lies in the account.
        environment: Option<EnvironmentRef>,
    },
    /// A backend of the customer.
    ApiKey {
        /// The environment that the key is bound to.
        place: EnvironmentRef,
        /// The key.
        id: ApiKeyId,
        /// What it may do there.
        access: Arc<KeyAccess>,
    },
}

impl Caller {
    /// The account it speaks in; an operator speaks in none.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Operator { .. } => None,
            Self::Admin { account, .. } | Self::Identity { account, .. } => Some(*account),
            Self::ApiKey { place, .. } => Some(place.account),
        }
    }

    /// The environment that its credential names.
    pub const fn environment(&self) -> Option<EnvironmentRef> {
        match self {
            Self::Operator { .. } => None,
            Self::Admin { environment, .. } | Self::Identity { environment, .. } => *environment,
            Self::ApiKey { place, .. } => Some(*place),
        }
    }

    /// The caller as audit events name it.
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

/// One call: who makes it, and the id under which logs and audit events know it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The identity.
    pub caller: Caller,
    /// The request's id.
    pub request_id: String,
    /// The versions that the thing it changes is expected to have, as far as the call itself does not ask for one.
    pub expected: Expected,
}

impl Call {
    /// A call that expects no version.
    pub const fn new(caller: Caller, request_id: String) -> Self {
        Self {
            caller,
            request_id,
            expected: Expected::Any,
        }
    }
}
