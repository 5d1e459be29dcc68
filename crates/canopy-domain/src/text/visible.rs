//! Characters that a name may have: at least one is visible, and none is hidden without need.

use super::TextError;
use super::fold::is_default_ignorable;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::UnicodeEmoji as _;
use unicode_script::{Script, UnicodeScript as _};

/// Checks that a text is visible and has no hidden characters.
///
/// # Errors
/// [`TextError::Hidden`] for a character that is not displayed or that changes the direction of the text, unless its
/// script or emoji needs it there; [`TextError::Invisible`] if no character is visible.
pub(super) fn check(text: &str) -> Result<(), TextError> {
    if text.is_ascii() {
        return Ok(()); // Trimmed and free of control characters: something is visible.
    }
    let mut around = Around::new(text);
    let mut is_visible = false;
    let mut chars = text.chars().peekable();
    while let Some(one) = chars.next() {
        if is_hidden(one) {
            if !around.needs(one, chars.peek().copied()) {
                return Err(TextError::Hidden);
            }
        } else {
            is_visible |= is_seen(one);
        }
        around.pass(one);
    }
    if is_visible { Ok(()) } else { Err(TextError::Invisible) }
}

/// Returns whether a text has a character that [`check`] refuses or accepts only where its script needs it.
pub(crate) fn has_hidden(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(is_hidden)
}

/// Returns whether a character is not displayed, ends a line, or is undefined.
const fn is_hidden(one: char) -> bool {
    is_default_ignorable(one)
        || matches!(one, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}')
        || (one as u32) & 0xfffe == 0xfffe
}

/// Returns whether a character is visible by itself. U+2800 is a symbol without a dot.
fn is_seen(one: char) -> bool {
    !one.is_whitespace() && one != '\u{2800}' && !is_combining_mark(one)
}

/// The context of a character: properties of the text before it.
struct Around {
    is_right_to_left: bool,
    before: Option<char>,
    /// The last character that is neither a combining mark nor hidden.
    base: Option<char>,
}

impl Around {
    fn new(text: &str) -> Self {
        Self {
            is_right_to_left: text.chars().any(|one| is_right_to_left(one.script())),
            before: None,
            base: None,
        }
    }

    fn pass(&mut self, one: char) {
        self.before = Some(one);
        if one.is_whitespace() {
            self.base = None;
        } else if !is_hidden(one) && !is_combining_mark(one) {
            self.base = Some(one);
        }
    }

    /// Returns whether a hidden character has a legitimate use before `next`.
    fn needs(&self, one: char, next: Option<char>) -> bool {
        let before = self.before.unwrap_or(' ');
        let follows_hidden = is_default_ignorable(before);
        match one {
            // ZERO WIDTH NON-JOINER and JOINER shape the letters of scripts that join; the joiner makes one emoji of two.
            '\u{200c}' => !follows_hidden && self.base.is_some_and(|base| joins(base.script())),
            '\u{200d}' => {
                let follows_hidden = follows_hidden && before != '\u{fe0f}';
                let makes_emoji = self.base.is_some_and(is_emoji) && next.is_some_and(is_emoji);
                !follows_hidden && (makes_emoji || self.base.is_some_and(|base| joins(base.script())))
            }
            // Marks that set the direction of neutral characters between right-to-left letters.
            '\u{200e}' | '\u{200f}' | '\u{61c}' => self.is_right_to_left && !follows_hidden,
            // Selectors of a variant of the character before.
            '\u{180b}'..='\u{180f}' => before.script() == Script::Mongolian && !follows_hidden,
            '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}' => is_seen(before) && !follows_hidden,
            '\u{fe0e}' | '\u{fe0f}' => before.is_emoji_char() && !follows_hidden,
            // The flags of regions: a black flag and tags, to the cancelling one.
            '\u{e0020}'..='\u{e007f}' => before == '\u{1f3f4}' || matches!(before, '\u{e0020}'..='\u{e007e}'),
            _ => false,
        }
    }
}

fn is_emoji(one: char) -> bool {
    !one.is_ascii() && one.is_emoji_char()
}

/// Returns whether the letters of a script change their shape when they are joined or kept apart.
const fn joins(script: Script) -> bool {
    matches!(
        script,
        Script::Adlam
            | Script::Arabic
            | Script::Balinese
            | Script::Bengali
            | Script::Brahmi
            | Script::Chakma
            | Script::Devanagari
            | Script::Grantha
            | Script::Gujarati
            | Script::Gurmukhi
            | Script::Hanifi_Rohingya
            | Script::Javanese
            | Script::Kaithi
            | Script::Kannada
            | Script::Khmer
            | Script::Malayalam
            | Script::Mandaic
            | Script::Meetei_Mayek
            | Script::Mongolian
            | Script::Myanmar
            | Script::Newa
            | Script::Nko
            | Script::Oriya
            | Script::Phags_Pa
            | Script::Sharada
            | Script::Sinhala
            | Script::Sundanese
            | Script::Syriac
            | Script::Tamil
            | Script::Telugu
            | Script::Tibetan
            | Script::Tirhuta
    )
}

const fn is_right_to_left(script: Script) -> bool {
    matches!(
        script,
        Script::Adlam
            | Script::Arabic
            | Script::Hanifi_Rohingya
            | Script::Hebrew
            | Script::Mandaic
            | Script::Nko
            | Script::Samaritan
            | Script::Syriac
            | Script::Thaana
    )
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::TextError;

    #[test]
    fn every_script_is_written_as_it_is() {
        for text in [
            "Ada",
            "Zu\u{308}rich",
            "東京",
            "한국어",
            "שלום עולם",
            "C++ \u{200f}שלום",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "ക\u{d4d}\u{200d}",
            "ශ\u{dca}\u{200d}රී",
            "ᠠ\u{180b}",
            "葛\u{e0100}",
            "👩\u{200d}💻",
            "👨🏽\u{200d}🦰",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "🇩🇪",
            "x\u{e000}",
            "½ — “q”",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn nothing_hides_in_a_name() {
        for text in [
            "\u{200b}",
            "A\u{200b}dmin",
            "A\u{200d}dmin",
            "A\u{200c}dmin",
            "Ad\u{ad}min",
            "x\u{202e}gnp.exe",
            "\u{2066}x\u{2069}",
            "\u{200e}Admin",
            "\u{200f}Admin",
            "\u{feff}Admin",
            "A\u{2060}B",
            "A\u{fe0f}",
            "A\u{e0041}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{2028}x",
            "x\u{fff9}y",
            "x\u{ffff}",
            "x\u{1fffe}",
            "می\u{200c}\u{200c}خواهم",
            "🙂\u{200d}x",
            "שלום\u{200f}\u{200f}",
            "x \u{34f}",
        ] {
            assert_eq!(check(text), Err(TextError::Hidden), "{text:?}");
        }
    }

    #[test]
    fn something_is_to_be_seen() {
        for text in ["\u{2800}", "\u{301}", "\u{2800}\u{a0}\u{2800}", "\u{301}\u{308}"] {
            assert_eq!(check(text), Err(TextError::Invisible), "{text:?}");
        }
    }
}
