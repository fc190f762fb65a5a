//! What asl-validator says of the state machines of workflows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::generated::generated;
use crate::site::Site;

/// How many generated graphs are validated.
const GRAPHS: u64 = 80;

/// Whether the validator is content with a file, and what it says.
fn valid(file: &Path) -> (bool, String) {
    let validator = std::env::var("MILEPOST_TEST_ASL_VALIDATOR").unwrap();
    // Without the option it reads nothing, and is content.
    let told = Command::new(validator).arg("--json-path").arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    (told.status.success(), said)
}

/// Compiles a workflow, when Step Functions can drive it, and validates what comes out.
fn compile(site: &Site, name: &str) -> Option<String> {
    let told = site.milepost(&["compile", name, "--target", "asl"]);
    if told.code == Some(2) {
        assert!(told.stderr.contains("E802") && told.stderr.contains(&format!("{name}:")), "{told:?}");
        return None;
    }
    assert_eq!(told.code, Some(0), "{told:?}");
    let file = site.path("definition.json");
    fs::write(&file, &told.stdout).unwrap();
    let (content, said) = valid(&file);
    assert!(content && said.contains("is valid"), "{name}: {said}");
    Some(told.stdout)
}

#[test]
#[ignore = "needs asl-validator"]
fn asl_validator_is_content_with_every_shipped_workflow_and_with_generated_graphs() {
    let site = Site::new();
    let mut compiled = Vec::new();
    for entry in fs::read_dir(site.path("workflows")).unwrap().map(Result::unwrap) {
        let name = format!("workflows/{}", entry.file_name().to_string_lossy());
        if Path::new(&name).extension().is_some_and(|kind| kind == "yaml") && compile(&site, &name).is_some()
        {
            compiled.push(name);
        }
    }
    println!("valid: {compiled:?}");
    assert!(compiled.len() >= 4 && compiled.contains(&"workflows/product-sync.yaml".to_owned()));
    let mut kinds = [0; 6];
    for seed in 0..GRAPHS {
        let case = generated(seed);
        fs::write(site.path("case.yaml"), &case.yaml).unwrap();
        for (name, text) in &case.files {
            fs::write(site.path(name), text).unwrap();
        }
        let definition = compile(&site, "case.yaml").unwrap();
        let [parallel, choice, skipped] =
            ["\"Parallel\"", "\"Choice\"", "(skipped)"].map(|what| definition.contains(what));
        let joins = case.steps.iter().any(|step| step.needs.len() > 1);
        let items = case.steps.iter().any(|step| step.on_items);
        let named = |name: &str| definition.contains(&format!("\"step\": \"{name}\""));
        assert!(case.steps.iter().all(|step| named(&step.name)), "seed {}: a step is lost", case.seed);
        let has = [parallel, choice, skipped, joins, items, !case.script.is_empty()];
        has.iter().zip(&mut kinds).for_each(|(has, seen)| *seen += u64::from(*has));
    }
    println!("of {GRAPHS} with Parallel, Choice, a skipped step, a join, items, faults: {kinds:?}");
    assert!(kinds.iter().all(|seen| *seen > 10));
}

#[test]
#[ignore = "needs asl-validator"]
fn asl_validator_sees_what_is_broken() {
    let site = Site::new();
    let definition = compile(&site, "workflows/fan-out.yaml").unwrap();
    for (old, new) in [
        ("\"Next\": \"close the run\"", "\"Next\": \"nowhere\""),
        ("\"Type\": \"Choice\"", "\"Type\": \"Chance\""),
        ("$merge([", "$merge(("),
        ("\"MaxAttempts\": 2", "\"MaxAttempts\": -2"),
        ("\"StartAt\": \"orders\"", "\"StartAt\": \"order\""),
    ] {
        assert!(definition.contains(old), "{old}");
        fs::write(site.path("broken.json"), definition.replace(old, new)).unwrap();
        let (content, said) = valid(&site.path("broken.json"));
        assert!(!content, "{new}: {said}");
    }
}
