//! The state of the store. Areas are shared between states until one of them writes.

use crate::rule::bug;
use crate::table::{ApiKeys, Assignments, AuditLog, Digests, Directory, History, Permissions, Roles, Tenancy, Tree};
use canopy_domain::port::{KeptAnswer, RequestIdentity, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// One state of the store. A clone is cheap and unaffected by changes to the original.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Accounts, applications and environments.
    pub tenancy: Arc<Tenancy>,
    /// Identities and memberships.
    pub directory: Arc<Directory>,
    /// The rows of each environment.
    pub environments: Arc<BTreeMap<EnvironmentId, Contents>>,
    /// The key of each digest.
    pub key_digests: Arc<Digests>,
    /// Audit events.
    pub audit: Arc<AuditLog>,
    /// Stored responses of repeatable requests.
    pub answers: Arc<BTreeMap<RequestIdentity, KeptAnswer>>,
    /// Bytes of stored responses by tenant and hour.
    pub kept_bytes: Arc<BTreeMap<(Uuid, i64), u64>>,
    /// True if change records cannot be read.
    pub damaged_history: bool,
}

/// The rows of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// The catalog.
    pub permissions: Arc<Permissions>,
    /// Roles and their permissions.
    pub roles: Arc<Roles>,
    /// The tree of nodes.
    pub tree: Arc<Tree>,
    /// Assignments.
    pub assignments: Arc<Assignments>,
    /// API keys.
    pub api_keys: Arc<ApiKeys>,
    /// The changes of each revision.
    pub history: Arc<History>,
}

impl Contents {
    /// Returns the newest revision.
    pub fn revision(&self) -> Revision {
        self.history.revision()
    }
}

impl State {
    /// Returns the contents of an environment.
    pub fn contents(&self, environment: EnvironmentId) -> Option<&Contents> {
        self.environments.get(&environment)
    }

    /// Returns the contents of an environment for changes.
    pub fn contents_mut(&mut self, environment: EnvironmentId) -> Result<&mut Contents, StoreError> {
        if !self.environments.contains_key(&environment) {
            return Err(bug("the environment is not there"));
        }
        Arc::make_mut(&mut self.environments)
            .get_mut(&environment)
            .ok_or_else(|| bug("the environment is not there"))
    }
}
