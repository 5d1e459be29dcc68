//! Questions in the words of the OpenID AuthZEN Authorization API 1.0, where things have names.
//!
//! Names are looked up after the request has begun and before it is judged; then all of it is judged at one instant and one
//! revision. What a name may be besides an id is asked of the store, for all names of a request at once.

pub mod evaluate;
mod named;
mod remembered;
pub mod search_actions;
pub mod search_resources;
pub mod search_subjects;

use crate::access::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::{Revision, Timestamp};
use named::{Named, Wanted};

pub(crate) use remembered::RememberedSubjects;

/// Something that has a type, and an id within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// The type.
    pub kind: String,
    /// What it is called.
    pub id: String,
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
async fn judge<'q, T: Send>(
    app: &App,
    asker: Asker<'_>,
    mut wanted: Wanted<'q>,
    judge_state: impl Fn(&EnvironmentState, Timestamp, &Named<'q>, &mut Wanted<'q>) -> Option<T> + Send + Sync,
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
