//! Creates identities, one or many, and attaches them to an application if one is named.

use super::attach::environments_for;
use super::identifier_taken;
use crate::audit::described;
use crate::audit_entry::AuditEntry;
use crate::{App, AppError, Call, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::changeset::{AccessFacts, ChangeSet, LastingRows, Rows};
use canopy_domain::identity::create::{NewIdentity, TakenIdentifiers, plan};
use canopy_domain::identity::membership;
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{
    AccountId, ApplicationId, ApplicationRef, Identity, IdentityError, IdentityId, Membership, MembershipError,
    MembershipId, TenancyError, Tenant,
};

/// Creates identities of an account. The outcomes are in the order of the items.
///
/// Fails with [`TenancyError::NotFound`] for an application of another account, with [`AppError::TooManyChanges`] or
/// [`AppError::Store`]; refusals of items are in their outcomes.
#[derive(Debug, Clone)]
pub struct CreateIdentities {
    /// The account.
    pub account: AccountId,
    /// The application of which each becomes an active member, if any.
    pub application: Option<ApplicationId>,
    /// The identities.
    pub items: Vec<NewIdentity>,
    /// True to roll back all items if one is refused.
    pub atomic: bool,
}

#[async_trait]
impl Write for CreateIdentities {
    type Outcome = Vec<Outcome<Identity, IdentityError>>;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        match self.application {
            Some(application) => LockScope::Memberships {
                application: ApplicationRef {
                    account: self.account,
                    application,
                },
                identities: Vec::new(),
            },
            None => LockScope::Account(self.account),
        }
    }

    async fn admit(&self, app: &App, _: &Call) -> Result<(), AppError> {
        // Only callers of its own account may lock the application and its environments.
        if let Some(id) = self.application {
            let found = app.read(self.account).await?.application(id).await?;
            let own = found.filter(|found| found.account_id == self.account);
            own.ok_or(TenancyError::NotFound(Tenant::Application))?;
        }
        Ok(())
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let Self { account, items, .. } = self;
        let taken = facts.taken_identifiers(*account, &TakenIdentifiers::of(items)).await?;
        let mut created = Vec::new();
        let outcomes: Self::Outcome = bulk::settle(plan(items, &taken), self.atomic)
            .into_iter()
            .zip(items)
            .map(|(outcome, item)| match outcome {
                Outcome::Done(()) => {
                    let identity = fresh(at, *account, item);
                    created.push(identity.clone());
                    Outcome::Done(identity)
                }
                Outcome::Refused(error) => Outcome::Refused(error),
                Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
            })
            .collect();
        if created.is_empty() {
            return Ok(Plan::unchanged(outcomes));
        }
        let mut known = AccessFacts::default();
        let mut members = Vec::new();
        if let Some(application) = self.application {
            let environments = environments_for(facts, application, created.len()).await?;
            known.environments.insert(application, environments);
            let made = created.iter().map(|identity| new_member(at, application, identity));
            members = made.collect::<Result<_, _>>()?;
        }
        let mut details = at.details();
        details.identities(created.iter().map(|identity| (identity.id, Some(identity.name()))));
        let entry = self.entry(&created).detailing_all(details);
        let changes = ChangeSet {
            identities: Rows::added(created),
            memberships: LastingRows::added(members),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, outcomes, entry).with_facts(known))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        identifier_taken(unique)
    }
}

impl CreateIdentities {
    fn entry(&self, created: &[Identity]) -> AuditEntry {
        let first = created.first();
        let identities = created.iter().map(|identity| {
            Detail::Map(vec![
                ("id", Detail::text(identity.id)),
                ("name", Detail::text(identity.name())),
                ("email", Detail::text(&identity.email)),
            ])
        });
        AuditEntry {
            account: self.account,
            application: self.application,
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
                ("identities", described::first_entries(identities)),
            ]),
            details: Vec::new(),
        }
    }
}

/// Returns the requested identity, with a new id.
pub(super) fn fresh(at: &Moment<'_>, account: AccountId, new: &NewIdentity) -> Identity {
    Identity {
        id: IdentityId::new(at.mint()),
        account_id: account,
        email: new.email.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        avatar_url: new.avatar_url.clone(),
        external_id: new.external_id.clone(),
        metadata: new.metadata.clone(),
        is_active: true,
        created_at: at.now(),
        updated_at: at.now(),
    }
}

/// Returns the active membership of a new identity.
pub(super) fn new_member(
    at: &Moment<'_>,
    application: ApplicationId,
    identity: &Identity,
) -> Result<Membership, MembershipError> {
    let id = MembershipId::new(at.mint());
    let attached = membership::attach(identity.id, application, None, id, at.now())?;
    Ok(attached.membership().clone())
}
