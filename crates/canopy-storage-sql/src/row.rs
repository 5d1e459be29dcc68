//! A row of an answer, whatever the driver.

use canopy_domain::api_key::{AccessMode, KeyAccess};
use canopy_domain::port::StoreError;
use canopy_domain::{AssignmentKey, NodeStatus, PermissionKey, Revision, RoleKind, Timestamp, Version, Window};
use uuid::Uuid;

/// A row of an answer. A driver supplies the first seven methods; the others follow from them.
///
/// Columns are counted from zero. A value that does not decode is [`StoreError::Corrupt`], which names table, column and
/// id, never the value. The first column is the id of the row, where it has one.
pub trait Row {
    /// The error that reports the value of a column as damaged.
    fn corrupt(&self, column: usize) -> StoreError;

    /// The name of a column.
    fn column_name(&self, column: usize) -> Option<String>;

    /// An id, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, StoreError>;

    /// A number, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_number(&self, column: usize) -> Result<Option<i64>, StoreError>;

    /// A flag, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_flag(&self, column: usize) -> Result<Option<bool>, StoreError>;

    /// An instant, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_at(&self, column: usize) -> Result<Option<Timestamp>, StoreError>;

    /// A text that `parse` accepts, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_text<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError>;

    /// Bytes that `parse` accepts, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_bytes<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError>;

    /// The value of a column that is never NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn required<T>(&self, column: usize, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column))
    }

    /// An id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn id<T: From<Uuid>>(&self, column: usize) -> Result<T, StoreError> {
        let id = self.optional_id(column)?;
        self.required(column, id)
    }

    /// An id, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_id<T: From<Uuid>>(&self, column: usize) -> Result<Option<T>, StoreError> {
        self.optional_uuid(column).map(|id| id.map(T::from))
    }

    /// A number.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn number(&self, column: usize) -> Result<i64, StoreError> {
        let number = self.optional_number(column)?;
        self.required(column, number)
    }

    /// A number that is not negative.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn count<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StoreError> {
        let number = self.number(column)?;
        self.required(column, T::try_from(number).ok())
    }

    /// A version.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn version(&self, column: usize) -> Result<Version, StoreError> {
        let number = self.count(column)?;
        self.required(column, Version::new(number))
    }

    /// A revision.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn revision(&self, column: usize) -> Result<Revision, StoreError> {
        self.count(column).map(Revision::new)
    }

    /// A revision, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_revision(&self, column: usize) -> Result<Option<Revision>, StoreError> {
        let number = self.optional_number(column)?;
        number
            .map(|number| self.required(column, number.try_into().ok().map(Revision::new)))
            .transpose()
    }

    /// A flag.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn flag(&self, column: usize) -> Result<bool, StoreError> {
        let flag = self.optional_flag(column)?;
        self.required(column, flag)
    }

    /// An instant.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn at(&self, column: usize) -> Result<Timestamp, StoreError> {
        let at = self.optional_at(column)?;
        self.required(column, at)
    }

    /// A text that `parse` accepts.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn text<T, E>(&self, column: usize, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, StoreError> {
        let text = self.optional_text(column, parse)?;
        self.required(column, text)
    }

    /// A word that `parse` knows.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn word<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        self.text(column, |word| parse(word).ok_or(()))
    }

    /// A word that `parse` knows, or NULL.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn optional_word<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
        self.optional_text(column, |word| parse(word).ok_or(()))
    }

    /// A text as it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn string(&self, column: usize) -> Result<String, StoreError> {
        self.word(column, |text| Some(text.to_owned()))
    }

    /// Bytes that `parse` accepts.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn bytes<T, E>(&self, column: usize, parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<T, StoreError> {
        let bytes = self.optional_bytes(column, parse)?;
        self.required(column, bytes)
    }

    /// The kind of a role, from its `system_key`, which a custom role has none of.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn role_kind(&self, column: usize) -> Result<RoleKind, StoreError> {
        let system = self.optional_word(column, |key| RoleKind::from_system_key(Some(key)))?;
        Ok(system.unwrap_or(RoleKind::Custom))
    }

    /// Returns whether the status of a node is active.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn is_active_node(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.word(column, NodeStatus::parse)? == NodeStatus::Active)
    }

    /// Identity, role and node, from three columns.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn assignment_key(&self, first: usize) -> Result<AssignmentKey, StoreError> {
        Ok(AssignmentKey {
            identity: self.id(first)?,
            role: self.id(first + 1)?,
            node: self.id(first + 2)?,
        })
    }

    /// Start and end, from two columns.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn window(&self, first: usize) -> Result<Window, StoreError> {
        let window = Window::new(self.at(first)?, self.optional_at(first + 1)?);
        window.map_err(|_| self.corrupt(first + 1))
    }

    /// The access of a key, from its mode and its scopes: two columns.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    fn key_access(&self, first: usize) -> Result<KeyAccess, StoreError> {
        let mode = self.word(first, AccessMode::parse)?;
        let scopes = self.text(first + 1, |text| {
            text.split_terminator(' ')
                .map(PermissionKey::parse)
                .collect::<Result<Vec<_>, _>>()
        })?;
        KeyAccess::new(mode, scopes).ok_or_else(|| self.corrupt(first))
    }
}
