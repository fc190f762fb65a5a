//! Programs that are not there, say the wrong thing, or say nothing.

use std::time::Duration;

use milepost::connectors::Health;
use serde_json::{Value, json};

use super::{Desk, scopes, words};
use crate::world::scope;

const HELLO: &str = r#"echo '{"type":"hello","version":1}'"#;

/// A shell that reads the greeting, then does this.
fn shell(script: &str) -> Value {
    json!({ "run": ["sh", "-c", format!("read greeting; {script}")] })
}

#[test]
fn a_program_in_any_language_speaks_lines() {
    let desk = Desk::new();
    // It answers in another order than it was asked, and says that it is at work.
    let script = r#"echo '{"type":"hello","version":1,"at_once":2}'; read one; read two
        echo '{"type":"heartbeat","id":1}'; echo '{"type":"result","id":2,"result":"two"}'
        echo; echo '{"type":"error","id":1,"name":"Odd","message":"one"}'; echo '{"type":"bye"}'; read bye"#;
    let made = desk.transform(&shell(script)).prepare_all(&scopes([1, 2].map(Value::from)));
    assert_eq!(words(&made), ["Odd", r#""two""#]);
}

#[test]
fn a_process_that_wants_no_more_is_replaced_without_a_failure() {
    let desk = Desk::new();
    let script = format!(
        r#"{HELLO}; read item; id=${{item#*\"id\":}}; echo "{{\"type\":\"result\",\"id\":${{id%%,*}},\"result\":$$}}"
        echo '{{"type":"bye"}}'; read bye"#
    );
    let transform = desk.transform(&shell(&script));
    let pids: Vec<Value> = (0..3).map(|_| transform.prepare(&scope(json!(1))).unwrap()).collect();
    assert!(pids[0] != pids[1] && pids[1] != pids[2], "{pids:?}");
}

#[test]
fn nonsense_is_a_fault_with_its_words_and_never_a_hang() {
    let desk = Desk::new().within(Duration::from_secs(5));
    let long = format!("{HELLO}; read item; head -c 9000000 /dev/zero | tr '\\0' x; echo; read bye");
    for (script, name, told) in [
        ("echo good morning; read item", "Unreachable", "not of the protocol: 'good morning'"),
        (
            "echo '{\"type\":\"hello\",\"version\":7}'; read item",
            "Unreachable",
            "version 7, where we speak 1",
        ),
        ("echo '{\"type\":\"result\",\"id\":1}'; read item", "Unreachable", "does not begin with its hello"),
        ("echo it is broken >&2; exit 3", "Unreachable", "its last words: it is broken"),
        ("exit 0", "Unreachable", "it ended before its hello"),
        (&format!("{HELLO}; read item; echo oops; read more"), "NoAnswer", "not of the protocol: 'oops'"),
        (
            &format!("{HELLO}; read item; echo '{{\"type\":\"result\",\"id\":77}}'; read more"),
            "NoAnswer",
            "a result for 77, which it does not have",
        ),
        (&format!("{HELLO}; read item; {HELLO}; read more"), "NoAnswer", "said hello twice"),
        (&format!("{HELLO}; read item; exit 4"), "NoAnswer", "the process ended"),
        (&long, "NoAnswer", "a line of more than 8 MiB"),
    ] {
        let fault = desk.transform(&shell(script)).prepare(&scope(json!(1))).unwrap_err();
        assert!(fault.name == name && fault.message.contains(told), "{script}: {fault}");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_told_at_once_for_every_item() {
    let desk = Desk::new();
    desk.put("plain.txt", "no program");
    for (run, told) in [(json!(["./nowhere"]), "No such file"), (json!(["./plain.txt"]), "Permission denied")]
    {
        let transform = desk.transform(&json!({ "run": run }));
        for made in transform.prepare_all(&scopes((0..100).map(Value::from))) {
            let fault = made.unwrap_err();
            assert!(fault.name == "Unreachable" && fault.message.contains(told), "{fault}");
        }
    }
    let desk =
        Desk::with("def handler(event, context): pass").connection(json!({ "python": "no-such-python" }));
    let fault = desk.handler().prepare(&scope(json!(1))).unwrap_err();
    assert!(fault.message.contains("'no-such-python' cannot be started"), "{fault}");
}

#[test]
fn a_program_that_says_no_hello_is_not_waited_for_longer_than_for_an_item() {
    let desk = Desk::new().within(Duration::from_millis(50));
    let fault = desk.transform(&shell("read never")).prepare(&scope(json!(1))).unwrap_err();
    assert!(fault.message.contains("no hello within 50ms"), "{fault}");
}

#[test]
fn a_named_file_that_changed_since_the_run_began_is_not_started() {
    let desk = Desk::new();
    desk.put("answer.sh", &format!("read greeting; {HELLO}; read item; echo '{{\"type\":\"result\",\"id\":1,\"result\":5}}'; read bye"));
    let with = json!({ "run": ["sh", "answer.sh"], "files": ["answer.sh"] });
    let transform = desk.transform(&with);
    assert_eq!(transform.prepare(&scope(json!(1))).unwrap(), json!(5));
    let transform = desk.transform(&with);
    desk.put("answer.sh", "exit 0");
    let fault = transform.prepare(&scope(json!(1))).unwrap_err();
    assert!(fault.message.contains("'answer.sh' is not what it was when the run began"), "{fault}");
}

#[test]
fn mistakes_in_the_fields_are_named() {
    let desk = Desk::with("");
    let handler = |more: Value| {
        let mut with = json!({ "handler": "handler.py" });
        more.as_object().unwrap().iter().for_each(|(name, value)| with[name] = value.clone());
        with
    };
    for (with, field, told) in [
        (json!({}), "run", "nothing to start"),
        (json!({ "run": [] }), "run", "names no program"),
        (json!({ "run": [" "] }), "run", "names no program"),
        (handler(json!({ "run": ["sh"] })), "run", "exclude each other"),
        (json!({ "run": ["sh"], "function": "f" }), "function", "goes with 'handler'"),
        (json!({ "run": ["sh"], "lookup": { "function": "f" } }), "lookup.function", "goes with 'handler'"),
        (handler(json!({ "lookup": {} })), "lookup", "the function"),
        (handler(json!({ "body": "${{ item. }}" })), "body", ""),
    ] {
        let (named, message) = desk.mistake("command", &with);
        assert!(named.as_deref() == Some(field) && message.contains(told), "{with}: {named:?} {message}");
    }
    desk.put("handler.js", "");
    assert!(desk.mistake("command", &json!({ "handler": "handler.js" })).1.contains("no Python file"));
    for (settings, field) in [
        (json!({ "processes": 0 }), "processes"),
        (json!({ "env": ["A"] }), "env"),
        (json!({ "env": { "A": {} } }), "env"),
        (json!({ "env": { "A=B": "c" } }), "env"),
    ] {
        let desk = Desk::with("").connection(settings);
        assert_eq!(desk.mistake("command", &handler(json!({}))).0.as_deref(), Some(field));
    }
}

#[tokio::test]
async fn doctor_hears_the_hello_and_lets_the_process_go() {
    let desk = Desk::with("def handler(event, context): pass\ndef find(event, context): pass\n");
    let fine = desk.doctor(&json!({ "handler": "handler.py", "lookup": { "function": "find" } })).await;
    assert_eq!(fine.health, Health::Good, "{fine:?}");
    assert_eq!(fine.what, "'it': its process says hello, and takes 1 at once");
    for (with, told) in [
        (
            json!({ "handler": "handler.py", "function": "handel" }),
            "AttributeError: handler has no function handel",
        ),
        (json!({ "run": ["./nowhere"] }), "nowhere' cannot be started"),
        (json!({ "run": [] }), "names no program"),
        (json!({ "run": ["sh", "-c", HELLO], "lookup": {} }), "does not say that it can look up"),
    ] {
        let wrong = desk.doctor(&with).await;
        assert!(wrong.health == Health::Wrong && wrong.what.contains(told), "{wrong:?}");
    }
}
