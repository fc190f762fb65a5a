//! Texts: tidied, cut, cased; slugs.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde_json::{Number, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::html::Html;

/// What is done to a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tidy {
    pub(super) html: Html,
    /// Literal texts that are taken out.
    pub(super) remove: Vec<String>,
    /// Line ends are kept.
    pub(super) keep_lines: bool,
    pub(super) case: Case,
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// Most characters of the result.
    pub(super) max: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Case {
    #[default]
    Keep,
    Lower,
    Upper,
}

impl Tidy {
    /// The tidy form; empty when nothing is left.
    pub(super) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut result = self.html.apply(text).map_or(Cow::Borrowed(text), Cow::Owned);
        for unwanted in &self.remove {
            if result.contains(unwanted.as_str()) {
                result = Cow::Owned(result.replace(unwanted.as_str(), " "));
            }
        }
        if !is_tidy(&result, self.keep_lines) {
            result = Cow::Owned(tidied(&result, self.keep_lines));
        }
        match self.case {
            Case::Keep => {}
            Case::Lower => result = Cow::Owned(result.to_lowercase()),
            Case::Upper => result = Cow::Owned(result.to_uppercase()),
        }
        if result.is_empty() {
            return result;
        }
        if !self.prefix.is_empty() || !self.suffix.is_empty() {
            result = Cow::Owned([self.prefix.as_str(), &result, &self.suffix].concat());
        }
        match self.max {
            Some(max) => cut(result, max),
            None => result,
        }
    }
}

/// At most `max` characters, ending with an ellipsis when something was cut off. What a reader sees as
/// one character (a letter with its accents, a flag) is kept whole or left out.
fn cut(text: Cow<'_, str>, max: usize) -> Cow<'_, str> {
    if text.len() <= max || text.chars().nth(max).is_none() {
        return text;
    }
    let room = text.char_indices().nth(max.saturating_sub(1)).map_or(0, |(at, _)| at);
    let ends = text.grapheme_indices(true).map(|(at, whole)| at + whole.len());
    let end = ends.take_while(|end| *end <= room).last().unwrap_or(0);
    let mut kept = text[..end].trim_end().to_owned();
    kept.push('…');
    Cow::Owned(kept)
}

/// Whether there is nothing to tidy: the usual case, and then nothing is copied.
fn is_tidy(text: &str, keep_lines: bool) -> bool {
    let mut after_space = true;
    for byte in text.bytes() {
        after_space = match byte {
            b' ' if after_space => return false,
            b' ' => true,
            b'\n' if keep_lines => true,
            0..=0x1f | 0x7f => return false,
            0x80.. => return is_tidy_beyond_ascii(text, keep_lines),
            _ => false,
        };
    }
    text.is_empty() || !after_space
}

fn is_tidy_beyond_ascii(text: &str, keep_lines: bool) -> bool {
    let mut after_space = true;
    for character in text.chars() {
        let plain = character == ' ';
        let line = keep_lines && character == '\n';
        if plain && after_space
            || is_unwanted(character) && !line
            || character.is_whitespace() && !plain && !line
        {
            return false;
        }
        after_space = plain || line;
    }
    !after_space
}

/// Control characters, and characters that only steer the display: they break keys, and some
/// systems refuse the whole record for one NUL.
fn is_unwanted(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{fffe}')
}

fn tidied(text: &str, keep_lines: bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut gap = None;
    for character in text.chars() {
        if character.is_whitespace() {
            let line = keep_lines && character == '\n';
            gap = Some(if line || gap == Some('\n') { '\n' } else { ' ' });
        } else if !is_unwanted(character) {
            if let Some(gap) = gap.take().filter(|_| !result.is_empty()) {
                result.push(gap);
            }
            result.push(character);
        }
    }
    result
}

/// The tidy form with the usual rules.
pub(super) fn tidy(text: &str) -> Cow<'_, str> {
    if is_tidy(text, false) { Cow::Borrowed(text) } else { Cow::Owned(tidied(text, false)) }
}

/// The form in which names are compared: tidy, lower case.
pub(super) fn fold(text: &str) -> String {
    tidy(text).to_lowercase()
}

/// A scalar as text; `None` for lists and objects.
pub(super) fn of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(of_number(number))),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The digits of a number as it is written, without exponent and without the `.0` that a whole float
/// would show.
pub(super) fn of_number(number: &Number) -> String {
    let mut text = number.to_string();
    if text.contains(['e', 'E'])
        && let Ok(amount) = Decimal::from_scientific(&text)
    {
        text = amount.to_string();
    }
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// A text for addresses: lower-case letters and digits, everything else one `separator`; at most
/// `max` characters, cut between words where there is a word end in the second half.
pub(super) fn slug(text: &str, max: usize, separator: char) -> String {
    let mut slug =
        Slug { text: String::with_capacity(text.len().min(max + 8)), separator, ..Slug::default() };
    for character in text.chars() {
        if character.is_ascii() {
            slug.push(character.to_ascii_lowercase(), "");
        } else {
            character.to_lowercase().for_each(|lower| slug.push(lower, plain(lower)));
        }
        if slug.count > max {
            let hard = slug.text.char_indices().nth(max).map_or(slug.text.len(), |(at, _)| at);
            slug.text.truncate(if slug.word_end * 2 > hard { slug.word_end } else { hard });
            break;
        }
    }
    while slug.text.ends_with(separator) {
        slug.text.pop();
    }
    slug.text
}

/// A slug on its way.
#[derive(Default)]
struct Slug {
    text: String,
    separator: char,
    /// Characters so far.
    count: usize,
    /// Something was left out since the last character.
    gap: bool,
    /// Where the last whole word ends.
    word_end: usize,
}

impl Slug {
    /// Adds a lower-case character, or `plain` in its place.
    fn push(&mut self, character: char, plain: &str) {
        if plain.is_empty() && !character.is_alphanumeric() {
            // An apostrophe joins: "women's" is one word.
            self.gap |= !matches!(character, '\'' | '’');
            return;
        }
        if self.gap && !self.text.is_empty() {
            self.word_end = self.text.len();
            self.text.push(self.separator);
            self.count += 1;
        }
        self.gap = false;
        if plain.is_empty() {
            self.text.push(character);
            self.count += 1;
        } else {
            self.text.push_str(plain);
            self.count += plain.len();
        }
    }
}

/// Latin letters without their marks; other scripts stay as they are.
fn plain(character: char) -> &'static str {
    match character {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' | 'ĉ' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | 'ė' => "e",
        'ğ' | 'ģ' | 'ĝ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ł' | 'ļ' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' | 'ŕ' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_text_is_not_copied_and_untidy_text_is_put_right() {
        assert!(matches!(tidy("a b c"), Cow::Borrowed(_)));
        for (text, expected) in [
            ("  a \t b\u{a0}\u{a0}c ", "a b c"),
            ("a\0b\u{7}", "ab"),
            ("\u{feff}x", "x"),
            (" \n ", ""),
            ("", ""),
        ] {
            assert_eq!(tidy(text), expected, "{text:?}");
        }
        let lines = Tidy { keep_lines: true, ..Tidy::default() };
        assert_eq!(lines.apply("a  b \n\n c\r\nd"), "a b\nc\nd");
    }

    #[test]
    fn a_cut_counts_characters_and_shows_itself() {
        let tidy = Tidy { max: Some(5), ..Tidy::default() };
        assert_eq!(tidy.apply("äöüßé"), "äöüßé");
        assert_eq!(tidy.apply("äöüßéx"), "äöüß…");
        assert_eq!(tidy.apply("abc def"), "abc…");
    }

    #[test]
    fn slugs_are_plain_and_end_with_a_word() {
        for (text, max, expected) in [
            ("Women's Große Tüte, 3 Stück!", 80, "womens-grosse-tuete-3-stueck"),
            ("one two three", 9, "one-two"),
            ("abcdefghij", 4, "abcd"),
            ("--✓--", 10, ""),
            ("日本 Tea", 10, "日本-tea"),
            ("a b", 2, "a"),
        ] {
            assert_eq!(slug(text, max, '-'), expected, "{text}");
        }
    }
}
