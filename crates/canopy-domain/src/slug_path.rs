//! The path of a node, written as slugs.

use crate::{HierarchySchema, Slug, SlugError};
use core::cmp::Ordering;
use core::fmt;

/// The slugs from the root to a node, both included, separated by `/`.
///
/// Paths are ordered slug by slug, so a node comes before its descendants, and these before its next sibling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlugPath(Box<str>);

/// The rule that a text breaks which is not a [`SlugPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlugPathError {
    /// It is longer than a path in the deepest tree.
    #[error("must have at most {max} characters")]
    TooLong {
        /// Maximum number of characters.
        max: usize,
    },
    /// A part of it is no slug.
    #[error(transparent)]
    Slug(#[from] SlugError),
}

impl SlugPath {
    /// Maximum number of characters of a path in the deepest tree.
    pub const MAX_CHARS: usize = HierarchySchema::MAX_DEPTH as usize * (Slug::MAX_CHARS + 1) - 1;

    /// Parses slugs separated by `/`. Does not examine a text that is too long.
    ///
    /// # Errors
    /// The rule that the text breaks.
    ///
    /// ```
    /// # use canopy_domain::transfer::SlugPath;
    /// assert_eq!(SlugPath::parse("acme/eu/berlin")?.to_string(), "acme/eu/berlin");
    /// assert!(SlugPath::parse("acme//berlin").is_err());
    /// # Ok::<(), canopy_domain::transfer::SlugPathError>(())
    /// ```
    pub fn parse(raw: &str) -> Result<Self, SlugPathError> {
        if raw.len() > Self::MAX_CHARS {
            return Err(SlugPathError::TooLong { max: Self::MAX_CHARS });
        }
        raw.split('/').try_for_each(Slug::check)?;
        Ok(Self(raw.into()))
    }

    /// Joins slugs to a path; `None` for no slugs.
    pub fn new<'s>(slugs: impl IntoIterator<Item = &'s Slug>) -> Option<Self> {
        let mut slugs = slugs.into_iter();
        let mut path = slugs.next()?.as_str().to_owned();
        for slug in slugs {
            path.push('/');
            path.push_str(slug.as_str());
        }
        Some(Self(path.into()))
    }

    /// Returns the text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its slugs, that of the root first.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the path of a root.
    pub(super) fn root(slug: &Slug) -> Self {
        Self(slug.as_str().into())
    }

    /// Returns the path of a child of this node.
    pub(super) fn child(&self, slug: &Slug) -> Self {
        Self(format!("{self}/{slug}").into())
    }

    /// Returns the depth of the node; the root has depth 1.
    pub fn depth(&self) -> usize {
        self.slugs().count()
    }

    /// Returns the slugs below the root. They identify a node, since every tree has one root.
    pub(super) fn below_root(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, below)| below)
    }

    /// Returns the slug of the node itself.
    pub(crate) fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }

    /// Returns the path of the parent, unless the node is the root.
    pub(super) fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(above, _)| above)
    }
}

impl Ord for SlugPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // The separator is the least of bytes, so that a slug sorts before a longer one that begins with it.
        let rank = |byte| if byte == b'/' { 0 } else { byte };
        self.0.bytes().map(rank).cmp(other.0.bytes().map(rank))
    }
}

impl PartialOrd for SlugPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SlugPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> SlugPath {
        SlugPath::parse(text).unwrap()
    }

    #[test]
    fn a_path_has_a_bounded_length() {
        let longest = vec!["x".repeat(Slug::MAX_CHARS); usize::from(HierarchySchema::MAX_DEPTH)].join("/");
        assert_eq!(path(&longest).as_str(), longest);
        let too_long = SlugPathError::TooLong {
            max: SlugPath::MAX_CHARS,
        };
        assert_eq!(SlugPath::parse(&format!("{longest}x")), Err(too_long));
        // The text is not examined.
        assert_eq!(SlugPath::parse(&"!".repeat(8 * 1024 * 1024)), Err(too_long));
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a/-b",
            &"x".repeat(Slug::MAX_CHARS + 1),
        ] {
            assert_eq!(SlugPath::parse(bad), Err(SlugPathError::Slug(SlugError)), "{bad}");
        }
    }

    #[test]
    fn the_parts_of_a_path_are_told_apart() {
        let berlin = path("acme/eu/berlin");
        assert_eq!(
            (berlin.parent(), berlin.last(), berlin.below_root()),
            (Some("acme/eu"), "berlin", "eu/berlin")
        );
        assert_eq!(
            (berlin.depth(), berlin.slugs().collect::<Vec<_>>()),
            (3, vec!["acme", "eu", "berlin"])
        );
        let root = path("acme");
        assert_eq!(
            (root.parent(), root.last(), root.below_root(), root.depth()),
            (None, "acme", "", 1)
        );
        let slug = |text: &str| Slug::parse(text).unwrap();
        assert_eq!(SlugPath::root(&slug("acme")).child(&slug("eu")), path("acme/eu"));
        assert_eq!(SlugPath::new(&[slug("acme"), slug("eu")]), Some(path("acme/eu")));
        assert_eq!(SlugPath::new(&[]), None);
    }

    proptest! {
        #[test]
        fn paths_are_ordered_slug_by_slug(one in "[ab-]{1,3}(/[ab-]{1,3}){0,3}", two in "[ab-]{1,3}(/[ab-]{1,3}){0,3}") {
            let (Ok(one), Ok(two)) = (SlugPath::parse(&one), SlugPath::parse(&two)) else { return Ok(()) };
            let slugs = |path: &SlugPath| path.slugs().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(one.cmp(&two), slugs(&one).cmp(&slugs(&two)));
        }
    }
}
