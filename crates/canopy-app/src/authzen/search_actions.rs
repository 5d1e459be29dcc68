//! What may this subject do with this resource, now?

use super::named::{Named, Wanted};
use super::terms::action;
use super::{Entity, Found, judge_apart};
use crate::access::Asker;
use crate::decisions::EnvironmentState;
use crate::long_work::Pace;
use crate::{App, AppError};
use canopy_domain::{PermissionKey, Resolution, Timestamp};

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSearch {
    /// The identity.
    pub subject: Entity,
    /// With what.
    pub resource: Entity,
}

/// Finds at most `limit` actions, by the keys of their permissions, after the one that the part before ended with. None where
/// something is unknown; none that a key may not ask about.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`].
pub async fn search_actions(
    app: &App,
    asker: Asker<'_>,
    search: &ActionSearch,
    after: Option<String>,
    limit: usize,
) -> Result<Found<PermissionKey>, AppError> {
    let mut wanted = Wanted::default();
    wanted.subject(app, asker.place(), &search.subject);
    wanted.resource(&search.resource);
    let owned = (
        app.clone(),
        asker.caller.clone(),
        asker.environment.clone(),
        search.clone(),
    );
    let judge_state =
        move |state: &EnvironmentState, now: Timestamp, named: &Named, wanted: &mut Wanted, pace: &mut Pace| {
            let (app, caller, environment, search) = &owned;
            let asker = Asker { caller, environment };
            let subject = named.subject(app, asker.place(), &search.subject, wanted);
            let resource = named.resource(&state.index, &search.resource, wanted);
            let Some(found) = subject.zip(resource) else {
                return Ok(None);
            };
            let keys = match found {
                (Resolution::Unique(identity), Resolution::Unique(node)) => state
                    .index
                    .effective_permissions_in_steps(identity, Some(node), now, || pace.check())?,
                _ => vec![],
            };
            let counts = |key: &&PermissionKey| {
                after.as_deref().is_none_or(|after| key.as_str() > after) && asker.allows(key.as_str())
            };
            let mut keys = keys.into_iter().filter(counts).cloned();
            let first: Vec<PermissionKey> = keys.by_ref().take(limit).collect();
            let next = first.last().cloned().filter(|_| keys.next().is_some());
            Ok(Some((first, next, state.index.revision())))
        };
    let (keys, next, revision) = judge_apart(app, asker, wanted, judge_state).await?;
    let names = keys.iter().map(|key| action(&search.resource.kind, key).to_owned());
    Ok(Found {
        names: names.collect(),
        next,
        revision,
    })
}
