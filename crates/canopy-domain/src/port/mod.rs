//! The ports: the outside services that use cases need, as traits that adapters implement.
//!
//! Ports use domain types. Absence is `None`; outcomes that a use case handles are variants of [`StoreError`]; all
//! other errors are opaque.

mod apply;
pub mod clock;
pub mod commit_tag;
pub mod idempotency;
pub mod installation;
pub mod reader;
pub mod secret;
pub mod share;
mod shared;
pub mod store;
pub mod token;
pub mod turns;
pub mod writer;

pub use crate::access::EnvironmentChanges;
pub use apply::apply_rows;
pub use clock::{Clock, Ids};
pub use commit_tag::CommitTag;
pub use idempotency::{Begun, KeptAnswer, RequestIdentity};
pub use installation::{Installation, SigningKey};
pub use reader::ReadTx;
pub use secret::Secrets;
pub use share::{Share, TurnBounds, TurnError, TurnTaker};
pub use shared::{FeedEvent, Head, SharedStore};
pub use store::{CommitRecord, LockScope, RowStore, Store, StoreError, Unique};
pub use token::{
    AccountName, EnvironmentName, PrincipalKind, SubjectKind, TokenClaims, TokenError, TokenVerifier, VerifiedToken,
};
pub use turns::{Turn, Turns};
pub use writer::{RowTx, RowWriter, WriteTx};
