//! Response types. Each declares its status, headers and schema, so the document matches what is sent.

use crate::error_code::ErrorCode;
use crate::rendered::{Rendered, TooLarge};
use crate::wire::Components;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use canopy_domain::{Page, PageRequest, Revision};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

/// The header with the revision of the environment at which a check was judged.
static REVISION: HeaderName = HeaderName::from_static("canopy-revision");

/// A successful response that a call can return.
pub(crate) struct Success {
    pub(crate) status: StatusCode,
    pub(crate) description: &'static str,
    pub(crate) schema: Option<RefOr<Schema>>,
    /// Names and meanings of its headers.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Success {
    fn new(status: StatusCode, description: &'static str, schema: RefOr<Schema>) -> Self {
        Self {
            status,
            description,
            schema: Some(schema),
            headers: Vec::new(),
        }
    }

    fn with_etag<T: Representation>(mut self) -> Self {
        if T::VERSIONED {
            self.headers
                .push(("ETag", "The version, as an entity tag for `If-Match`."));
        }
        self
    }
}

/// The successful response of a handler.
pub(crate) trait Answer: Send {
    /// True if the response is stored and replayed when the request is repeated.
    const REPEATABLE: bool = false;

    /// Describes the possible responses.
    fn describe(components: &mut Components) -> Vec<Success>;

    /// Estimates the size of the body in bytes.
    fn weight(&self) -> usize {
        0
    }

    /// Renders the response to a request for `path`, in at most `max_bytes` bytes.
    fn render(self, path: &str, max_bytes: usize) -> Result<Rendered, TooLarge>;

    /// Returns the response that is stored for repetitions, without secrets that are shown only once.
    #[must_use]
    fn kept(self) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// Returns the member of the body whose items the response echoes, and which [`kept`](Self::kept) omits.
    fn kept_input(&self) -> Option<Cow<'static, str>> {
        None
    }

    /// Returns the codes of refused items, where each item has its own.
    fn item_codes(&self) -> BTreeSet<ErrorCode> {
        BTreeSet::new()
    }
}

/// The wire form of a resource.
pub(crate) trait Representation: Serialize + ToSchema + Send {
    /// Estimates its size as JSON in bytes, where it may be large.
    fn weight(&self) -> usize {
        0
    }

    /// True if the resource has a version.
    const VERSIONED: bool = false;

    /// Returns its version.
    fn version(&self) -> Option<u32> {
        None
    }

    /// Returns the response that is stored for repetitions of its request, without secrets that are shown only once.
    #[must_use]
    fn kept(self) -> Self
    where
        Self: Sized,
    {
        self
    }
}

fn send<T: Representation>(status: StatusCode, body: &T, max_bytes: usize) -> Result<Rendered, TooLarge> {
    let rendered = Rendered::json(status, body, (body.weight(), max_bytes))?;
    let tag = body
        .version()
        .and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok());
    Ok(match tag {
        Some(tag) => rendered.with(ETAG, tag),
        None => rendered,
    })
}

/// Estimated size of a list item as JSON, in bytes.
const ITEM_BYTES: usize = 320;

/// 200 with a resource.
pub(crate) struct Found<T>(pub(crate) T);

impl<T: Representation> Answer for Found<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        vec![Success::new(StatusCode::OK, "Done.", components.answer::<T>()).with_etag::<T>()]
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        send(StatusCode::OK, &self.0, max_bytes)
    }

    fn kept(self) -> Self {
        Self(self.0.kept())
    }
}

/// 201 with the created resource.
pub(crate) struct Made<T>(pub(crate) T);

impl<T: Representation> Answer for Made<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        vec![Success::new(StatusCode::CREATED, "Created.", components.answer::<T>()).with_etag::<T>()]
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        send(StatusCode::CREATED, &self.0, max_bytes)
    }
}

/// 201 with the created resource and its path: `name` below the path of the request.
pub(crate) struct Created<T> {
    pub(crate) body: T,
    pub(crate) name: String,
}

impl<T: Representation> Answer for Created<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let mut success = Success::new(StatusCode::CREATED, "Created.", components.answer::<T>()).with_etag::<T>();
        success.headers.push(("Location", "The path of the created resource."));
        vec![success]
    }

    fn render(self, path: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        let rendered = send(StatusCode::CREATED, &self.body, max_bytes)?;
        Ok(match HeaderValue::from_str(&format!("{path}/{}", self.name)) {
            Ok(value) => rendered.with(LOCATION, value),
            Err(_) => rendered,
        })
    }

    fn kept(self) -> Self {
        Self {
            body: self.body.kept(),
            ..self
        }
    }
}

/// 204 without a body.
pub(crate) struct NoContent;

impl Answer for NoContent {
    fn describe(_: &mut Components) -> Vec<Success> {
        vec![Success {
            status: StatusCode::NO_CONTENT,
            description: "Done.",
            schema: None,
            headers: Vec::new(),
        }]
    }

    fn render(self, _: &str, _: usize) -> Result<Rendered, TooLarge> {
        Ok(Rendered::empty(StatusCode::NO_CONTENT))
    }
}

/// A complete list.
#[derive(Serialize)]
pub(crate) struct Listing<T> {
    pub(crate) items: Vec<T>,
}

impl<T> Listing<T> {
    /// Maps items to their wire form and returns them as a list.
    pub(crate) fn of<S>(items: Vec<S>, show: impl FnMut(S) -> T) -> Self {
        Self {
            items: items.into_iter().map(show).collect(),
        }
    }
}

fn items_schema(items: RefOr<Schema>) -> ObjectBuilder {
    ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(items).build())
        .required("items")
}

impl<T: Serialize + ToSchema + Send> Answer for Listing<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let schema = items_schema(components.answer::<T>()).build().into();
        vec![Success::new(StatusCode::OK, "The list.", schema)]
    }

    fn weight(&self) -> usize {
        self.items.len() * ITEM_BYTES
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        Rendered::json(StatusCode::OK, &self, (Answer::weight(&self), max_bytes))
    }
}

/// 201 with all created resources.
pub(crate) struct MadeAll<T>(pub(crate) Listing<T>);

impl<T: Serialize + ToSchema + Send> Answer for MadeAll<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let schema = items_schema(components.answer::<T>()).build().into();
        vec![Success::new(StatusCode::CREATED, "All items were created.", schema)]
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        Rendered::json(StatusCode::CREATED, &self.0, (self.0.weight(), max_bytes))
    }
}

/// One page of a list.
#[derive(Serialize)]
pub(crate) struct PageOf<T> {
    items: Vec<T>,
    pagination: Pagination,
}

/// The position of a page in its list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pagination {
    /// The number of this page, counted from 1.
    page: u32,
    /// Number of items on a full page.
    take: u32,
    /// Number of items in the whole list.
    item_count: u64,
    /// Number of pages of the whole list.
    page_count: u64,
    /// True if a page comes before this one.
    has_previous_page: bool,
    /// True if a page comes after this one.
    has_next_page: bool,
}

impl<T> PageOf<T> {
    /// Maps the items of a page to their wire form.
    pub(crate) fn of<S>(asked: PageRequest, page: Page<S>, show: impl FnMut(S) -> T) -> Self {
        let page_count = page.item_count.div_ceil(u64::from(asked.take()));
        let number = u64::from(asked.number());
        Self {
            items: page.items.into_iter().map(show).collect(),
            pagination: Pagination {
                page: asked.number(),
                take: asked.take(),
                item_count: page.item_count,
                page_count,
                has_previous_page: number > 1 && page_count > 0,
                has_next_page: number < page_count,
            },
        }
    }
}

impl<T: Serialize + ToSchema + Send> Answer for PageOf<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let pagination = components.answer::<Pagination>();
        let schema = items_schema(components.answer::<T>())
            .property("pagination", pagination)
            .required("pagination")
            .build()
            .into();
        vec![Success::new(StatusCode::OK, "The page.", schema)]
    }

    fn weight(&self) -> usize {
        self.items.len() * ITEM_BYTES
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        Rendered::json(StatusCode::OK, &self, (Answer::weight(&self), max_bytes))
    }
}

/// One page of a list with cursor pagination.
#[derive(Serialize)]
pub(crate) struct CursorPage<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> CursorPage<T> {
    /// Maps the items of a page to their wire form.
    pub(crate) fn of<S>(items: Vec<S>, next_cursor: Option<String>, show: impl FnMut(S) -> T) -> Self {
        Self {
            items: items.into_iter().map(show).collect(),
            next_cursor,
        }
    }
}

impl<T: Serialize + ToSchema + Send> Answer for CursorPage<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        use utoipa::openapi::Type;
        use utoipa::openapi::schema::SchemaType;
        let cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("The `cursor` of the next page; null at the end of the list."))
            .build();
        let schema = items_schema(components.answer::<T>())
            .property("next_cursor", cursor)
            .required("next_cursor")
            .build()
            .into();
        vec![Success::new(StatusCode::OK, "One page of the list.", schema)]
    }

    fn weight(&self) -> usize {
        self.items.len() * ITEM_BYTES
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        Rendered::json(StatusCode::OK, &self, (Answer::weight(&self), max_bytes))
    }
}

/// 200 with a result that was judged at a revision of the environment. `T` is its schema.
pub(crate) struct Judged<T> {
    json: Vec<u8>,
    revision: Revision,
    kind: core::marker::PhantomData<fn() -> T>,
}

impl<T> Judged<T> {
    /// Renders the body at once, so that it may borrow from the state it was judged by.
    pub(crate) fn new(body: &impl Serialize, revision: Revision) -> Self {
        Self::written(serde_json::to_vec(body).unwrap_or_default(), revision)
    }

    /// Wraps a body that is already rendered.
    pub(crate) const fn written(json: Vec<u8>, revision: Revision) -> Self {
        Self {
            json,
            revision,
            kind: core::marker::PhantomData,
        }
    }
}

impl<T: ToSchema> Answer for Judged<T> {
    fn describe(components: &mut Components) -> Vec<Success> {
        let mut success = Success::new(StatusCode::OK, "Judged.", components.answer::<T>());
        success.headers.push((
            "Canopy-Revision",
            "The revision of the environment at which it was evaluated.",
        ));
        vec![success]
    }

    fn render(self, _: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        if self.json.len() > max_bytes {
            return Err(TooLarge { max_bytes });
        }
        let rendered = Rendered {
            body: self.json.into(),
            ..Rendered::empty(StatusCode::OK)
        };
        Ok(rendered.with(REVISION.clone(), HeaderValue::from(self.revision.get())))
    }
}
