//! Identifiers. Each kind of thing has its own type, so an id of one kind cannot be used as another's.

/// Declares a newtype over [`uuid::Uuid`] for one kind of thing.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps a UUID. Any version is an id; one that names nothing is simply not found.
            pub const fn new(value: uuid::Uuid) -> Self {
                Self(value)
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> uuid::Uuid {
                self.0
            }

            /// The sixteen bytes of the UUID, in network order.
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
