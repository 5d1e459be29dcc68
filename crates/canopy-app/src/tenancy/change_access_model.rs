//! Converts an environment from flat to hierarchy.

use super::{audit_entry, schema_of};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, EnvironmentRow, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::tenancy::change;
use canopy_domain::{AccessModel, Environment, EnvironmentRef, HierarchyError, TenancyError, Tenant};

/// Sets the access model. Setting the current one changes nothing.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`HierarchyError::RevertNeeded`] for a
/// change to flat, which widens access and has its own call, or with [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeAccessModel {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The new access model.
    pub model: AccessModel,
}

#[async_trait]
impl Write for ChangeAccessModel {
    type Outcome = Environment;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Environment>, AppError> {
        let (place, model) = (&self.environment, self.model);
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let before = facts.environment(place.environment).await?.ok_or_else(absent)?;
        change::check(Tenant::Environment, before.version, at.expected())?;
        if before.access_model == model {
            return Ok(Plan::unchanged(before));
        }
        if model == AccessModel::Flat {
            return Err(HierarchyError::RevertNeeded.into());
        }
        let schema = schema_of(facts, place.environment).await?;
        let after = Environment {
            access_model: model,
            version: before.version.next(),
            updated_at: at.now(),
            ..before.clone()
        };
        let metadata = vec![("access_model", Detail::text(model))];
        let resource = (Tenant::Environment, after.id.to_string(), &after.name);
        let tenancy = (place.account, Some(place.application), Some(place.environment));
        let entry = audit_entry("environment.change_access_model", resource, tenancy, metadata);
        Ok(Plan::new(updated(before, after.clone(), schema), after, entry))
    }
}

/// Returns the row of a changed environment that keeps its schema.
pub(super) fn updated(before: Environment, after: Environment, schema: canopy_domain::HierarchySchema) -> ChangeSet {
    let row = |environment, schema| EnvironmentRow { environment, schema };
    ChangeSet {
        environments: Rows::update(row(before, schema.clone()), row(after, schema)),
        ..ChangeSet::default()
    }
}
