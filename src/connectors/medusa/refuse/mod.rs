//! What is refused before anything is sent: what Medusa takes without a word and should not, what it
//! answers with a 500, and what it refuses in words that do not name the place. All that is wrong is
//! said at once, each with its place and its value. What only the shop can say (which channels and
//! currencies it has) is refused in `references`.
//!
//! The behaviour of Medusa that this guards against was seen with 2.21.2.

mod names;
mod prices;
mod variants;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;

use reqwest::Url;
use serde_json::Value;

use super::request::text;
use crate::core::fault::{Fault, name};

/// Longest handle. Medusa's own end is where its database can index it no longer (a 500).
const HANDLE_CHARS_MAX: usize = 255;
/// Largest product in a batch of one: 2 MiB is what the batch route takes, and ids take the place of
/// names on the way.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024 - 16 * 1024;
/// The statuses of a product.
const STATUSES: [&str; 4] = ["draft", "proposed", "published", "rejected"];
/// Reasons that one fault names.
const REASONS_MAX: usize = 5;

/// Looks a request over.
///
/// # Errors
/// All that is wrong with it, in one fault.
pub(super) fn check(product: &Value) -> Result<(), Fault> {
    let mut reasons = Reasons::default();
    check_texts(product, &mut String::new(), &mut reasons);
    check_plain(product, &mut reasons);
    check_images(product, &mut reasons);
    names::check(product, &mut reasons);
    variants::check(product, &mut reasons);
    let bytes = size(product);
    if bytes > BODY_BYTES_MAX {
        reasons.say("", format!("the product is {bytes} bytes long, and the shop takes {BODY_BYTES_MAX}"));
    }
    reasons.into_result()
}

/// What is wrong, in the order in which it was found.
#[derive(Debug, Default)]
struct Reasons(Vec<String>);

impl Reasons {
    fn say(&mut self, place: impl Display, message: impl Display) {
        let place = place.to_string();
        let separator = if place.is_empty() { "" } else { ": " };
        self.0.push(format!("{place}{separator}{message}"));
    }

    fn into_result(self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let more = self.0.len().saturating_sub(REASONS_MAX);
        let mut reasons = self.0;
        reasons.truncate(REASONS_MAX);
        reasons.extend((more > 0).then(|| format!("and {more} more")));
        Err(Fault::new(name::REFUSED, reasons.join("; ")))
    }
}

fn check_plain(product: &Value, reasons: &mut Reasons) {
    let handle = text(product, "handle");
    if handle.chars().count() > HANDLE_CHARS_MAX {
        reasons.say("handle", format!("it is longer than {HANDLE_CHARS_MAX} characters"));
    } else if !is_handle(handle) {
        let form = "lower-case letters and digits in words, with one hyphen between words";
        reasons.say("handle", format!("'{handle}' is no handle: {form}; a mapping makes one with 'slug'"));
    }
    match product.get("status") {
        None | Some(Value::Null) => {}
        Some(Value::String(status)) if STATUSES.contains(&status.as_str()) => {}
        Some(other) => {
            reasons.say("status", format!("{} is none of {}", shown(other), STATUSES.join(", ")));
        }
    }
}

/// The form that Medusa asks for: letters of all languages, none of them a capital.
fn is_handle(handle: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() && letter.to_lowercase().eq([letter]);
    handle.split('-').all(|word| !word.is_empty() && word.chars().all(fits))
}

/// Nothing is fetched or looked at by Medusa: what is no address is a hole in the page of the product.
fn check_images(product: &Value, reasons: &mut Reasons) {
    let mut look = |place: String, address: &Value| {
        let is_address = address
            .as_str()
            .and_then(|text| Url::parse(text).ok())
            .is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_address {
            reasons
                .say(place, format!("{} is no address that begins with http:// or https://", shown(address)));
        }
    };
    for (at, image) in product["images"].as_array().into_iter().flatten().enumerate() {
        look(format!("images[{at}].url"), &image["url"]);
    }
    if let Some(thumbnail) = product.get("thumbnail").filter(|thumbnail| !thumbnail.is_null()) {
        look("thumbnail".to_owned(), thumbnail);
    }
}

/// Medusa answers NUL with a 500, and takes other control characters, which no page can show.
fn check_texts(value: &Value, place: &mut String, reasons: &mut Reasons) {
    match value {
        Value::String(text) => {
            if let Some(control) = control(text) {
                let code = u32::from(control);
                reasons.say(&place, format!("the text contains the control character U+{code:04X}"));
            }
        }
        Value::Array(members) => {
            for (at, member) in members.iter().enumerate() {
                inside(place, &format!("[{at}]"), |place| check_texts(member, place, reasons));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(control) = control(name) {
                    let code = u32::from(control);
                    reasons.say(&place, format!("a name contains the control character U+{code:04X}"));
                }
                let step = if place.is_empty() { name.clone() } else { format!(".{name}") };
                inside(place, &step, |place| check_texts(member, place, reasons));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn inside(place: &mut String, step: &str, look: impl FnOnce(&mut String)) {
    let before = place.len();
    place.push_str(step);
    look(place);
    place.truncate(before);
}

fn control(text: &str) -> Option<char> {
    text.chars().find(|found| found.is_ascii_control() && !matches!(found, '\t' | '\n' | '\r'))
}

/// A value as a reason shows it.
fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 80;
    let written = match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    };
    if written.chars().count() <= CHARS_MAX {
        return written;
    }
    let cut: String = written.chars().take(CHARS_MAX).collect();
    format!("{cut}…")
}

/// The bytes that a value takes as JSON.
fn size(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
