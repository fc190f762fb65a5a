//! Products validated and transformed by a Python handler that knows nothing of us.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Map, Value};

use super::{SAMPLE, Site, WORKFLOW, amounts, held};

const PYTHON: &str = "workflows/product-python.yaml";

/// What was last put into a stand-in, by product, without what every stand-in chooses for itself.
fn contents(site: &Site, journal: &str) -> BTreeMap<String, Value> {
    let mut products = BTreeMap::new();
    for line in fs::read_to_string(site.path("state/sandbox").join(journal)).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for put in line["changes"].as_array().into_iter().flatten().filter_map(|change| change.get("put")) {
            let key = ["key", "external_id"].iter().find_map(|name| put[*name].as_str());
            products.insert(key.unwrap().to_owned(), chosen(put));
        }
    }
    products
}

fn chosen(value: &Value) -> Value {
    let own = ["id", "created", "modified", "version", "created_at", "updated_at"];
    let is_own = |name: &str| own.contains(&name) || name.ends_with("_id") && name != "external_id";
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !is_own(name));
            Value::Object(kept.map(|(name, value)| (name.clone(), chosen(value))).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(chosen).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_python_handler_makes_the_same_products_as_the_built_in_steps() {
    let (python, built_in) = (Site::new(), Site::new());
    for (site, workflow) in [(&python, PYTHON), (&built_in, WORKFLOW)] {
        let told = site.milepost(&["run", workflow]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert_eq!(amounts(&held(site)), [SAMPLE[1]; 4]);
    }
    for journal in ["pim.jsonl", "shop.jsonl"] {
        let (ours, theirs) = (contents(&python, journal), contents(&built_in, journal));
        assert_eq!(ours.len() as u64, SAMPLE[1]);
        for (key, product) in &theirs {
            assert_eq!(ours.get(key), Some(product), "{key} in {journal}");
        }
    }
    let shown = python.milepost(&["show", "@latest"]).stdout;
    let refused = "InvalidProduct: final_price must be a number of at least 0";
    assert!(shown.contains(refused), "{shown}");
}

#[test]
fn a_handler_that_was_changed_is_run_as_it_was_stored_or_shown_to_have_changed() {
    let site = Site::new();
    site.edit(
        "product-python/handler.py",
        &[(
            "def transform(event, context):",
            "def transform(event, context):\n    raise RuntimeError('not yet')\n\ndef later(event, context):",
        )],
    );
    let told = site.milepost(&["run", PYTHON]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stdout.contains("RuntimeError: not yet (handler.py:"), "{told:?}");
    site.edit(
        "product-python/handler.py",
        &[("    raise RuntimeError('not yet')\n\ndef later(event, context):", "")],
    );
    let stored = site.milepost(&["resume", "@latest"]);
    assert!(stored.code == Some(1) && stored.stdout.contains("RuntimeError: not yet"), "{stored:?}");
    let plan = site.milepost(&["resume", "@latest", "--definition", "current", "--plan"]);
    assert!(plan.stdout.contains("transform"), "{plan:?}");
    let resumed = site.milepost(&["resume", "@latest", "--definition", "current"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(amounts(&held(&site)), [SAMPLE[1]; 4]);
}

/// The handler stands at a pipe and hangs there for ever; it hears nothing of our end but that its input
/// ends.
#[test]
fn killed_in_the_middle_no_process_is_left_and_a_resume_goes_on() {
    let site = Site::new();
    let pipe = site.path("workflows/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let hangs = "def transform(event, context):\n    import os, stat\n    if os.path.exists('pipe') and stat.S_ISFIFO(os.stat('pipe').st_mode) and event['product_id'].endswith('9'):\n        with open('pipe', 'w') as pipe: pipe.write(str(os.getpid()))\n        while True: pass\n";
    site.edit("product-python/handler.py", &[("def transform(event, context):\n", hangs)]);
    let working = site.start(&["run", PYTHON]);
    let run = working.run.clone();
    // Returns when a handler writes, which is then on its way to hang.
    let pid = fs::read_to_string(&pipe).unwrap();
    working.signal("KILL");
    working.wait();
    let gone =
        Command::new("timeout").args(["30", "tail", "-f", "/dev/null", "--pid", &pid]).status().unwrap();
    assert!(gone.success(), "the handler {pid} is still there");
    fs::remove_file(&pipe).unwrap();
    let resumed = site.milepost(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(amounts(&held(&site)), [SAMPLE[1]; 4]);
}

#[test]
fn secrets_of_a_handler_are_in_no_log_and_no_state_and_doctor_starts_it() {
    let mut site = Site::new();
    site.env.push(("RATES_TOKEN", "t0k3n-of-rates".to_owned()));
    site.edit(
        "product-python.yaml",
        &[("python: { use: process }", "python: { use: process, env: { TOKEN: \"${env:RATES_TOKEN}\" } }")],
    );
    let leaks = "def transform(event, context):\n    import os\n    print('asking with', os.environ['TOKEN'])\n    raise ValueError('refused ' + os.environ['TOKEN'])\n";
    site.edit("product-python/handler.py", &[("def transform(event, context):\n", leaks)]);
    let told = site.milepost(&["run", PYTHON, "--log", "text"]);
    assert!(told.stderr.contains("asking with ${env:RATES_TOKEN}"), "{told:?}");
    assert!(told.stdout.contains("ValueError: refused ${env:RATES_TOKEN}"), "{told:?}");
    let found =
        Command::new("grep").args(["-rl", "t0k3n-of-rates"]).arg(site.path("state")).output().unwrap();
    assert_eq!((found.status.code(), found.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(!told.stdout.contains("t0k3n") && !told.stderr.contains("t0k3n"), "{told:?}");

    let doctor = site.milepost(&["doctor", PYTHON]);
    assert!(doctor.stdout.contains("'transform': its process says hello"), "{doctor:?}");
    site.edit("product-python.yaml", &[("function: validate", "function: validated")]);
    let doctor = site.milepost(&["doctor", PYTHON]);
    assert!(
        doctor.code == Some(1) && doctor.stdout.contains("handler has no function validated"),
        "{doctor:?}"
    );
}
