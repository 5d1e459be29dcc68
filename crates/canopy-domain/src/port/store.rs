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
    /// The transaction lost against another one; the whole use case may be retried.
    #[error("the transaction conflicts with a concurrent one")]
    Conflict(#[source] BoxError),
    /// No connection or lock was available before the deadline; retry later.
    #[error("the store is busy")]
    Busy(#[source] BoxError),
    /// The store cannot be reached, or cannot write; retry later.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// A stored value breaks a rule of the domain.
    #[error("the store holds a value that is not valid: {0}")]
    Corrupt(String),
    /// A statement failed because of a bug in Canopy.
    #[error("the store failed")]
    Internal(#[source] BoxError),
}

/// An error of a driver, for the log.
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
    /// A primary key: an id was minted twice within its environment or account. A store may store an id that two
    /// environments or accounts share; it keeps their rows apart.
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
    /// An application with its contents: its slug, its deletion, or the deletion of one of its environments. Locks the
    /// account, the application, and all of its environments.
    WholeApplication(ApplicationRef),
    /// Rows within one environment. Locks the environment.
    Environment(EnvironmentRef),
    /// Memberships of identities in one application. Locks these identities, the application, and all of its environments.
    Memberships {
        /// The application.
        application: ApplicationRef,
        /// Existing identities whose memberships change.
        identities: Vec<IdentityId>,
    },
    /// Identities themselves: their state or their deletion. Locks them, the applications they are members of, and all
    /// environments of those.
    Identities {
        /// Their account.
        account: AccountId,
        /// The identities.
        identities: Vec<IdentityId>,
    },
}

impl LockScope {
    /// Returns the tenant that a write of this scope is charged to. If the scope names the wrong account for its
    /// application or environment, the write is charged to the wrong tenant, with no other effect.
    pub fn share(&self) -> Share {
        match self {
            Self::Installation => Share::Installation,
            Self::Account(account) | Self::Identities { account, .. } => (*account).into(),
            Self::Application(place) | Self::WholeApplication(place) => place.into(),
            Self::Memberships { application, .. } => application.into(),
            Self::Environment(place) => place.into(),
        }
    }

    /// Returns the id of the scope: environment, application, or account; nil for the installation. Stored responses of
    /// repeatable requests are counted by it.
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

/// The entry that a unit of work appends to the history at its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRecord {
    /// The time of the event.
    pub at: Timestamp,
    /// One entry for each changed environment; each creates that environment's next revision.
    pub changes: Vec<EnvironmentChanges>,
    /// The audit event of the call. Stored with the revision of its environment.
    pub audit: AuditEvent,
}

/// A store of everything.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens a unit of work that only reads one consistent state, on behalf of a tenant. If units of work queue for a
    /// connection, tenants take turns, and no tenant holds all connections at once.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] if none is available.
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError>;

    /// Opens a unit of work that only reads, on behalf of the installation: for commands and tests.
    ///
    /// # Errors
    /// Like [`read_for`](Self::read_for).
    async fn read(&self) -> Result<Box<dyn ReadTx>, StoreError> {
        self.read_for(Share::Installation).await
    }

    /// Opens a unit of work that may write within `scope`, after acquiring its locks. It takes a turn of the scope's
    /// [share](LockScope::share), so an account gets no more turns with many environments than with one. It reads the
    /// newest committed state, and no other transaction changes rows in the scope until it ends. Dropping it without
    /// [`commit`](WriteTx::commit) rolls back and releases its locks.
    ///
    /// A scope of unknown ids locks nothing; the use case finds out when it reads.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the locks are not acquired before the store's deadline, [`StoreError::Unavailable`].
    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError>;

    /// Stores audit events without a change, such as those of refused calls: all or none, in their own transaction,
    /// with a constant number of statements. They create no revision. Their accounts must exist.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError>;
    /// Opens a unit of work like [`write`](Self::write), for a repeatable request, unless the same request is running
    /// or has a response stored at or after `since`. Waits for neither.
    ///
    /// # Errors
    /// Like [`write`](Self::write).
    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError>;

    /// Stores the last use of keys. Skips unknown keys and keeps later times. This is no change of state: it creates no
    /// revision and no change record, and waits for no environment's lock.
    ///
    /// # Errors
    /// Any [`StoreError`]; then some or all uses may be missing.
    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError>;

    /// Deletes responses stored before `outdated`, a bounded number at once, so that other transactions do not wait
    /// long. Returns whether more may be left.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError>;

    /// Deletes change records of commits before `outdated`, oldest first and a bounded number at once, so that other
    /// transactions do not wait long. The newest record of each environment stays. Returns whether more may be left.
    ///
    /// An index that lacks a deleted record detects the gap and reads the snapshot instead.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError>;

    /// Returns the interface for several processes; `None` where this process is the only writer.
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }

    /// Returns the state that the processes of this installation share in addition to its data.
    fn installation(&self) -> &dyn Installation;

    /// Checks that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Busy`] if it does not.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A store whose parts can be tested one by one, as the conformance suite does.
#[async_trait]
pub trait RowStore: Store {
    /// Opens a unit of work like [`write`](Store::write) that also writes rows without a change set.
    ///
    /// # Errors
    /// Like [`write`](Store::write).
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError>;
}
