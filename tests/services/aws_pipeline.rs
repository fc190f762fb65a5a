//! The whole way of a product on what the template makes: from an upload to the PIM and the shop, and
//! from a PIM that fails to the people who are told, and back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::stack::Stack;
use crate::aws::{Aws, environment, unique, until};
use crate::aws_deliver::written;
use crate::aws_watch::{runs, until_succeeded};
use crate::pim::{self, Pim};
use crate::product::Products;
use crate::site::Site;
use crate::site::outside::Outside;

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// As many as the real catalogue has.
const PRODUCTS: usize = 700;
/// Where the catalogue is uploaded to, and how S3 writes that in what it tells.
const KEY: (&str, &str) = ("incoming/spring catalogue.json", "incoming/spring+catalogue.json");

/// The product workflow with its production profile on this stack, and stand-ins for both systems.
fn production(aws: &Aws, stack: &Stack<'_>, outside: &Outside) -> Site {
    let mut site = Site::reaching(&outside.pim, &outside.shop);
    site.env.extend(environment(aws.endpoint()));
    let bus = format!(
        "bus: {{ use: aws, event_bus: {}, queue: {} }}",
        stack.output("EventBus"),
        stack.output("Queue")
    );
    let trigger = format!(
        "\ntriggers:\n  uploads:\n    uses: s3.created\n    connection: uploads\n    input: source\n    \
         with: {{ queue: {}, prefix: incoming/, suffix: .json, wait: 2s }}\n",
        stack.output("UploadQueue")
    );
    let (pimcore, medusa) = (
        "use: pimcore\n      url: \"${env:PIMCORE_URL}\"\n      endpoint: products\n      \
         api_key: \"${env:PIMCORE_API_KEY}\"",
        "use: medusa\n      url: \"${env:MEDUSA_URL}\"\n      email: \"${env:MEDUSA_EMAIL}\"\n      \
         password: \"${env:MEDUSA_PASSWORD}\"",
    );
    let edits = [
        ("bus: { use: aws, event_bus: products, queue: product-events }", bus.as_str()),
        (pimcore, "use: sandbox\n      url: \"${env:PIM_URL}\""),
        (medusa, "use: sandbox\n      url: \"${env:SHOP_URL}\""),
        ("\nprofiles:\n", "  uploads: { use: aws }\n\nprofiles:\n"),
        ("\ntriggers:", trigger.as_str()),
    ];
    site.edit("product-sync.yaml", &edits);
    site
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_uploaded_catalogue_reaches_the_pim_and_the_shop_and_one_told_again_does_nothing() {
    let (aws, outside) = (Aws::shared(), Outside::start());
    let stack = Stack::deploy(&aws, &[]);
    let (bucket, uploads) = (stack.output("Bucket"), stack.queue("UploadQueue"));
    let site = production(&aws, &stack, &outside);
    let mut catalogue = Vec::new();
    Products::new(PRODUCTS as u64, 4, 0).write_array(&mut catalogue).unwrap();
    let put = aws.s3().put_object().bucket(bucket).key(KEY.0).body(catalogue.into());
    let version = aws.wait(put.send()).unwrap().version_id.unwrap();

    let watching = site.start(&["watch", WORKFLOW, "--profile", "production"]);
    assert!(watching.run.ends_with(&format!("?versionId={version}")), "{}", watching.run);
    until_succeeded(&site, 1);
    for (system, written) in ["PIM", "shop"].into_iter().zip(written(&outside)) {
        assert_eq!((written.len(), written.values().max()), (PRODUCTS, Some(&1)), "{system}");
    }
    let wiring = stack.wiring();
    assert_eq!((aws.depth(&wiring.queue), aws.depth(&wiring.dead_letters)), (0, 0));

    for _ in 0..3 {
        aws.tell_of_upload(&uploads, bucket, KEY.1, &version);
    }
    until("the upload queue", || aws.depth(&uploads), |depth| *depth == 0);
    assert_eq!(runs(&site).len(), 1, "the same upload starts no second run");
    watching.signal("INT");
    let told = watching.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.stderr.matches("told again").count(), 3, "{told:?}");
    stack.delete();
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_product_that_the_pim_fails_at_raises_the_alarm_and_is_redriven_once_the_pim_is_well() {
    let aws = Aws::shared();
    let stack = Stack::deploy(&aws, &[("Visibility", "30"), ("MaxReceives", "3"), ("AlarmPeriod", "10")]);
    let (wiring, alarms) = (stack.wiring(), aws.queue(&unique("alarms"), &[]));
    stack.subscribe(&alarms);
    let pim = Pim::start(|sku| if sku == "S7" { 500 } else { 200 });
    let site = pim::site(aws.endpoint(), &wiring, 30, &pim, "visibility_timeout: 30s");
    let told = site.milepost(&["run", pim::WORKFLOW]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let gaps = pim.gaps("S7");
    assert_eq!((gaps.len(), pim.heard().len()), (2, 30), "three calls for one, one for each other");
    let least = [50, 100].map(Duration::from_millis);
    assert!(gaps.iter().zip(least).all(|(gap, least)| *gap >= least), "no backoff: {gaps:?}");
    assert_eq!((aws.depth(&wiring.queue), aws.depth(&wiring.dead_letters)), (0, 1));

    let told = aws.next(&alarms);
    let alarm: Value = serde_json::from_str(told["Message"].as_str().unwrap()).unwrap();
    assert_eq!(alarm["NewStateValue"], "ALARM", "{alarm}");
    assert_eq!(alarm["Trigger"]["Dimensions"][0]["value"], wiring.dead_letters.name.as_str());

    pim.rule(|_| 200);
    let told = site.milepost(&["dead-letters", "redrive", "@latest"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(pim.heard()["S7"], 4);
    assert!(pim.heard().into_iter().all(|(sku, count)| sku == "S7" || count == 1), "{:?}", pim.heard());
    until("the dead-letter queue", || aws.depth(&wiring.dead_letters), |depth| *depth == 0);
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["status"], json!("succeeded"), "{shown}");
    stack.delete();
}
