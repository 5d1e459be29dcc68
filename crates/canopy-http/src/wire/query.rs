//! Query strings: each is declared once, by [`request_query!`], with its domain values.

use super::field::{Fault, Faults};
use super::value::{Whole, WireText};
use canopy_domain::{PageRequest, SearchWords};
use percent_encoding::percent_decode_str;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Required, Schema};

/// A query string.
pub(crate) trait QueryInput: Sized {
    /// Reads the parameters; notes their faults.
    fn read(query: &QueryReader, faults: &mut Faults) -> Option<Self>;

    /// Returns whether a call with this query writes nothing, as a dry run does.
    fn writes_nothing(&self) -> bool {
        false
    }

    /// Returns the parameters.
    fn parameters() -> Vec<Parameter>;
}

/// No parameters.
impl QueryInput for () {
    fn read(query: &QueryReader, faults: &mut Faults) -> Option<Self> {
        query.refuse_others(&[], faults);
        Some(())
    }

    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }
}

/// The value of a parameter.
pub(crate) trait QueryValue: Sized {
    fn parse(text: &str) -> Result<Self, Fault>;
    fn describe() -> Object;
    fn as_default(&self) -> Option<serde_json::Value>;
}

impl<T: WireText> QueryValue for T {
    fn parse(text: &str) -> Result<Self, Fault> {
        T::parse(text)
    }

    fn describe() -> Object {
        T::describe()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        self.word().map(Into::into)
    }
}

impl QueryValue for bool {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(super::value::not_one_of(["true", "false"].into_iter())),
        }
    }

    fn describe() -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Boolean))
            .build()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        Some((*self).into())
    }
}

impl<const MIN: u32, const MAX: u32> QueryValue for Whole<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, Fault> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|_| digits);
        number.ok_or_else(Self::fault).and_then(Self::checked)
    }

    fn describe() -> Object {
        Self::describe()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        Some(self.0.into())
    }
}

/// The number of a page.
pub(crate) type PageNumber = Whole<1, { u32::MAX }>;
/// The size of a page.
pub(crate) type Take = Whole<1, { PageRequest::MAX_TAKE }>;

/// The page size of a list with cursor pagination.
pub(crate) type Limit = Whole<1, 200>;

/// Returns the page with this number and size.
pub(crate) fn page(number: PageNumber, take: Take) -> PageRequest {
    PageRequest::new(number.0, take.0).unwrap_or_default()
}

/// Search words; an empty text has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search(Option<SearchWords>);

impl Search {
    const MAX_CHARS: usize = 200;

    /// Returns a search that matches everything.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Returns the words, if there are any.
    pub(crate) fn words(self) -> Option<SearchWords> {
        self.0
    }
}

impl QueryValue for Search {
    fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(canopy_domain::TextError::TooLong { max: Self::MAX_CHARS }.into());
        }
        if text.chars().any(char::is_control) {
            return Err(canopy_domain::TextError::Control.into());
        }
        Ok(Self(SearchWords::parse(text)?))
    }

    fn describe() -> Object {
        super::schema::string(0, Self::MAX_CHARS)
            .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"))
            .build()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        None
    }
}

/// A parameter: a value is required, an `Option` may be absent.
pub(crate) trait QueryField: Sized {
    const REQUIRED: bool;
    fn read(query: &QueryReader, name: &str, faults: &mut Faults) -> Option<Self>;
    fn schema() -> Object;
}

impl<T: QueryValue> QueryField for T {
    const REQUIRED: bool = true;

    fn read(query: &QueryReader, name: &str, faults: &mut Faults) -> Option<Self> {
        match query.parameter(name) {
            None => {
                faults.add_parameter(name, Fault::required());
                None
            }
            Some(text) => query.keep(name, text.and_then(T::parse), faults),
        }
    }

    fn schema() -> Object {
        T::describe()
    }
}

impl<T: QueryValue> QueryField for Option<T> {
    const REQUIRED: bool = false;

    fn read(query: &QueryReader, name: &str, faults: &mut Faults) -> Option<Self> {
        match query.parameter(name) {
            None => Some(None),
            Some(text) => query.keep(name, text.and_then(T::parse), faults).map(Some),
        }
    }

    fn schema() -> Object {
        T::describe()
    }
}

/// Reads a parameter with a default.
pub(crate) fn query_or<T: QueryValue>(
    query: &QueryReader,
    name: &str,
    faults: &mut Faults,
    default: impl FnOnce() -> T,
) -> Option<T> {
    Option::<T>::read(query, name, faults).map(|given| given.unwrap_or_else(default))
}

/// The decoded parameters of a request; `None` for a value that cannot be decoded.
pub(crate) struct QueryReader {
    pairs: Vec<(String, Option<String>)>,
}

/// Decodes a name or value of a query: `+` is a space, `%` and two hex digits a byte, and the bytes are UTF-8. A `%`
/// without two digits is refused instead of read as it is, so that a caller's mistake is not hidden.
fn decoded(text: &str) -> Option<String> {
    let is_encoded = |behind: &str| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_encoded) {
        return None;
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

impl QueryReader {
    /// Decodes a query string.
    pub(crate) fn decode(query: &str) -> Self {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            // A name that cannot be decoded is unknown, and is shown as it was sent.
            (decoded(name).unwrap_or_else(|| name.to_owned()), decoded(value))
        });
        Self { pairs: pairs.collect() }
    }

    /// Returns the value of a parameter, if it is present, or its fault.
    fn parameter(&self, name: &str) -> Option<Result<&str, Fault>> {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| {
            let fault = || Fault::new("invalid_encoding", "must be percent-encoded UTF-8");
            value.as_deref().ok_or_else(fault)
        })
    }

    fn keep<T>(&self, name: &str, result: Result<T, Fault>, faults: &mut Faults) -> Option<T> {
        if self.pairs.iter().filter(|(key, _)| key == name).nth(1).is_some() {
            faults.add_parameter(name, Fault::new("repeated", "must not be given more than once"));
            return None;
        }
        result.map_err(|fault| faults.add_parameter(name, fault)).ok()
    }

    /// Notes every parameter with an unknown name.
    pub(crate) fn refuse_others(&self, known: &[&str], faults: &mut Faults) {
        for (name, _) in &self.pairs {
            if !known.contains(&name.as_str()) {
                faults.add_parameter(name, Fault::new("unknown_parameter", "is unknown"));
            }
        }
    }
}

/// Describes a parameter of the query.
pub(crate) fn query_parameter(name: &str, mut schema: Object, required: bool, description: &str) -> Parameter {
    schema.description = None;
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description))
        .schema(Some(Schema::Object(schema)))
        .build()
}

/// Declares a query: a struct of domain values, a reader that finds all faults at once, and its parameters. A query
/// `writes nothing with` a parameter that is true.
macro_rules! request_query {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $($(#[doc = $field_doc:literal])* $field:ident $(as $wire:literal)?: $type:ty $(= $default:expr)?,)*
        }
        $(writes nothing with $dry_run:ident)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $vis $field: $type,)*
        }

        impl $crate::wire::QueryInput for $name {
            $(fn writes_nothing(&self) -> bool { self.$dry_run })?

            fn read(query: &$crate::wire::QueryReader, faults: &mut $crate::wire::Faults) -> Option<Self> {
                $(let $field = $crate::wire::request_query!(
                    @read query, $crate::wire::request_body!(@name $field $($wire)?), faults, $type $(, $default)?
                );)*
                query.refuse_others(&[$($crate::wire::request_body!(@name $field $($wire)?)),*], faults);
                Some(Self { $($field: $field?),* })
            }

            fn parameters() -> Vec<utoipa::openapi::path::Parameter> {
                vec![$($crate::wire::query_parameter(
                    $crate::wire::request_body!(@name $field $($wire)?),
                    $crate::wire::request_query!(@schema $type $(, $default)?),
                    $crate::wire::request_query!(@required $type $(, $default)?),
                    concat!($($field_doc),*).trim(),
                )),*]
            }
        }
    };
    (@read $query:ident, $name:expr, $faults:ident, $type:ty) => {
        <$type as $crate::wire::QueryField>::read($query, $name, $faults)
    };
    (@read $query:ident, $name:expr, $faults:ident, $type:ty, $default:expr) => {
        $crate::wire::query_or::<$type>($query, $name, $faults, || $default)
    };
    (@schema $type:ty) => { <$type as $crate::wire::QueryField>::schema() };
    (@schema $type:ty, $default:expr) => {{
        let mut schema = <$type as $crate::wire::QueryField>::schema();
        schema.default = $crate::wire::QueryValue::as_default(&{ let default: $type = $default; default });
        schema
    }};
    (@required $type:ty) => { <$type as $crate::wire::QueryField>::REQUIRED };
    (@required $type:ty, $default:expr) => { false };
}
pub(crate) use request_query;

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::{RoleId, SortOrder};

    request_query!(
        /// A list.
        struct List {
            /// The page.
            page: PageNumber = Whole(1),
            take: Take = Whole(20),
            order: SortOrder = SortOrder::Ascending,
            role_id: Option<RoleId>,
            q: Search = Search::none(),
            force: bool = false,
        }
    );

    fn read(query: &str) -> (Option<List>, Vec<String>) {
        let mut faults = Faults::default();
        let list = List::read(&QueryReader::decode(query), &mut faults);
        let (listed, _) = faults.into_parts();
        let listed = listed.iter().map(|fault| {
            let fault = serde_json::to_value(fault).unwrap();
            format!(
                "{} {}",
                fault["path"].as_str().unwrap(),
                fault["code"].as_str().unwrap()
            )
        });
        (list, listed.collect())
    }

    #[test]
    fn defaults_stand_in_and_values_are_parsed() {
        let list = read("").0.unwrap();
        assert_eq!(
            (list.page.0, list.take.0, list.order, list.force),
            (1, 20, SortOrder::Ascending, false)
        );
        assert_eq!((list.role_id, list.q.words()), (None, None));
        let list = read("page=3&take=100&order=desc&q=%20GR%C3%9C%C3%9FE+x&force=true")
            .0
            .unwrap();
        assert_eq!(
            (list.page.0, list.take.0, list.order, list.force),
            (3, 100, SortOrder::Descending, true)
        );
        let words = |search: super::Search| search.words().map(|words| words.words().to_vec());
        assert_eq!(words(list.q), Some(vec!["grüsse".to_owned(), "x".to_owned()]));
        let odd = read("&&q=a=b%26%3d+%2B&").0.unwrap();
        assert_eq!(words(odd.q), Some(vec!["a=b&=".to_owned(), "+".to_owned()]));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_where_it_stands() {
        assert_eq!(
            read("q=%ff&force=%zz").1,
            ["/q invalid_encoding", "/force invalid_encoding"]
        );
        assert_eq!(read("%ff=1").1, ["/%ff unknown_parameter"]);
    }

    #[test]
    fn nothing_is_clamped_and_all_faults_are_found_at_once() {
        let (list, faults) = read("page=0&take=101&order=up&role_id=7&q=a%00&force=1&force=true&x=1");
        assert!(list.is_none());
        assert_eq!(
            faults,
            [
                "/page out_of_range",
                "/take out_of_range",
                "/order not_one_of",
                "/role_id invalid_uuid",
                "/q control_character",
                "/force repeated",
                "/x unknown_parameter",
            ]
        );
        for bad in [
            "page=+1",
            "page=-1",
            "page=1.0",
            "page=",
            "page=99999999999999999999",
            "page=4294967296",
            "q=%ff",
            "q=%zz",
            "q=%4",
            "%ff=1",
            "take=20%",
            "take=0",
        ] {
            assert_eq!(read(bad).1.len(), 1, "{bad}");
        }
    }
}
