//! Changes an environment.

use super::change_access_model::updated;
use super::{audit_entry, lost_slug, schema_of};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::tenancy::change::{self, TenantPatch};
use canopy_domain::{Environment, EnvironmentRef, TenancyError, Tenant};

/// Changes the name or slug of an environment, and raises its version. A change without effect writes nothing.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`TenancyError::SlugTaken`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeEnvironment {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The change.
    pub patch: TenantPatch,
}

#[async_trait]
impl Write for ChangeEnvironment {
    type Outcome = Environment;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Environment>, AppError> {
        let place = &self.environment;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let before = facts.environment(place.environment).await?.ok_or_else(absent)?;
        change::check(Tenant::Environment, before.version, at.expected())?;
        let Some(after) = change::environment(&before, &self.patch, at.now()) else {
            return Ok(Plan::unchanged(before));
        };
        let schema = schema_of(facts, place.environment).await?;
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("slug_before", Detail::text(&before.slug)),
            ("slug", Detail::text(&after.slug)),
        ];
        let resource = (Tenant::Environment, after.id.to_string(), &after.name);
        let tenancy = (place.account, Some(place.application), Some(place.environment));
        let entry = audit_entry("environment.change", resource, tenancy, metadata);
        Ok(Plan::new(updated(before, after.clone(), schema), after, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_slug(unique, Unique::EnvironmentSlug, Tenant::Environment, true)
    }
}
