//! Search words, and the rule by which they match.

use super::fold_case;

/// The words of a search, [folded](fold_case): at least one, each without white space.
///
/// A search matches an entity if **each word occurs in at least one of the entity's searched texts**, whatever the
/// order of the words. Every list with a search defines its searched texts; they are folded too.
///
/// A store that keeps several texts as one joins them with a line break: words have none, so none matches across two
/// texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchWords(Vec<String>);

/// The error of a text that is not accepted as a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// More words than allowed.
    #[error("must have at most {max} different words")]
    TooManyWords {
        /// Maximum number of words.
        max: usize,
    },
}

impl SearchWords {
    /// Maximum number of words. Each costs one comparison with every searched text.
    pub const MAX_WORDS: usize = 16;

    /// Parses the words of a search, longest first. Returns `None` for a search without words, which matches
    /// everything.
    ///
    /// Words are separated by white space; a comma or semicolon at the end of a word is dropped (`Lovelace, Ada`). A
    /// word that is part of another one is dropped, because the longer one matches only where it does.
    ///
    /// # Errors
    /// [`SearchError::TooManyWords`] over [`MAX_WORDS`](Self::MAX_WORDS).
    ///
    /// ```
    /// # use canopy_domain::SearchWords;
    /// let search = SearchWords::parse("Lovelace, ADA")?.expect("two words");
    /// assert_eq!(search.words(), ["lovelace", "ada"]);
    /// assert!(search.matches(["ada lovelace", "countess@x.example"]));
    /// # Ok::<(), canopy_domain::SearchError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Option<Self>, SearchError> {
        let folded = fold_case(text);
        let mut given: Vec<&str> = folded.split_whitespace().map(without_separator).collect();
        given.sort_by_key(|word| core::cmp::Reverse(word.len()));
        let mut words: Vec<String> = Vec::new();
        for word in given {
            if words.iter().any(|longer| longer.contains(word)) {
                continue;
            }
            if words.len() == Self::MAX_WORDS {
                return Err(SearchError::TooManyWords { max: Self::MAX_WORDS });
            }
            words.push(word.to_owned());
        }
        Ok((!words.is_empty()).then_some(Self(words)))
    }

    /// Returns the words, longest first; never empty.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Returns whether each word occurs in at least one of these texts, which are [folded](fold_case).
    pub fn matches<'t>(&self, texts: impl IntoIterator<Item = &'t str, IntoIter: Clone>) -> bool {
        let texts = texts.into_iter();
        self.0
            .iter()
            .all(|word| texts.clone().any(|text| text.contains(word.as_str())))
    }
}

/// Returns a word without trailing commas and semicolons, unless it has nothing else.
fn without_separator(word: &str) -> &str {
    match word.trim_end_matches([',', ';']) {
        "" => word,
        bare => bare,
    }
}

/// Folds texts and joins them with line breaks, so that one text can be searched instead of several.
///
/// White space within a text becomes a space, so that only the joints are line breaks.
pub fn searched_text<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut all = String::new();
    for (place, text) in texts.into_iter().enumerate() {
        if place > 0 {
            all.push('\n');
        }
        all.extend(
            fold_case(text)
                .chars()
                .map(|one| if one.is_whitespace() { ' ' } else { one }),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{SearchError, SearchWords, searched_text};

    fn words(text: &str) -> Vec<String> {
        let words = SearchWords::parse(text).unwrap();
        words.map(|words| words.words().to_vec()).unwrap_or_default()
    }

    fn finds(search: &str, texts: &[&str]) -> bool {
        let folded: Vec<String> = texts.iter().map(|text| super::fold_case(text)).collect();
        let words = SearchWords::parse(search).unwrap();
        let apart = words
            .as_ref()
            .is_none_or(|words| words.matches(folded.iter().map(String::as_str)));
        let joined = searched_text(texts.iter().copied());
        let together = words.is_none_or(|words| words.matches([joined.as_str()]));
        assert_eq!(apart, together, "{search} in {texts:?}");
        apart
    }

    #[test]
    fn words_are_folded_and_separated_by_white_space_of_any_kind() {
        assert_eq!(words("Ada  LOVELACE\u{a0}x\u{3000}Y"), ["lovelace", "ada", "x", "y"]);
        assert_eq!(words("Lovelace, Ada;"), ["lovelace", "ada"]);
        assert_eq!(words("a,b"), ["a,b"]);
        assert_eq!(words(" , "), [","]);
        assert_eq!(words("ΓΙΏΡΓΟΣ"), ["γιώργοσ"]);
        assert!(words("").is_empty());
        assert!(words(" \u{2003}\u{200b} ").is_empty());
    }

    #[test]
    fn a_word_within_another_one_is_left_out() {
        assert_eq!(words("ada ADA adam da"), ["adam"]);
        assert_eq!(words("ada bob ada"), ["ada", "bob"]);
    }

    #[test]
    fn the_number_of_different_words_is_bounded() {
        let many = |count: u32| -> String {
            (0..count)
                .flat_map(|number| ["w".to_owned(), format!("{number:02} ")])
                .collect()
        };
        assert_eq!(words(&many(16)).len(), SearchWords::MAX_WORDS);
        assert_eq!(
            SearchWords::parse(&many(17)),
            Err(SearchError::TooManyWords { max: 16 })
        );
        assert_eq!(words(&"same ".repeat(40)), ["same"]);
    }

    #[test]
    fn each_word_matches_somewhere_in_any_order() {
        let ada = ["Ada Lovelace", "countess@x.example", "Emp-17"];
        for search in [
            "Lovelace Ada",
            "ada lovelace",
            "LOVE tess",
            "emp-17",
            "17 x.example ada",
            "",
        ] {
            assert!(finds(search, &ada), "{search}");
        }
        for search in ["Lovelace Bob", "lovelacecountess", "emp-18", "adalovelace"] {
            assert!(!finds(search, &ada), "{search}");
        }
        assert!(finds("ΓΙΏΡΓΟΣ", &["Γιώργος Σεφέρης"]));
        assert!(finds("strasse", &["Lange Straße 7"]));
    }

    #[test]
    fn joined_texts_have_no_line_break_within() {
        assert_eq!(searched_text(["A\nB", "ſ", ""]), "a b\ns\n");
    }
}
