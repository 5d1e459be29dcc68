//! May these subjects do this with these resources, now?

use super::named::{Named, Wanted};
use super::{Entity, judge};
use crate::access::Asker;
use crate::decisions::EnvironmentState;
use crate::{App, AppError};
use canopy_domain::access::{Decision, DenialReason, Question, Scope};
use canopy_domain::authzen::{Semantic, Verdict, permission};
use canopy_domain::{Meaning, Revision, Timestamp};

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

/// Answers, reading from the store what is missing in memory first. What a key may not ask is denied.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`].
pub async fn run<'q>(
    app: &App,
    asker: Asker<'q>,
    items: &'q [Option<Evaluation>],
    semantic: Semantic,
) -> Result<Evaluated, AppError> {
    let mut wanted = Wanted::default();
    for item in items.iter().flatten() {
        wanted.subject(app, asker.place(), &item.subject);
        wanted.resource(&item.resource);
    }
    let judging = Judging { app, asker };
    let judge_state = |state: &EnvironmentState, now, named: &Named<'q>, wanted: &mut Wanted<'q>| {
        judging.all(state, now, items, semantic, named, wanted)
    };
    judge(app, asker, wanted, judge_state).await
}

/// What questions are judged with.
#[derive(Clone, Copy)]
struct Judging<'j> {
    app: &'j App,
    asker: Asker<'j>,
}

impl Judging<'_> {
    /// Judges all questions up to where the semantic ends; else says which names must be looked up first.
    fn all<'q>(
        self,
        state: &EnvironmentState,
        now: Timestamp,
        items: &'q [Option<Evaluation>],
        semantic: Semantic,
        named: &Named<'q>,
        wanted: &mut Wanted<'q>,
    ) -> Option<Evaluated> {
        let mut verdicts = Vec::with_capacity(items.len());
        let mut is_whole = true;
        for item in items {
            let verdict = match item {
                None => Some(Verdict::InvalidRequest),
                Some(asked) => self.one(state, now, asked, named, wanted),
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
        is_whole.then_some(Evaluated { verdicts, revision })
    }

    fn one<'q>(
        self,
        state: &EnvironmentState,
        now: Timestamp,
        asked: &'q Evaluation,
        named: &Named<'q>,
        wanted: &mut Wanted<'q>,
    ) -> Option<Verdict> {
        // Where there is none, a text that is no key of any catalog.
        let permission = permission(&asked.resource.kind, &asked.action).unwrap_or_default();
        if !self.asker.allows(&permission) {
            return Some(Verdict::ScopeMissing);
        }
        let subject = named.subject(self.app, self.asker.place(), &asked.subject, wanted);
        let resource = named.resource(&state.index, &asked.resource, wanted);
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
