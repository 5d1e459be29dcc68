//! Request bodies: each is declared once, by [`request_body!`], with its domain values.

use super::field::{Fault, Faults, JsonPointer};
use super::json::Json;
use super::schema::{Components, defaulted, nullable};
use super::value::WireValue;
use canopy_domain::Edit;
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};

/// A member of a body: a value is required, an `Option` may be absent or `null`, an [`Edit`] distinguishes the two.
pub(crate) trait WireField: Sized {
    /// True if the member is required.
    const REQUIRED: bool;

    /// Reads the member; notes its faults.
    fn read_member(object: &ObjectReader<'_, '_>, name: &str, faults: &mut Faults) -> Option<Self>;

    /// Returns the schema of the member.
    fn member_schema(components: &mut Components) -> RefOr<Schema>;
}

impl<T: WireValue> WireField for T {
    const REQUIRED: bool = true;

    fn read_member(object: &ObjectReader<'_, '_>, name: &str, faults: &mut Faults) -> Option<Self> {
        match object.member(name) {
            None | Some(Json::Null) => {
                faults.add(&JsonPointer::Member(object.place, name), Fault::required());
                None
            }
            Some(json) => T::read(json, &JsonPointer::Member(object.place, name), faults),
        }
    }

    fn member_schema(components: &mut Components) -> RefOr<Schema> {
        <T as WireValue>::schema(components)
    }
}

impl<T: WireValue> WireField for Option<T> {
    const REQUIRED: bool = false;

    fn read_member(object: &ObjectReader<'_, '_>, name: &str, faults: &mut Faults) -> Option<Self> {
        match object.member(name) {
            None => Some(None),
            Some(json) if T::is_null(json) => Some(None),
            Some(json) => T::read(json, &JsonPointer::Member(object.place, name), faults).map(Some),
        }
    }

    fn member_schema(components: &mut Components) -> RefOr<Schema> {
        nullable(<T as WireValue>::schema(components))
    }
}

impl<T: WireValue> WireField for Edit<T> {
    const REQUIRED: bool = false;

    fn read_member(object: &ObjectReader<'_, '_>, name: &str, faults: &mut Faults) -> Option<Self> {
        match object.member(name) {
            None => Some(Self::Keep),
            Some(json) if T::is_null(json) => Some(Self::Clear),
            Some(json) => T::read(json, &JsonPointer::Member(object.place, name), faults).map(Self::Set),
        }
    }

    fn member_schema(components: &mut Components) -> RefOr<Schema> {
        nullable(<T as WireValue>::schema(components))
    }
}

/// A member of a body that may be absent or set, but not cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<T>(pub(crate) Option<T>);

impl<T: WireValue> WireField for Given<T> {
    const REQUIRED: bool = false;

    fn read_member(object: &ObjectReader<'_, '_>, name: &str, faults: &mut Faults) -> Option<Self> {
        match object.member(name) {
            None => Some(Self(None)),
            Some(Json::Null) => {
                let fault = Fault::new("required", "may be omitted, but cannot be null");
                faults.add(&JsonPointer::Member(object.place, name), fault);
                None
            }
            Some(json) => {
                T::read(json, &JsonPointer::Member(object.place, name), faults).map(|value| Self(Some(value)))
            }
        }
    }

    fn member_schema(components: &mut Components) -> RefOr<Schema> {
        <T as WireValue>::schema(components)
    }
}

/// Reads a member with a default.
pub(crate) fn read_or<T: WireValue>(
    object: &ObjectReader<'_, '_>,
    name: &str,
    faults: &mut Faults,
    default: impl FnOnce() -> T,
) -> Option<T> {
    Option::<T>::read_member(object, name, faults).map(|given| given.unwrap_or_else(default))
}

/// Returns the schema of a member with a default.
pub(crate) fn schema_or<T: WireValue>(components: &mut Components, default: impl FnOnce() -> T) -> RefOr<Schema> {
    defaulted(nullable(<T as WireValue>::schema(components)), default().as_default())
}

/// An object whose members are read by name.
pub(crate) struct ObjectReader<'j, 'p> {
    entries: &'j [(Cow<'j, str>, Json<'j>)],
    place: &'p JsonPointer<'p>,
}

impl<'j, 'p> ObjectReader<'j, 'p> {
    /// Opens a value, if it is an object.
    pub(crate) fn open(json: &'j Json<'j>, place: &'p JsonPointer<'p>, faults: &mut Faults) -> Option<Self> {
        if let Json::Object(entries) = json {
            Some(Self { entries, place })
        } else {
            faults.add(place, Fault::wrong_type("an object", json.kind()));
            None
        }
    }

    fn member(&self, name: &str) -> Option<&'j Json<'j>> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, json)| json)
    }

    /// Notes every member with an unknown name; `null` equals absent for unsupported members.
    pub(crate) fn refuse_others(&self, known: &[&str], unsupported: &[&str], faults: &mut Faults) {
        for (name, value) in self.entries {
            if unsupported.contains(&&**name) {
                if *value != Json::Null {
                    faults.add_unsupported(&JsonPointer::Member(self.place, name));
                }
            } else if !known.contains(&&**name) {
                faults.add(&JsonPointer::Member(self.place, name), Fault::unknown());
            }
        }
    }
}

/// Declares a body: a struct of domain values, a reader that finds all faults at once, and a schema.
///
/// A member is required unless its type is `Option` or [`Edit`] or it has a default. `as "name"` sets its name on the
/// wire. `unsupported` lists members that are refused with their own code. Undeclared members are refused unless the
/// body `ignores others`. A body `writes nothing with` a member that is true.
macro_rules! request_body {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $($(#[doc = $field_doc:literal])* $field:ident $(as $wire:literal)?: $type:ty $(= $default:expr)?,)*
        }
        $(unsupported [$($unsupported:literal),*])?
        $(ignores $others:ident)?
        $(writes nothing with $dry_run:ident)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $vis $field: $type,)*
        }

        impl $crate::wire::WireValue for $name {
            $(const UNSUPPORTED: bool = !<[&str]>::is_empty(&[$($unsupported),*]);)?
            $(fn writes_nothing(&self) -> bool { self.$dry_run })?

            fn read(
                json: &$crate::wire::Json<'_>,
                place: &$crate::wire::JsonPointer<'_>,
                faults: &mut $crate::wire::Faults,
            ) -> Option<Self> {
                let object = $crate::wire::ObjectReader::open(json, place, faults)?;
                $(let $field = $crate::wire::request_body!(
                    @read object, $crate::wire::request_body!(@name $field $($wire)?), faults, $type $(, $default)?
                );)*
                if !$crate::wire::request_body!(@lenient $($others)?) {
                    let known = [$($crate::wire::request_body!(@name $field $($wire)?)),*];
                    object.refuse_others(&known, &[$($($unsupported),*)?], faults);
                }
                Some(Self { $($field: $field?),* })
            }

            fn schema(components: &mut $crate::wire::Components) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                components.named(stringify!($name), |components| {
                    let mut object = utoipa::openapi::ObjectBuilder::new()
                        .description(Some(concat!($($doc),*).trim()))
                        .additional_properties(Some(
                            utoipa::openapi::schema::AdditionalProperties::<utoipa::openapi::Schema>::FreeForm(
                                $crate::wire::request_body!(@lenient $($others)?),
                            ),
                        ));
                    $(
                        let name = $crate::wire::request_body!(@name $field $($wire)?);
                        let schema = $crate::wire::request_body!(@schema components, $type $(, $default)?);
                        object = object.property(
                            name,
                            $crate::wire::described(schema, concat!($($field_doc),*).trim()),
                        );
                        if $crate::wire::request_body!(@required $type $(, $default)?) {
                            object = object.required(name);
                        }
                    )*
                    object.build().into()
                })
            }
        }
    };
    (@lenient) => { false };
    (@lenient others) => { true };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $wire:literal) => { $wire };
    (@read $object:ident, $name:expr, $faults:ident, $type:ty) => {
        <$type as $crate::wire::WireField>::read_member(&$object, $name, $faults)
    };
    (@read $object:ident, $name:expr, $faults:ident, $type:ty, $default:expr) => {
        $crate::wire::read_or::<$type>(&$object, $name, $faults, || $default)
    };
    (@schema $components:ident, $type:ty) => { <$type as $crate::wire::WireField>::member_schema($components) };
    (@schema $components:ident, $type:ty, $default:expr) => {
        $crate::wire::schema_or::<$type>($components, || $default)
    };
    (@required $type:ty) => { <$type as $crate::wire::WireField>::REQUIRED };
    (@required $type:ty, $default:expr) => { false };
}
pub(crate) use request_body;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::list::Batch;
    use canopy_domain::{RoleId, RoleName, Timestamp};

    request_body!(
        /// One item.
        struct Item {
            /// The role.
            role_id: RoleId,
            /// Until when.
            until as "effective_to": Edit<Timestamp>,
        }
        unsupported ["password"]
    );

    request_body!(
        /// A batch.
        struct Several {
            /// The items.
            items: Batch<Item>,
            name: Option<RoleName>,
            atomic: bool = true,
        }
    );

    request_body!(
        /// A change.
        struct Renaming {
            /// The name.
            name: Given<RoleName>,
        }
    );

    request_body!(
        /// A part of a standard.
        struct Loose {
            /// The name.
            name: RoleName,
        }
        ignores others
    );

    #[test]
    fn a_body_may_ignore_what_it_does_not_know() {
        let json = Json::parse(br#"{"name":"A","future":{"a":1}}"#, 100).unwrap();
        let mut faults = Faults::default();
        let body = Loose::read(&json, &JsonPointer::Root, &mut faults);
        assert_eq!(body.map(|body| body.name), RoleName::parse("A").ok());
        assert!(faults.is_empty());
        let mut components = Components::of_lists_up_to(10);
        Loose::schema(&mut components);
        let schemas = serde_json::to_value(components.into_inner()).unwrap();
        assert_eq!(schemas["Loose"]["additionalProperties"], true);
    }

    #[test]
    fn what_cannot_be_cleared_may_be_left_out_but_not_null() {
        let read = |text: &str| {
            let json = Json::parse(text.as_bytes(), 100).unwrap();
            let mut faults = Faults::default();
            let body = Renaming::read(&json, &JsonPointer::Root, &mut faults);
            (
                body.map(|body| body.name.0),
                serde_json::to_value(faults.into_parts().0).unwrap(),
            )
        };
        assert_eq!(read("{}"), (Some(None), serde_json::json!([])));
        assert_eq!(read(r#"{"name":"A"}"#).0, Some(Some(RoleName::parse("A").unwrap())));
        let (body, faults) = read(r#"{"name":null}"#);
        assert_eq!(
            (body, &faults[0]["code"], &faults[0]["path"]),
            (None, &"required".into(), &"/name".into())
        );
    }

    fn read(text: &str) -> (Option<Several>, Vec<String>) {
        let json = Json::parse(text.as_bytes(), 100).unwrap();
        let mut faults = Faults::default();
        let items = Several::read(&json, &JsonPointer::Root, &mut faults);
        let (listed, _) = faults.into_parts();
        let listed = listed.iter().map(|fault| {
            let fault = serde_json::to_value(fault).unwrap();
            format!(
                "{} {}",
                fault["path"].as_str().unwrap(),
                fault["code"].as_str().unwrap()
            )
        });
        (items, listed.collect())
    }

    #[test]
    fn absent_null_and_given_are_told_apart() {
        let id = "0198a7b1-7c3e-7000-8000-000000000001";
        let text = format!(
            r#"{{"items":[{{"role_id":"{id}"}},{{"role_id":"{id}","effective_to":null}},
                {{"role_id":"{id}","effective_to":"2026-04-20T12:00:00Z"}}],"name":null}}"#
        );
        let (items, faults) = read(&text);
        let items = items.unwrap();
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!((items.name, items.atomic), (None, true));
        let untils: Vec<_> = items.items.0.iter().map(|item| item.until).collect();
        let noon = Timestamp::parse("2026-04-20T12:00:00Z").unwrap();
        assert_eq!(untils, [Edit::Keep, Edit::Clear, Edit::Set(noon)]);
        assert_eq!(items.items.0[0].role_id.to_string(), id);
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let (items, faults) = read(
            r#"{"items":[{"role_id":7},{"effective_to":"soon","password":"x"},3],"name":" ","atomic":"yes","extra":1}"#,
        );
        assert!(items.is_none());
        assert_eq!(
            faults,
            [
                "/items/0/role_id wrong_type",
                "/items/1/role_id required",
                "/items/1/effective_to invalid_timestamp",
                "/items/1/password unsupported_field",
                "/items/2 wrong_type",
                "/name empty",
                "/atomic wrong_type",
                "/extra unknown_field",
            ]
        );
        assert_eq!(read(r#"{"items":[]}"#).1, ["/items empty"]);
        assert_eq!(read("[]").1, [" wrong_type"]);
    }

    #[test]
    fn the_schema_says_what_the_reader_does() {
        let mut components = Components::of_lists_up_to(7);
        Several::schema(&mut components);
        let schemas = serde_json::to_value(components.into_inner()).unwrap();
        assert_eq!(schemas["Several"]["required"], serde_json::json!(["items"]));
        assert_eq!(schemas["Several"]["additionalProperties"], false);
        assert_eq!(schemas["Several"]["properties"]["atomic"]["default"], true);
        assert_eq!(schemas["Several"]["properties"]["items"]["minItems"], 1);
        assert_eq!(
            schemas["Item"]["properties"]["effective_to"]["type"],
            serde_json::json!(["string", "null"])
        );
        assert_eq!(schemas["Item"]["description"], "One item.");
    }
}
