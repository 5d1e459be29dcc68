//! Questions in the words of the OpenID AuthZEN Authorization API 1.0, where things have names.
//!
//! Names are looked up after the request has begun and before it is judged; then all of it is judged at one instant and one
//! revision. What a name may be besides an id is asked of the store, for all names of a request at once.

pub mod evaluate;
mod named;
pub mod search_actions;
pub mod search_resources;
pub mod search_subjects;
pub mod terms;

use crate::access::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::long_work::{Pace, Stopped};
use crate::{App, AppError};
use canopy_domain::{Revision, Timestamp};
use named::{Named, Wanted};
use std::sync::Arc;

/// Something that has a type, and an id within it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entity {
    /// The type.
    pub kind: Arc<str>,
    /// The name.
    pub id: Arc<str>,
}

/// A part of what a search finds, in the order of `P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<P> {
    /// What it is called, one after the other.
    pub names: Vec<String>,
    /// The last one that was looked at; the next part begins behind it. `None` where there is no next part.
    pub next: Option<P>,
    /// The revision of the environment at which it was found.
    pub revision: Revision,
}

/// Judges what names are part of: looks those up that are `wanted`, and then, in further rounds, those that turn out to be
/// wanted. `judge_state` gives nothing exactly when it wants more names.
async fn judge<T: Send>(
    app: &App,
    asker: Asker<'_>,
    mut wanted: Wanted,
    judge_state: impl Fn(&EnvironmentState, Timestamp, &Named, &mut Wanted) -> Option<T> + Send + Sync,
) -> Result<T, AppError> {
    let mut named = Named::default();
    // What looks like an id and is none is found out in the first round; what is remembered may be forgotten meanwhile.
    loop {
        named.look_up(app, asker.place(), wanted).await?;
        let (judge_state, named) = (&judge_state, &named);
        let ask = move |state: &EnvironmentState, now: Timestamp| {
            let mut wanted = Wanted::default();
            (judge_state(state, now, named, &mut wanted), wanted)
        };
        match asker.ask(app, Consistency::Strong, ask).await? {
            (Some(judged), _) => return Ok(judged),
            (None, missing) => wanted = missing,
        }
    }
}

/// As [`judge`], on threads for long work.
async fn judge_apart<T: Send + 'static>(
    app: &App,
    asker: Asker<'_>,
    mut wanted: Wanted,
    judge_state: impl Fn(&EnvironmentState, Timestamp, &Named, &mut Wanted, &mut Pace) -> Result<Option<T>, Stopped>
    + Send
    + Sync
    + 'static,
) -> Result<T, AppError> {
    let judge_state = Arc::new(judge_state);
    let mut named = Named::default();
    loop {
        named.look_up(app, asker.place(), wanted).await?;
        let judge_state = Arc::clone(&judge_state);
        let work = asker.judge_apart(app, Consistency::Strong, move |state, now, pace| {
            let mut wanted = Wanted::default();
            let judged = judge_state(state, now, &named, &mut wanted, pace)?;
            Ok((judged, named, wanted))
        });
        match work.await? {
            (Some(judged), ..) => return Ok(judged),
            (None, looked_up, missing) => (named, wanted) = (looked_up, missing),
        }
    }
}
