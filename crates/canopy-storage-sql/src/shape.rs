//! Declarations of rows: the columns that a statement selects, and the value that they become.

use crate::row::Row;
use canopy_domain::port::StoreError;
use core::fmt;

/// The columns that a statement selects, and the value that a row of them becomes. Declared with `shape!`, in
/// [`rows`](crate::rows).
///
/// Written into a text, a declared shape is the list of its columns: `SELECT {RoleRow} FROM roles`. Shapes side by side are a
/// tuple, which is read from the columns of the first and then those of the next.
pub trait Shape: Copy + Send + Sync {
    /// The value that a row becomes.
    type Value;

    /// The table that the rows come from, for reports of damage.
    const TABLE: &'static str;

    /// The number of columns.
    const WIDTH: usize;

    /// The names of the columns, in order; `""` for a computed one, whose name is not checked.
    fn columns(self) -> Vec<&'static str>;

    /// Reads the columns from `first` on.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a value that does not decode.
    fn read(row: &impl Row, first: usize) -> Result<Self::Value, StoreError>;

    /// The columns as a statement lists them, of the table with this alias.
    fn of(self, alias: &str) -> String {
        let columns: Vec<String> = self
            .columns()
            .iter()
            .map(|column| format!("{alias}.{column}"))
            .collect();
        columns.join(", ")
    }

    /// Compares the names of a row's columns with the declaration. Debug builds do it for the first row of each answer, so
    /// every test that runs a statement shows that it selects the columns it is read from.
    ///
    /// # Errors
    /// [`StoreError::Internal`] with the names, where they differ.
    fn check(self, row: &impl Row) -> Result<(), StoreError> {
        for (position, expected) in self.columns().into_iter().enumerate() {
            let found = row.column_name(position);
            if !expected.is_empty() && found.as_deref() != Some(expected) {
                let table = Self::TABLE;
                let message = format!("column {position} of a row of {table} is {found:?} instead of {expected}");
                return Err(StoreError::Internal(message.into()));
            }
        }
        Ok(())
    }
}

impl<A: Shape, B: Shape> Shape for (A, B) {
    type Value = (A::Value, B::Value);
    const TABLE: &'static str = A::TABLE;
    const WIDTH: usize = A::WIDTH + B::WIDTH;

    fn columns(self) -> Vec<&'static str> {
        [self.0.columns(), self.1.columns()].concat()
    }

    fn read(row: &impl Row, first: usize) -> Result<Self::Value, StoreError> {
        Ok((A::read(row, first)?, B::read(row, first + A::WIDTH)?))
    }
}

impl<A: Shape, B: Shape, C: Shape> Shape for (A, B, C) {
    type Value = (A::Value, B::Value, C::Value);
    const TABLE: &'static str = A::TABLE;
    const WIDTH: usize = A::WIDTH + B::WIDTH + C::WIDTH;

    fn columns(self) -> Vec<&'static str> {
        [self.0.columns(), self.1.columns(), self.2.columns()].concat()
    }

    fn read(row: &impl Row, first: usize) -> Result<Self::Value, StoreError> {
        let second = first + A::WIDTH;
        Ok((
            A::read(row, first)?,
            B::read(row, second)?,
            C::read(row, second + B::WIDTH)?,
        ))
    }
}

/// Writes columns as a statement lists them.
pub(crate) fn list(columns: &[&str], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&columns.join(", "))
}

/// Declares a row: its table, its columns in order, and how each is read. `as id` calls [`Row::id`]; `as text(parse)` hands
/// `parse` to [`Row::text`]. A reader of several columns lists them: `key: ["identity_id", "role_id", "node_id"] as
/// assignment_key`. A computed column has `_` for a name.
macro_rules! shape {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal reads $value:ident {
            $($field:ident: $columns:tt as $reader:ident $(($parse:expr))?,)+
        }
    ) => {
        $crate::shape::shape! {
            $(#[$doc])*
            $name in $table reads ($value) {
                $($field: $columns as $reader $(($parse))?,)+
            } => $value { $($field),+ }
        }
    };
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal reads ($value:ty) {
            $($field:ident: $columns:tt as $reader:ident $(($parse:expr))?,)+
        } => $result:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            const COLUMNS: &'static [&'static str] = $crate::shape::shape!(@flat [] $($columns)+);
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::shape::list(Self::COLUMNS, f)
            }
        }

        impl $crate::shape::Shape for $name {
            type Value = $value;
            const TABLE: &'static str = $table;
            const WIDTH: usize = Self::COLUMNS.len();

            fn columns(self) -> Vec<&'static str> {
                Self::COLUMNS.to_vec()
            }

            fn read(row: &impl $crate::row::Row, first: usize) -> Result<Self::Value, canopy_domain::port::StoreError> {
                let mut next = first;
                $(
                    let at = next;
                    next += $crate::shape::shape!(@width $columns);
                    let $field = row.$reader(at $(, $parse)?)?;
                )+
                debug_assert_eq!(next, first + Self::WIDTH, "every column is read");
                Ok($result)
            }
        }
    };
    (@flat [$($done:literal,)*]) => { &[$($done),*] };
    (@flat [$($done:literal,)*] _ $($rest:tt)*) => { $crate::shape::shape!(@flat [$($done,)* "",] $($rest)*) };
    (@flat [$($done:literal,)*] [$($several:literal),+] $($rest:tt)*) => {
        $crate::shape::shape!(@flat [$($done,)* $($several,)+] $($rest)*)
    };
    (@flat [$($done:literal,)*] $one:literal $($rest:tt)*) => {
        $crate::shape::shape!(@flat [$($done,)* $one,] $($rest)*)
    };
    (@width _) => { 1 };
    (@width $one:literal) => { 1 };
    (@width [$($several:literal),+]) => { [$($several),+].len() };
}

pub(crate) use shape;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::assignment::{DirectRow, KeptCountRow};
    use crate::rows::role::PermissionKeyRow;
    use canopy_domain::Timestamp;
    use uuid::Uuid;

    /// A row of numbers, with the names of their columns.
    struct Numbers(&'static [(&'static str, i64)]);

    impl Row for Numbers {
        fn corrupt(&self, column: usize) -> StoreError {
            StoreError::Corrupt(format!("column {column}"))
        }

        fn column_name(&self, column: usize) -> Option<String> {
            self.0.get(column).map(|(name, _)| (*name).to_owned())
        }

        fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, StoreError> {
            Err(self.corrupt(column))
        }

        fn optional_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
            Ok(self.0.get(column).map(|(_, number)| *number))
        }

        fn optional_flag(&self, column: usize) -> Result<Option<bool>, StoreError> {
            Err(self.corrupt(column))
        }

        fn optional_at(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
            Err(self.corrupt(column))
        }

        fn optional_text<T, E>(
            &self,
            column: usize,
            _: impl FnOnce(&str) -> Result<T, E>,
        ) -> Result<Option<T>, StoreError> {
            Err(self.corrupt(column))
        }

        fn optional_bytes<T, E>(
            &self,
            column: usize,
            _: impl FnOnce(&[u8]) -> Result<T, E>,
        ) -> Result<Option<T>, StoreError> {
            Err(self.corrupt(column))
        }
    }

    #[test]
    fn a_shape_lists_its_columns_and_those_of_an_alias() {
        assert_eq!(PermissionKeyRow.to_string(), "id, key");
        assert_eq!(
            (PermissionKeyRow, KeptCountRow).of("p"),
            "p.id, p.key, p.assignment_count"
        );
    }

    #[test]
    fn shapes_side_by_side_are_read_one_after_the_other() {
        let row = Numbers(&[("assignment_count", 3), ("count", 2), ("count", 1)]);
        let read = <(KeptCountRow, DirectRow)>::read(&row, 0);
        assert_eq!(read.unwrap(), (3, (2, 1)));
        let read = DirectRow::read(&Numbers(&[("count", 2), ("count", -1)]), 0);
        assert!(matches!(read, Err(StoreError::Corrupt(column)) if column == "column 1"));
    }

    #[test]
    fn a_column_of_another_name_is_reported_unless_it_is_computed() {
        assert!(KeptCountRow.check(&Numbers(&[("assignment_count", 3)])).is_ok());
        assert!(DirectRow.check(&Numbers(&[("any", 3), ("other", 2)])).is_ok());
        for names in [&[("assignments", 3)][..], &[]] {
            let checked = KeptCountRow.check(&Numbers(names));
            assert!(matches!(checked, Err(StoreError::Internal(_))), "{checked:?}");
        }
    }
}
