//! Domain values on the wire: parsing and schemas. One trait for JSON values, one for texts.
//!
//! Paths and queries contain texts too, so a type that is parsed [from a text](WireText) works in all three places.

use super::field::{Fault, Faults, JsonPointer};
use super::json::{Json, MAX_VALUES, Number};
use super::schema::{Components, string, words};
use canopy_domain::assignment::listing::AssignmentSort;
use canopy_domain::audit::{ActorType, AuditCategory, AuditEventId, AuditOutcome, AuditSeverity};
use canopy_domain::identity::listing::{IdentitySort, IdentityStatus};
use canopy_domain::role::listing::RoleTypeFilter;
use canopy_domain::transfer::{SlugPath, SlugPathError};
use canopy_domain::{
    AccessModel, AccessType, AccountId, ApiKeyId, ApplicationId, AssignmentId, AssignmentStatus, AvatarUrl,
    AvatarUrlError, Category, Description, DisplayName, Email, EmailError, EnvironmentId, ExternalId, IdentityId,
    JsonObject, JsonObjectError, NodeId, NodeStatus, NodeType, NodeTypeError, PermissionId, PermissionKey,
    PermissionKeyError, PermissionSource, PersonName, RoleId, RoleName, SearchError, Slug, SlugError, SortOrder,
    TextError, Timestamp, TimestampError,
};
use std::collections::BTreeMap;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

/// A value that is read from JSON.
pub(crate) trait WireValue: Sized {
    /// Parses the value; notes its faults, and then returns `None`.
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self>;

    /// True if it has members that are refused as unsupported.
    const UNSUPPORTED: bool = false;

    /// Maximum number of JSON values in a body with this field.
    const MAX_VALUES: usize = MAX_VALUES;

    /// Returns whether this value equals an absent one, where it may be absent.
    fn is_null(json: &Json<'_>) -> bool {
        *json == Json::Null
    }

    /// Returns whether a call with this body writes nothing, as a dry run does.
    fn writes_nothing(&self) -> bool {
        false
    }

    /// Returns its schema; named schemas are added to the components.
    fn schema(components: &mut Components) -> RefOr<Schema>;

    /// Returns the value as JSON, if it can be a default in a schema.
    fn as_default(&self) -> Option<serde_json::Value> {
        None
    }
}

/// A value that is read from a text.
pub(crate) trait WireText: Sized {
    /// Parses the text.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// Returns the schema of the text.
    fn describe() -> Object;

    /// Returns its word, if it can be a default in a schema.
    fn word(&self) -> Option<&'static str> {
        None
    }

    /// True if a blank text equals an absent one, where it may be absent.
    const BLANK_IS_NULL: bool = false;
}

impl<T: WireText> WireValue for T {
    fn is_null(json: &Json<'_>) -> bool {
        match json {
            Json::Null => true,
            Json::String(text) => T::BLANK_IS_NULL && text.trim().is_empty(),
            _ => false,
        }
    }

    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let result = match json {
            Json::String(text) => T::parse(text),
            other => Err(Fault::wrong_type("a string", other.kind())),
        };
        faults.keep(place, result)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        Self::describe().into()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        self.word().map(Into::into)
    }
}

impl From<TextError> for Fault {
    fn from(error: TextError) -> Self {
        let code = match error {
            TextError::Empty => "empty",
            TextError::TooLong { .. } => "too_long",
            TextError::Control => "control_character",
            TextError::Hidden => "hidden_character",
            TextError::Invisible => "no_visible_character",
        };
        Self::new(code, error.to_string())
    }
}

impl From<AvatarUrlError> for Fault {
    fn from(error: AvatarUrlError) -> Self {
        match error {
            AvatarUrlError::Text(error) => error.into(),
            AvatarUrlError::NotHttp => Self::new("invalid_url", error.to_string()),
        }
    }
}

impl From<SearchError> for Fault {
    fn from(error: SearchError) -> Self {
        Self::new("too_many_words", error.to_string())
    }
}

impl From<JsonObjectError> for Fault {
    fn from(error: JsonObjectError) -> Self {
        let code = match error {
            JsonObjectError::NotAnObject => "wrong_type",
            JsonObjectError::TooLarge { .. } => "too_large",
        };
        Self::new(code, error.to_string())
    }
}

impl From<PermissionKeyError> for Fault {
    fn from(error: PermissionKeyError) -> Self {
        let code = match error {
            PermissionKeyError::TooLong => "too_long",
            PermissionKeyError::TooFewSegments | PermissionKeyError::SegmentLength | PermissionKeyError::Character => {
                "invalid_permission_key"
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<TimestampError> for Fault {
    fn from(error: TimestampError) -> Self {
        let code = match error {
            TimestampError::Format => "invalid_timestamp",
            TimestampError::Range => "out_of_range",
        };
        Self::new(code, error.to_string())
    }
}

impl From<SlugError> for Fault {
    fn from(error: SlugError) -> Self {
        Self::new("invalid_slug", error.to_string())
    }
}

impl From<SlugPathError> for Fault {
    fn from(error: SlugPathError) -> Self {
        match error {
            SlugPathError::TooLong { .. } => Self::new("too_long", error.to_string()),
            SlugPathError::Slug(error) => error.into(),
        }
    }
}

impl From<EmailError> for Fault {
    fn from(error: EmailError) -> Self {
        Self::new("invalid_email", error.to_string())
    }
}

impl From<NodeTypeError> for Fault {
    fn from(error: NodeTypeError) -> Self {
        Self::new("invalid_node_type", error.to_string())
    }
}

/// The schema of names of people and things: at least one visible character, no control characters.
const PRINTABLE: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// The pattern of the URL of a picture.
const HTTP_URL: &str =
    r#"^\s*[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#:<>"\\\u0000-\u001f\u007f-\u009f][^\s<>"\\\u0000-\u001f\u007f-\u009f]*\s*$"#;

macro_rules! texts {
    ($($type:ty => $min:expr, $max:expr, $pattern:expr;)+) => {
        $(impl WireText for $type {
            fn parse(text: &str) -> Result<Self, Fault> {
                Ok(<$type>::parse(text)?)
            }

            fn describe() -> Object {
                string($min, $max).pattern(Some($pattern)).build()
            }
        })+
    };
}

texts!(
    DisplayName => 1, DisplayName::MAX_CHARS, PRINTABLE;
    Category => 1, Category::MAX_CHARS, PRINTABLE;
    RoleName => 1, RoleName::MAX_CHARS, PRINTABLE;
    PersonName => 1, PersonName::MAX_CHARS, PRINTABLE;
    ExternalId => 1, ExternalId::MAX_CHARS, PRINTABLE;
    AvatarUrl => 8, AvatarUrl::MAX_CHARS, HTTP_URL;
    Slug => 1, Slug::MAX_CHARS, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
    SlugPath => 1, SlugPath::MAX_CHARS, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(/[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
    NodeType => 1, NodeType::MAX_CHARS, "^[A-Za-z0-9_-]+$";
    PermissionKey => 3, PermissionKey::MAX_CHARS, "^[A-Za-z0-9_/:-]{1,100}(\\.[A-Za-z0-9_/:-]{1,100})+$";
);

impl WireText for Description {
    /// An empty form field is sent as `""`.
    const BLANK_IS_NULL: bool = true;

    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self::parse(text)?)
    }

    fn describe() -> Object {
        string(0, Self::MAX_CHARS)
            .pattern(Some(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"))
            .build()
    }
}

/// Returns the schema of a part of a permission key.
pub(crate) fn key_segments() -> Object {
    string(1, PermissionKey::MAX_CHARS)
        .pattern(Some("^[A-Za-z0-9_/:-]{1,100}(\\.[A-Za-z0-9_/:-]{1,100})*$"))
        .build()
}

impl WireText for Email {
    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self::parse(text)?)
    }

    fn describe() -> Object {
        string(3, Self::MAX_CHARS)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .build()
    }
}

impl WireText for Timestamp {
    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self::parse(text)?)
    }

    fn describe() -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .build()
    }
}

macro_rules! ids {
    ($($type:ty),+) => {
        $(impl WireText for $type {
            fn parse(text: &str) -> Result<Self, Fault> {
                uuid(text).map(<$type>::new)
            }

            fn describe() -> Object {
                uuid_schema()
            }
        })+
    };
}

ids!(
    ApiKeyId,
    AccountId,
    ApplicationId,
    EnvironmentId,
    IdentityId,
    RoleId,
    PermissionId,
    NodeId,
    AssignmentId,
    AuditEventId
);

/// Parses the hyphenated form of a UUID, of any version.
fn uuid(text: &str) -> Result<Uuid, Fault> {
    let parsed = if text.len() == 36 {
        Uuid::try_parse(text).ok()
    } else {
        None
    };
    parsed.ok_or_else(|| Fault::new("invalid_uuid", "must be a UUID"))
}

fn uuid_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .build()
}

macro_rules! word_sets {
    ($($type:ty),+) => {
        $(impl WireText for $type {
            fn parse(text: &str) -> Result<Self, Fault> {
                <$type>::parse(text).ok_or_else(|| not_one_of(<$type>::ALL.iter().map(|one| one.as_str())))
            }

            fn describe() -> Object {
                words(<$type>::ALL.iter().map(|one| one.as_str()))
            }

            fn word(&self) -> Option<&'static str> {
                Some(self.as_str())
            }
        })+
    };
}

word_sets!(
    AccessModel,
    AccessType,
    ActorType,
    AssignmentSort,
    AssignmentStatus,
    AuditCategory,
    AuditOutcome,
    AuditSeverity,
    IdentitySort,
    IdentityStatus,
    NodeStatus,
    PermissionSource,
    RoleTypeFilter,
    SortOrder
);

/// Returns the fault of a text that is none of these words.
pub(crate) fn not_one_of(words: impl Iterator<Item = &'static str>) -> Fault {
    let words: Vec<&str> = words.collect();
    Fault::new("not_one_of", format!("must be one of: {}", words.join(", ")))
}

/// A text that the rules look up but do not validate, such as the `ref` of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    const MAX_CHARS: usize = 255;
}

impl WireText for Name {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(TextError::Empty.into());
        }
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(TextError::TooLong { max: Self::MAX_CHARS }.into());
        }
        Ok(Self(text.to_owned()))
    }

    fn describe() -> Object {
        string(1, Self::MAX_CHARS).build()
    }
}

/// Any text. It is looked up as it is and may be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl WireText for Text {
    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self(text.to_owned()))
    }

    fn describe() -> Object {
        ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build()
    }
}

impl WireValue for bool {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let result = match json {
            Json::Bool(value) => Ok(*value),
            other => Err(Fault::wrong_type("a boolean", other.kind())),
        };
        faults.keep(place, result)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Boolean))
            .build()
            .into()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        Some((*self).into())
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    pub(crate) fn fault() -> Fault {
        Fault::new("out_of_range", format!("must be a whole number from {MIN} to {MAX}"))
    }

    pub(crate) fn checked(number: u64) -> Result<Self, Fault> {
        let number = u32::try_from(number).map_err(|_| Self::fault())?;
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Self::fault())
        }
    }

    pub(crate) fn describe() -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .build()
    }
}

/// Returns the value of a whole number, however it is spelled: `12`, `12.0` and `1.2e1` are equal in JSON Schema.
fn whole(number: Number<'_>) -> Option<u64> {
    /// Up to here each whole number has its own double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_u64().or_else(|| {
        let value = number.as_f64()?;
        let is_whole = (0.0..=EXACT).contains(&value) && value.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and exact, as was just found"
        )]
        let whole = value as u64;
        is_whole.then_some(whole)
    })
}

impl<const MIN: u32, const MAX: u32> WireValue for Whole<MIN, MAX> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let result = match json {
            Json::Number(number) => whole(*number).ok_or_else(Self::fault).and_then(Self::checked),
            other => Err(Fault::wrong_type("a number", other.kind())),
        };
        faults.keep(place, result)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        Self::describe().into()
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        Some(self.0.into())
    }
}

impl WireValue for JsonObject {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let result = match json {
            Json::Object(_) if json.depth() > Self::MAX_DEPTH => Err(Fault::too_deep(Self::MAX_DEPTH)),
            Json::Object(_) => {
                let text = serde_json::to_string(json).unwrap_or_default();
                Self::parse(&text).map_err(Fault::from)
            }
            other => Err(Fault::wrong_type("an object", other.kind())),
        };
        faults.keep(place, result)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .build()
            .into()
    }
}

/// A body that may have more JSON values than others.
#[derive(Debug)]
pub(crate) struct Large<T>(pub(crate) T);

impl<T: WireValue> WireValue for Large<T> {
    const UNSUPPORTED: bool = T::UNSUPPORTED;
    const MAX_VALUES: usize = 1_500_000;

    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        T::read(json, place, faults).map(Self)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        T::schema(components)
    }
}

impl<K: WireText + Ord, V: WireValue> WireValue for BTreeMap<K, V> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let Json::Object(entries) = json else {
            faults.add(place, Fault::wrong_type("an object", json.kind()));
            return None;
        };
        let mut map = Self::new();
        for (name, value) in entries {
            let at = JsonPointer::Member(place, name);
            // The value of a bad name is skipped: its faults would all repeat the name.
            if let Some(key) = faults.keep(&at, K::parse(name))
                && let Some(value) = V::read(value, &at, faults)
            {
                map.insert(key, value);
            }
        }
        (map.len() == entries.len()).then_some(map)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .property_names(Some(Schema::Object(K::describe())))
            .additional_properties(Some(AdditionalProperties::RefOr(V::schema(components))))
            .build()
            .into()
    }
}
