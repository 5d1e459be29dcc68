//! Create identities, one or many, and attach them to an application where one is named.

use super::attach::member_changes;
use super::identifier_taken;
use crate::app::AuditEntry;
use crate::audit::described::{self, Details};
use crate::{App, AppError, BulkMode, Call, unit_of_work};
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::identity::create::{NewIdentity, TakenIdentifiers, plan};
use canopy_domain::identity::membership;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, WriteScope, WriteTx};
use canopy_domain::{
    AccountId, ApplicationId, ApplicationPlace, Identity, IdentityError, IdentityId, Membership, MembershipError,
    MembershipId, TenancyError, Tenant, Timestamp,
};

/// Creates identities of an account; each becomes an active member of `application` where that is given.
///
/// # Errors
/// [`TenancyError::NotFound`] for an application that is not the account's; [`AppError::Store`]. Rules that items break
/// are in their outcomes.
pub async fn run(
    app: &App,
    call: &Call,
    account: AccountId,
    application: Option<ApplicationId>,
    items: &[NewIdentity],
    mode: BulkMode,
) -> Result<Vec<Outcome<Identity, IdentityError>>, AppError> {
    // Before any lock is taken: the application's and its environments' locks are for its own account alone.
    if let Some(id) = application {
        let found = app.read(account).await?.application(id).await?;
        let own = found.filter(|found| found.account_id == account);
        own.ok_or(TenancyError::NotFound(Tenant::Application))?;
    }
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, scope(account, application)).await?;
        let now = app.now();
        let taken = tx.taken_identifiers(account, &TakenIdentifiers::of(items)).await?;
        let outcomes: Vec<Outcome<Identity, IdentityError>> = bulk::settle(plan(items, &taken), mode.atomic)
            .into_iter()
            .zip(items)
            .map(|(outcome, item)| match outcome {
                Outcome::Done(()) => Outcome::Done(fresh(app, account, item, now)),
                Outcome::Refused(error) => Outcome::Refused(error),
                Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
            })
            .collect();
        let created: Vec<Identity> = outcomes
            .iter()
            .filter_map(|outcome| {
                if let Outcome::Done(identity) = outcome {
                    Some(identity.clone())
                } else {
                    None
                }
            })
            .collect();
        if mode.dry_run || created.is_empty() {
            return Ok(outcomes);
        }
        tx.insert_identities(&created).await.map_err(identifier_taken)?;
        let changes = match application {
            Some(application) => attach_all(app, tx.as_mut(), application, &created, now).await?,
            None => Vec::new(),
        };
        let first = created.first();
        let entry = AuditEntry {
            account,
            application,
            environment: None,
            action: "identity.create",
            category: AuditCategory::Identity,
            severity: AuditSeverity::Info,
            resource_type: "identity",
            resource_id: first.map(|identity| identity.id.to_string()).unwrap_or_default(),
            resource_label: first.map(|identity| identity.email.to_string()).unwrap_or_default(),
            metadata: Detail::Map(vec![
                ("count", Detail::count(created.len())),
                (
                    "identity_ids",
                    described::first(created.iter().map(|identity| identity.id)),
                ),
                (
                    "identities",
                    described::first_entries(created.iter().map(|identity| {
                        Detail::Map(vec![
                            ("id", Detail::text(identity.id)),
                            ("name", Detail::text(identity.name())),
                            ("email", Detail::text(&identity.email)),
                        ])
                    })),
                ),
            ]),
            details: Vec::new(),
        };
        let mut details = Details::default();
        details.identities(created.iter().map(|identity| (identity.id, Some(identity.name()))));
        let entry = entry.detailing_all(details);
        let audit = app.audit(call, now, entry);
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes,
                audit,
            },
            &outcomes,
        )
        .await?;
        Ok(outcomes)
    })
    .await
}

/// The identity that is asked for, with an id of its own.
pub(super) fn fresh(app: &App, account: AccountId, new: &NewIdentity, now: Timestamp) -> Identity {
    Identity {
        id: IdentityId::new(app.mint()),
        account_id: account,
        email: new.email.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        avatar_url: new.avatar_url.clone(),
        external_id: new.external_id.clone(),
        metadata: new.metadata.clone(),
        is_active: true,
        created_at: now,
        updated_at: now,
    }
}

/// The active membership of a new identity.
pub(super) fn new_member(
    app: &App,
    application: ApplicationId,
    identity: &Identity,
    now: Timestamp,
) -> Result<Membership, MembershipError> {
    let id = MembershipId::new(app.mint());
    let attached = membership::attach(identity.id, application, None, id, now)?;
    Ok(attached.membership().clone())
}

/// Makes each of these new identities an active member.
async fn attach_all(
    app: &App,
    tx: &mut dyn WriteTx,
    application: ApplicationId,
    created: &[Identity],
    now: Timestamp,
) -> Result<Vec<EnvironmentChanges>, AppError> {
    let members = created
        .iter()
        .map(|identity| new_member(app, application, identity, now));
    let members: Vec<Membership> = members.collect::<Result<_, _>>()?;
    tx.insert_memberships(&members).await?;
    let steps: Vec<Change> = members
        .iter()
        .map(|one| SubjectFact {
            id: one.identity_id,
            is_active: true,
            membership: one.status,
        })
        .map(Change::SubjectPut)
        .collect();
    member_changes(tx, application, steps).await
}

const fn scope(account: AccountId, application: Option<ApplicationId>) -> WriteScope {
    match application {
        Some(application) => WriteScope::Memberships {
            application: ApplicationPlace { account, application },
            identities: Vec::new(),
        },
        None => WriteScope::Account(account),
    }
}
