//! May these subjects do this with these resources, now?

use super::Entity;
use super::named::{Named, Wanted};
use crate::access::Asker;
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError, Caller};
use canopy_domain::access::{Decision, DenialReason, Question, Scope};
use canopy_domain::authzen::{Semantic, Verdict, permission};
use canopy_domain::{EnvironmentPlace, Meaning, Revision, Timestamp};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Who.
    pub subject: Entity,
    /// Does what.
    pub action: String,
    /// With what.
    pub resource: Entity,
}

/// Answers to questions in their order, up to where the semantic ends, and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The answers.
    pub verdicts: Vec<Verdict>,
    /// The revision of the environment at which all of them were judged.
    pub revision: Revision,
}

/// Answers without any I/O, if the environment's index is in memory and current, all names are ids or remembered, and the
/// asker may ask; `None` otherwise. An item that is no whole question is `None`.
pub fn at_once(
    app: &App,
    caller: &Caller,
    place: &EnvironmentPlace,
    items: &[Option<Evaluation>],
    semantic: Semantic,
) -> Option<Evaluated> {
    let environment = place.environment;
    let asker = Asker { caller, environment };
    let named = Named::default();
    let ask = |state: &EnvironmentState| {
        let now = app.now();
        asker.confirm(state, now).ok()?;
        let judging = Judging {
            app,
            asker,
            place,
            named: &named,
        };
        judging.all(state, items, semantic, now).ok()
    };
    app.decisions().ask_now(environment, Consistency::Strong, ask).flatten()
}

/// Answers, reading from the store what is missing in memory first.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`].
pub async fn run(
    app: &App,
    caller: &Caller,
    place: &EnvironmentPlace,
    items: &[Option<Evaluation>],
    semantic: Semantic,
) -> Result<Evaluated, AppError> {
    let environment = place.environment;
    let asker = Asker { caller, environment };
    let mut named = Named::default();
    let mut wanted = Wanted::default();
    for item in items.iter().flatten() {
        wanted.subject(app, place, &item.subject);
        wanted.resource(&item.resource);
    }
    // What looks like an id and is none is found out in the first round; what is remembered may be forgotten meanwhile.
    loop {
        named.look_up(app, place, wanted).await?;
        let judging = Judging {
            app,
            asker,
            place,
            named: &named,
        };
        let ask = |state: &EnvironmentState, now: Timestamp| judging.all(state, items, semantic, now);
        match asker.ask(app, Consistency::Strong, ask).await? {
            Ok(evaluated) => return Ok(evaluated),
            Err(missing) => wanted = missing,
        }
    }
}

/// What questions are judged with.
#[derive(Clone, Copy)]
struct Judging<'j, 'q> {
    app: &'j App,
    asker: Asker<'j>,
    place: &'j EnvironmentPlace,
    named: &'j Named<'q>,
}

impl<'q> Judging<'_, 'q> {
    /// Judges all questions up to where the semantic ends; else says which names must be looked up first.
    fn all(
        self,
        state: &EnvironmentState,
        items: &'q [Option<Evaluation>],
        semantic: Semantic,
        now: Timestamp,
    ) -> Result<Evaluated, Wanted<'q>> {
        let mut verdicts = Vec::with_capacity(items.len());
        let mut wanted = Wanted::default();
        let mut is_whole = true;
        for item in items {
            let verdict = match item {
                None => Some(Verdict::InvalidRequest),
                Some(asked) => self.one(state, asked, now, &mut wanted),
            };
            is_whole &= verdict.is_some();
            if let Some(verdict) = verdict.filter(|_| is_whole) {
                verdicts.push(verdict);
                if semantic.ends_at(verdict.is_permitted()) {
                    break;
                }
            }
        }
        let revision = state.index.revision();
        is_whole.then_some(Evaluated { verdicts, revision }).ok_or(wanted)
    }

    fn one(
        self,
        state: &EnvironmentState,
        asked: &'q Evaluation,
        now: Timestamp,
        wanted: &mut Wanted<'q>,
    ) -> Option<Verdict> {
        // A text that is no key of any catalog.
        let permission = permission(&asked.resource.kind, &asked.action).unwrap_or_default();
        if !self.asker.allows(&permission) {
            return Some(Verdict::ScopeMissing);
        }
        let subject = self.named.subject(self.app, self.place, &asked.subject, wanted);
        let resource = self.named.resource(&state.index, &asked.resource, wanted);
        let (subject, resource) = subject.zip(resource)?;
        let identity = match subject {
            Meaning::One(identity) => identity,
            Meaning::Nothing => return Some(Verdict::Denied(DenialReason::IdentityNotFound)),
            Meaning::Several => return Some(Verdict::AmbiguousSubject),
        };
        let Meaning::One(node) = resource else {
            return Some(match state.index.denial_without_node(identity, &permission) {
                DenialReason::NodeNotFound if resource == Meaning::Several => Verdict::AmbiguousResource,
                reason => Verdict::Denied(reason),
            });
        };
        let question = Question {
            identity,
            permission: &permission,
            scope: Scope::Node(node),
        };
        Some(match state.index.decide(&question, now) {
            Decision::Allowed => Verdict::Granted,
            Decision::Denied(reason) => Verdict::Denied(reason),
        })
    }
}
