//! What Data Hub's answers mean. It has no error codes, so the texts are classified, by what they
//! contain (read in data-hub 1.8): [`MESSAGES`] for what a mutation says of itself, [`ERRORS`] for
//! the errors beside it.

use serde_json::Value;

use crate::connectors::wire::{Answer, Broken};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Something has the path or the SKU already: look again, then update.
    Conflict,
    /// The id that was looked up is gone: look again.
    Stale,
    /// The content, the set-up or the permissions are at fault.
    Never,
    /// What it refers to may still come.
    Later,
    /// The schema of the site has no such thing.
    Schema,
    /// There is nothing.
    Absent,
    /// It ended, and nobody knows how far it came: look before anything else.
    Half,
}

/// A row: a text that contains all of these has this class. The first row that fits counts.
type Row = (&'static [&'static str], Class);

/// What a mutation with `success: false` says of itself.
const MESSAGES: &[Row] = &[
    (&["Duplicate full path"], Class::Conflict),
    (&["Duplicate path"], Class::Conflict),
    (&["unique constraint violation"], Class::Conflict),
    (&["unable to update object. Unknown id or fullpath"], Class::Stale),
    (&["Validation failed:"], Class::Never),
    (&["Empty mandatory field ["], Class::Never),
    (&["unable to resolve parent"], Class::Never),
    (&["not allowed to create object"], Class::Never),
    (&["permission denied"], Class::Never),
    (&["either id or fullpath expected"], Class::Never),
    (&["Element with id", "not found"], Class::Later),
    (&["creating failed:"], Class::Half),
    (&["SQLSTATE"], Class::Half),
    (&["1205"], Class::Half),
    (&["1213"], Class::Half),
];

/// What the first of `errors` says, when no mutation said how it ended.
const ERRORS: &[Row] = &[
    (&["object with", "not found"], Class::Absent),
    (&["Cannot query field"], Class::Schema),
    (&["is not defined by type"], Class::Schema),
    (&["Variable \"$"], Class::Schema),
    (&["Unknown argument"], Class::Schema),
    (&["Unknown type"], Class::Schema),
    (&["must have a selection"], Class::Schema),
    (&["must not have a selection"], Class::Schema),
    (&["cannot represent"], Class::Schema),
    (&["Expected value of type"], Class::Schema),
    (&["Syntax Error"], Class::Schema),
    (&["unable to decode filter"], Class::Schema),
    (&["Internal server error"], Class::Half),
];

fn class(rows: &[Row], text: &str) -> Option<Class> {
    let fits = |(parts, _): &&Row| parts.iter().all(|part| text.contains(part));
    rows.iter().find(fits).map(|(_, class)| *class)
}

/// Why an operation did not simply succeed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// Surely nothing was done.
    Sure {
        /// Why.
        fault: Fault,
        /// Whether another attempt makes sense.
        again: Again,
    },
    /// Surely nothing was done, because the site's schema is another one. For good.
    Schema(Fault),
    /// Something has the path or the SKU already.
    Conflict(Fault),
    /// The id that was looked up is gone.
    Stale(Fault),
    /// A read found nothing.
    Absent,
    /// It ended, and perhaps something was done: a create saves twice, and only the second may
    /// have failed. What a look finds now is how it is.
    Half(Fault),
    /// Perhaps something was done, or will be: nobody knows whether it ended.
    Unsure(Fault),
}

impl Trouble {
    pub(super) fn never(message: impl Into<String>) -> Self {
        Self::Sure { fault: Fault::new(name::REFUSED, message), again: Again::Never }
    }

    pub(super) fn of_broken(broken: Broken) -> Self {
        match broken.known() {
            (fault, Some(again)) => Self::Sure { fault, again },
            (fault, None) => Self::Unsure(fault),
        }
    }

    fn of_text(class: Class, text: &str) -> Self {
        let fault = Fault::new(name::REFUSED, text);
        match class {
            Class::Conflict => Self::Conflict(fault),
            Class::Stale => Self::Stale(fault),
            Class::Never => Self::Sure { fault, again: Again::Never },
            Class::Later => Self::Sure { fault, again: Again::Later },
            Class::Schema => Self::Schema(fault),
            Class::Absent => Self::Absent,
            Class::Half => Self::Half(fault),
        }
    }

    /// Whatever goes wrong with a read, nothing was changed by it.
    pub(super) fn of_read(self) -> Self {
        match self {
            Self::Unsure(fault) | Self::Half(fault) => Self::Sure { fault, again: Again::Later },
            other => other,
        }
    }

    /// Why a read has no answer, and whether it may have one later.
    pub(super) fn told(self) -> (Fault, Again) {
        match self.of_read().outcome() {
            Outcome::Refused { fault, again } => (fault, again),
            Outcome::Unclear(fault) => (fault, Again::Later),
            Outcome::Done(_) | Outcome::Skipped(_) => unanswered(),
        }
    }

    /// A status other than 200: the key, the endpoint, or a failing server.
    pub(super) fn of_status(answer: &Answer) -> Self {
        match (answer.status, answer.of_write()) {
            (403 | 404, _) => {
                let what = if answer.status == 403 { "the API key" } else { "the endpoint" };
                let message = format!("HTTP {}: Data Hub does not know {what}", answer.status);
                Self::Sure { fault: Fault::new(name::STATUS, message), again: Again::Never }
            }
            (_, Outcome::Refused { fault, again }) => Self::Sure { fault, again },
            _ => Self::Unsure(answer.fault()),
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Sure { fault, again } => Outcome::Refused { fault, again },
            Self::Schema(fault) => Outcome::Refused { fault, again: Again::Never },
            Self::Conflict(fault) | Self::Stale(fault) => Outcome::Refused { fault, again: Again::Later },
            Self::Half(fault) | Self::Unsure(fault) => Outcome::Unclear(fault),
            Self::Absent => Outcome::Unclear(unanswered().0),
        }
    }
}

fn unanswered() -> (Fault, Again) {
    (Fault::new(name::NO_ANSWER, "nothing was answered"), Again::Later)
}

/// What a mutation said about itself.
pub(super) fn of_mutation(done: &Value, action: &str) -> Result<Facts, Trouble> {
    match done["success"].as_bool() {
        Some(true) => {
            let mut facts = facts_of(&done["output"]);
            facts.insert("action".to_owned(), Value::from(action));
            Ok(facts)
        }
        Some(false) => Err(of_message(done["message"].as_str().unwrap_or_default())),
        None => Err(Trouble::Unsure(Fault::new(name::NO_ANSWER, "the mutation does not say how it ended"))),
    }
}

/// The facts that an object's system fields give. Times stay as they come: a number up to 1.8, a
/// text from 2.0 on.
pub(super) fn facts_of(node: &Value) -> Facts {
    let named = [("id", "id"), ("version", "version"), ("modified", "modificationDate")];
    let known = named.into_iter().filter(|(_, field)| !node[*field].is_null());
    known.map(|(fact, field)| (fact.to_owned(), node[field].clone())).collect()
}

/// The message of a mutation with `success: false`. One that nobody knows may mean anything.
pub(super) fn of_message(message: &str) -> Trouble {
    Trouble::of_text(class(MESSAGES, message).unwrap_or(Class::Half), message)
}

/// The message of the first of `errors`, which may also be one of a mutation.
pub(super) fn of_error(message: &str) -> Trouble {
    let found = class(ERRORS, message).or_else(|| class(MESSAGES, message));
    Trouble::of_text(found.unwrap_or(Class::Half), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One text per row of [`MESSAGES`], as Data Hub writes it, in the order of the rows.
    const SAID: &[(&str, Class)] = &[
        ("creating failed: Duplicate full path [ /p/k ] - cannot save object", Class::Conflict),
        ("saving failed: Duplicate path", Class::Conflict),
        ("creating failed: unique constraint violation", Class::Conflict),
        ("unable to update object. Unknown id or fullpath", Class::Stale),
        ("Validation failed: price", Class::Never),
        ("Empty mandatory field [ name ]", Class::Never),
        ("unable to resolve parent", Class::Never),
        ("not allowed to create object in folder", Class::Never),
        ("permission denied. failed to create object", Class::Never),
        ("either id or fullpath expected but not both", Class::Never),
        ("Element with id 5 or fullpath /x not found", Class::Later),
        ("creating failed: something else", Class::Half),
        ("SQLSTATE[40001]: Serialization failure", Class::Half),
        ("error 1205: Lock wait timeout exceeded", Class::Half),
        ("error 1213: Deadlock found", Class::Half),
    ];

    /// The same for [`ERRORS`].
    const RAISED: &[(&str, Class)] = &[
        ("object with fullpath:'/x' not found", Class::Absent),
        ("Cannot query field \"x\" on type \"Query\".", Class::Schema),
        ("Field \"x\" is not defined by type \"UpdateProductInput\".", Class::Schema),
        ("Variable \"$f\" of required type \"String!\" was not provided.", Class::Schema),
        ("Unknown argument \"published\" on field \"updateProduct\" of type \"Mutations\".", Class::Schema),
        ("Unknown type \"UpdateProduct\".", Class::Schema),
        ("Field \"weight\" of type \"QuantityValue\" must have a selection of subfields.", Class::Schema),
        ("Field \"sku\" must not have a selection since type \"String\" has no subfields.", Class::Schema),
        ("Float cannot represent non numeric value: \"9.90\"", Class::Schema),
        ("Expected value of type \"ImageInput\", found 5.", Class::Schema),
        ("Syntax Error: Unexpected <EOF>", Class::Schema),
        ("unable to decode filter", Class::Schema),
        ("Internal server error", Class::Half),
    ];

    fn is(trouble: &Trouble, class: Class) -> bool {
        *trouble == Trouble::of_text(class, &texted(trouble))
    }

    fn texted(trouble: &Trouble) -> String {
        match trouble {
            Trouble::Sure { fault, .. }
            | Trouble::Schema(fault)
            | Trouble::Conflict(fault)
            | Trouble::Stale(fault)
            | Trouble::Half(fault)
            | Trouble::Unsure(fault) => fault.message.clone(),
            Trouble::Absent => String::new(),
        }
    }

    #[test]
    fn every_row_has_its_text_and_every_text_its_row() {
        for (rows, texts) in [(MESSAGES, SAID), (ERRORS, RAISED)] {
            assert_eq!(rows.len(), texts.len());
            for (row, (text, expected)) in rows.iter().zip(texts) {
                let first = rows.iter().find(|(parts, _)| parts.iter().all(|part| text.contains(part)));
                assert_eq!((first, row.1), (Some(row), *expected), "{text}");
            }
        }
        for (text, class) in SAID {
            assert!(is(&of_message(text), *class), "{text}");
            assert!(is(&of_error(text), *class), "{text}");
        }
        for (text, class) in RAISED {
            assert!(is(&of_error(text), *class), "{text}");
        }
        assert!(is(&of_message("something new"), Class::Half));
        assert!(is(&of_error("something new"), Class::Half));
    }

    #[test]
    fn a_status_tells_setup_from_outage() {
        let of = |status| Trouble::of_status(&Answer { status, retry_after: None, body: Vec::new() });
        assert!(matches!(of(403), Trouble::Sure { again: Again::Never, .. }));
        assert!(matches!(of(404), Trouble::Sure { again: Again::Never, .. }));
        assert!(matches!(of(405), Trouble::Sure { again: Again::Never, .. }));
        assert!(matches!(of(429), Trouble::Sure { again: Again::Later, .. }));
        for status in [500, 502, 503, 504] {
            assert!(matches!(of(status), Trouble::Unsure(_)), "{status}");
            assert!(matches!(of(status).of_read(), Trouble::Sure { again: Again::Later, .. }));
        }
    }
}
