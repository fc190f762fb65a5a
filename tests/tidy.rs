//! The shape of the code, as a test: who may know whom, what the core must not know, how long
//! things may grow. Every rule lists all its offenders at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const FILE_LINES_MAX: usize = 400;
/// Longest function, in lines: it fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// What each part of `src` may import of ours. A part that is not listed may import everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("core", &["core"]),
    ("expr", &["core", "expr"]),
    ("mapping", &["core", "expr", "mapping"]),
    ("ports", &["core"]),
    ("config", &["core"]),
    ("spec", &["core", "expr", "spec"]),
    ("view", &["core", "ports", "view"]),
    ("engine", &["core", "ports", "expr", "engine"]),
    ("store", &["core", "ports", "store"]),
    ("webhook", &["core", "expr", "webhook"]),
    ("asl", &["asl", "core", "expr"]),
    ("connectors", &["core", "ports", "expr", "mapping", "webhook", "connectors"]),
    ("server", &["core", "ports", "view", "config", "webhook", "server"]),
    ("client", &["core", "ports", "view", "config", "client", "server"]),
];

/// Crates with one home each.
const HOMES: &[(&str, &[&str])] = &[
    ("sled", &["store/"]),
    ("petgraph", &["core/graph.rs"]),
    ("serde_saphyr", &["spec/", "mapping/"]),
    ("jsonata_core", &["expr/"]),
    ("jsonschema", &["connectors/builtin/source/"]),
    ("memchr", &["connectors/builtin/source/"]),
    ("reqwest", &["connectors/", "client.rs"]),
    ("aws_config", &["connectors/aws/"]),
    ("aws_sdk_cloudwatch", &["connectors/aws/"]),
    ("aws_sdk_eventbridge", &["connectors/aws/"]),
    ("aws_sdk_lambda", &["connectors/aws/"]),
    ("aws_sdk_s3", &["connectors/aws/"]),
    ("aws_sdk_sfn", &["connectors/aws/"]),
    ("aws_sdk_sqs", &["connectors/aws/"]),
    ("axum", &["server/", "connectors/sandbox/"]),
    ("hmac", &["webhook/"]),
    ("maud", &["server/page/"]),
    ("clap", &["cli/", "main.rs"]),
    ("indicatif", &["cli/"]),
    ("comfy_table", &["cli/"]),
];

/// What the pure parts must not mention.
const PURE: &[&str] = &["asl", "core", "expr", "mapping", "spec", "webhook"];
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net",
    "rand::",
    "std::env",
    "std::thread::spawn",
];

/// Field names of a source: they belong into mapping files, never into the binary.
const SOURCE_NAMES: &[&str] = &[
    "product_id",
    "product_name",
    "final_price",
    "initial_price",
    "main_image",
    "image_urls",
    "category_tree",
    "other_attributes",
    "all_available_sizes",
    "model_number",
    "root_category",
    "country_code",
    "reviews_count",
    "shein",
    "SHEIN",
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "misc", "common"];

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| Source {
            path: file.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
            text: fs::read_to_string(&file).unwrap(),
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn part(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The lines without those of test modules and without comments, with their numbers.
    fn code(&self) -> Vec<(usize, &str)> {
        if self.path.ends_with("tests.rs") || self.path.contains("/tests/") {
            return Vec::new();
        }
        let lines = self.text.lines().enumerate();
        lines
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line))
            .collect()
    }
}

/// Whether the line says the word itself, and not only another one that ends like it.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric()))
}

fn report(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn parts_import_only_what_they_may() {
    let mut offenders = Vec::new();
    for source in sources("src") {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(part, _)| *part == source.part()) else { continue };
        for (number, line) in source.code() {
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() && !allowed.contains(&name.as_str()) {
                    offenders.push(format!("src/{}:{number} knows crate::{name}", source.path));
                }
            }
        }
    }
    report("a part knows what it must not know", &offenders);
}

#[test]
fn connectors_do_not_know_each_other() {
    let shared =
        ["Site", "BuildFault", "alerts", "examine", "handover", "listening", "opening", "wire", "self"];
    let mut offenders = Vec::new();
    for source in sources("src/connectors").iter().filter(|source| source.path.contains('/')) {
        let own = source.part();
        for (number, line) in source.code() {
            for used in line.split("connectors::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() && name != own && !shared.contains(&name.as_str()) {
                    offenders.push(format!("src/connectors/{}:{number} knows {name}", source.path));
                }
            }
        }
    }
    report("a connector knows another", &offenders);
}

#[test]
fn crates_stay_at_home() {
    let mut offenders = Vec::new();
    for source in sources("src") {
        for (number, line) in source.code() {
            for (name, homes) in HOMES {
                let used = line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"));
                if used && !homes.iter().any(|home| source.path.starts_with(home)) {
                    offenders.push(format!("src/{}:{number} uses {name}", source.path));
                }
            }
        }
    }
    report("a crate is used away from its home", &offenders);
}

#[test]
fn pure_parts_do_nothing_but_compute() {
    let mut offenders = Vec::new();
    for source in sources("src").iter().filter(|source| PURE.contains(&source.part())) {
        for (number, line) in source.code() {
            for word in IMPURE.iter().filter(|word| says(line, word)) {
                offenders.push(format!("src/{}:{number} mentions {word}", source.path));
            }
        }
    }
    report("a pure part is impure", &offenders);
}

#[test]
fn files_and_functions_fit() {
    let mut offenders = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).exists() {
            continue;
        }
        for source in sources(folder) {
            let lines: Vec<&str> = source.text.lines().collect();
            if lines.len() > FILE_LINES_MAX {
                offenders.push(format!("{folder}/{} has {} lines", source.path, lines.len()));
            }
            offenders.extend(long_functions(folder, &source.path, &lines));
        }
    }
    report("something has grown too long", &offenders);
}

/// Functions by indentation: from the line with `fn` to the next line that is only `}` at the same
/// depth. The formatter guarantees both.
fn long_functions(folder: &str, path: &str, lines: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(crate) fn "]
                .iter()
                .any(|begin| text.starts_with(begin));
        if !is_function || text.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - text.len()]);
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |length| length + 1);
        if length > FUNCTION_LINES_MAX {
            found.push(format!("{folder}/{path}:{} is a function of {length} lines", start + 1));
        }
    }
    found
}

#[test]
fn no_field_name_of_a_source_is_in_the_binary() {
    let mut offenders = Vec::new();
    for source in sources("src") {
        for (number, line) in source.text.lines().enumerate() {
            for name in SOURCE_NAMES.iter().filter(|name| line.contains(**name)) {
                offenders.push(format!("src/{}:{} says {name}", source.path, number + 1));
            }
        }
    }
    report("a source's field name is in src", &offenders);
}

#[test]
fn names_say_something_and_nothing_is_left_half_done() {
    let forbidden = ["todo!(", "unimplemented!(", "dbg!(", "#[allow(", "#![allow(", "unsafe {"];
    let mut offenders = Vec::new();
    for source in sources("src") {
        let stem = Path::new(&source.path).file_stem().unwrap().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&stem.as_str()) {
            offenders.push(format!("src/{} has a name that says nothing", source.path));
        }
        for (number, line) in source.code() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                offenders.push(format!("src/{}:{number} has {word}", source.path));
            }
            if line.contains(".unwrap()") {
                offenders.push(format!("src/{}:{number} unwraps", source.path));
            }
        }
    }
    report("something is left half done", &offenders);
}

#[test]
fn tests_never_sleep() {
    let sleeping = format!("thread::{}", "sleep");
    let mut offenders = Vec::new();
    for source in sources("tests") {
        for (number, line) in source.text.lines().enumerate().filter(|(_, line)| line.contains(&sleeping)) {
            offenders.push(format!("tests/{}:{} sleeps: {}", source.path, number + 1, line.trim()));
        }
    }
    report("a test sleeps", &offenders);
}
