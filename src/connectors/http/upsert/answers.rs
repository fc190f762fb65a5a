//! What an answer to a create or an update means: by its status, and where that says too little by
//! its words.

use serde_json::{Map, Value};

use super::BuildFault;
use super::operation::within;
use crate::connectors::wire::{Answer, Broken};
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// How much of an answer's words goes into a fault.
const WORDS_CHARS: usize = 300;

/// What can become of a write, in the words of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// Carried out.
    Done,
    /// Something with this key is there already: look again, then update.
    Conflict,
    /// Surely not carried out, and it never will be: the content is at fault.
    Refused,
    /// Surely not carried out, but it may be later.
    Retry,
    /// What was found is there no more: look again.
    Gone,
}

/// What a write was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// Make something, where nothing was found or nobody looked.
    Create,
    /// Change what was found.
    Update,
}

/// The words of the file, in the order in which they are tried.
const WORDS: &[(&str, Means)] = &[
    ("conflict", Means::Conflict),
    ("gone", Means::Gone),
    ("retry", Means::Retry),
    ("refused", Means::Refused),
    ("done", Means::Done),
];

/// One line of the table.
#[derive(Clone, Debug)]
struct Sign {
    status: u16,
    /// What the body must contain.
    says: Option<String>,
    means: Means,
}

/// The table of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    signs: Vec<Sign>,
    /// JSON pointers to the words of an error.
    message: Vec<String>,
}

/// Why a write did not simply succeed.
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
    /// Something with the key is there already.
    Conflict(Fault),
    /// What was found is there no more.
    Gone(Fault),
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

    /// Whatever goes wrong with a read, nothing was changed by it.
    pub(super) fn of_read(self) -> Self {
        match self {
            Self::Unsure(fault) => Self::Sure { fault, again: Again::Later },
            other => other,
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Sure { fault, again } => Outcome::Refused { fault, again },
            Self::Unsure(fault) => Outcome::Unclear(fault),
            // Others were faster twice: the next attempt looks again.
            Self::Conflict(fault) | Self::Gone(fault) => Outcome::Refused { fault, again: Again::Later },
        }
    }

    pub(super) fn told(self) -> (Fault, Again) {
        match self {
            Self::Sure { fault, again } => (fault, again),
            Self::Unsure(fault) | Self::Conflict(fault) | Self::Gone(fault) => (fault, Again::Later),
        }
    }
}

impl Answers {
    /// Reads the section `answers`.
    pub(super) fn read(with: &Map<String, Value>) -> Result<Self, Vec<BuildFault>> {
        let Some(section) = with.get("answers").and_then(Value::as_object) else {
            return Ok(Self::default());
        };
        let mut signs = Vec::new();
        let mut faults = Vec::new();
        for (word, means) in WORDS {
            for written in listed(section.get(*word)) {
                match sign(written, *means) {
                    Some(sign) => signs.push(sign),
                    None => faults.push(BuildFault {
                        hint: Some("write 409, or { status: 400, says: words of the answer }".to_owned()),
                        ..BuildFault::field(
                            &format!("answers.{word}"),
                            format!("{written} is no HTTP status"),
                        )
                    }),
                }
            }
        }
        // What looks at the words knows more than what looks at the status alone.
        signs.sort_by_key(|sign| sign.says.is_none());
        let mut message = Vec::new();
        for written in listed(section.get("message")) {
            match pointer(written, "message") {
                Ok(pointer) => message.push(pointer),
                Err(fault) => faults.push(within(fault, "answers")),
            }
        }
        if faults.is_empty() { Ok(Self { signs, message }) } else { Err(faults) }
    }

    /// What the answer to a write means; `Ok` when it was carried out.
    pub(super) fn of_write(&self, answer: Answer, write: Write) -> Result<Answer, Trouble> {
        let fault = self.fault(&answer);
        match self.means(&answer) {
            Some(Means::Done) => Ok(answer),
            Some(Means::Conflict) => Err(Trouble::Conflict(fault)),
            Some(Means::Gone) => Err(Trouble::Gone(fault)),
            Some(Means::Refused) => Err(Trouble::Sure { fault, again: Again::Never }),
            Some(Means::Retry) => {
                Err(Trouble::Sure { fault, again: answer.retry_after.map_or(Again::Later, Again::After) })
            }
            None => match (answer.status, answer.of_write()) {
                (200..300, _) => Ok(answer),
                (409, _) => Err(Trouble::Conflict(fault)),
                (404 | 410, _) if write == Write::Update => Err(Trouble::Gone(fault)),
                (_, Outcome::Refused { again, .. }) => Err(Trouble::Sure { fault, again }),
                _ => Err(Trouble::Unsure(fault)),
            },
        }
    }

    /// What a lookup that did not succeed means.
    pub(super) fn of_read(&self, answer: &Answer) -> Trouble {
        Trouble::Sure { fault: self.fault(answer), again: answer.again_of_read() }
    }

    fn means(&self, answer: &Answer) -> Option<Means> {
        let body = String::from_utf8_lossy(&answer.body);
        let fits = |sign: &&Sign| {
            sign.status == answer.status && sign.says.as_ref().is_none_or(|says| body.contains(says.as_str()))
        };
        self.signs.iter().find(fits).map(|sign| sign.means)
    }

    /// The status with the other side's words.
    fn fault(&self, answer: &Answer) -> Fault {
        let json = answer.json().unwrap_or_default();
        let words = self.message.iter().filter_map(|pointer| {
            json.pointer(pointer).filter(|value| !value.is_null()).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        });
        let words = words.collect::<Vec<_>>().join("; ");
        if words.is_empty() {
            return answer.fault();
        }
        let words: String = words.chars().take(WORDS_CHARS).collect();
        Fault::new(name::STATUS, format!("HTTP {}: {words}", answer.status))
    }
}

fn listed(value: Option<&Value>) -> &[Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list,
        Some(single) => std::slice::from_ref(single),
    }
}

fn sign(written: &Value, means: Means) -> Option<Sign> {
    let (status, says) = match written {
        Value::Object(members) => {
            if members.keys().any(|name| name != "status" && name != "says") {
                return None;
            }
            (members.get("status")?, members.get("says").map(Value::as_str))
        }
        status => (status, None),
    };
    let says = match says {
        None => None,
        Some(text) => Some(text.filter(|text| !text.is_empty())?.to_owned()),
    };
    Some(Sign { status: self::status(status)?, says, means })
}

/// An HTTP status.
pub(super) fn status(value: &Value) -> Option<u16> {
    let status = value.as_u64().and_then(|number| u16::try_from(number).ok());
    status.filter(|status| (100..600).contains(status))
}

/// A JSON pointer, in the field `name`.
pub(super) fn pointer(value: &Value, name: &str) -> Result<String, BuildFault> {
    match value {
        Value::String(text) if text.is_empty() || text.starts_with('/') => Ok(text.clone()),
        other => Err(BuildFault {
            hint: Some("a JSON pointer looks like /items/0/id".to_owned()),
            ..BuildFault::field(name, format!("{other} in '{name}' is no JSON pointer"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn class(answers: &Answers, status: u16, body: &str, write: Write) -> &'static str {
        let answer =
            Answer { status, retry_after: Some(Duration::from_secs(7)), body: body.as_bytes().to_vec() };
        match answers.of_write(answer, write) {
            Ok(_) => "done",
            Err(Trouble::Conflict(_)) => "conflict",
            Err(Trouble::Gone(_)) => "gone",
            Err(Trouble::Unsure(_)) => "unsure",
            Err(Trouble::Sure { again: Again::Never, .. }) => "never",
            Err(Trouble::Sure { again: Again::Later, .. }) => "later",
            Err(Trouble::Sure { again: Again::After(_), .. }) => "after",
        }
    }

    #[test]
    fn a_status_means_what_the_file_says_and_else_what_http_says() {
        let plain = Answers::default();
        for (status, write, expected) in [
            (200, Write::Create, "done"),
            (204, Write::Update, "done"),
            (301, Write::Create, "never"),
            (404, Write::Create, "never"),
            (404, Write::Update, "gone"),
            (410, Write::Update, "gone"),
            (409, Write::Create, "conflict"),
            (422, Write::Create, "never"),
            (429, Write::Create, "after"),
            (500, Write::Create, "unsure"),
            (503, Write::Update, "after"),
        ] {
            assert_eq!(class(&plain, status, "", write), expected, "{status}");
        }
        let with = json!({ "answers": {
            "conflict": [{ "status": 400, "says": "NOT_UNIQUE" }],
            "refused": [400, { "status": 200, "says": "\"ok\":false" }],
            "retry": [423],
            "done": 304,
        }});
        let answers = Answers::read(with.as_object().unwrap()).unwrap();
        for (status, body, expected) in [
            (400, "code: NOT_UNIQUE", "conflict"),
            (400, "else", "never"),
            (200, r#"{"ok":false}"#, "never"),
            (200, r#"{"ok":true}"#, "done"),
            (423, "", "after"),
            (304, "", "done"),
        ] {
            assert_eq!(class(&answers, status, body, Write::Create), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_other_sides_words_are_where_the_file_says() {
        let with = json!({ "answers": { "message": ["/error/text", "/error/fields"] } });
        let answers = Answers::read(with.as_object().unwrap()).unwrap();
        let fault = |body: Value| {
            let answer = Answer { status: 422, retry_after: None, body: body.to_string().into_bytes() };
            answers.fault(&answer).message
        };
        let body = json!({ "error": { "text": "no", "fields": ["price"] } });
        assert_eq!(fault(body), "HTTP 422: no; [\"price\"]");
        assert_eq!(fault(json!({ "else": 1 })), "HTTP 422: {\"else\":1}");
    }

    #[test]
    fn what_is_no_status_and_no_pointer_is_told_with_its_place() {
        let with = json!({ "answers": {
            "done": ["ok"], "conflict": { "status": 9 }, "gone": { "status": 404, "sais": "x" }, "message": "error",
        }});
        let faults = Answers::read(with.as_object().unwrap()).unwrap_err();
        let mut fields: Vec<String> = faults.into_iter().filter_map(|fault| fault.field).collect();
        fields.sort();
        assert_eq!(fields, ["answers.conflict", "answers.done", "answers.gone", "answers.message"]);
    }
}
