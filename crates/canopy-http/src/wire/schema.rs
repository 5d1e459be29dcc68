//! Builders of OpenAPI schemas, and the collection of named ones.

use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOf, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// The named schemas of the document.
pub(crate) struct Components {
    named: BTreeMap<String, RefOr<Schema>>,
    max_items: usize,
}

impl Components {
    /// Creates an empty collection for an installation with this limit on the items of a bulk call.
    pub(crate) const fn of_lists_up_to(max_items: usize) -> Self {
        Self {
            named: BTreeMap::new(),
            max_items,
        }
    }

    /// Returns the maximum number of items in the list of a bulk call.
    pub(crate) const fn max_items(&self) -> usize {
        self.max_items
    }

    /// Adds a named schema, unless it is known, and returns a reference to it.
    pub(crate) fn named(&mut self, name: &'static str, make: impl FnOnce(&mut Self) -> RefOr<Schema>) -> RefOr<Schema> {
        if !self.named.contains_key(name) {
            let schema = make(self);
            self.named.insert(name.to_owned(), schema);
        }
        Ref::from_schema_name(name).into()
    }

    /// Adds the schema of a response and all schemas it refers to. Nullable members are always present, so they are
    /// required like the others.
    pub(crate) fn answer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        if !self.named.contains_key(&name) {
            let mut used = vec![(name.clone(), T::schema())];
            T::schemas(&mut used);
            for (name, schema) in used {
                self.named.entry(name).or_insert_with(|| nullables_required(schema));
            }
        }
        Ref::from_schema_name(name).into()
    }

    /// Returns all named schemas.
    pub(crate) fn into_inner(self) -> BTreeMap<String, RefOr<Schema>> {
        self.named
    }
}

fn nullables_required(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            let given = core::mem::take(&mut object.required);
            let required = object
                .properties
                .iter()
                .filter(|(name, schema)| given.contains(name) || may_be_null(schema));
            object.required = required.map(|(name, _)| name.clone()).collect();
            Schema::Object(object).into()
        }
        other => other,
    }
}

fn may_be_null(schema: &RefOr<Schema>) -> bool {
    let is_null = |one: &SchemaType| match one {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(all) => all.contains(&Type::Null),
        SchemaType::AnyValue => true,
    };
    match schema {
        RefOr::T(Schema::Object(object)) => is_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => is_null(&array.schema_type),
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(may_be_null),
        RefOr::T(Schema::AnyOf(any)) => any.items.iter().any(may_be_null),
        _ => false,
    }
}

/// Describes a text of `min` to `max` characters.
pub(crate) fn string(min: usize, max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(min))
        .max_length(Some(max))
}

/// Describes one of these words.
pub(crate) fn words(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .enum_values(Some(words))
        .build()
}

/// Describes any value.
pub(crate) fn anything() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

/// Describes a list of `min` to `max` items.
pub(crate) fn array(items: RefOr<Schema>, min: usize, max: usize) -> RefOr<Schema> {
    let array = ArrayBuilder::new().items(items).max_items(Some(max));
    let array = if min > 0 { array.min_items(Some(min)) } else { array };
    array.build().into()
}

/// Returns the schema, or `null`.
pub(crate) fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = match object.schema_type {
                SchemaType::Type(one) => SchemaType::Array(vec![one, Type::Null]),
                other => other,
            };
            if let Some(values) = object.enum_values.as_mut() {
                values.push(serde_json::Value::Null);
            }
            Schema::Object(object).into()
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = SchemaType::Array(vec![Type::Array, Type::Null]);
            Schema::Array(array).into()
        }
        other => {
            let mut any = AnyOf::new();
            any.items.push(other);
            any.items.push(
                ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::Null))
                    .build()
                    .into(),
            );
            Schema::AnyOf(any).into()
        }
    }
}

/// Returns the schema with a description, if it can carry one.
pub(crate) fn described(schema: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    let text = Some(description.to_owned()).filter(|text| !text.is_empty());
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = text;
            Schema::Object(object).into()
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = text;
            Schema::Array(array).into()
        }
        RefOr::T(Schema::AnyOf(mut any)) => {
            any.description = text;
            Schema::AnyOf(any).into()
        }
        other => other,
    }
}

/// Returns the schema with a default.
pub(crate) fn defaulted(schema: RefOr<Schema>, default: Option<serde_json::Value>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.default = default;
            Schema::Object(object).into()
        }
        other => other,
    }
}
