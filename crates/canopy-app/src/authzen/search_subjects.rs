//! Who may do this with this resource, now?

use super::named::{Named, Wanted};
use super::terms::{is_identity, permission};
use super::{Entity, Found, judge_apart};
use crate::access::Asker;
use crate::decisions::EnvironmentState;
use crate::long_work::Pace;
use crate::{App, AppError};
use canopy_domain::access::Part;
use canopy_domain::identity::names::{IdentitiesByName, IdentityNames, candidate_names};
use canopy_domain::{IdentityId, Resolution, Timestamp};

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectSearch {
    /// The type of those who are looked for.
    pub subject_type: String,
    /// The action to search for.
    pub action: String,
    /// With what.
    pub resource: Entity,
}

/// Finds at most `limit` subjects, by id, after the one that the part before ended with. Nobody where something is unknown, or
/// where a key may not ask about it.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`].
pub async fn search_subjects(
    app: &App,
    asker: Asker<'_>,
    search: &SubjectSearch,
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Found<IdentityId>, AppError> {
    let mut wanted = Wanted::default();
    wanted.resource(&search.resource);
    let permission = permission(&search.resource.kind, &search.action).unwrap_or_default();
    let may_ask = is_identity(&search.subject_type) && asker.allows(&permission);
    let resource = search.resource.clone();
    let judge_state =
        move |state: &EnvironmentState, now: Timestamp, named: &Named, wanted: &mut Wanted, pace: &mut Pace| {
            let Some(resource) = named.resource(&state.index, &resource, wanted) else {
                return Ok(None);
            };
            let found = match resource {
                Resolution::Unique(node) if may_ask => {
                    state
                        .index
                        .who_can_in_steps(&permission, node, now, (after, limit), || pace.check())?
                }
                _ => Part {
                    items: vec![],
                    has_more: false,
                },
            };
            let identities: Vec<IdentityId> = found.items.iter().map(|holder| holder.identity).collect();
            let next = identities.last().copied().filter(|_| found.has_more);
            Ok(Some((identities, next, state.index.revision())))
        };
    let (identities, next, revision) = judge_apart(app, asker, wanted, judge_state).await?;
    let found = IdentityNames {
        ids: identities.into_iter().collect(),
        ..IdentityNames::default()
    };
    let mut names = Vec::new();
    if !found.is_empty() {
        let account = asker.place().account;
        let mut tx = app.read(asker.place()).await?;
        let subjects = tx.identities_named(account, &found).await?;
        let all = tx.identities_named(account, &candidate_names(&subjects)).await?;
        let all = IdentitiesByName::new(all);
        names.extend(subjects.iter().map(|identity| identity.shown(&all)));
    }
    Ok(Found { names, next, revision })
}
