//! Unicode caseless matching: keys for comparisons that ignore case.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// Folds a text for comparisons that ignore case: full case folding and NFKC, without default-ignorable characters.
///
/// Two texts have the same key if and only if they match by definition D147 of the Unicode Standard, section 3.13
/// (`toNFKC_Casefold(NFD(X))`). Stores hold the key beside the text, so that every store finds the same texts equal.
/// Unicode guarantees that later versions do not change the key of a text once its characters have case data. A folded
/// text folds to itself.
///
/// ```
/// # use canopy_domain::fold_case;
/// assert_eq!(fold_case("ΧΡΉΣΤΗΣ"), fold_case("Χρήστης"));
/// assert_eq!(fold_case("STRASSE"), fold_case("Straße"));
/// ```
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd()
        .default_case_fold()
        .nfkd()
        .filter(|one| !is_default_ignorable(*one))
        .default_case_fold()
        .nfkc()
        .collect()
}

/// Returns whether a character has the property `Default_Ignorable_Code_Point`: it is not displayed. The ranges are
/// those of `DerivedCoreProperties.txt`; they contain the code points that Unicode reserves for later characters of the
/// kind.
pub(super) const fn is_default_ignorable(one: char) -> bool {
    matches!(
        one,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::fold_case;
    use proptest::prelude::*;

    #[test]
    fn texts_are_the_same_by_full_case_folding_and_compatibility() {
        for (one, other) in [
            ("ΧΡΉΣΤΗΣ", "Χρήστης"),
            ("ΓΙΏΡΓΟΣ", "Γιώργος"),
            ("STRASSE", "Straße"),
            ("STRAẞE", "strasse"),
            ("Zu\u{308}rich", "ZÜRICH"),
            ("ﬁnance", "FINANCE"),
            ("ＡＤＭＩＮ", "admin"),
            ("ᾳ", "ΑΙ"),
            ("Ⅳ", "iv"),
            ("Ad\u{ad}min", "admin"),
            ("ﾊﾞｲﾄ", "バイト"),
            ("\u{345}\u{301}α", "\u{301}\u{345}α"),
        ] {
            assert_eq!(fold_case(one), fold_case(other), "{one} {other}");
        }
        for (one, other) in [("İ", "i"), ("ı", "i"), ("é", "e"), ("Ø", "o"), ("a b", "ab")] {
            assert_ne!(fold_case(one), fold_case(other), "{one} {other}");
        }
    }

    #[test]
    fn every_character_in_either_case_folds_to_a_text_that_folds_to_itself() {
        // The blocks of letters with case, compatibility characters and ignorable ones; ideographs and syllables have
        // none.
        let scalars = (0..0x3400)
            .chain(0xa000..0xac00)
            .chain(0xf900..0x1_2000)
            .chain(0x1_d400..0x1_f200);
        for one in scalars.filter_map(char::from_u32) {
            let folded = fold_case(&one.to_string());
            assert_eq!(fold_case(&folded), folded, "{one:?}");
            // The dotted and the dotless i match each other only in Turkish. The letters after U+A7CD came with Unicode
            // 17, which the standard library knows before `caseless` does.
            if !matches!(one, '\u{130}' | '\u{131}' | '\u{a7ce}'..='\u{a7d5}') {
                let (upper, lower) = (one.to_uppercase().to_string(), one.to_lowercase().to_string());
                for other in [upper, lower].iter().filter(|other| !other.starts_with(one)) {
                    assert_eq!(fold_case(other), folded, "{other:?} is the other case of {one:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(text in "[\\PCa-zA-ZÀ-ɏΑ-ωᾀ-῾\u{300}-\u{345}ﬀ-ﬆ]{0,12}") {
            let folded = fold_case(&text);
            prop_assert_eq!(fold_case(&folded), folded);
        }
    }
}
