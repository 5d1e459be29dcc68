//! The store and its units of work.

use super::{Begun, Installation, ReadTx, RequestIdentity, RowTx, Share, SharedStore, WriteTx};
use crate::access::EnvironmentChanges;
use crate::api_key::KeyUse;
use crate::audit::AuditEvent;
use crate::{AccountId, ApplicationRef, EnvironmentRef, IdentityId, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

/// An error of a storage adapter.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with this unique value exists. The transaction can go on.
    #[error("a row with the same {0:?} exists")]
    Duplicate(Unique),
    /// The transaction lost against another one; the whole use case may be tried again.
    #[error("the transaction conflicts with a concurrent one")]
    Conflict(#[source] BoxError),
    /// No connection or lock could be had within its deadline; try again later.
    #[error("the store is busy")]
    Busy(#[source] BoxError),
    /// The store cannot be reached, or cannot write; try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// A stored value breaks a rule of the domain.
    #[error("the store holds a value that is not valid: {0}")]
    Corrupt(String),
    /// A statement failed in a way that is a bug of ours.
    #[error("the store failed")]
    Internal(#[source] BoxError),
}

/// An error of a driver, kept for the log.
pub type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// The unique rules that stores enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unique {
    /// An account's slug in the installation.
    AccountSlug,
    /// An application's slug in its account.
    ApplicationSlug,
    /// An environment's slug in its application.
    EnvironmentSlug,
    /// A permission's key in its environment.
    PermissionKey,
    /// A role's folded name in its environment.
    RoleName,
    /// A node's slug among its siblings.
    NodeSlug,
    /// An identity's email in its account.
    IdentityEmail,
    /// An identity's external id in its account.
    IdentityExternalId,
    /// An identity's membership in an application.
    Membership,
    /// An assignment's identity, role and node in its environment.
    AssignmentKey,
    /// A primary key: an id was minted twice within its environment or account. Whether a store notices one that two of
    /// them share is left open; it keeps their rows apart.
    Id,
}

/// The lock of a write: the rows that it may touch, locked before it reads anything.
///
/// Locks are taken in one order: accounts, identities, applications, environments, each by id. A single-writer store locks itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockScope {
    /// A new account. Nothing is locked; unique slugs decide races.
    Installation,
    /// The account's own row, a new application, or new identities without a membership.
    Account(AccountId),
    /// The application's own row, or a new environment. Locks the application.
    Application(ApplicationRef),
    /// An application with all that is in it: its slug, its deletion, or that of one of its environments. Locks the account,
    /// the application, and all of its environments.
    WholeApplication(ApplicationRef),
    /// Anything within one environment. Locks the environment.
    Environment(EnvironmentRef),
    /// Memberships of identities in one application. Locks these identities, the application, and all of its environments.
    Memberships {
        /// The application.
        application: ApplicationRef,
        /// Existing identities whose memberships change.
        identities: Vec<IdentityId>,
    },
    /// Identities themselves: their switch or their deletion. Locks them, the applications they are members of, and all
    /// environments of those.
    Identities {
        /// Their account.
        account: AccountId,
        /// The identities.
        identities: Vec<IdentityId>,
    },
}

impl LockScope {
    /// The tenant that a write of this scope is charged to. Where the scope names an account that its application or
    /// environment does not belong to, the write is charged to the wrong tenant, and does no other harm.
    pub fn share(&self) -> Share {
        match self {
            Self::Installation => Share::Installation,
            Self::Account(account) | Self::Identities { account, .. } => (*account).into(),
            Self::Application(place) | Self::WholeApplication(place) => place.into(),
            Self::Memberships { application, .. } => application.into(),
            Self::Environment(place) => place.into(),
        }
    }

    /// The id of what the scope names: environment, application, or account; nil for the installation. Answers that are kept
    /// for repetitions of requests count to it.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Installation => Uuid::nil(),
            Self::Account(account) | Self::Identities { account, .. } => account.as_uuid(),
            Self::WholeApplication(place) => place.account.as_uuid(),
            Self::Application(place) | Self::Memberships { application: place, .. } => place.application.as_uuid(),
            Self::Environment(place) => place.environment.as_uuid(),
        }
    }
}

/// The entry that a unit of work appends to the history when it commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRecord {
    /// When it happened.
    pub at: Timestamp,
    /// One entry for each environment that was touched; each takes that environment's next revision.
    pub changes: Vec<EnvironmentChanges>,
    /// The audit event of the call. It is stored with the revision of the environment it names.
    pub audit: AuditEvent,
}

/// A store of everything.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens a unit of work that only reads, from one consistent state, on behalf of a tenant. Where units of work queue for
    /// a connection, the turns go round the tenants, and no tenant holds all connections at once.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when none can be had.
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError>;

    /// Opens a unit of work that only reads, on behalf of the installation itself: for commands and tests.
    ///
    /// # Errors
    /// As [`read_for`](Self::read_for).
    async fn read(&self) -> Result<Box<dyn ReadTx>, StoreError> {
        self.read_for(Share::Installation).await
    }

    /// Opens a unit of work that may write within `scope`, after taking its locks; it takes a turn of the scope's
    /// [share](LockScope::share), so an account gets no more turns with many environments than with one. What it reads is
    /// the newest committed state; nobody else changes what the scope covers until it ends. Dropped without
    /// [`commit`](WriteTx::commit), it leaves nothing behind and frees its locks.
    ///
    /// A scope that names nothing that exists locks nothing; the use case finds out when it reads.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the locks cannot be had before the store's deadline, [`StoreError::Unavailable`].
    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError>;

    /// Stores audit events that go with no change, such as those of refused calls: all of them or none, in one
    /// transaction of their own, with a constant number of statements. They take no revision, and their accounts exist.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError>;
    /// Opens a unit of work as [`write`](Self::write) does, for a request that may be repeated: unless the same request is
    /// being answered by anybody, or has an answer that was kept at or after `since`. Neither is waited for.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError>;

    /// Notes when keys were last at work. Keys that are not there (any more) are passed over, and what was noted later
    /// stays. No change of state: it takes no revision, leaves no record and waits for no environment's lock.
    ///
    /// # Errors
    /// Any [`StoreError`]; then perhaps nothing was noted.
    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError>;

    /// Removes answers that were kept before `outdated`, a bounded number of them, so that nobody waits long for it. Answers
    /// whether more may be left.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError>;

    /// Deletes change records of commits before `outdated`, oldest first and a bounded number of them, so that nobody waits long
    /// for it. The newest record of each environment stays. Returns whether more may be left.
    ///
    /// An index that lacks a deleted record finds that the rest does not follow, and reads the snapshot instead.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError>;

    /// Returns the interface for several processes; `None` where this process is the only writer.
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }

    /// Returns the state that the processes of this installation share besides its data.
    fn installation(&self) -> &dyn Installation;

    /// Makes sure that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Busy`] when it does not.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A store whose parts can be checked one by one, as the conformance suite does.
#[async_trait]
pub trait RowStore: Store {
    /// Opens a unit of work as [`write`](Store::write) does, that also writes rows without a change set.
    ///
    /// # Errors
    /// As [`write`](Store::write).
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError>;
}
