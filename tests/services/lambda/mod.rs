//! Functions that really run, on a server of the Lambda API (MiniStack, which runs Python itself): created
//! as users create them, invoked for each item and for batches of which a part fails.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_lambda::{Client, Config};
use serde_json::{Value, json};

use crate::aws::unique;
use crate::site::Site;

const HANDLER: &str = r#"
def each(event, context):
    if event["sku"] == "bad":
        raise ValueError("gone")
    return {"grade": event["sku"].upper(), "function": context.function_name}

def batch(event, context):
    failed = []
    for record in event["Records"]:
        first = record["attributes"]["ApproximateReceiveCount"] == "1"
        if "bad" in record["body"] or "slow" in record["body"] and first:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}

def results(event, context):
    return {"results": [item["sku"] * 2 for item in event["items"]]}
"#;

const WORKFLOW: &str = r#"
workflow: graded
connections:
  files: { use: local }
  functions: { use: aws }
defaults:
  retry: { attempts: 2, backoff: { initial: 10ms, max: 20ms } }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: items.json, item_key: "${{ item.sku }}" }
  each:
    needs: [read]
    uses: lambda.invoke
    connection: functions
    retry: { attempts: 1 }
    with: { function: EACH, payload: { sku: "${{ item.sku }}" } }
  batch:
    needs: [read]
    uses: lambda.invoke
    connection: functions
    batch: { max: 10, linger: 500ms }
    repeat: safe
    with: { function: BATCH, event: records }
  results:
    needs: [read]
    uses: lambda.invoke
    connection: functions
    batch: { max: 10, linger: 500ms }
    repeat: safe
    with: { function: RESULTS, event: items }
tolerate: { dead_letters: 100% }
"#;

/// A client of the server, without anything of the environment.
fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

/// The handler as users upload it.
fn zipped(site: &Site) -> Vec<u8> {
    fs::write(site.path("handler.py"), HANDLER).unwrap();
    let mut zips = Command::new("python3");
    zips.args(["-m", "zipfile", "-c", "code.zip", "handler.py"]).current_dir(site.path(""));
    assert!(zips.status().unwrap().success());
    fs::read(site.path("code.zip")).unwrap()
}

#[test]
#[ignore = "needs a server of the Lambda API; tests/services/run lambda starts one"]
fn functions_are_invoked_for_each_item_and_for_batches_of_which_a_part_fails() {
    let endpoint = std::env::var("MILEPOST_TEST_LAMBDA").unwrap();
    let mut site = Site::new();
    let code = zipped(&site);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = client(&endpoint);
    let mut text = WORKFLOW.to_owned();
    for handler in ["each", "batch", "results"] {
        let name = unique(handler);
        let code = FunctionCode::builder().zip_file(Blob::new(code.clone())).build();
        let made = client
            .create_function()
            .function_name(&name)
            .runtime(Runtime::Python312)
            .role("arn:aws:iam::000000000000:role/milepost")
            .handler(format!("handler.{handler}"))
            .code(code);
        runtime.block_on(made.send()).unwrap();
        text = text.replace(&handler.to_uppercase(), &name);
    }
    fs::write(site.path("graded.yaml"), text).unwrap();
    let items: Vec<Value> = ["a", "slow", "bad", "b"].iter().map(|sku| json!({ "sku": sku })).collect();
    fs::write(site.path("items.json"), serde_json::to_vec(&items).unwrap()).unwrap();
    let environment =
        [("URL", endpoint.as_str()), ("REGION", "us-east-1"), ("KEY", "test"), ("SECRET", "test")];
    let names = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    site.env = names.iter().zip(environment).map(|(name, (_, value))| (*name, value.to_owned())).collect();

    let doctor = site.milepost(&["doctor", "graded.yaml"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    assert!(doctor.stdout.contains("it is there"), "{doctor:?}");
    let told = site.milepost(&["run", "graded.yaml"]);
    assert!(told.stdout.starts_with("run_"), "{told:?}");
    let items: BTreeMap<String, Value> = site
        .json(&["items", "@latest", "--json"])
        .into_iter()
        .map(|item| (item["item"].as_str().unwrap().to_owned(), item["facts"].clone()))
        .collect();
    for sku in ["a", "slow", "b"] {
        let facts = &items[sku];
        assert_eq!(facts["each"]["result"]["grade"], sku.to_uppercase(), "{facts}");
        assert_eq!(facts["results"]["result"], sku.repeat(2), "{facts}");
        assert!(facts.get("batch").is_some(), "the batch went on without the one that fails: {facts}");
    }
    let bad = &items["bad"];
    assert!(bad.get("each").is_none() && bad.get("batch").is_none(), "{bad}");
    assert_eq!(bad["results"]["result"], "badbad");
    let shown = site.milepost(&["effects", "@latest", "--item", "bad"]).stdout;
    // AWS calls the error by its class; this server does not.
    assert!(shown.contains("gone") && shown.contains("BatchItemFailure"), "{shown}");
}
