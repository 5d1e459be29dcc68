//! Values of statements: one at a time, or a whole column for `unnest`.

use canopy_domain::Timestamp;
use diesel::QueryResult;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// PostgreSQL counts from the first instant of the year 2000.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// An instant as PostgreSQL counts it.
pub(crate) const fn to_postgres(at: Timestamp) -> PgTimestamp {
    // Within the years 0000 to 9999 this cannot overflow.
    PgTimestamp(at.as_micros() - POSTGRES_EPOCH_MICROS)
}

/// An instant of PostgreSQL, where it is one of ours.
pub(crate) fn from_postgres(at: PgTimestamp) -> Option<Timestamp> {
    let micros = at.0.checked_add(POSTGRES_EPOCH_MICROS)?;
    Timestamp::from_micros(micros).ok()
}

macro_rules! values {
    ($($name:ident($held:ty) as $sql:ty,)+) => {
        /// A value of a statement.
        #[derive(Debug, Clone)]
        pub(crate) enum Value<'a> {
            $($name($held),)+
        }

        impl<'a> Value<'a> {
            /// Puts the value behind its place in the SQL.
            pub(crate) fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                match self {
                    $(Self::$name(held) => out.push_bind_param::<$sql, $held>(held),)+
                }
            }
        }

        $(
            impl<'a> From<$held> for Value<'a> {
                fn from(held: $held) -> Self {
                    Self::$name(held)
                }
            }
        )+
    };
}

values! {
    Id(Uuid) as SqlUuid,
    OptionalId(Option<Uuid>) as Nullable<SqlUuid>,
    Text(&'a str) as Text,
    OptionalText(Option<&'a str>) as Nullable<Text>,
    Owned(String) as Text,
    Number(i64) as BigInt,
    Flag(bool) as Bool,
    OptionalFlag(Option<bool>) as Nullable<Bool>,
    At(PgTimestamp) as Timestamptz,
    OptionalAt(Option<PgTimestamp>) as Nullable<Timestamptz>,
    Ids(Vec<Uuid>) as Array<SqlUuid>,
    OptionalIds(Vec<Option<Uuid>>) as Array<Nullable<SqlUuid>>,
    Texts(Vec<&'a str>) as Array<Text>,
    OwnedTexts(Vec<String>) as Array<Text>,
    OptionalTexts(Vec<Option<&'a str>>) as Array<Nullable<Text>>,
    Numbers(Vec<i64>) as Array<BigInt>,
    Flags(Vec<bool>) as Array<Bool>,
    Instants(Vec<PgTimestamp>) as Array<Timestamptz>,
    OptionalInstants(Vec<Option<PgTimestamp>>) as Array<Nullable<Timestamptz>>,
    Blob(Vec<u8>) as Binary,
    Blobs(Vec<Vec<u8>>) as Array<Binary>,
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::At(to_postgres(at))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        Self::OptionalAt(at.map(to_postgres))
    }
}

/// A column of a set: one value of each item.
pub(crate) fn column<'a, T, V>(items: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    items.iter().map(value).collect()
}

/// Each of these ids once, in the order of an index: they are looked up in it one after the other.
pub(crate) fn distinct(ids: impl IntoIterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A column of instants.
pub(crate) fn instants<T>(items: &[T], value: impl Fn(&T) -> Timestamp) -> Vec<PgTimestamp> {
    items.iter().map(|item| to_postgres(value(item))).collect()
}

/// A column of instants, or NULL.
pub(crate) fn optional_instants<T>(items: &[T], value: impl Fn(&T) -> Option<Timestamp>) -> Vec<Option<PgTimestamp>> {
    items.iter().map(|item| value(item).map(to_postgres)).collect()
}
