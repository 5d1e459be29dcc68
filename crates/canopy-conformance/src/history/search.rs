//! The search for a serial order.
//!
//! The search orders writes and refused calls one after the other; at a dead end it undoes the last step and tries
//! another one. Dead ends are cached. Refused calls change nothing, so they are placed as soon as they fit. Checks need
//! no place: they name the revision at which they were evaluated.

use super::state::{Effect, State};
use super::{Answer, Call, Request};
use canopy_domain::{IdentityId, NodeId};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// Number of steps after which the search is aborted.
const STEPS: u64 = 2_000_000;

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An order that explains everything.
    Order,
    /// No order exists.
    Nothing,
    /// The search was aborted.
    Undecided { steps: u64 },
}

pub(super) fn search(start: &State, calls: &[Call]) -> Found {
    let Some(checks) = Checks::of(start.revision, calls) else {
        return Found::Nothing;
    };
    let mut writes: Vec<&Call> = calls
        .iter()
        .filter(|call| !matches!(call.request, Request::Evaluate { .. }))
        .collect();
    writes.sort_by_key(|call| call.begun);
    let mut search = Search {
        done: vec![false; writes.len()],
        answered_left: writes.iter().filter(|call| call.answer != Answer::Open).count(),
        writes,
        checks,
        state: start.clone(),
        print: 0,
        dead_ends: HashSet::new(),
        steps: 0,
    };
    search.run()
}

/// The responses to checks, and the order that their times require of writes.
struct Checks<'a> {
    at: BTreeMap<u64, Vec<Check<'a>>>,
    /// For each revision that a check names: the time of the first response that names it or a later one. The write of
    /// the revision was sent by then.
    reached_by: BTreeMap<u64, Duration>,
    /// For each revision that a strong check names: the time at which the last one was sent that names it or an earlier
    /// one. No response to a write of a later revision arrived before that.
    not_left_before: BTreeMap<u64, Duration>,
}

struct Check<'a> {
    identity: IdentityId,
    permission: &'a str,
    node: NodeId,
    granting_roles: &'a BTreeSet<String>,
}

impl<'a> Checks<'a> {
    /// Returns `None` if the responses contradict each other whatever was written.
    fn of(first: u64, calls: &'a [Call]) -> Option<Self> {
        let mut at: BTreeMap<u64, Vec<Check<'a>>> = BTreeMap::new();
        let mut reached_by: BTreeMap<u64, Duration> = BTreeMap::new();
        let mut not_left_before: BTreeMap<u64, Duration> = BTreeMap::new();
        let mut answered: Vec<(Duration, u64)> = Vec::new();
        let mut strong: Vec<(Duration, u64)> = Vec::new();
        for call in calls {
            let (
                Request::Evaluate {
                    identity,
                    permission,
                    node,
                    is_strong,
                },
                Answer::Decided {
                    revision,
                    is_allowed,
                    granting_roles,
                },
            ) = (&call.request, &call.answer)
            else {
                // Other responses to a check are failures.
                if matches!(call.request, Request::Evaluate { .. }) && call.answer != Answer::Open {
                    return None;
                }
                continue;
            };
            if *revision < first || *is_allowed == granting_roles.is_empty() {
                return None;
            }
            at.entry(*revision).or_default().push(Check {
                identity: *identity,
                permission,
                node: *node,
                granting_roles,
            });
            let reached = reached_by.entry(*revision).or_insert(call.ended);
            *reached = call.ended.min(*reached);
            answered.push((call.ended, *revision));
            if *is_strong {
                let left = not_left_before.entry(*revision).or_insert(call.begun);
                *left = call.begun.max(*left);
                strong.push((call.begun, *revision));
            }
        }
        let mut earliest = Duration::MAX;
        for reached in reached_by.values_mut().rev() {
            earliest = earliest.min(*reached);
            *reached = earliest;
        }
        let mut latest = Duration::ZERO;
        for left in not_left_before.values_mut() {
            latest = latest.max(*left);
            *left = latest;
        }
        is_forward(&mut answered, &strong).then_some(Self {
            at,
            reached_by,
            not_left_before,
        })
    }

    /// Returns the newest revision in any response.
    fn newest(&self) -> u64 {
        self.at.keys().next_back().copied().unwrap_or(0)
    }

    /// Returns the latest time at which a write of this revision was sent.
    fn sent_by(&self, revision: u64) -> Duration {
        let later = self.reached_by.range(revision + 1..).next();
        later.map_or(Duration::MAX, |(_, reached)| *reached)
    }

    /// Returns the time until which no response to a write of a later revision arrived.
    fn nothing_later_until(&self, revision: u64) -> Duration {
        let earlier = self.not_left_before.range(..=revision).next_back();
        earlier.map_or(Duration::ZERO, |(_, left)| *left)
    }

    /// Returns true if a state explains all checks that were judged at its revision.
    fn agree_with(&self, state: &State) -> bool {
        let checks = self.at.get(&state.revision).into_iter().flatten();
        checks
            .into_iter()
            .all(|check| state.granting_roles(check.identity, check.permission, check.node) == *check.granting_roles)
    }
}

/// Returns true if no strong check names an older revision than a response that arrived before it was sent.
fn is_forward(answered: &mut [(Duration, u64)], strong: &[(Duration, u64)]) -> bool {
    answered.sort_unstable();
    let mut newest = 0;
    for (_, revision) in answered.iter_mut() {
        newest = newest.max(*revision);
        *revision = newest;
    }
    strong.iter().all(|(begun, revision)| {
        let before = answered.partition_point(|(ended, _)| ended < begun);
        let seen = before.checked_sub(1).and_then(|last| answered.get(last));
        seen.is_none_or(|(_, seen)| seen <= revision)
    })
}

struct Search<'a> {
    /// The writes, in the order in which they were sent.
    writes: Vec<&'a Call>,
    checks: Checks<'a>,
    state: State,
    done: Vec<bool>,
    /// The number of calls with a response that are not performed yet.
    answered_left: usize,
    /// A fingerprint of the state, which distinguishes the states that the same calls lead to in different orders. Two
    /// of 2^64 may collide, which can make a right history look wrong, never the other way round.
    print: u64,
    /// Dead ends: the executed calls, the revision and the fingerprint of the state.
    dead_ends: HashSet<(Vec<bool>, u64, u64)>,
    steps: u64,
}

/// A step of the search: how it was made, and the possible next ones.
struct Step {
    made: Option<(usize, Effect)>,
    /// Refused calls that were placed with it.
    refused: Vec<usize>,
    /// The most promising one last.
    next: Vec<(usize, Effect)>,
}

impl Search<'_> {
    fn run(&mut self) -> Found {
        if !self.checks.agree_with(&self.state) {
            return Found::Nothing;
        }
        let Some(first) = self.arrive(None) else {
            return Found::Nothing;
        };
        let mut path = vec![first];
        loop {
            if self.is_explained() {
                return Found::Order;
            }
            if self.steps > STEPS {
                return Found::Undecided { steps: self.steps };
            }
            let Some(step) = path.last_mut() else {
                return Found::Nothing;
            };
            if let Some((write, effect)) = step.next.pop() {
                path.extend(self.take(write, effect));
            } else if let Some(step) = path.pop() {
                self.dead_ends.insert(self.place());
                self.take_back(step);
            }
        }
    }

    fn is_explained(&self) -> bool {
        self.answered_left == 0 && self.state.revision >= self.checks.newest()
    }

    fn place(&self) -> (Vec<bool>, u64, u64) {
        (self.done.clone(), self.state.revision, self.print)
    }

    fn perform(&mut self, write: usize, effect: &Effect) {
        self.state.perform(effect);
        self.print ^= effect.flips();
        self.mark(write, true);
    }

    fn undo(&mut self, write: usize, effect: &Effect) {
        self.mark(write, false);
        self.print ^= effect.flips();
        self.state.undo(effect);
    }

    fn mark(&mut self, write: usize, done: bool) {
        if let (Some(mark), Some(call)) = (self.done.get_mut(write), self.writes.get(write)) {
            *mark = done;
            if call.answer != Answer::Open {
                self.answered_left = if done {
                    self.answered_left - 1
                } else {
                    self.answered_left + 1
                };
            }
        }
    }

    /// Makes a step, unless it is a dead end.
    fn take(&mut self, write: usize, effect: Effect) -> Option<Step> {
        self.steps += 1;
        self.perform(write, &effect);
        if effect.moves() && !self.checks.agree_with(&self.state) {
            self.undo(write, &effect);
            return None;
        }
        self.arrive(Some((write, effect)))
    }

    fn take_back(&mut self, step: Step) {
        for write in step.refused {
            self.mark(write, false);
        }
        if let Some((write, effect)) = step.made {
            self.undo(write, &effect);
        }
    }

    /// Places refused calls and finds the writes that can follow.
    fn arrive(&mut self, made: Option<(usize, Effect)>) -> Option<Step> {
        let mut step = Step {
            made,
            refused: Vec::new(),
            next: Vec::new(),
        };
        while let Some(write) = self.refused_here() {
            self.mark(write, true);
            step.refused.push(write);
        }
        // No dead end is cached until a step was undone.
        if !self.dead_ends.is_empty() && self.dead_ends.contains(&self.place()) {
            self.take_back(step);
            return None;
        }
        step.next = self.following();
        Some(step)
    }

    /// Returns the calls that may come next by the times of the writes, and the earliest response time of an unexecuted
    /// one.
    fn candidates(&self) -> (Vec<usize>, Duration) {
        let mut candidates = Vec::new();
        let mut earliest = Duration::MAX;
        for (write, (call, done)) in self.writes.iter().zip(&self.done).enumerate() {
            if call.begun > earliest {
                break;
            }
            if !done {
                candidates.push(write);
                earliest = earliest.min(call.settled_by().unwrap_or(Duration::MAX));
            }
        }
        let sent_by = earliest.min(self.checks.sent_by(self.state.revision));
        candidates.retain(|write| self.writes.get(*write).is_some_and(|call| call.begun <= sent_by));
        (candidates, earliest)
    }

    /// Returns a call that was refused, or only read, and fits here.
    fn refused_here(&self) -> Option<usize> {
        let (candidates, _) = self.candidates();
        candidates.into_iter().find(|write| {
            let call = self.writes.get(*write);
            call.is_some_and(|call| changes_nothing(&call.answer) && self.state.effect(call).is_some())
        })
    }

    /// Returns the writes that can follow, with their effects.
    fn following(&self) -> Vec<(usize, Effect)> {
        let (candidates, earliest) = self.candidates();
        let may_move = earliest >= self.checks.nothing_later_until(self.state.revision);
        let mut following: Vec<(Duration, usize, Effect)> = candidates
            .into_iter()
            .filter_map(|write| {
                let call = self.writes.get(write)?;
                if changes_nothing(&call.answer) {
                    return None;
                }
                let effect = self.state.effect(call)?;
                let is_step = if effect.moves() {
                    may_move
                } else {
                    call.answer != Answer::Open
                };
                is_step.then_some((call.settled_by().unwrap_or(Duration::MAX), write, effect))
            })
            .collect();
        // The call with the first response was most likely executed first.
        following.sort_by_key(|(ended, ..)| core::cmp::Reverse(*ended));
        following
            .into_iter()
            .map(|(_, write, effect)| (write, effect))
            .collect()
    }
}

/// Returns true if a response reports that nothing was changed.
fn changes_nothing(answer: &Answer) -> bool {
    match answer {
        Answer::Created(items) => !items.iter().any(|item| matches!(item, super::ItemAnswer::Stored(_))),
        Answer::NotThere(_) | Answer::NoSuchParent | Answer::Held(_) => true,
        Answer::Open | Answer::Removed | Answer::Done | Answer::NodeCreated(_) | Answer::Decided { .. } => false,
    }
}
