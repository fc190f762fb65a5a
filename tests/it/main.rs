//! Stories with the real binary: what a person types, what they read, and what then is in the
//! stand-ins. Times and run IDs are taken out of what is compared.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may, as tests may")]

#[path = "../site/generated/mod.rs"]
mod generated;
#[path = "../../examples/products/product.rs"]
mod product;
#[path = "../site/generated/server.rs"]
mod scripted;
#[path = "../site/mod.rs"]
mod site;

mod acts;
mod alerts;
mod asl;
mod aws;
mod care;
mod control;
mod counterpart;
mod deliver;
mod doctor;
mod failures;
mod handlers;
mod input;
mod keys;
mod ledger;
mod letters;
mod log;
mod newcomer;
mod products;
mod reads;
mod redefine;
mod second_source;
mod selection;
mod serve;
mod signals;
mod source;
mod start_key;
mod states;
mod steer;
mod unread;
mod upsert;
mod watch;
mod watch_uploads;
mod workflows;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use site::{Site, Told};

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// The shipped sample: all, those that pass the gate, those that do not.
const SAMPLE: [u64; 3] = [200, 197, 3];

/// The shop takes several batches at once: what was tried before is looked at twice, some seconds apart, and
/// then all of it waits together.
const SEVERAL_AT_ONCE: (&str, &str) =
    ("shop: { use: sandbox, url", "shop: { use: sandbox, concurrency: 4, url");

/// A secret of webhooks: the one of the reference library's own test vector.
const HOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Every file of the state directory, with what is in it.
fn stored(site: &Site) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut open, mut files) = (vec![site.path("state")], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let content = fs::read(&path).unwrap();
            files.push((path, content));
        }
    }
    files
}

/// A text without what differs from one execution to the next.
fn tame(site: &Site, text: &str) -> String {
    let folder = site.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let text = text.replace(&folder, "SITE");
    let lines = text.lines().map(|line| match line.split_once(", took ") {
        Some((before, _)) => format!("{before}, took TIME"),
        None => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = masked(&text, "run_??????????????????????????", "RUN");
    masked(&text, "####-##-## ##:##:##Z", "TIME").trim().to_owned()
}

/// Replaces what looks like `shape` (`#` a digit, `?` a letter or digit).
fn masked(text: &str, shape: &str, word: &str) -> String {
    let fits = |candidate: &str| {
        candidate.chars().count() >= shape.len()
            && candidate.chars().zip(shape.chars()).all(|(found, shape)| match shape {
                '#' => found.is_ascii_digit(),
                '?' => found.is_ascii_alphanumeric(),
                plain => found == plain,
            })
    };
    let mut result = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if fits(rest) {
            result.push_str(word);
            rest = &rest[shape.len()..];
        } else {
            result.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    result
}

/// What a run said at its end, without the table of steps, whose numbers of calls differ.
fn summary(site: &Site, told: &Told) -> String {
    let paragraphs: Vec<&str> = told.stdout.split("\n\n").collect();
    let kept = paragraphs.iter().filter(|paragraph| !paragraph.trim_start().starts_with("step "));
    tame(site, &kept.copied().collect::<Vec<_>>().join("\n\n"))
}

/// What was said besides, without the lines of progress, which slow machines have more of.
fn talk(site: &Site, told: &Told) -> String {
    let lines = told.stderr.lines().filter(|line| !line.starts_with("validate "));
    tame(site, &lines.collect::<Vec<_>>().join("\n"))
}

/// What the stand-ins of the state directory hold.
fn held(site: &Site) -> Value {
    site.json(&["sandbox", "show", "--json"]).remove(0)
}

/// Products and writes of both.
fn amounts(held: &Value) -> [u64; 4] {
    [&held["pim"]["products"], &held["pim"]["writes"], &held["shop"]["products"], &held["shop"]["writes"]]
        .map(|value| value.as_u64().unwrap())
}
