//! What decisions rest on.

use crate::unit::Unit;
use async_trait::async_trait;
use canopy_domain::access::{Change, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, Snapshot};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AccessReader;
use canopy_domain::{EnvironmentId, Revision};

#[async_trait]
impl<Kind: Send> AccessReader for Unit<Kind> {
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(None);
        };
        let Some(place) = self.state.tenancy.place(environment) else {
            return Ok(None);
        };
        let permissions = contents.permissions.by_id.values().map(|permission| PermissionFact {
            id: permission.id,
            key: permission.key.clone(),
        });
        let roles = contents.roles.by_id.values().map(|row| RoleFact {
            id: row.role.id,
            name: row.role.name.clone(),
            is_active: row.role.is_active,
            permissions: row.permissions.iter().copied().collect(),
        });
        Ok(Some(Snapshot {
            environment,
            revision: contents.revision(),
            permissions: permissions.collect(),
            roles: roles.collect(),
            nodes: contents.tree.by_id.values().map(NodeFact::from).collect(),
            subjects: self.state.directory.subjects(place.application),
            grants: contents.assignments.by_id.values().map(GrantFact::from).collect(),
            keys: contents.api_keys.values().map(KeyFact::from).collect(),
        }))
    }

    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
        Ok(self.state.contents(environment).map(crate::state::Contents::revision))
    }

    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(contents
            .history
            .after(after)
            .take(limit)
            .map(|(revision, changes)| (revision, changes.to_vec()))
            .collect())
    }
}
