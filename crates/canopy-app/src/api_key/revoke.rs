//! Revoke an API key.

use super::{audit_entry, described};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::api_key::ApiKeyId;
use canopy_domain::audit::AuditSeverity;
use canopy_domain::port::WriteScope;
use canopy_domain::{ApiKeyError, EnvironmentPlace};

/// Revokes a key: from the answer on it opens nothing, in any process.
///
/// # Errors
/// [`ApiKeyError::NotFound`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace, id: ApiKeyId) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let key = tx.api_key(place.environment, id).await?.ok_or(ApiKeyError::NotFound)?;
        tx.delete_api_key(place.environment, id).await?;
        let mut entry = audit_entry(place, "api_key.revoke", &key).saying(described(&key));
        entry.severity = AuditSeverity::Warning;
        let changes = vec![Change::KeyRemoved(id)];
        app.commit_within(tx, call, place, now, changes, entry, &()).await
    })
    .await
}
