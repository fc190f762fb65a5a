//! What `/metrics` serves is what the README says of it, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;

use super::super::{Site, WORKFLOW};
use super::server::{Server, until};

/// Type and labels of a metric.
type About = (String, BTreeSet<String>);

/// The metrics by name, and how many samples there are. Each family has a HELP and a TYPE before its samples.
fn served(text: &str) -> (BTreeMap<String, About>, usize) {
    let (mut found, mut samples) = (BTreeMap::<String, About>::new(), 0);
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.') && words.len() > 10 && helped.insert(name.to_owned()), "{line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(helped.contains(name), "{line}");
            found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            continue;
        }
        samples += 1;
        let (head, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = head.split_once('{').unwrap_or((head, ""));
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = of_histogram.filter(|name| found.contains_key(*name)).unwrap_or(name);
        let known = &mut found.get_mut(family).unwrap_or_else(|| panic!("no TYPE: {line}")).1;
        known.extend(
            labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(label, _)| label.to_owned()),
        );
    }
    (found, samples)
}

/// Type and labels, and the unit, of each row of the README's table.
fn documented() -> BTreeMap<String, (About, String)> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| `milepost_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, unit, what] = cells[..] else { panic!("four cells: {row}") };
        assert!(!what.is_empty(), "{row}");
        let name = name.trim_matches('`').trim_end_matches('}');
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (name.to_owned(), ((kind.to_owned(), labels), unit.to_owned()))
    })
    .collect()
}

#[test]
fn the_readme_says_of_each_metric_what_is_served_and_of_no_other() {
    let site = Site::new();
    let server = Server::start(&site, &[WORKFLOW]);
    let runs = [(); 2].map(|()| server.start_run(&json!({ "workflow": "product-sync" })));
    for run in &runs {
        server.until_ended(run["run"].as_str().unwrap());
    }
    // A run is counted once its end is durable; who reads its record may know of the end a moment before.
    let counted = "milepost_runs_ended_total{workflow=\"product-sync\",status=\"succeeded\"} 2";
    let text =
        until(|| Some(server.text("/metrics")).filter(|text| text.lines().any(|line| line == counted)));
    let (found, samples) = served(&text);
    let documented = documented();
    let names = |of: Vec<&String>| of.into_iter().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(found.keys().collect()), names(documented.keys().collect()));
    for (name, ((kind, labels), unit)) in &documented {
        let (kind_served, labels_served) = &found[name];
        assert_eq!(kind, kind_served, "{name}");
        if !labels_served.is_empty() && kind != "histogram" {
            assert_eq!(labels, labels_served, "{name}");
        }
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}: counters, and no others, end so");
        for measured in ["seconds", "bytes"] {
            assert_eq!(unit.contains(measured), name.ends_with(measured), "{name} is in {unit}");
        }
        let unbounded = ["run", "item", "key", "step"].iter().find(|label| labels.contains(**label));
        assert_eq!(unbounded, None, "{name} would grow with what it counts");
    }
    // Whatever is counted, the same few samples count it.
    assert!(samples < 80, "{samples}: {text}");
    for line in [
        "milepost_runs_ended_total{workflow=\"product-sync\",status=\"failed\"} 0",
        "milepost_dead_letters{workflow=\"product-sync\"} 6",
    ] {
        assert!(text.lines().any(|served| served == line), "{line}: {text}");
    }
    server.stop();
}

/// The names in a text that begin as ours do.
fn named<'t>(text: &'t str, beginning: &str) -> BTreeSet<&'t str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.len() > beginning.len() && word.starts_with(beginning)).collect()
}

#[test]
fn the_example_rules_ask_for_metrics_that_there_are_and_each_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let [rules, tests, readme] = ["alerts.yml", "alerts.test.yml", "README.md"]
        .map(|file| fs::read_to_string(folder.join(file)).unwrap());
    let documented = documented();
    for name in named(&rules, "milepost_").union(&named(&tests, "milepost_")) {
        assert!(documented.contains_key(name.trim_end_matches("_bucket")), "there is no {name}");
    }
    assert_eq!(named(&rules, "Milepost"), named(&readme, "Milepost"), "each rule says what to do");
    assert_eq!(named(&rules, "Milepost"), named(&tests, "Milepost"), "each rule is tested");
}
