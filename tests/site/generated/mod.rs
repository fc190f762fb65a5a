//! Workflow files made by chance, for comparing who drives them: one to ten steps once per run and once per
//! item, branches, joins and N-shapes, conditions over input, facts and items, retries, steps that fail,
//! `on_failure`, `tolerate`. The same seed gives the same case.
//!
//! All that fails does so by the script of the HTTP server, per address and call, or by a step that says
//! itself how often it fails. So a case comes to the same end whoever drives it, and in whatever order the
//! items come. The server is in `server.rs`, for those who carry cases out.

mod steps;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use steps::{Kind, Made};

/// What the server answers under an address to the first calls, in their order; to those that follow it
/// answers 200.
pub(crate) type Script = BTreeMap<String, Vec<u16>>;

/// A workflow made by chance.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What it was made from.
    pub(crate) seed: u64,
    /// The workflow file. Its input `url` is the address of the server.
    pub(crate) yaml: String,
    /// The files beside it, by name.
    pub(crate) files: Vec<(String, String)>,
    /// What the server answers.
    pub(crate) script: Script,
    /// The steps in the order of the file.
    pub(crate) steps: Vec<Outline>,
}

/// What there is to know of a step without reading the file.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    /// Its name.
    pub(crate) name: String,
    /// The steps it needs, as the file says.
    pub(crate) needs: Vec<String>,
    /// Once per item.
    pub(crate) on_items: bool,
}

/// The case of a seed.
pub(crate) fn generated(seed: u64) -> Case {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut made = Made::new(seed);
    if rng.random_bool(0.75) {
        with_items(&mut rng, &mut made);
    } else {
        for _ in 0..rng.random_range(1..=10) {
            made.step(&mut rng, Kind::Run);
        }
    }
    let closing = closing(&mut rng, &mut made);
    let files =
        if made.gate.is_some() { vec![("items.ndjson".to_owned(), items(&mut rng))] } else { Vec::new() };
    let keys: Vec<String> = files.iter().flat_map(|(_, text)| text.lines()).map(key).collect();
    let script = made.script(&mut rng, &keys);
    Case { seed, yaml: file(&mut rng, &made, &closing), files, script, steps: made.outlines() }
}

/// Steps before the gate, the gate, steps of items and steps beside them, in a mixed order of the file.
fn with_items(rng: &mut StdRng, made: &mut Made) {
    for _ in 0..rng.random_range(0..=2) {
        made.step(rng, Kind::Run);
    }
    made.gate(rng);
    for _ in 0..rng.random_range(1..=7) {
        let kind = if rng.random_bool(0.2) { Kind::Run } else { Kind::Item };
        made.step(rng, kind);
    }
}

fn key(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap();
    record["key"].as_str().unwrap().to_owned()
}

/// Two to six records; now and then one that the gate refuses.
fn items(rng: &mut StdRng) -> String {
    let mut text = String::new();
    for at in 0..rng.random_range(2..=6) {
        let kind = if rng.random_bool(0.5) { "a" } else { "b" };
        let mut record = json!({ "key": format!("K{at}"), "n": rng.random_range(0..5), "kind": kind });
        if at > 0 && rng.random_bool(0.08) {
            record.as_object_mut().unwrap().remove("n");
        }
        writeln!(text, "{record}").unwrap();
    }
    text
}

/// None to three steps of `on_failure`, as text.
fn closing(rng: &mut StdRng, made: &mut Made) -> String {
    let mut text = String::new();
    for at in 0..if rng.random_bool(0.6) { rng.random_range(1..=3) } else { 0 } {
        match rng.random_range(0..3) {
            0 => text += "  - uses: alert\n",
            1 => text += "  - uses: fail\n    retry: { attempts: 1 }\n",
            _ => {
                let path = format!("/on_failure-{at}");
                writeln!(
                    text,
                    "  - uses: http.request\n    with: {{ url: \"${{{{ input.url & '{path}' }}}}\" }}"
                )
                .unwrap();
                made.called.push(path);
            }
        }
    }
    if text.is_empty() { text } else { format!("\non_failure:\n{text}") }
}

fn file(rng: &mut StdRng, made: &Made, closing: &str) -> String {
    let source = if made.gate.is_some() { "connections:\n  files: { use: local }\n\n" } else { "" };
    let tolerate = match rng.random_range(0..4) {
        0 => "\ntolerate: { dead_letters: 1 }\n".to_owned(),
        1 => "\ntolerate: { dead_letters: 50% }\n".to_owned(),
        2 => "\ntolerate: { dead_letters: 0 }\n".to_owned(),
        _ => String::new(),
    };
    format!(
        "# Made from seed {}.\nworkflow: generated-{}\n\ninput:\n\
         \x20 url: {{ type: text, default: \"http://127.0.0.1:9\" }}\n\
         \x20 mode: {{ type: text, default: {} }}\n\
         \x20 flag: {{ type: bool, default: {} }}\n\
         \x20 count: {{ type: number, default: {} }}\n\n{source}\
         defaults:\n  retry: {{ attempts: 2, backoff: {{ initial: 1ms, factor: 1, max: 1ms, jitter: none }} }}\n\
         \x20 timeout: 5s\n\nsteps:\n{}{tolerate}{closing}",
        made.seed,
        made.seed,
        ["a", "b"][rng.random_range(0..2)],
        rng.random_bool(0.5),
        rng.random_range(0..6),
        made.text,
    )
}
