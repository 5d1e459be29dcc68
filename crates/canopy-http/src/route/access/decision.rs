//! Decisions, and the enumerations of check requests.

use crate::answer::Judged;
use crate::wire::{Fault, Faults, Json, JsonPointer, ShownReason, WireText, not_one_of, words};
use canopy_app::access::evaluate_many::{AnswerTooLarge, Judging};
use canopy_app::decisions::Consistency;
use canopy_app::long_work::Stopped;
use canopy_domain::access::{Decision, Question, Target};
use canopy_domain::{NodeId, PermissionKey, RoleName};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use uuid::Uuid;

/// A decision.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub(in crate::route) struct DecisionBody<'a> {
    allowed: bool,
    /// The checked permission.
    permission: &'a str,
    #[schema(inline)]
    scope_evaluated: ScopeWord,
    /// The checked node; null for `app_wide`.
    effective_node_id: Option<Uuid>,
    /// The names of all roles that grant the permission, sorted.
    #[schema(value_type = Vec<String>)]
    granting_roles: Names<'a>,
    /// The first reason that applies; null if allowed.
    denial_reason: Option<ShownReason>,
}

/// The names of roles.
struct Names<'a>(&'a [&'a RoleName]);

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|name| name.as_str()))
    }
}

impl<'a> DecisionBody<'a> {
    pub(super) const fn new(question: &Question<'a>, decision: Decision, roles: &'a [&'a RoleName]) -> Self {
        let (scope_evaluated, node) = match question.target {
            Target::Node(node) => (ScopeWord::Node, Some(node.as_uuid())),
            Target::AppWide => (ScopeWord::AppWide, None),
        };
        Self {
            allowed: decision.is_allowed(),
            permission: question.permission,
            scope_evaluated,
            effective_node_id: node,
            granting_roles: Names(roles),
            denial_reason: match decision.denial_reason() {
                None => None,
                Some(reason) => Some(ShownReason(reason)),
            },
        }
    }
}

/// Decisions in the order of their checks.
#[derive(ToSchema)]
#[schema(as = Decisions)]
#[expect(dead_code, reason = "it is written piece by piece; the fields are its schema")]
pub(super) struct AllDecisions {
    results: Vec<DecisionBody<'static>>,
}

impl AllDecisions {
    /// Judges the checks and renders each decision at once.
    pub(super) fn write(judging: Judging<'_>) -> Result<Result<Judged<Self>, AnswerTooLarge>, Stopped> {
        /// More bytes than most decisions need.
        const ROOM: usize = 224;
        let (revision, max_bytes) = (judging.revision(), judging.max_bytes());
        let mut json = Vec::with_capacity((16 + judging.len() * ROOM).min(max_bytes));
        json.extend_from_slice(b"{\"results\":[");
        let mut first = true;
        let written = judging.each(|question, decision, roles| {
            if !core::mem::replace(&mut first, false) {
                json.push(b',');
            }
            // Writing to memory cannot fail, and the values written here always serialize.
            let written = serde_json::to_writer(&mut json, &DecisionBody::new(question, decision, roles));
            debug_assert!(written.is_ok(), "a decision cannot be rendered");
            if json.len() > max_bytes {
                return Err(AnswerTooLarge);
            }
            Ok(())
        });
        Ok(written?.map(|()| {
            json.extend_from_slice(b"]}");
            Judged::written(json, revision)
        }))
    }
}

/// Effective permission keys, sorted.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldPermissions)]
pub(in crate::route) struct KeysBody<'a> {
    items: Vec<&'a str>,
}

impl<'a> KeysBody<'a> {
    pub(super) fn new(keys: &'a [PermissionKey]) -> Self {
        Self {
            items: keys.iter().map(PermissionKey::as_str).collect(),
        }
    }
}

/// The scope of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::route) enum ScopeWord {
    /// At one node: assignments at it and at its ancestors count.
    Node,
    /// At any active node of the environment.
    AppWide,
}

macro_rules! local_enum {
    ($type:ident { $($variant:ident = $word:literal),+ }) => {
        impl WireText for $type {
            fn parse(text: &str) -> Result<Self, Fault> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(not_one_of([$($word),+].into_iter())),
                }
            }

            fn describe() -> Object {
                words([$($word),+].into_iter())
            }

            fn word(&self) -> Option<&'static str> {
                Some(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

local_enum!(ScopeWord { Node = "node", AppWide = "app_wide" });
local_enum!(Consistency { Strong = "strong", Eventual = "eventual" });

/// Notes a mismatch of scope and node. Checks them as they were sent, so that a fault in another member hides none.
pub(in crate::route) fn note_misfit(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) {
    let word = match json.given("scope") {
        Some(Json::String(word)) => ScopeWord::parse(word).ok(),
        _ => None,
    };
    let misfit = match (word, json.given("node_id")) {
        (Some(ScopeWord::Node), None) => Fault::new("required", "is required with the scope `node`"),
        (Some(ScopeWord::AppWide), Some(_)) => Fault::new("not_allowed", "is not allowed with the scope `app_wide`"),
        _ => return,
    };
    faults.add(&JsonPointer::Member(place, "node_id"), misfit);
}

/// Returns the target, if scope and node fit together.
pub(in crate::route) const fn target_of(word: ScopeWord, node: Option<NodeId>) -> Option<Target> {
    match (word, node) {
        (ScopeWord::Node, Some(node)) => Some(Target::Node(node)),
        (ScopeWord::AppWide, None) => Some(Target::AppWide),
        _ => None,
    }
}
