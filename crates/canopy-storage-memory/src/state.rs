//! Everything the store holds. Areas are shared between states until one of them writes.

use crate::api_key::{ApiKeys, Digests};
use crate::assignment::Assignments;
use crate::audit::AuditLog;
use crate::hierarchy::Tree;
use crate::identity::Directory;
use crate::permission::Permissions;
use crate::role::Roles;
use crate::rule::bug;
use crate::tenancy::Tenancy;
use canopy_domain::access::Change;
use canopy_domain::port::{KeptAnswer, RequestIdentity, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One state of the store. A clone is cheap and stays as it is, whatever is done to the original.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Accounts, applications and environments.
    pub tenancy: Arc<Tenancy>,
    /// Identities and memberships.
    pub directory: Arc<Directory>,
    /// What each environment holds.
    pub environments: Arc<BTreeMap<EnvironmentId, Contents>>,
    /// Whose key each digest is.
    pub key_digests: Arc<Digests>,
    /// Audit events.
    pub audit: Arc<AuditLog>,
    /// Answers of requests that may be repeated.
    pub answers: Arc<BTreeMap<RequestIdentity, KeptAnswer>>,
}

/// What one environment holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// The catalog.
    pub permissions: Arc<Permissions>,
    /// Roles and what they bundle.
    pub roles: Arc<Roles>,
    /// The tree of nodes.
    pub tree: Arc<Tree>,
    /// Assignments.
    pub assignments: Arc<Assignments>,
    /// API keys.
    pub api_keys: Arc<ApiKeys>,
    /// The changes of each revision: those of revision 1 first.
    pub history: Arc<Vec<Arc<[Change]>>>,
}

impl Contents {
    /// The newest revision.
    pub fn revision(&self) -> Revision {
        Revision::new(u64::try_from(self.history.len()).unwrap_or(u64::MAX))
    }
}

impl State {
    /// The contents of an environment.
    pub fn contents(&self, environment: EnvironmentId) -> Option<&Contents> {
        self.environments.get(&environment)
    }

    /// The contents of an environment, to be changed.
    pub fn contents_mut(&mut self, environment: EnvironmentId) -> Result<&mut Contents, StoreError> {
        if !self.environments.contains_key(&environment) {
            return Err(bug("the environment is not there"));
        }
        Arc::make_mut(&mut self.environments)
            .get_mut(&environment)
            .ok_or_else(|| bug("the environment is not there"))
    }
}
