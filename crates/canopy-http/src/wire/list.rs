//! Lists in requests, and their limits.

use super::field::{Fault, Faults, JsonPointer, MAX_ITEMS};
use super::json::Json;
use super::schema::{Components, array};
use super::value::WireValue;
use canopy_domain::PermissionKey;
use std::collections::BTreeSet;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};

/// A list whose items are validated one by one: a bad item is replaced by its fault and does not spoil the others.
#[derive(Debug)]
pub(crate) struct Each<T>(pub(crate) Vec<Result<T, String>>);

impl<T: WireValue> WireValue for Each<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let items = read_items(json, place, faults, (0, faults.max_items()))?;
        let read = |item: &Json<'_>| {
            let mut own = Faults::default();
            T::read(item, &JsonPointer::Root, &mut own).ok_or_else(|| own.first().unwrap_or_default())
        };
        Some(Self(items.iter().map(read).collect()))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        let max = components.max_items();
        array(T::schema(components), 0, max)
    }
}

fn read_items<'j, 'a>(
    json: &'j Json<'a>,
    place: &JsonPointer<'_>,
    faults: &mut Faults,
    (min, max): (usize, usize),
) -> Option<&'j [Json<'a>]> {
    let result = match json {
        Json::Array(items) if items.len() < min => Err(Fault::new("empty", "must have at least one item")),
        Json::Array(items) if items.len() > max => {
            Err(Fault::new("too_many_items", format!("must have at most {max} items")))
        }
        Json::Array(items) => Ok(items.as_slice()),
        other => Err(Fault::wrong_type("a list", other.kind())),
    };
    faults.keep(place, result)
}

/// Reads every item, even after a bad one.
fn read_each<T: WireValue>(items: &[Json<'_>], place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Vec<T>> {
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        values.extend(T::read(item, &JsonPointer::Item(place, index), faults));
    }
    (values.len() == items.len()).then_some(values)
}

impl<T: WireValue> WireValue for Vec<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        read_each(read_items(json, place, faults, (0, MAX_ITEMS))?, place, faults)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        array(T::schema(components), 0, MAX_ITEMS)
    }
}

/// The items of a bulk call: at least one, at most the configured limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch<T>(pub(crate) Vec<T>);

impl<T: WireValue> WireValue for Batch<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let bounds = (1, faults.max_items());
        read_each(read_items(json, place, faults, bounds)?, place, faults).map(Self)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        let max = components.max_items();
        array(T::schema(components), 1, max)
    }
}

/// A list limited only by the size of the body.
#[derive(Debug)]
pub(crate) struct Everything<T>(pub(crate) Vec<T>);

impl<T: WireValue> WireValue for Everything<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        read_each(read_items(json, place, faults, (0, usize::MAX))?, place, faults).map(Self)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema(components)).build().into()
    }
}

/// Keys of a catalog, at most as many as a catalog may have.
#[derive(Debug, Default)]
pub(crate) struct CatalogKeys(pub(crate) Vec<PermissionKey>);

impl WireValue for CatalogKeys {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let bounds = (0, faults.catalogs().keys);
        read_each(read_items(json, place, faults, bounds)?, place, faults).map(Self)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        Everything::<PermissionKey>::schema(components)
    }

    fn as_default(&self) -> Option<serde_json::Value> {
        self.0.is_empty().then(|| serde_json::Value::Array(Vec::new()))
    }
}

impl<T: WireValue + Ord> WireValue for BTreeSet<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        Vec::read(json, place, faults).map(Self::from_iter)
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        Vec::<T>::schema(components)
    }
}
