//! Reads for the decision index.

use crate::unit::Unit;
use async_trait::async_trait;
use canopy_domain::access::{Change, GrantFact, IndexSize, KeyFact, NodeFact, PermissionFact, RoleFact, Snapshot};
use canopy_domain::port::reader::{AccessReader, CHANGE_BYTES};
use canopy_domain::port::{CommitTag, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use canopy_store_kit::change_codec::encode;

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

    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError> {
        let (Some(contents), Some(place)) = (self.state.contents(environment), self.state.tenancy.place(environment))
        else {
            return Ok(IndexSize::default());
        };
        let (permissions, roles) = (&contents.permissions.by_id, &contents.roles.by_id);
        Ok(IndexSize {
            permissions: permissions.len(),
            permission_key_bytes: permissions.values().map(|one| one.key.as_str().len()).sum(),
            roles: roles.len(),
            role_name_bytes: roles.values().map(|row| row.role.name.as_str().len()).sum(),
            pairs: roles.values().map(|row| row.permissions.len()).sum(),
            nodes: contents.tree.by_id.len(),
            subjects: self.state.directory.subjects(place.application).len(),
            assignments: contents.assignments.by_id.len(),
            api_keys: contents.api_keys.len(),
            scopes: contents.api_keys.values().map(|key| key.access.scope_count()).sum(),
        })
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
        if self.state.damaged_history {
            return Err(StoreError::Corrupt("the history is damaged on purpose".to_owned()));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(contents
            .history
            .after(after)
            .take(limit)
            .scan(0, |bytes_before, record| {
                let has_room = *bytes_before < CHANGE_BYTES;
                *bytes_before += encode(record.1).len();
                has_room.then_some(record)
            })
            .map(|(revision, changes)| (revision, changes.to_vec()))
            .collect())
    }

    async fn commit_tags(
        &mut self,
        environment: EnvironmentId,
        from: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, CommitTag)>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let contents = self.state.contents(environment).into_iter();
        Ok(contents
            .flat_map(|contents| contents.history.tags(from))
            .take(limit)
            .collect())
    }
}
