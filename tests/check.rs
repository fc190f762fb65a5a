//! Every kind of mistake in a workflow file: `tests/fixtures/check/KIND/bad.yaml` gives
//! `expected.txt`, word for word, and `good.yaml` beside it is the same file corrected.
//!
//! `UPDATE=1 cargo test --test check` rewrites the expected reports. Read them before committing.

#[path = "check/catalog.rs"]
mod catalog;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use milepost::core::plan::Plan;
use milepost::spec::{CODES, Checked, Complaint, Files, Report, Text, check, item_sources};
use proptest::prelude::*;

/// What lies beside every fixture: one mapping that names a file that is there, one that does not.
struct Beside;

impl Files for Beside {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        match name.rsplit('/').next().unwrap_or_default() {
            "schema.json" | "product.schema.json" => Ok(b"{}".to_vec()),
            "mapping.yaml" => Ok(b"rates: rates.csv\n".to_vec()),
            "broken-mapping.yaml" => Ok(b"rates: rates-2025.csv\n".to_vec()),
            "pim.yaml" | "shop.yaml" | "pimcore.yaml" | "medusa.yaml" => Ok(b"fields: {}\n".to_vec()),
            "rates.csv" => Ok(b"EUR,1\n".to_vec()),
            "mappings" => Err("is a directory".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn named_in(&self, _name: &str, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        text.lines().filter_map(|line| line.strip_prefix("rates: ")).map(str::to_owned).collect()
    }

    fn beside(&self, _name: &str) -> Vec<String> {
        ["schema.json", "mapping.yaml", "pim.yaml", "shop.yaml"].map(str::to_owned).to_vec()
    }
}

fn checked(bytes: &[u8], profile: Option<&str>) -> Result<Checked, Report> {
    check(Text { name: "workflow.yaml", bytes }, profile, &catalog::catalog(), &Beside)
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// `# profile: NAME` in the first line stands for `--profile NAME`.
fn profile(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next()?.strip_prefix("# profile: ").map(str::to_owned)
}

fn report(bytes: &[u8]) -> Report {
    match checked(bytes, profile(bytes).as_deref()) {
        Ok(checked) => checked.warnings,
        Err(report) => report,
    }
}

#[test]
fn every_mistake_is_reported_as_expected() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for folder in fixtures() {
        let said = report(&fs::read(folder.join("bad.yaml")).unwrap()).render(false);
        let expected = folder.join("expected.txt");
        if update {
            fs::write(&expected, &said).unwrap();
        }
        let before = fs::read_to_string(&expected).unwrap_or_default();
        if said != before || said.is_empty() {
            wrong.push(format!("{}\n{}", folder.display(), difference(&before, &said)));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 rewrites them", wrong.join("\n"));
}

#[test]
fn every_corrected_twin_passes_without_a_word() {
    let mut kinds = 0;
    for folder in fixtures() {
        let good = fs::read(folder.join("good.yaml")).unwrap();
        match checked(&good, profile(&good).as_deref()) {
            Ok(checked) => {
                let said = checked.warnings.render(false);
                assert!(said.is_empty(), "{}\n{said}", folder.display());
            }
            Err(report) => panic!("{}\n{}", folder.display(), report.render(false)),
        }
        kinds += 1;
    }
    assert!(kinds >= 35, "{kinds} kinds of mistake");
}

/// What `check` alone cannot say: connectors do, and `compile`.
const ELSEWHERE: [&str; 2] = ["E801", "E802"];

#[test]
fn every_code_has_a_fixture() {
    let said: BTreeSet<&str> = fixtures()
        .iter()
        .flat_map(|folder| report(&fs::read(folder.join("bad.yaml")).unwrap()).findings)
        .map(|finding| finding.code)
        .collect();
    let without: Vec<&str> =
        CODES.iter().map(|code| code.id).filter(|id| !said.contains(id) && !ELSEWHERE.contains(id)).collect();
    assert!(without.is_empty(), "no fixture for {without:?}");
}

#[test]
fn findings_have_stable_fields() {
    let report = report(b"workflow: a\nsteps:\n  one:\n    uses: mapp\n");
    let json = serde_json::to_value(&report).unwrap();
    let expected = serde_json::json!({ "findings": [{
        "code": "E301",
        "severity": "error",
        "file": "workflow.yaml",
        "line": 4,
        "column": 11,
        "end_line": 4,
        "end_column": 15,
        "message": "there is no step kind 'mapp'",
        "label": "",
        "hint": "did you mean 'map'?",
        "next": "milepost check workflow.yaml",
        "related": []
    }] });
    assert_eq!(json, expected);
}

#[test]
fn the_product_workflow_passes_in_both_profiles() {
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check/product-sync.yaml"));
    let text = text.unwrap();
    let embedded = checked(&text, None).unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert!(embedded.warnings.findings.is_empty(), "{}", embedded.warnings.render(false));
    let workflow = &embedded.workflow;
    assert_eq!(workflow.connections["pim"].kind, "sandbox");
    assert_eq!(workflow.on_failure[1].name, "on_failure[1]");
    let catalog = catalog::catalog();
    let sources = item_sources(workflow, &catalog);
    assert_eq!((sources.get("transform"), sources.get("medusa")), (None, Some(&"transform")));
    assert!(embedded.files.contains_key("rates.csv"), "files named by files are read too");
    let production =
        checked(&text, Some("production")).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let pim = &production.workflow.connections["pim"];
    assert_eq!((pim.kind.as_str(), &pim.fields["api_key"]), ("pimcore", &"${env:PIMCORE_API_KEY}".into()));
    insta::assert_debug_snapshot!("product_sync", production.workflow);
}

#[test]
fn a_file_of_some_thousand_steps_is_checked_and_planned() {
    // A question about the graph that is asked anew for each step makes this last for minutes.
    const STEPS: usize = 3_000;
    let step = |at: usize| {
        let needs = at.checked_sub(1).map_or(String::new(), |before| format!("needs: [wait{before}], "));
        format!("  wait{at}: {{ {needs}uses: delay, with: {{ duration: 1s }} }}\n")
    };
    let text: String =
        std::iter::once("workflow: long\nsteps:\n".to_owned()).chain((0..STEPS).map(step)).collect();
    let long = checked(text.as_bytes(), None).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let plan = Plan::of(&long.workflow, &catalog::catalog());
    assert_eq!(plan.run.steps.len(), STEPS);
    assert_eq!(plan.run.steps[STEPS - 1].needs, [STEPS - 2]);
    assert!(item_sources(&long.workflow, &catalog::catalog()).is_empty());
}

#[test]
fn what_a_connector_refuses_is_pointed_at() {
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check/product-sync.yaml"));
    let checked = checked(&text.unwrap(), None).unwrap();
    let in_file = checked.fault(
        "transform",
        &Complaint {
            place: Some(("product-sync/mapping.yaml".to_owned(), 1, 8)),
            message: "the rate table has no date".to_owned(),
            hint: Some("begin it with a line '# date: 2026-01-31'".to_owned()),
            ..Complaint::default()
        },
    );
    let in_step = checked.fault(
        "validate",
        &Complaint {
            field: Some("item_key".to_owned()),
            message: "too vague".to_owned(),
            ..Complaint::default()
        },
    );
    insta::assert_snapshot!("connector", checked.report(vec![in_file, in_step]).render(false));
}

fn difference(before: &str, after: &str) -> String {
    let removed = before
        .lines()
        .filter(|line| !after.lines().any(|other| other == *line))
        .map(|line| format!("-{line}"));
    let added = after
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line))
        .map(|line| format!("+{line}"));
    removed.chain(added).collect::<Vec<_>>().join("\n")
}

fn any_fixture() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<Vec<u8>> = fixtures()
        .iter()
        .flat_map(|folder| {
            ["bad.yaml", "good.yaml"].map(|name| fs::read(folder.join(name)).expect("both twins are there"))
        })
        .collect();
    prop::sample::select(texts)
}

/// One edit that a tired person, or a broken disk, might make.
#[derive(Clone, Debug)]
enum Edit {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index),
    RepeatLine(prop::sample::Index),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>();
    let bits = [
        "${{", "}}", "{", "}", "[", "]", ": ", "\n", "  ", "\t", "\"", "'", "&a ", "*a", "é", "|", "- ", "#",
    ];
    prop_oneof![
        at.prop_map(Edit::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Flip(at, byte)),
        (any::<prop::sample::Index>(), prop::sample::select(bits.to_vec()))
            .prop_map(|(at, bit)| Edit::Insert(at, bit.to_owned())),
        any::<prop::sample::Index>().prop_map(Edit::Remove),
        any::<prop::sample::Index>().prop_map(Edit::RepeatLine),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        match edit {
            Edit::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Edit::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] ^= byte;
            }
            Edit::Insert(at, bit) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, bit.bytes());
            }
            Edit::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
            Edit::RepeatLine(at) => {
                let lines: Vec<Vec<u8>> =
                    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let line = lines[at.index(lines.len())].clone();
                bytes.extend(line);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is given, there is an answer: a workflow, or a report that can be shown. A
    /// failing case is printed with its edits.
    #[test]
    fn no_input_makes_check_panic(text in any_fixture(), edits in prop::collection::vec(any_edit(), 1..6)) {
        let bytes = edited(text, &edits);
        match checked(&bytes, None) {
            Ok(checked) => drop(checked.warnings.render(true)),
            Err(report) => {
                prop_assert!(report.errors() > 0);
                prop_assert!(!report.render(false).is_empty());
            }
        }
    }
}
