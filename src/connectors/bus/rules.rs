//! The rules of a bus: which queues an event goes to.

use serde_json::Value;

use super::BuildFault;

/// The rules in the order of the file.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    detail_type: String,
    queue: String,
    shared: bool,
}

/// Where an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) queue: &'a str,
    /// All runs share the queue, so the message carries its content.
    pub(super) shared: bool,
}

impl Rules {
    /// Reads `rules: [{ detail_type, queue, shared }]`; without any, every event goes nowhere.
    pub(super) fn read(written: Option<&Value>) -> Result<Self, Vec<BuildFault>> {
        let listed = match written {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(listed)) => listed,
            Some(_) => return Err(vec![BuildFault::field("rules", "'rules' must be a list")]),
        };
        Ok(Self { rules: super::all_of(listed.iter().map(rule).collect())? })
    }

    /// Whether any queue is shared.
    pub(super) fn share(&self) -> bool {
        self.rules.iter().any(|rule| rule.shared)
    }

    /// The queues of an event, each once.
    pub(super) fn targets(&self, detail_type: &str) -> impl Iterator<Item = Target<'_>> {
        let matching = move |rule: &&Rule| rule.detail_type == detail_type;
        let first = move |(at, rule): &(usize, &Rule)| {
            !self.rules[..*at].iter().any(|other| matching(&other) && other.queue == rule.queue)
        };
        self.rules
            .iter()
            .enumerate()
            .filter(move |(_, rule)| rule.detail_type == detail_type)
            .filter(first)
            .map(|(_, rule)| Target { queue: &rule.queue, shared: rule.shared })
    }
}

fn rule(written: &Value) -> Result<Rule, BuildFault> {
    let wrong = |message: String| BuildFault {
        hint: Some("write { detail_type: …, queue: … }".to_owned()),
        ..BuildFault::field("rules", message)
    };
    let Value::Object(members) = written else {
        return Err(wrong("a rule must have 'detail_type' and 'queue'".to_owned()));
    };
    if let Some(unknown) =
        members.keys().find(|name| !matches!(name.as_str(), "detail_type" | "queue" | "shared"))
    {
        return Err(wrong(format!("a rule has no '{unknown}'")));
    }
    let text = |name: &str| match members.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(wrong(format!("'{name}' is missing in a rule"))),
    };
    let shared = match members.get("shared") {
        None => false,
        Some(Value::Bool(shared)) => *shared,
        Some(_) => return Err(wrong("'shared' in a rule must be true or false".to_owned())),
    };
    Ok(Rule { detail_type: text("detail_type")?, queue: text("queue")?, shared })
}
