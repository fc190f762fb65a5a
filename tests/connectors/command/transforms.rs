//! Python handlers that make items.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, gone, scopes, words};
use crate::world::scope;

#[test]
fn a_handler_sees_what_lambda_shows_and_may_print_read_and_start_what_it_likes() {
    let desk = Desk::with(
        r#"
import os, subprocess, sys
def handler(event, context):
    print("not a line of the protocol")
    os.write(1, b'{"type":"bye"}\n')
    subprocess.run(["echo", "neither is this"], check=True)
    return {
        "read": sys.stdin.read(),
        "doubled": event["price"] * 2,
        "big": event["big"],
        "name": context.function_name,
        "left": 0 < context.get_remaining_time_in_millis() <= 20000,
        "told": context.client_context.custom,
        "version": context.function_version,
        "umlaut": "ä \u2028",
    }
"#,
    );
    let made = desk
        .handler()
        .prepare(&scope(json!({ "price": 1.25, "big": 123_456_789_012_345_678_901_u128.to_string() })))
        .unwrap();
    assert_eq!(
        made,
        json!({
            "read": "", "doubled": 2.5, "big": "123456789012345678901", "name": "it", "left": true,
            "told": { "run": "run_00000000000000000000000001", "item": 0, "attempt": 1 },
            "version": "$LATEST", "umlaut": "ä \u{2028}",
        })
    );
}

#[test]
fn whatever_is_raised_is_the_error_of_its_item_with_its_name_and_place() {
    let desk = Desk::with(
        r#"
import sys
class NoPrice(Exception):
    pass
def price(item):
    raise NoPrice("no price in " + item["sku"])
def handler(event, context):
    what = event["what"]
    if what == "raise": price(event)
    if what == "exit": sys.exit(3)
    if what == "set": return {1, 2}
    if what == "nan": return {"price": float("nan")}
    if what == "surrogate": return {"title": "\ud800"}
    if what == "nothing": return None
    if what == "deep":
        for _ in range(200): event = [event]
    return event
"#,
    );
    let whats = ["fine", "raise", "exit", "set", "nan", "surrogate", "nothing", "deep", "fine"];
    let items = whats.map(|what| json!({ "what": what, "sku": "S1" }));
    let made = desk.handler().prepare_all(&scopes(items));
    let fine = r#"{"what":"fine","sku":"S1"}"#;
    assert_eq!(
        words(&made),
        [
            fine,
            "NoPrice",
            "SystemExit",
            "TypeError",
            "ValueError",
            "UnicodeEncodeError",
            "MappingError",
            "MappingError",
            fine
        ]
    );
    let told = |at: usize| made[at].as_ref().unwrap_err().message.clone();
    assert_eq!(told(1), "no price in S1 (handler.py:6 in price)");
    assert!(told(6).contains("returned nothing"), "{}", told(6));
    assert!(told(7).contains("recursion limit"), "{}", told(7));
}

#[test]
fn one_that_hangs_is_ended_with_all_it_started_and_the_others_go_on() {
    let desk = Desk::with(
        r#"
import os, subprocess, time
def handler(event, context):
    if event == "hangs":
        child = subprocess.Popen(["sleep", "1000"])
        with open("pids", "w") as file: file.write("%d %d" % (os.getpid(), child.pid))
        while True: pass
    return event
"#,
    )
    .within(Duration::from_millis(700));
    let made = desk.handler().prepare_all(&scopes(["a", "hangs", "b", "c"].map(Value::from)));
    assert_eq!(words(&made), [r#""a""#, "Timeout", r#""b""#, r#""c""#]);
    for pid in desk.text("pids").split(' ') {
        gone(&pid.parse().unwrap());
    }
}

#[test]
fn an_item_whose_process_is_killed_is_tried_again_and_given_up_after_its_attempts() {
    let desk = Desk::with(
        r#"
import os
def handler(event, context):
    attempt = context.client_context.custom["attempt"]
    if event == "always" or event == "once" and attempt == 1:
        os.write(2, b"about to go\n")
        os.kill(os.getpid(), 9)
    return {"event": event, "attempt": attempt}
"#,
    );
    let made = desk.handler().prepare_all(&scopes(["a", "once", "always", "b"].map(Value::from)));
    assert_eq!(
        words(&made),
        [
            r#"{"event":"a","attempt":1}"#,
            r#"{"event":"once","attempt":2}"#,
            "NoAnswer",
            r#"{"event":"b","attempt":1}"#
        ]
    );
    let why = &made[2].as_ref().unwrap_err().message;
    assert!(why.contains("signal: 9") && why.contains("about to go"), "{why}");
}

#[test]
fn an_error_that_passes_is_tried_again_at_once() {
    let desk = Desk::with(
        r#"
def handler(event, context):
    attempt = context.client_context.custom["attempt"]
    if attempt < event: raise ConnectionError("the other side is away")
    return attempt
"#,
    );
    let made = desk.handler().prepare_all(&scopes([1, 3, 4].map(Value::from)));
    assert_eq!(words(&made), ["1", "3", "ConnectionError"]);
}

#[test]
fn what_is_imported_is_pinned_or_told() {
    let desk = Desk::with(
        "import rules.money\nimport vat\ndef handler(event, context):\n    return rules.money.gross(event) + vat.RATE\n",
    );
    desk.put("rules/money.py", "def gross(net):\n    return net * 2\n");
    desk.put("vat.py", "RATE = 1\n");
    let with = json!({ "handler": "handler.py", "files": ["rules/money.py", "vat.py"] });
    let transform = desk.transform(&with);
    // What lies on the disk since then is not what the run began with.
    desk.put("vat.py", "RATE = 1000\n");
    desk.put("handler.py", "raise SystemError");
    assert_eq!(transform.prepare(&scope(json!(20))).unwrap(), json!(41));

    let desk = Desk::with("import vat\ndef handler(event, context):\n    return vat.RATE\n");
    desk.put("vat.py", "RATE = 1\n");
    let fault = desk.handler().prepare(&scope(json!(20))).unwrap_err();
    assert_eq!(fault.name, "Unreachable");
    assert!(fault.message.contains("ModuleNotFoundError: No module named 'vat'"), "{fault}");
    assert!(fault.message.contains("name it under 'files'"), "{fault}");
}

#[test]
fn two_processes_serve_side_by_side_and_end_with_the_step() {
    let desk = Desk::with(
        r#"
import os
def handler(event, context):
    # Each waits at a pipe until the other one is there.
    mine, other = ("one", "two") if event == 1 else ("two", "one")
    if event == 1:
        with open("one", "w") as pipe: pipe.write("x")
        with open("two") as pipe: pipe.read()
    else:
        with open("one") as pipe: pipe.read()
        with open("two", "w") as pipe: pipe.write("x")
    return os.getpid()
"#,
    )
    .connection(json!({ "processes": 2 }));
    for pipe in ["one", "two"] {
        assert!(std::process::Command::new("mkfifo").arg(desk.path(pipe)).status().unwrap().success());
    }
    let transform = desk.handler();
    let pids: Vec<Value> = std::thread::scope(|threads| {
        let ask = |event: u64| {
            let transform = &transform;
            threads.spawn(move || transform.prepare(&scope(json!(event))).unwrap())
        };
        [ask(1), ask(2)].map(|asked| asked.join().unwrap()).into()
    });
    assert_ne!(pids[0], pids[1]);
    drop(transform);
    pids.iter().for_each(gone);
}

#[test]
fn a_process_sees_nothing_of_our_environment_but_what_is_named() {
    let desk = Desk::with("import os\ndef handler(event, context):\n    return dict(os.environ)\n")
        .connection(json!({ "env": { "TOKEN": "t-0-k-e-n", "LIMIT": 3, "LANG": "C" } }));
    let seen = desk.handler().prepare(&scope(Value::Null)).unwrap();
    let seen = seen.as_object().unwrap();
    // Wrappers around Python set some of their own. Cargo has set these for us.
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")));
    let ours: Vec<&String> = seen.keys().filter(|name| name.starts_with("CARGO")).collect();
    assert!(ours.is_empty() && seen["HOME"].is_string(), "{ours:?}");
    assert_eq!(
        (&seen["TOKEN"], &seen["LIMIT"], &seen["LANG"]),
        (&json!("t-0-k-e-n"), &json!("3"), &json!("C"))
    );
}

#[test]
fn a_thousand_items_in_one_go_come_back_in_their_order() {
    let desk =
        Desk::with("def handler(event, context):\n    return {'n': event['n'] + 1, 'pad': event['pad']}\n")
            .connection(json!({ "processes": 2 }));
    let pad = "x".repeat(10_000);
    let made = desk.handler().prepare_all(&scopes((0..1000).map(|n| json!({ "n": n, "pad": pad }))));
    for (n, made) in made.iter().enumerate() {
        assert_eq!(made.as_ref().unwrap()["n"], n + 1);
    }
}
