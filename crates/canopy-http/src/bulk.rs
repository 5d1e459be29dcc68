//! Responses to bulk calls: the outcome of each item, in the order of the request.

use crate::answer::{Answer, Success};
use crate::error_code::ErrorCode;
use crate::problem::Problem;
use crate::rendered::{Rendered, TooLarge};
use crate::wire::Components;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use canopy_domain::bulk::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

/// The outcomes of the items of a bulk call.
pub(crate) struct BulkAnswer<T> {
    outcomes: Vec<Outcome<T, Problem>>,
    dry_run: bool,
    sent: SentItems,
    /// False in a stored response: a repetition sends the same body again.
    shows_input: bool,
}

/// The items of a body, byte for byte as they were sent.
#[derive(Clone)]
pub(crate) struct SentItems {
    /// The body, which was parsed before.
    pub(crate) raw: Bytes,
    /// The member of the body that holds the items.
    pub(crate) member: Cow<'static, str>,
}

impl SentItems {
    pub(crate) fn items(&self) -> Vec<&RawValue> {
        let members: HashMap<String, &RawValue> = serde_json::from_slice(&self.raw).unwrap_or_default();
        let list = members.get(self.member.as_ref()).map(|list| list.get());
        list.and_then(|list| serde_json::from_str(list).ok())
            .unwrap_or_default()
    }
}

/// Returns the outcome of the only item of a call.
pub(crate) fn only<T, E: Into<Problem>>(outcomes: Vec<Outcome<T, E>>) -> Result<T, Problem> {
    match outcomes.into_iter().next() {
        Some(Outcome::Done(done)) => Ok(done),
        Some(Outcome::Refused(error)) => Err(error.into()),
        Some(Outcome::RolledBack { .. }) | None => Err(Problem::internal("a single item has no outcome")),
    }
}

impl<T> BulkAnswer<T> {
    /// Maps the outcomes of items to their wire form.
    pub(crate) fn of<S, E: Into<Problem>>(
        outcomes: Vec<Outcome<S, E>>,
        dry_run: bool,
        sent: SentItems,
        show: impl Fn(S) -> T,
    ) -> Self {
        let outcomes = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Done(done) => Outcome::Done(show(done)),
            Outcome::Refused(error) => Outcome::Refused(error.into()),
            Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
        });
        Self {
            outcomes: outcomes.collect(),
            dry_run,
            sent,
            shows_input: true,
        }
    }
}

/// The results of a stored response, without inputs.
#[derive(Deserialize)]
struct KeptResults<'a> {
    #[serde(borrow)]
    summary: &'a RawValue,
    #[serde(borrow)]
    results: Vec<KeptResult<'a>>,
}

#[derive(Serialize, Deserialize)]
struct KeptResult<'a> {
    index: usize,
    status: &'a str,
    code: u16,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct WholeAgain<'a> {
    summary: &'a RawValue,
    results: Vec<KeptResult<'a>>,
}

/// Rebuilds the body of the first response from the stored one and the items that were sent again.
pub(crate) fn with_inputs(kept: &[u8], sent: &SentItems) -> Option<Vec<u8>> {
    let inputs = sent.items();
    let KeptResults { summary, results } = serde_json::from_slice(kept).ok()?;
    let results = results.into_iter().map(|result| KeptResult {
        input: inputs.get(result.index).copied().unwrap_or(RawValue::NULL),
        ..result
    });
    let whole = WholeAgain {
        summary,
        results: results.collect(),
    };
    serde_json::to_vec(&whole).ok()
}

/// Counts of items by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkSummary {
    /// All items.
    total: usize,
    /// Items that were stored; in a dry run, items that would be.
    succeeded: usize,
    /// Items that were not stored.
    failed: usize,
}

/// The error of an item that was not stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkError {
    /// The code, for programs.
    code: &'static str,
    /// The message, for people.
    message: String,
    /// Details, depending on the code.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
}

/// The outcome of one item.
#[derive(Serialize)]
struct ItemResult<'a, T> {
    index: usize,
    status: &'static str,
    code: u16,
    input: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<BulkError>,
}

#[derive(Serialize)]
struct Whole<'a, T> {
    summary: BulkSummary,
    results: Vec<ItemResult<'a, T>>,
}

fn rolled_back(caused_by: &[usize]) -> Problem {
    Problem::new(
        ErrorCode::RolledBack,
        "rolled back because of other items of the request",
    )
    .with("caused_by", caused_by)
}

fn failed<T>(index: usize, input: &RawValue, problem: Problem) -> ItemResult<'_, T> {
    ItemResult {
        index,
        status: "error",
        code: problem.code.status(),
        input,
        data: None,
        error: Some(BulkError {
            code: problem.code.as_str(),
            message: problem.message.into_owned(),
            details: problem.details,
        }),
    }
}

impl<T: Serialize + ToSchema + Send> Answer for BulkAnswer<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let data = components.answer::<T>();
        let schema = bulk_schema(components, data);
        let success = |status, description| Success {
            status,
            description,
            schema: Some(schema.clone()),
            headers: Vec::new(),
        };
        vec![
            success(StatusCode::OK, "Every item succeeded."),
            success(StatusCode::MULTI_STATUS, "An item failed; see the results."),
        ]
    }

    fn item_codes(&self) -> BTreeSet<ErrorCode> {
        let codes = self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Done(_) => None,
            Outcome::Refused(problem) => Some(problem.code),
            Outcome::RolledBack { .. } => Some(ErrorCode::RolledBack),
        });
        codes.collect()
    }

    fn weight(&self) -> usize {
        /// Estimated size of an item in bytes, without the echoed input.
        const ITEM_BYTES: usize = 400;
        self.sent.raw.len() + self.outcomes.len() * ITEM_BYTES
    }

    fn kept(self) -> Self {
        Self {
            shows_input: false,
            ..self
        }
    }

    fn kept_input(&self) -> Option<Cow<'static, str>> {
        Some(self.sent.member.clone())
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        let weight = self.weight();
        let inputs = if self.shows_input {
            self.sent.items()
        } else {
            Vec::new()
        };
        let total = self.outcomes.len();
        let (code, dry_run) = if self.dry_run { (200, true) } else { (201, false) };
        let succeeded = self
            .outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Done(_)))
            .count();
        let mut done = Vec::with_capacity(succeeded);
        let mut shells = Vec::with_capacity(total);
        for outcome in self.outcomes {
            shells.push(match outcome {
                Outcome::Done(data) => {
                    done.push(data);
                    None
                }
                Outcome::Refused(problem) => Some(problem),
                Outcome::RolledBack { caused_by } => Some(rolled_back(&caused_by)),
            });
        }
        let mut data = done.iter();
        let results = shells.into_iter().enumerate().map(|(index, problem)| {
            let input = inputs.get(index).copied().unwrap_or(RawValue::NULL);
            match problem {
                Some(problem) => failed(index, input, problem),
                None => ItemResult {
                    index,
                    status: "success",
                    code,
                    input,
                    data: data.next().filter(|_| !dry_run),
                    error: None,
                },
            }
        });
        let whole = Whole {
            results: results.collect(),
            summary: BulkSummary {
                total,
                succeeded,
                failed: total - succeeded,
            },
        };
        let status = if succeeded == total {
            StatusCode::OK
        } else {
            StatusCode::MULTI_STATUS
        };
        Rendered::json(status, &whole, (weight, max_bytes))
    }
}

fn bulk_schema(components: &mut Components, data: RefOr<Schema>) -> RefOr<Schema> {
    use utoipa::openapi::schema::{SchemaType, Type};
    let of_type = |one: Type| ObjectBuilder::new().schema_type(SchemaType::Type(one));
    let input = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some("The item as it was sent."))
        .build();
    let result = ObjectBuilder::new()
        .property("index", of_type(Type::Integer).minimum(Some(0)).build())
        .required("index")
        .property(
            "status",
            of_type(Type::String).enum_values(Some(["success", "error"])).build(),
        )
        .required("status")
        .property(
            "code",
            of_type(Type::Integer)
                .description(Some("The status that the item would have had in a request of its own."))
                .build(),
        )
        .required("code")
        .property("input", input)
        .required("input")
        .property("data", data)
        .property("error", components.answer::<BulkError>())
        .build();
    ObjectBuilder::new()
        .property("summary", components.answer::<BulkSummary>())
        .required("summary")
        .property("results", ArrayBuilder::new().items(result).build())
        .required("results")
        .build()
        .into()
}
