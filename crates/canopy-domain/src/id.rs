//! Identifiers. Each kind of entity has its own id type, so an id of one kind cannot be used as another's.

/// Declares a newtype over [`uuid::Uuid`] for one kind of entity.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps a UUID of any version.
            pub const fn new(value: uuid::Uuid) -> Self {
                Self(value)
            }

            /// Returns the UUID.
            pub const fn as_uuid(&self) -> uuid::Uuid {
                self.0
            }

            /// Returns the sixteen bytes of the UUID, in network order.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(value: uuid::Uuid) -> Self {
                Self(value)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }
    };
}
pub(crate) use id_type;
