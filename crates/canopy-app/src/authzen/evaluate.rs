//! Evaluations: one question, or many that share subjects, resources and permissions.

use super::named::{Named, Wanted};
use super::terms::{Semantic, Verdict, permission};
use super::{Entity, judge, judge_apart};
use crate::access::Asker;
use crate::decisions::EnvironmentState;
use crate::long_work::{Pace, Stopped};
use crate::{App, AppError};
use canopy_domain::access::{Decision, DenialReason, Question, Target};
use canopy_domain::{IdentityId, NodeId, Resolution, Revision, Timestamp};
use core::hash::Hash;
use std::collections::HashMap;
use std::sync::Arc;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The identity.
    pub subject: Entity,
    /// Does what.
    pub action: Arc<str>,
    /// With what.
    pub resource: Entity,
}

/// Questions in their order. What several of them name is kept, and looked up, once.
#[derive(Debug, Default)]
pub struct Evaluations {
    subjects: Distinct<Entity>,
    resources: Distinct<Entity>,
    permissions: Distinct<String>,
    /// `None` for a question that lacks something.
    items: Vec<Option<Item>>,
}

/// The places of what a question names.
#[derive(Debug, Clone, Copy)]
struct Item {
    subject: usize,
    permission: usize,
    resource: usize,
}

/// Values, each once, in the order of their first use.
#[derive(Debug)]
struct Distinct<T> {
    all: Vec<T>,
    /// Where each is; empty while there are few.
    places: HashMap<T, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    /// Up to this many are searched one by one.
    const FEW: usize = 4;

    fn place(&mut self, value: T) -> usize {
        if self.all.len() <= Self::FEW {
            if let Some(place) = self.all.iter().position(|known| *known == value) {
                return place;
            }
        } else {
            if self.places.is_empty() {
                self.places.extend(self.all.iter().cloned().zip(0..));
            }
            if let Some(place) = self.places.get(&value) {
                return *place;
            }
            self.places.insert(value.clone(), self.all.len());
        }
        self.all.push(value);
        self.all.len() - 1
    }
}

impl Evaluations {
    /// No questions yet; room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// Adds a question, or one that lacks something.
    pub fn push(&mut self, evaluation: Option<Evaluation>) {
        let item = evaluation.map(|asked| Item {
            // Where there is none, a text that is no key of any catalog.
            permission: self
                .permissions
                .place(permission(&asked.resource.kind, &asked.action).unwrap_or_default()),
            subject: self.subjects.place(asked.subject),
            resource: self.resources.place(asked.resource),
        });
        self.items.push(item);
    }

    /// The number of questions.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number of subjects, resources and permissions that are looked up.
    pub const fn distinct(&self) -> [usize; 3] {
        [
            self.subjects.all.len(),
            self.resources.all.len(),
            self.permissions.all.len(),
        ]
    }
}

impl FromIterator<Option<Evaluation>> for Evaluations {
    fn from_iter<I: IntoIterator<Item = Option<Evaluation>>>(items: I) -> Self {
        let items = items.into_iter();
        let mut all = Self::with_capacity(items.size_hint().0);
        items.for_each(|item| all.push(item));
        all
    }
}

/// Answers to questions in their order, up to where the semantic ends, and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The answers.
    pub verdicts: Vec<Verdict>,
    /// The revision of the environment at which all of them were judged.
    pub revision: Revision,
}

/// Answers, reading from the store what is missing in memory first. What a key may not ask is denied. Many questions are
/// judged on a thread for long work; dropping the future stops it.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`]; [`AppError::Work`].
pub async fn evaluate(
    app: &App,
    asker: Asker<'_>,
    evaluations: Evaluations,
    semantic: Semantic,
) -> Result<Evaluated, AppError> {
    /// So many are judged in about half a millisecond.
    const FEW: usize = 256;
    let mut wanted = Wanted::default();
    for subject in &evaluations.subjects.all {
        wanted.subject(app, asker.place(), subject);
    }
    for resource in &evaluations.resources.all {
        wanted.resource(resource);
    }
    if evaluations.len() <= FEW {
        let judging = Judging {
            app,
            asker,
            evaluations: &evaluations,
            semantic,
        };
        let judge_state = |state: &EnvironmentState, now, named: &Named, wanted: &mut Wanted| {
            judging
                .all(state, now, named, wanted, &mut Pace::unbroken())
                .ok()
                .flatten()
        };
        judge(app, asker, wanted, judge_state).await
    } else {
        let owned = (app.clone(), asker.caller.clone(), asker.environment.clone());
        let judge_state = move |state: &EnvironmentState, now, named: &Named, wanted: &mut Wanted, pace: &mut Pace| {
            let (app, caller, environment) = &owned;
            let judging = Judging {
                app,
                asker: Asker { caller, environment },
                evaluations: &evaluations,
                semantic,
            };
            judging.all(state, now, named, wanted, pace)
        };
        judge_apart(app, asker, wanted, judge_state).await
    }
}

/// What questions are judged with.
#[derive(Clone, Copy)]
struct Judging<'j> {
    app: &'j App,
    asker: Asker<'j>,
    evaluations: &'j Evaluations,
    semantic: Semantic,
}

impl Judging<'_> {
    /// Judges all questions up to where the semantic ends; else says which names must be looked up first.
    fn all(
        self,
        state: &EnvironmentState,
        now: Timestamp,
        named: &Named,
        wanted: &mut Wanted,
        pace: &mut Pace,
    ) -> Result<Option<Evaluated>, Stopped> {
        /// So many questions take a few microseconds.
        const BETWEEN_CHECKS: usize = 16;
        let Evaluations {
            subjects,
            resources,
            permissions,
            items,
        } = self.evaluations;
        let mut subject_meanings = Vec::with_capacity(subjects.all.len());
        for some in subjects.all.chunks(BETWEEN_CHECKS) {
            pace.check()?;
            let meaning = |subject| named.subject(self.app, self.asker.place(), subject, wanted);
            subject_meanings.extend(some.iter().map(meaning));
        }
        let mut resource_meanings = Vec::with_capacity(resources.all.len());
        for some in resources.all.chunks(BETWEEN_CHECKS) {
            pace.check()?;
            let meaning = |resource| named.resource(&state.index, resource, wanted);
            resource_meanings.extend(some.iter().map(meaning));
        }
        let mut verdicts = Vec::with_capacity(items.len());
        'judging: for some in items.chunks(BETWEEN_CHECKS) {
            pace.check()?;
            for item in some {
                let verdict = match item {
                    None => Verdict::InvalidRequest,
                    Some(item) => {
                        let permission = permissions.all.get(item.permission).map_or("", String::as_str);
                        let subject = subject_meanings.get(item.subject).copied().flatten();
                        let resource = resource_meanings.get(item.resource).copied().flatten();
                        match self.one(state, now, permission, (subject, resource)) {
                            Some(verdict) => verdict,
                            None => return Ok(None),
                        }
                    }
                };
                verdicts.push(verdict);
                if self.semantic.ends_at(verdict.is_permitted()) {
                    break 'judging;
                }
            }
        }
        let revision = state.index.revision();
        Ok(Some(Evaluated { verdicts, revision }))
    }

    fn one(
        self,
        state: &EnvironmentState,
        now: Timestamp,
        permission: &str,
        (subject, resource): (Option<Resolution<IdentityId>>, Option<Resolution<NodeId>>),
    ) -> Option<Verdict> {
        if !self.asker.allows(permission) {
            return Some(Verdict::ScopeMissing);
        }
        let (subject, resource) = subject.zip(resource)?;
        let identity = match subject {
            Resolution::Unique(identity) => identity,
            Resolution::NotFound => return Some(Verdict::Denied(DenialReason::IdentityNotFound)),
            Resolution::Ambiguous => return Some(Verdict::AmbiguousSubject),
        };
        let Resolution::Unique(node) = resource else {
            return Some(match state.index.denial_without_node(identity, permission) {
                DenialReason::NodeNotFound if resource == Resolution::Ambiguous => Verdict::AmbiguousResource,
                reason => Verdict::Denied(reason),
            });
        };
        let question = Question {
            identity,
            permission,
            target: Target::Node(node),
        };
        Some(match state.index.decide(&question, now) {
            Decision::Allowed => Verdict::Granted,
            Decision::Denied(reason) => Verdict::Denied(reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Entity, Evaluation, Evaluations};

    fn entity(kind: &str, id: &str) -> Entity {
        Entity {
            kind: kind.into(),
            id: id.into(),
        }
    }

    #[test]
    fn what_questions_share_is_kept_once() {
        let asked = |subject: usize, resource: usize| Evaluation {
            subject: entity("user", &format!("user-{subject}")),
            action: "read".into(),
            resource: entity("team", &format!("team-{resource}")),
        };
        let items = (0..1_000).map(|number| Some(asked(number % 10, number % 100)));
        let mut all: Evaluations = items.collect();
        all.push(None);
        assert_eq!((all.len(), all.distinct()), (1_001, [10, 100, 1]));
        // Each question keeps its own.
        for (number, item) in all.items.iter().take(1_000).enumerate() {
            let item = item.unwrap();
            assert_eq!(all.subjects.all[item.subject], asked(number % 10, 0).subject);
            assert_eq!(all.resources.all[item.resource], asked(0, number % 100).resource);
            assert_eq!(all.permissions.all[item.permission], "team.read");
        }
    }
}
