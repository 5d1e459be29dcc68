//! Identities and their memberships.

use crate::rule::{bug, ensure, unique};
use crate::state::State;
use crate::table::Directory;
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::access::SubjectFact;
use canopy_domain::identity::create::{IdentityFact, IdentityFacts, TakenIdentifiers};
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::reader::IdentityReader;
use canopy_domain::port::writer::IdentityWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    AccountId, ApplicationId, Email, EnvironmentId, ExternalId, Identity, IdentityId, Membership, MembershipId,
    MembershipStatus, Page, PageRequest, SearchWords, SortOrder, fold_case,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The part of an ordered listing that a page shows.
pub(crate) fn page_of<T: Clone>(mut rows: Vec<T>, order: SortOrder, page: PageRequest) -> Page<T> {
    if order == SortOrder::Descending {
        rows.reverse();
    }
    let item_count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(page.take()).unwrap_or(usize::MAX);
    let items = rows.into_iter().skip(offset).take(take).collect();
    Page { items, item_count }
}

/// Returns the identities with an assignment: in this application, in this environment; anywhere if none is given.
fn assigned(
    state: &State,
    application: Option<ApplicationId>,
    environment: Option<EnvironmentId>,
) -> HashSet<IdentityId> {
    let counts = |id: &EnvironmentId| {
        let holder = state.tenancy.place(*id).map(|place| place.application);
        (application.is_none() || application == holder) && environment.is_none_or(|environment| environment == *id)
    };
    state
        .environments
        .iter()
        .filter(|(environment, _)| counts(environment))
        .flat_map(|(_, contents)| contents.assignments.by_id.values().map(|a| a.key.identity))
        .collect()
}

fn fits(directory: &Directory, identity: &Identity, query: &IdentityQuery, assigned: &HashSet<IdentityId>) -> bool {
    let is_member = |application: ApplicationId| directory.membership(identity.id, application).is_some();
    let status = if identity.is_active {
        IdentityStatus::Active
    } else {
        IdentityStatus::Inactive
    };
    let found = |search: &SearchWords| search.matches([identity.searched_text().as_str()]);
    query.member_of.is_none_or(is_member)
        && !query.not_member_of.is_some_and(is_member)
        && query.status.is_none_or(|wanted| wanted == status)
        && query
            .has_any_assignment
            .is_none_or(|wanted| wanted == assigned.contains(&identity.id))
        && query.search.as_ref().is_none_or(found)
}

#[async_trait]
impl<Kind: Send> IdentityReader for Unit<Kind> {
    async fn identity(&mut self, account: AccountId, id: IdentityId) -> Result<Option<Identity>, StoreError> {
        Ok(self.state.directory.of_account(account, id).cloned())
    }

    async fn identities(&mut self, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, StoreError> {
        let directory = &self.state.directory;
        let assigned = match query.has_any_assignment {
            Some(_) => assigned(&self.state, query.member_of, query.assigned_in),
            None => HashSet::new(),
        };
        let mut rows: Vec<&Identity> = directory
            .by_id
            .values()
            .filter(|identity| identity.account_id == account && fits(directory, identity, query, &assigned))
            .collect();
        match query.sort {
            IdentitySort::Name => rows.sort_by_cached_key(|identity| (fold_case(&identity.name()), identity.id)),
            IdentitySort::Email => rows.sort_by(|a, b| (&a.email, a.id).cmp(&(&b.email, b.id))),
            IdentitySort::CreatedAt => rows.sort_by_key(|identity| (identity.created_at, identity.id)),
        }
        Ok(page_of(rows, query.order, query.page).map(Identity::clone))
    }

    async fn identity_counts(
        &mut self,
        account: AccountId,
        member_of: Option<ApplicationId>,
        assigned_in: Option<EnvironmentId>,
    ) -> Result<IdentityCounts, StoreError> {
        let directory = &self.state.directory;
        let assigned = assigned(&self.state, member_of, assigned_in);
        let mut counts = IdentityCounts::default();
        for identity in directory
            .by_id
            .values()
            .filter(|identity| identity.account_id == account)
        {
            let status = match member_of {
                None => MembershipStatus::Active,
                Some(application) => match directory.membership(identity.id, application) {
                    Some(membership) => membership.status,
                    None => continue,
                },
            };
            counts.total += 1;
            counts.active += u64::from(identity.is_active && status == MembershipStatus::Active);
            counts.assigned += u64::from(assigned.contains(&identity.id));
            counts.invited += u64::from(status == MembershipStatus::Invited);
            counts.deactivated += u64::from(status == MembershipStatus::Deactivated);
            counts.suspended += u64::from(status == MembershipStatus::Suspended);
        }
        Ok(counts)
    }

    async fn taken_identifiers(
        &mut self,
        account: AccountId,
        asked: &TakenIdentifiers,
    ) -> Result<TakenIdentifiers, StoreError> {
        let directory = &self.state.directory;
        let has_email = |email: &&Email| directory.by_email.contains_key(&(account, (*email).clone()));
        let has_external_id = |id: &&ExternalId| directory.by_external_id.contains_key(&(account, (*id).clone()));
        Ok(TakenIdentifiers {
            emails: asked.emails.iter().filter(has_email).cloned().collect(),
            external_ids: asked.external_ids.iter().filter(has_external_id).cloned().collect(),
        })
    }

    async fn identities_named(
        &mut self,
        account: AccountId,
        asked: &IdentityNames,
    ) -> Result<Vec<NamedIdentity>, StoreError> {
        let directory = &self.state.directory;
        let by_email = |email: &Email| directory.by_email.get(&(account, email.clone()));
        let by_external_id = |id: &ExternalId| directory.by_external_id.get(&(account, id.clone()));
        let found: BTreeSet<&IdentityId> = asked
            .ids
            .iter()
            .chain(asked.emails.iter().filter_map(by_email))
            .chain(asked.external_ids.iter().filter_map(by_external_id))
            .collect();
        let named = |id: &IdentityId| {
            let identity = directory.of_account(account, *id)?;
            Some(NamedIdentity {
                id: *id,
                external_id: identity.external_id.clone(),
                email: identity.email.clone(),
            })
        };
        Ok(found.into_iter().filter_map(named).collect())
    }

    async fn identity_labels(
        &mut self,
        account: AccountId,
        ids: &[IdentityId],
    ) -> Result<HashMap<IdentityId, String>, StoreError> {
        let directory = &self.state.directory;
        let labelled = |id: &IdentityId| Some((*id, directory.of_account(account, *id)?.name()));
        Ok(ids.iter().filter_map(labelled).collect())
    }

    async fn identity_facts(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        ids: &[IdentityId],
    ) -> Result<IdentityFacts, StoreError> {
        let directory = &self.state.directory;
        let fact = |id: &IdentityId| {
            let identity = directory.of_account(account, *id)?;
            let fact = IdentityFact {
                is_active: identity.is_active,
                membership: directory.membership(*id, application).cloned(),
            };
            Some((*id, fact))
        };
        Ok(ids.iter().filter_map(fact).collect())
    }

    async fn memberships(&mut self, id: IdentityId) -> Result<Vec<Membership>, StoreError> {
        Ok(self.state.directory.memberships_of(id).cloned().collect())
    }

    async fn standings(
        &mut self,
        account: AccountId,
        id: IdentityId,
    ) -> Result<Vec<(EnvironmentId, MembershipStatus)>, StoreError> {
        let (directory, tenancy) = (&self.state.directory, &self.state.tenancy);
        if directory.of_account(account, id).is_none() {
            return Ok(vec![]);
        }
        let mut standings: Vec<(EnvironmentId, MembershipStatus)> = directory
            .memberships_of(id)
            .flat_map(|membership| {
                let environments = tenancy.environments_of(membership.application_id);
                environments.map(|environment| (environment.id, membership.status))
            })
            .collect();
        standings.sort_unstable();
        Ok(standings)
    }

    async fn members(&mut self, application: ApplicationId) -> Result<Vec<SubjectFact>, StoreError> {
        Ok(self.state.directory.subjects(application))
    }
}

#[async_trait]
impl IdentityWriter for Unit<Writing> {
    async fn insert_identities(&mut self, identities: &[Identity]) -> Result<(), StoreError> {
        let Some(first) = identities.first() else {
            return Ok(());
        };
        let account = first.account_id;
        ensure(
            identities.iter().all(|identity| identity.account_id == account),
            "a call writes identities of one account",
        )?;
        let directory = &self.state.directory;
        let emails = identities.iter().map(|identity| (account, identity.email.clone()));
        unique(
            emails,
            |email| directory.by_email.contains_key(email),
            Unique::IdentityEmail,
        )?;
        let external_ids = identities.iter().filter_map(|identity| identity.external_id.clone());
        unique(
            external_ids.map(|id| (account, id)),
            |id| directory.by_external_id.contains_key(id),
            Unique::IdentityExternalId,
        )?;
        let ids = identities.iter().map(|identity| identity.id);
        unique(ids, |id| directory.by_id.contains_key(id), Unique::Id)?;
        ensure(
            self.state.tenancy.accounts.contains_key(&account),
            "the identities' account is not there",
        )?;
        let directory = Arc::make_mut(&mut self.state.directory);
        for identity in identities {
            directory
                .by_email
                .insert((account, identity.email.clone()), identity.id);
            if let Some(external_id) = &identity.external_id {
                directory
                    .by_external_id
                    .insert((account, external_id.clone()), identity.id);
            }
            directory.by_id.insert(identity.id, identity.clone());
        }
        Ok(())
    }

    async fn update_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let directory = &self.state.directory;
        let account = identity.account_id;
        let old = directory.of_account(account, identity.id).cloned();
        let old = old.ok_or_else(|| bug("a changed identity is not there"))?;
        let email = (account, identity.email.clone());
        let is_anothers = |holder: Option<&IdentityId>| holder.is_some_and(|holder| *holder != identity.id);
        if is_anothers(directory.by_email.get(&email)) {
            return Err(StoreError::Duplicate(Unique::IdentityEmail));
        }
        let external_id = identity.external_id.clone().map(|id| (account, id));
        if is_anothers(external_id.as_ref().and_then(|id| directory.by_external_id.get(id))) {
            return Err(StoreError::Duplicate(Unique::IdentityExternalId));
        }
        let directory = Arc::make_mut(&mut self.state.directory);
        directory.forget_identifiers(&old);
        directory.by_email.insert(email, identity.id);
        directory
            .by_external_id
            .extend(external_id.map(|external_id| (external_id, identity.id)));
        directory.by_id.insert(identity.id, identity.clone());
        Ok(())
    }

    async fn delete_identity(&mut self, account: AccountId, id: IdentityId) -> Result<(), StoreError> {
        let Some(old) = self.state.directory.of_account(account, id).cloned() else {
            return Ok(());
        };
        let mut contents = self.state.environments.values();
        let holds = contents.any(|contents| contents.assignments.by_id.values().any(|a| a.key.identity == id));
        ensure(!holds, "a deleted identity holds an assignment")?;
        let directory = Arc::make_mut(&mut self.state.directory);
        directory.forget_identifiers(&old);
        directory.by_id.remove(&id);
        let gone: Vec<Membership> = directory.memberships_of(id).cloned().collect();
        for membership in gone {
            directory.membership_ids.remove(&membership.id);
            directory.members.remove(&(membership.application_id, id));
            directory.memberships.remove(&(id, membership.application_id));
        }
        Ok(())
    }

    async fn insert_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        must_be_of_one_application(memberships)?;
        let directory = &self.state.directory;
        let pairs = memberships.iter().map(|m| (m.identity_id, m.application_id));
        unique(
            pairs,
            |pair| directory.memberships.contains_key(pair),
            Unique::Membership,
        )?;
        let ids = memberships.iter().map(|membership| membership.id);
        unique(ids, |id| directory.membership_ids.contains(id), Unique::Id)?;
        for membership in memberships {
            check_membership(&self.state, membership)?;
        }
        if memberships.is_empty() {
            return Ok(());
        }
        let directory = Arc::make_mut(&mut self.state.directory);
        for membership in memberships {
            directory.membership_ids.insert(membership.id);
            directory
                .members
                .insert((membership.application_id, membership.identity_id));
            let pair = (membership.identity_id, membership.application_id);
            directory.memberships.insert(pair, membership.clone());
        }
        Ok(())
    }

    async fn update_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        must_be_of_one_application(memberships)?;
        let changing: HashSet<MembershipId> = memberships.iter().map(|membership| membership.id).collect();
        ensure(
            changing.len() == memberships.len(),
            "a call changes each membership once",
        )?;
        for membership in memberships {
            let old = self
                .state
                .directory
                .membership(membership.identity_id, membership.application_id);
            let same = old.is_some_and(|old| old.id == membership.id);
            ensure(same, "a changed membership is not there")?;
        }
        if memberships.is_empty() {
            return Ok(());
        }
        let directory = Arc::make_mut(&mut self.state.directory);
        for membership in memberships {
            let pair = (membership.identity_id, membership.application_id);
            directory.memberships.insert(pair, membership.clone());
        }
        Ok(())
    }
}

fn must_be_of_one_application(memberships: &[Membership]) -> Result<(), StoreError> {
    let mut applications = memberships.iter().map(|membership| membership.application_id);
    let first = applications.next();
    ensure(
        applications.all(|application| Some(application) == first),
        "a call writes memberships of one application",
    )
}

fn check_membership(state: &State, membership: &Membership) -> Result<(), StoreError> {
    let identity = state.directory.by_id.get(&membership.identity_id);
    let identity = identity.ok_or_else(|| bug("the member is not there"))?;
    let application = state.tenancy.applications.get(&membership.application_id);
    let application = application.ok_or_else(|| bug("the membership's application is not there"))?;
    ensure(
        identity.account_id == application.account_id,
        "an identity is a member of its own account's applications",
    )
}
