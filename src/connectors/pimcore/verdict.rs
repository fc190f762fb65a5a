//! What Data Hub's answers mean. It has no error codes, so the texts are classified, by what they
//! contain (read in data-hub 1.8).

use serde_json::Value;

use crate::connectors::wire::{Answer, Broken};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

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
    /// Perhaps something was done.
    Unsure(Fault),
    /// Something has the path or the SKU already.
    Conflict(Fault),
    /// The id that was looked up is gone.
    Stale(Fault),
    /// A read found nothing.
    Absent,
}

impl Trouble {
    pub(super) fn never(message: impl Into<String>) -> Self {
        Self::Sure { fault: Fault::new(name::REFUSED, message), again: Again::Never }
    }

    pub(super) fn of_broken(broken: Broken) -> Self {
        match broken {
            Broken::Unsent(fault) => Self::Sure { fault, again: Again::Later },
            Broken::Silent(fault) => Self::Unsure(fault),
        }
    }

    /// Whatever goes wrong with a read, nothing was changed by it.
    pub(super) fn of_read(self) -> Self {
        match self {
            Self::Unsure(fault) => Self::Sure { fault, again: Again::Later },
            other => other,
        }
    }

    /// Why a read has no answer, and whether it may have one later.
    pub(super) fn told(self) -> (Fault, Again) {
        match self {
            Self::Sure { fault, again } => (fault, again),
            Self::Unsure(fault) | Self::Conflict(fault) | Self::Stale(fault) => (fault, Again::Later),
            Self::Absent => (Fault::new(name::REFUSED, "there is nothing"), Again::Never),
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
            Self::Unsure(fault) => Outcome::Unclear(fault),
            Self::Conflict(fault) | Self::Stale(fault) => Outcome::Refused { fault, again: Again::Later },
            Self::Absent => Outcome::Unclear(Fault::new(name::NO_ANSWER, "nothing was answered")),
        }
    }

    pub(super) fn fault(self) -> Fault {
        match self.outcome() {
            Outcome::Refused { fault, .. } | Outcome::Unclear(fault) => fault,
            Outcome::Done(_) | Outcome::Skipped(_) => Fault::new(name::NO_ANSWER, "nothing was answered"),
        }
    }
}

/// What a mutation said about itself.
pub(super) fn of_mutation(done: &Value, action: &str) -> Result<Facts, Trouble> {
    let message = done["message"].as_str().unwrap_or_default();
    match done["success"].as_bool() {
        Some(true) => {
            let output = &done["output"];
            let mut facts = Facts::from([("action".to_owned(), Value::from(action))]);
            for (fact, field) in [("id", "id"), ("version", "version"), ("modified", "modificationDate")] {
                if !output[field].is_null() {
                    facts.insert(fact.to_owned(), output[field].clone());
                }
            }
            Ok(facts)
        }
        Some(false) => Err(of_message(message)),
        None => Err(Trouble::Unsure(Fault::new(name::NO_ANSWER, "the mutation does not say how it ended"))),
    }
}

/// The message of a mutation with `success: false`.
pub(super) fn of_message(message: &str) -> Trouble {
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let fault = Fault::new(name::REFUSED, message);
    if has(&["Duplicate full path", "Duplicate path", "unique constraint violation"]) {
        Trouble::Conflict(fault)
    } else if has(&["unable to update object. Unknown id or fullpath"]) {
        Trouble::Stale(fault)
    } else if has(&["Validation failed:", "Empty mandatory field ["])
        || has(&["unable to resolve parent", "not allowed to create object", "permission denied"])
    {
        Trouble::Sure { fault, again: Again::Never }
    } else if has(&["Element with id"]) && has(&["not found"]) {
        // What it refers to may still come.
        Trouble::Sure { fault, again: Again::Later }
    } else {
        // Among them `creating failed: …`: a create saves twice, and the first may have passed.
        Trouble::Unsure(fault)
    }
}

/// The message of the first of `errors`.
pub(super) fn of_error(message: &str) -> Trouble {
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let schema = ["Cannot query field", "is not defined by type", "Variable \"$", "Unknown argument"];
    let form = ["Syntax Error", "cannot represent", "unable to decode filter", "must have a selection"];
    let fault = Fault::new(name::REFUSED, message);
    if has(&["object with"]) && has(&["not found"]) {
        Trouble::Absent
    } else if has(&schema) || has(&form) {
        Trouble::Sure { fault, again: Again::Never }
    } else {
        of_message(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::Sure { again: Again::Never, .. } => "never",
            Trouble::Sure { .. } => "later",
            Trouble::Unsure(_) => "unsure",
            Trouble::Conflict(_) => "conflict",
            Trouble::Stale(_) => "stale",
            Trouble::Absent => "absent",
        }
    }

    #[test]
    fn every_known_text_has_its_class() {
        for (text, expected) in [
            ("creating failed: Duplicate full path [ /p/k ] - cannot save object", "conflict"),
            ("saving failed: Duplicate path", "conflict"),
            ("unique constraint violation", "conflict"),
            ("unable to update object. Unknown id or fullpath", "stale"),
            ("Validation failed: price", "never"),
            ("Empty mandatory field [ name ]", "never"),
            ("unable to resolve parent", "never"),
            ("not allowed to create object in folder", "never"),
            ("permission denied. failed to create object", "never"),
            ("Element with id 5 or fullpath /x not found", "later"),
            ("creating failed: SQLSTATE[40001]", "unsure"),
            ("something new", "unsure"),
        ] {
            assert_eq!(class(&of_message(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("Cannot query field \"x\" on type \"Query\".", "never"),
            ("Field \"x\" is not defined by type \"UpdateProductInput\".", "never"),
            ("Variable \"$f\" of required type \"String!\" was not provided.", "never"),
            ("unable to decode filter", "never"),
            ("object with fullpath:'/x' not found", "absent"),
            ("Internal server error", "unsure"),
        ] {
            assert_eq!(class(&of_error(text)), expected, "{text}");
        }
    }
}
