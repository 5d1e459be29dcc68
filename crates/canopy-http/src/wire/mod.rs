//! The wire format: JSON bodies, query strings and the schemas that describe them.

mod body;
mod field;
mod json;
mod list;
mod query;
mod schema;
mod show;
#[cfg(feature = "fuzz")]
mod steps;
mod stream;
mod value;

pub(crate) use body::{Given, ObjectReader, WireField, read_or, request_body, schema_or};
pub(crate) use field::{Fault, Faults, JsonPointer, MAX_ITEMS};
pub(crate) use json::{Json, JsonError, MAX_DEPTH, MAX_VALUES};
pub(crate) use list::{Batch, CatalogKeys, Each, Everything};
pub(crate) use query::{
    Limit, PageNumber, QueryField, QueryInput, QueryReader, QueryValue, Search, Take, page, query_or, query_parameter,
    request_query,
};
pub(crate) use schema::{Components, anything, array, described, words};
pub(crate) use show::{
    Instant, ShownAccessType, ShownActorType, ShownAuditCategory, ShownAuditOutcome, ShownAuditSeverity,
    ShownMembership, ShownModel, ShownNodeStatus, ShownReason, ShownShortfall, ShownSource, ShownStatus, object,
    object_text,
};
#[cfg(feature = "fuzz")]
pub(crate) use steps::take_steps;
pub(crate) use stream::{Lists, ObjectStream};
pub(crate) use value::{Large, Name, Text, Whole, WireText, WireValue, key_segments, not_one_of};
