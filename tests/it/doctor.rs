//! `milepost doctor` without anything outside but what the story itself serves.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::site::Site;
use crate::site::relay::message;

/// Publishes to a bus of AWS, receives from a queue there, and reads from S3.
const ON_AWS: &str = r#"
workflow: doctored
connections:
  files: { use: s3 }
  bus: { use: aws, event_bus: products, queue: product-events }
steps:
  validate:
    uses: json.validate
    connection: files
    with: { source: "s3://uploads/products.ndjson", item_key: "${{ item.sku }}" }
  publish:
    needs: [validate]
    uses: eventbridge.publish
    connection: bus
    repeat: safe
    with: { detail_type: ProductIngested }
  consume:
    needs: [publish]
    uses: sqs.consume
    connection: bus
    with: { queue: product-events }
"#;

/// A server of the AWS API that lets nobody do anything.
fn denying() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Ok(request) = message(&mut stream) {
                    let json = String::from_utf8_lossy(&request).to_lowercase().contains("x-amz-target");
                    let body = if json {
                        r#"{"__type":"AccessDeniedException","message":"not for you"}"#
                    } else {
                        "<Error><Code>AccessDenied</Code><Message>not for you</Message></Error>"
                    };
                    let head = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.get_mut().write_all(format!("{head}{body}").as_bytes());
                }
            });
        }
    });
    address
}

/// The exit code, and `[connection, health, what, next]` of everything that was found.
fn examine(site: &Site, line: &[&str]) -> (Option<i32>, Vec<[String; 4]>) {
    let told = site.milepost(&[&["doctor", "--json"], line].concat());
    let answer: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
    let mut found = Vec::new();
    for connection in answer["connections"].as_array().unwrap() {
        for diagnosis in connection["found"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let [health, what, next] = ["health", "what", "next"].map(|field| text(&diagnosis[field]));
            found.push([text(&connection["connection"]), health, what, next]);
        }
    }
    (told.code, found)
}

fn aws(site: &mut Site, endpoint: &str) {
    site.env.extend([
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "not-to-be-shown".to_owned()),
    ]);
}

#[test]
fn the_shipped_workflow_is_well_and_no_state_is_made() {
    let site = Site::new();
    let (code, found) = examine(&site, &["workflows/product-sync.yaml"]);
    assert_eq!(code, Some(0), "{found:?}");
    // Whether the port is free is the business of the machine.
    assert!(found.iter().all(|[name, health, ..]| health == "ok" || name == "serve"), "{found:?}");
    assert!(found.iter().any(|[_, _, what, _]| what.contains("sample.json: it can be read")), "{found:?}");
    assert!(!site.path("state").exists());
}

#[test]
fn variables_that_are_not_set_are_named_at_once_and_the_rest_is_looked_at() {
    let site = Site::new();
    site.edit("product-sync.yaml", &[("    files: { use: s3 }\n", "")]);
    let (code, found) = examine(&site, &["workflows/product-sync.yaml", "--profile", "production"]);
    assert_eq!(code, Some(1));
    let of = |name: &str| found.iter().find(|[connection, ..]| connection == name).unwrap();
    assert!(of("pim")[2].ends_with("not set: PIMCORE_API_KEY, PIMCORE_URL"), "{found:?}");
    assert!(of("pim_events")[2].contains("/hooks/pim: environment variables"), "{found:?}");
    assert_eq!(of("shop")[3], "export MEDUSA_EMAIL=… MEDUSA_PASSWORD=… MEDUSA_URL=…");
    assert_eq!(of("files")[1], "ok");
}

#[test]
fn systems_that_are_there_but_not_in_order_are_told_apart() {
    let mut site = Site::new();
    let outside = crate::site::outside::Outside::start();
    let at = |url: &str| url.to_owned();
    site.env.extend([
        ("PIMCORE_URL", at(&outside.pim)),
        ("PIMCORE_API_KEY", at("wrong-key")),
        ("MEDUSA_URL", at(&outside.shop)),
        ("MEDUSA_EMAIL", at("sandbox@milepost.invalid")),
        ("MEDUSA_PASSWORD", at("sandbox")),
        ("PIM_WEBHOOK_SECRET", at(crate::HOOK_SECRET)),
    ]);
    let aws = "    bus: { use: aws, event_bus: products, queue: product-events }\n";
    site.edit("product-sync.yaml", &[(aws, ""), ("    files: { use: s3 }\n", "")]);
    let line = ["workflows/product-sync.yaml", "--profile", "production"];
    let (code, found) = examine(&site, &line);
    let of = |found: &[[String; 4]], name: &str| {
        found.iter().find(|[connection, ..]| connection == name).unwrap().clone()
    };
    assert_eq!((code, of(&found, "pim")[1].as_str()), (Some(1), "wrong"));
    assert!(of(&found, "pim")[2].contains("the API key"), "{found:?}");
    assert_eq!(of(&found, "shop")[1], "ok", "{found:?}");
    site.env.push(("PIMCORE_API_KEY", at("sandbox-key")));
    assert_eq!(examine(&site, &line).0, Some(0));
    site.env.push(("MEDUSA_PASSWORD", at("another one")));
    let (code, found) = examine(&site, &line);
    assert!(code == Some(1) && of(&found, "shop")[2].contains("wrong email or password"), "{found:?}");
    assert!(!format!("{found:?}").contains("sandbox-key"));
}

#[test]
fn a_permission_that_is_missing_is_named_as_policies_name_it() {
    let mut site = Site::new();
    aws(&mut site, &denying());
    fs::write(site.path("doctored.yaml"), ON_AWS).unwrap();
    let (code, found) = examine(&site, &["doctored.yaml"]);
    assert_eq!(code, Some(1));
    let wrong: Vec<&str> = found
        .iter()
        .filter(|[_, health, ..]| health == "wrong")
        .map(|[_, _, what, _]| what.as_str())
        .collect();
    assert_eq!(
        wrong,
        [
            "queue product-events: no permission for sqs:GetQueueUrl",
            "event bus products: no permission for events:DescribeEventBus",
            "source s3://uploads/products.ndjson: no permission for s3:GetObject",
        ]
    );
    let next = &found.iter().find(|[_, health, ..]| health == "wrong").unwrap()[3];
    assert!(next.starts_with("allow sqs:GetQueueUrl to whoever the engine runs as"), "{next}");
    assert!(found[0][2].contains("credentials from the environment, region eu-central-1"), "{found:?}");
    assert!(!format!("{found:?}").contains("not-to-be-shown"));
}

/// Takes its items from a queue of AWS.
const OPEN: &str = r#"
workflow: doctored
connections:
  bus: { use: aws }
steps:
  receive:
    uses: json.validate
    connection: bus
    with: { source: { queue: product-deliveries }, item_key: "${{ item.sku }}" }
"#;

#[test]
fn the_queue_that_an_open_run_takes_its_items_from_is_examined() {
    let mut site = Site::new();
    aws(&mut site, &denying());
    fs::write(site.path("doctored.yaml"), OPEN).unwrap();
    let (code, found) = examine(&site, &["doctored.yaml"]);
    let said = "queue product-deliveries: no permission for sqs:GetQueueUrl";
    assert!(code == Some(1) && found.iter().any(|[_, _, what, _]| what == said), "{found:?}");
}

#[test]
fn without_credentials_a_region_or_a_server_nothing_else_is_asked_of_it() {
    let mut site = Site::new();
    fs::write(site.path("doctored.yaml"), ON_AWS).unwrap();
    let nowhere = site.path("nowhere").display().to_string();
    for (variable, value) in [
        ("AWS_CONFIG_FILE", nowhere.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", nowhere.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", ""),
        ("AWS_DEFAULT_REGION", ""),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
    ] {
        site.env.push((variable, value.to_owned()));
    }
    let of_bus = |site: &Site| -> Vec<String> {
        let (code, found) = examine(site, &["doctored.yaml"]);
        assert_eq!(code, Some(1), "{found:?}");
        found.into_iter().filter(|[name, ..]| name == "bus").map(|[_, _, what, _]| what).collect()
    };
    assert_eq!(of_bus(&site), ["AWS: no region is set"]);
    site.env.push(("AWS_REGION", "eu-central-1".to_owned()));
    let [said] = of_bus(&site).try_into().unwrap();
    assert!(said.starts_with("AWS: no credentials"), "{said}");
    aws(&mut site, "http://127.0.0.1:1");
    assert!(of_bus(&site)[1].contains("failed to connect"));
}

/// Whoever runs with the policy of the template can be examined.
#[test]
fn the_policy_in_the_template_allows_all_that_the_doctor_asks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = fs::read_to_string(root.join("deploy/aws/template.yaml")).unwrap();
    let mut actions = Vec::new();
    for entry in fs::read_dir(root.join("src/connectors/aws/doctor")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let quoted = text.split('"').filter(|quoted| {
            let (service, name) = quoted.split_once(':').unwrap_or_default();
            ["sqs", "events", "s3", "cloudwatch", "states"].contains(&service)
                && name.starts_with(|first: char| first.is_ascii_uppercase())
                && quoted.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ':')
        });
        actions.extend(quoted.map(str::to_owned));
    }
    assert!(actions.len() >= 8, "{actions:?}");
    for action in actions {
        assert!(template.contains(&action), "{action} is asked and not allowed");
    }
}

#[test]
fn what_triggers_listen_to_is_looked_at_with_what_to_type() {
    let site = Site::new();
    let nightly =
        "  nightly:\n    uses: schedule\n    with: { cron: \"30 2 * * *\", time_zone: Europe/Berlin }\n";
    let path = site.path("workflows/product-sync.yaml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + nightly).unwrap();
    let of = |found: &[[String; 4]], name: &str| {
        let found = found.iter().find(|[connection, ..]| connection == name);
        found.unwrap_or_else(|| panic!("nothing is said of {name}")).clone()
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    let line = ["workflows/product-sync.yaml", "--listen", &address];
    let (code, found) = examine(&site, &line);
    assert_eq!(code, Some(0), "{found:?}");
    assert!(
        of(&found, "incoming")[2].ends_with("it can be watched; 0 in it now that would count"),
        "{found:?}"
    );
    let [_, health, times, _] = of(&found, "nightly");
    assert!(health == "ok" && times.starts_with("time zone Europe/Berlin; next: 2"), "{times}");
    assert_eq!(times.matches("T02:30:00+0").count(), 3, "{times}");
    assert_eq!(
        of(&found, "serve")[1..3],
        ["cannot tell".to_owned(), format!("{address}: somebody listens there, perhaps milepost serve")]
    );
    drop(port);
    assert_eq!(of(&examine(&site, &line).1, "serve")[1], "ok");

    fs::remove_dir_all(site.path("workflows/product-sync/incoming")).unwrap();
    let (code, found) = examine(&site, &line);
    let [_, health, what, next] = of(&found, "incoming");
    assert_eq!((code, health.as_str()), (Some(1), "wrong"), "{what}");
    assert!(what.ends_with("incoming: it is not there"), "{what}");
    let made = std::process::Command::new("sh").args(["-c", &next]).current_dir(site.path("")).status();
    assert!(made.unwrap().success(), "{next}");
    assert_eq!(of(&examine(&site, &line).1, "incoming")[1], "ok", "what was to be typed has mended it");

    let within = [&line[..], &["--state", "workflows/product-sync"]].concat();
    let (_, found) = examine(&site, &within);
    assert!(of(&found, "incoming")[2].ends_with("it is in the state directory"), "{found:?}");
    let (_, found) = examine(&site, &["workflows/product-sync.yaml", "--profile", "production"]);
    assert!(of(&found, "incoming")[2].starts_with("not listened to"), "{found:?}");
}
