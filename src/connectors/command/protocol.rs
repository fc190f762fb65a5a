//! What is said between us and a process: one JSON object a line. `docs/command.md` has it for those who
//! write such a process.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The version of the protocol that we speak.
pub(super) const VERSION: u64 = 1;
/// Longest line that a process may say, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most items that a process may ask for at once.
const AT_ONCE_MAX: usize = 256;

/// The first line to a process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Greeting {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u64,
    /// The step that it works for.
    step: String,
    /// How long one item may take, in milliseconds.
    timeout_ms: u64,
    /// What the runner of Python handlers serves; nothing for other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<Value>,
}

impl Greeting {
    pub(super) fn new(step: &str, timeout_ms: u64, handler: Option<Value>) -> Self {
        Self { kind: "hello", version: VERSION, step: step.to_owned(), timeout_ms, handler }
    }
}

/// What is asked about an item, without what is new in every try.
#[derive(Debug, Serialize)]
pub(super) struct Ask<'a> {
    /// The run.
    pub(super) run: String,
    /// The item's position in the source; `None`: the step works once per run, or for several items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<u64>,
    /// What names the effect; a transform has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<&'a str>,
    /// A stable ID of the effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<String>,
    /// The item, or what the step hands over in its place.
    pub(super) body: &'a Value,
}

/// What an item is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To work on it.
    Item,
    /// To look up whether an earlier attempt was carried out.
    Probe,
}

/// A line to a process without its head.
pub(super) fn tail(ask: &Ask<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec(ask)?;
    // Its opening brace stands in the head.
    text.remove(0);
    Ok(text)
}

/// A whole line, with its end.
pub(super) fn line(wish: Wish, id: u64, attempt: u32, tail: &[u8]) -> Vec<u8> {
    let word = match wish {
        Wish::Item => "item",
        Wish::Probe => "probe",
    };
    let head = format!(r#"{{"type":"{word}","id":{id},"attempt":{attempt},"#);
    [head.as_bytes(), tail, b"\n"].concat()
}

/// The last line to a process.
pub(super) const BYE: &[u8] = b"{\"type\":\"bye\"}\n";

/// What a process says.
#[derive(Debug)]
pub(super) enum Said {
    /// It is there.
    Hello(Hello),
    /// What became of an item.
    Result(u64, Box<RawValue>),
    /// An item failed; without an ID the process itself cannot begin.
    Error(Option<u64>, Refusal),
    /// It is at work on an item; without an ID on all it has.
    Heartbeat(Option<u64>),
    /// It wants no more items.
    Bye,
}

/// What a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// How many items it works on at once, at least 1.
    pub(super) at_once: usize,
    /// It can look up whether an earlier attempt was carried out.
    pub(super) probes: bool,
}

/// Why an item failed, in the words of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) name: String,
    pub(super) message: String,
    /// Another attempt makes sense.
    pub(super) again: bool,
}

/// Every field that a line may have: the parser of tagged forms would lose the digits of numbers.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    id: Option<u64>,
    result: Option<Box<RawValue>>,
    name: Option<String>,
    message: Option<String>,
    #[serde(default)]
    again: bool,
    version: Option<u64>,
    at_once: Option<usize>,
    #[serde(default)]
    probes: bool,
}

/// Reads a line of a process.
///
/// # Errors
/// In plain words what is wrong with it.
pub(super) fn read(text: &[u8]) -> Result<Said, String> {
    let shown = || {
        let shown: String = String::from_utf8_lossy(text).trim_end().chars().take(80).collect();
        format!("'{shown}'")
    };
    let line: Line = serde_json::from_slice(text)
        .map_err(|error| format!("a line that is not of the protocol: {}: {error}", shown()))?;
    let id = || line.id.ok_or_else(|| format!("a line without 'id': {}", shown()));
    match line.kind.as_str() {
        "hello" => match line.version {
            Some(VERSION) => Ok(Said::Hello(Hello {
                at_once: line.at_once.unwrap_or(1).clamp(1, AT_ONCE_MAX),
                probes: line.probes,
            })),
            other => Err(format!(
                "a hello of protocol version {}, where we speak {VERSION}",
                other.map_or_else(|| "none".to_owned(), |version| version.to_string())
            )),
        },
        "result" => {
            let id = id()?;
            // A result that is null is read as one that is not there.
            Ok(Said::Result(id, line.result.unwrap_or_else(|| RawValue::NULL.to_owned())))
        }
        "error" => {
            let name = line.name.filter(|name| !name.trim().is_empty());
            let name = name.unwrap_or_else(|| "Error".to_owned()).chars().take(100).collect();
            let message = line.message.unwrap_or_default();
            Ok(Said::Error(line.id, Refusal { name, message, again: line.again }))
        }
        "heartbeat" => Ok(Said::Heartbeat(line.id)),
        "bye" => Ok(Said::Bye),
        other => Err(format!("a line of the unknown type '{other}'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_to_a_process_are_whole_objects() {
        let body = json!({ "price": 1.10 });
        let ask = Ask { run: "run_1".to_owned(), item: Some(3), key: Some("k"), effect: None, body: &body };
        let line = line(Wish::Item, 7, 2, &tail(&ask).unwrap());
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"type\":\"item\",\"id\":7,\"attempt\":2,\"run\":\"run_1\",\"item\":3,\"key\":\"k\",\"body\":{\"price\":1.1}}\n"
        );
    }

    #[test]
    fn what_a_process_says_is_understood_or_told_in_plain_words() {
        let Ok(Said::Hello(hello)) = read(br#"{"type":"hello","version":1,"at_once":9000}"#) else {
            panic!()
        };
        assert_eq!(hello, Hello { at_once: AT_ONCE_MAX, probes: false });
        let Ok(Said::Result(7, result)) = read(br#"{"type":"result","id":7,"result":{"a":1.10}}"#) else {
            panic!()
        };
        assert_eq!(result.get(), r#"{"a":1.10}"#, "every digit stays");
        let Ok(Said::Result(8, nothing)) = read(br#"{"type":"result","id":8,"result":null}"#) else {
            panic!()
        };
        assert_eq!(nothing.get(), "null");
        let Ok(Said::Error(None, refusal)) = read(br#"{"type":"error","message":"no"}"#) else { panic!() };
        assert_eq!(refusal, Refusal { name: "Error".to_owned(), message: "no".to_owned(), again: false });
        for (wrong, told) in [
            ("hello world\n", "not of the protocol: 'hello world'"),
            (r#"{"type":"result","result":1}"#, "without 'id'"),
            (r#"{"type":"hello"}"#, "version none, where we speak 1"),
            (r#"{"type":"hello","version":2}"#, "version 2"),
            (r#"{"type":"status"}"#, "unknown type 'status'"),
            ("[1]", "not of the protocol"),
        ] {
            let why = read(wrong.as_bytes()).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
