//! Pictures of workflows.

#[path = "check/catalog.rs"]
mod catalog;

use std::fs;
use std::path::Path;

use milepost::core::workflow::Workflow;
use milepost::spec::{Files, Text, check};
use milepost::view::graph::{Format, render};

struct Anything;

impl Files for Anything {
    fn read(&self, _name: &str) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

fn workflow(bytes: &[u8]) -> Workflow {
    let text = Text { name: "workflow.yaml", bytes };
    match check(text, None, &catalog::catalog(), &Anything) {
        Ok(checked) => checked.workflow,
        Err(report) => panic!("{}", report.render(false)),
    }
}

const FAN: &[u8] = br#"
workflow: fan
steps:
  begin: { uses: alert }
  left:
    needs: [begin]
    uses: http.request
    when: ${{ run.id != "" }}
    with: { url: "http://localhost/left" }
  right:
    needs: [begin]
    uses: http.request
    with: { url: "http://localhost/right" }
  pause:
    needs: [right]
    uses: delay
    with: { duration: 1s }
  join:
    needs: [left, pause]
    uses: alert
"#;

#[test]
fn the_product_workflow_in_a_terminal() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check/product-sync.yaml");
    let workflow = workflow(&fs::read(path).unwrap());
    insta::assert_snapshot!(render(&workflow, &catalog::catalog(), Format::Text));
}

#[test]
fn branches_and_joins_in_every_format() {
    let workflow = workflow(FAN);
    let catalog = catalog::catalog();
    insta::assert_snapshot!("fan_text", render(&workflow, &catalog, Format::Text));
    insta::assert_snapshot!("fan_mermaid", render(&workflow, &catalog, Format::Mermaid));
    insta::assert_snapshot!("fan_dot", render(&workflow, &catalog, Format::Dot));
}
