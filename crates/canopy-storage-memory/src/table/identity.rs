//! Identities and their memberships.

use canopy_domain::access::SubjectFact;
use canopy_domain::{
    AccountId, ApplicationId, Email, ExternalId, Identity, IdentityId, Membership, MembershipId, MembershipStatus,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The identities and memberships of all accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) by_id: BTreeMap<IdentityId, Identity>,
    pub(crate) by_email: HashMap<(AccountId, Email), IdentityId>,
    pub(crate) by_external_id: HashMap<(AccountId, ExternalId), IdentityId>,
    pub(crate) memberships: BTreeMap<(IdentityId, ApplicationId), Membership>,
    pub(crate) membership_ids: HashSet<MembershipId>,
    pub(crate) members: BTreeSet<(ApplicationId, IdentityId)>,
}

impl Directory {
    /// The membership of an identity in an application.
    pub(crate) fn membership(&self, identity: IdentityId, application: ApplicationId) -> Option<&Membership> {
        self.memberships.get(&(identity, application))
    }

    /// The memberships of an identity, by application.
    pub(crate) fn memberships_of(&self, identity: IdentityId) -> impl Iterator<Item = &Membership> {
        let first = (identity, ApplicationId::new(uuid::Uuid::nil()));
        let last = (identity, ApplicationId::new(uuid::Uuid::max()));
        self.memberships.range(first..=last).map(|(_, membership)| membership)
    }

    /// One identity of an account.
    pub(crate) fn of_account(&self, account: AccountId, id: IdentityId) -> Option<&Identity> {
        self.by_id.get(&id).filter(|identity| identity.account_id == account)
    }

    /// The identities with a membership in an application, in whatever state, by id.
    pub(crate) fn members(&self, application: ApplicationId) -> impl Iterator<Item = (&Identity, &Membership)> {
        self.members
            .range((application, IdentityId::new(uuid::Uuid::nil()))..)
            .take_while(move |(of, _)| *of == application)
            .filter_map(|(application, id)| {
                let membership = self.memberships.get(&(*id, *application))?;
                Some((self.by_id.get(id)?, membership))
            })
    }

    /// The same, as decisions see them.
    pub(crate) fn subjects(&self, application: ApplicationId) -> Vec<SubjectFact> {
        let fact = |(identity, membership): (&Identity, &Membership)| SubjectFact {
            id: identity.id,
            is_active: identity.is_active,
            membership: membership.status,
        };
        self.members(application).map(fact).collect()
    }

    /// Frees the email and external id of an identity.
    pub(crate) fn forget_identifiers(&mut self, identity: &Identity) {
        let account = identity.account_id;
        self.by_email.remove(&(account, identity.email.clone()));
        if let Some(external_id) = &identity.external_id {
            self.by_external_id.remove(&(account, external_id.clone()));
        }
    }

    /// Everyone leaves an application that goes.
    pub(crate) fn leave(&mut self, application: ApplicationId) {
        let members: Vec<IdentityId> = self.members(application).map(|(identity, _)| identity.id).collect();
        for identity in members {
            self.members.remove(&(application, identity));
            if let Some(old) = self.memberships.remove(&(identity, application)) {
                self.membership_ids.remove(&old.id);
            }
        }
    }

    /// Counts the active memberships of an application.
    pub(crate) fn active_members(&self, application: ApplicationId) -> u64 {
        let active = self
            .members(application)
            .filter(|(_, m)| m.status == MembershipStatus::Active);
        u64::try_from(active.count()).unwrap_or(u64::MAX)
    }
}
