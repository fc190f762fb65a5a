//! Events on a real bus: what readers find in them, what becomes of one that is too large, and that
//! nothing is lost, or sent twice unknown to the ledger, when answers fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};

use milepost::core::digest::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::aws::proxy::{Call, Does, Proxy};
use crate::aws::{Aws, Queue, Wiring, environment};
use crate::site::{Site, Told};

const WORKFLOW: &str = "workflows/events.yaml";
/// Seconds that a message may take to arrive on a busy machine.
const ARRIVES: i32 = 20;

/// A site whose workflow publishes each item of a source to the bus.
fn site(endpoint: &str, wiring: &Wiring, items: &[Value], connection: &str, publish: &str) -> Site {
    let mut site = Site::new();
    site.env.extend(environment(endpoint));
    fs::write(site.path("workflows/items.json"), serde_json::to_vec(items).unwrap()).unwrap();
    let text = format!(
        r#"workflow: events
input: {{ source: {{ type: uri, default: items.json }} }}
connections:
  files: {{ use: local }}
  bus: {{ use: aws, event_bus: {}{connection} }}
defaults: {{ retry: {{ attempts: 4, backoff: {{ initial: 10ms, max: 40ms }} }} }}
steps:
  read:
    uses: json.validate
    connection: files
    with: {{ source: "${{{{ input.source }}}}", item_key: "${{{{ item.sku }}}}" }}
  publish:
    needs: [read]
    uses: eventbridge.publish
    connection: bus
    {publish}
    with: {{ source: milepost.test, detail_type: ProductIngested }}
on_failure:
  - uses: eventbridge.publish
    connection: bus
    with: {{ detail_type: IngestionFailed }}
"#,
        wiring.bus
    );
    fs::write(site.path(WORKFLOW), text).unwrap();
    site
}

/// Items of a few words; the members of each stand in the order of their names.
fn items(count: u64) -> Vec<Value> {
    (0..count)
        .map(|number| json!({ "name": format!("Größe {number}"), "sku": format!("S{number}") }))
        .collect()
}

/// The events that came, once there are `count` of them.
fn events(aws: &Aws, queue: &Queue, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        let bodies = aws.take(queue, ARRIVES);
        assert!(!bodies.is_empty(), "only {} of {count} events came", events.len());
        events.extend(bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap()));
    }
    events
}

fn item_of(event: &Value) -> u64 {
    event["detail"]["milepost"]["item"].as_u64().unwrap()
}

/// The ledger of the last run: the effects of `publish`, by position.
fn ledger(site: &Site, items: usize) -> Vec<Value> {
    let limit = items.to_string();
    let effects = site.json(&["effects", "@latest", "--json", "--limit", &limit]);
    effects.into_iter().filter(|effect| effect["step"] == "publish").collect()
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn readers_find_the_product_and_our_references_in_each_event() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 60, 3);
    let items = items(60);
    let site = site(aws.endpoint(), &wiring, &items, "", "repeat: safe");
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let run = told.stdout.lines().next().unwrap();
    let mut events = events(&aws, &wiring.queue, 60);
    assert_eq!(aws.depth(&wiring.queue), 0, "more came than were sent");
    events.sort_by_key(item_of);
    let ledger = ledger(&site, 60);
    assert_eq!((events.len(), ledger.len()), (60, 60));
    for ((position, event), effect) in events.iter().enumerate().zip(&ledger) {
        assert_eq!(
            (&event["source"], &event["detail-type"]),
            (&json!("milepost.test"), &json!("ProductIngested"))
        );
        let digest = hex(&Sha256::digest(items[position].to_string()));
        let version = event["detail"]["milepost"]["version"].clone();
        assert!(version.as_str().unwrap().parse::<u64>().is_ok(), "{event}");
        let milepost = json!({
            "run": run, "item": position, "event_id": effect["facts"]["event_id"], "digest": digest, "version": version,
        });
        assert_eq!(event["detail"], json!({ "milepost": milepost, "data": items[position] }));
        assert_eq!((&effect["effect"], &effect["facts"]["digest"]), (&json!("done"), &json!(digest)));
    }
    let ids: BTreeSet<String> = ledger.iter().map(|effect| effect["facts"]["event_id"].to_string()).collect();
    assert_eq!(ids.len(), 60);
}

/// Three items, the second of which no event has room for.
fn one_too_large() -> Vec<Value> {
    let mut items = items(3);
    items[1]["text"] = json!("ü".repeat(150_000));
    items
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_item_too_large_for_an_event_goes_by_way_of_s3() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 60, 3);
    let (items, bucket) = (one_too_large(), aws.bucket());
    let connection = format!(", oversize: s3, bucket: {bucket}");
    let site = site(aws.endpoint(), &wiring, &items, &connection, "repeat: safe");
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut events = events(&aws, &wiring.queue, 3);
    events.sort_by_key(item_of);
    assert_eq!((&events[0]["detail"]["data"], &events[2]["detail"]["data"]), (&items[0], &items[2]));
    let detail = &events[1]["detail"];
    let run = told.stdout.lines().next().unwrap();
    let key = format!("milepost/{run}/{}.json", detail["milepost"]["event_id"].as_str().unwrap());
    let bytes = items[1].to_string().len();
    assert_eq!(detail["data_ref"], json!({ "bucket": bucket, "key": key, "bytes": bytes }));
    assert_eq!(detail.get("data"), None);
    let got = aws.wait(async {
        let got = aws.s3().get_object().bucket(&bucket).key(&key).send().await.unwrap();
        got.body.collect().await.unwrap().into_bytes()
    });
    assert_eq!(serde_json::from_slice::<Value>(&got).unwrap(), items[1]);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_failed_run_publishes_its_reason_and_counts() {
    let aws = Aws::shared();
    let wiring = aws.wiring("IngestionFailed", 60, 3);
    let site = site(aws.endpoint(), &wiring, &one_too_large(), "", "repeat: safe");
    let told = site.milepost(&["run", WORKFLOW]);
    assert_ne!(told.code, Some(0), "{told:?}");
    let dead = site.json(&["items", "@latest", "--json"]).remove(1);
    assert_eq!((&dead["status"], &dead["attempts"]), (&json!("dead_lettered"), &json!(1)), "{dead}");
    assert!(dead["error"].to_string().contains("oversize: s3"), "{dead}");
    let [event] = events(&aws, &wiring.queue, 1).try_into().unwrap();
    assert_eq!(event["source"], "milepost");
    assert_eq!(event["detail"]["milepost"].get("item"), None);
    let expected = json!({
        "workflow": "events",
        "closing": 1,
        "error": "ToleranceExceeded",
        "reason": "1 of 3 items are dead letters, more than 'tolerate' allows",
        "counts": {
            "total": 3, "pending": 0, "running": 0, "backoff": 0, "waiting": 0, "in_doubt": 0,
            "succeeded": 2, "skipped": 0, "dead_lettered": 1, "cancelled": 0,
        },
    });
    assert_eq!(event["detail"]["data"], expected);
}

/// What the proxy did to calls, by the items in them.
#[derive(Default)]
struct Harm {
    /// Published, and nobody was told.
    published: BTreeMap<u64, u64>,
    /// Perhaps published, as far as anybody was told, and more often than one can count on.
    doubted: BTreeMap<u64, u64>,
    /// Not published, and said so.
    failed: BTreeSet<u64>,
}

fn harmful(harm: &Arc<Mutex<Harm>>) -> impl Fn(&Call) -> Does + Send + Sync + 'static {
    let harm = Arc::clone(harm);
    move |call| {
        if call.operation != "PutEvents" {
            return Does::Pass;
        }
        let asks = call.asks();
        let details =
            asks["Entries"].as_array().unwrap().iter().map(|entry| entry["Detail"].as_str().unwrap());
        let details = details.map(|detail| serde_json::from_str::<Value>(detail).unwrap());
        let items: Vec<u64> =
            details.map(|detail| detail["milepost"]["item"].as_u64().unwrap_or(u64::MAX)).collect();
        let mut harm = harm.lock().unwrap();
        match call.number {
            1 | 3 => {
                let failing: Vec<usize> = (0..items.len()).step_by(3).collect();
                harm.failed.extend(failing.iter().map(|at| items[*at]));
                Does::FailEntries(failing, "InternalFailure")
            }
            2 | 5 => {
                for item in &items {
                    *harm.published.entry(*item).or_default() += 1;
                    *harm.doubted.entry(*item).or_default() += 1;
                }
                Does::LoseAnswer
            }
            4 => {
                for item in items {
                    *harm.doubted.entry(item).or_default() += 1;
                }
                Does::LoseRequest
            }
            6 => {
                for item in items {
                    *harm.doubted.entry(item).or_default() += 1;
                }
                Does::Refuse(500, "InternalException")
            }
            7 => {
                harm.failed.extend(&items);
                Does::Refuse(400, "ThrottlingException")
            }
            _ => Does::Pass,
        }
    }
}

/// Sixty items through calls that fail in every way: what came, how often, and what was done.
fn through_harm(publish: &str) -> (Site, Told, BTreeMap<u64, u64>, Harm) {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 60, 3);
    let harm = Arc::<Mutex<Harm>>::default();
    let proxy = Proxy::before(&aws, harmful(&harm));
    let site = site(&proxy.endpoint(), &wiring, &items(60), "", publish);
    let told = site.milepost(&["run", WORKFLOW]);
    drop(proxy);
    let harm = std::mem::take(&mut *harm.lock().unwrap());
    // Whatever was accepted, whether anybody was told or not.
    let done = ledger(&site, 60).iter().filter(|effect| effect["effect"] == "done").count() as u64;
    let expected = done + harm.published.values().sum::<u64>();
    let mut came = BTreeMap::new();
    for event in events(&aws, &wiring.queue, usize::try_from(expected).unwrap()) {
        *came.entry(item_of(&event)).or_default() += 1;
    }
    assert_eq!(aws.depth(&wiring.queue), 0, "more came than is accounted for");
    assert!(!harm.published.is_empty() && !harm.failed.is_empty(), "the proxy did nothing");
    assert!(harm.doubted.len() > harm.published.len(), "nothing was lost on its way");
    (site, told, came, harm)
}

/// The positions of the effects of which this holds.
fn those(ledger: &[Value], holds: impl Fn(&Value) -> bool) -> BTreeSet<u64> {
    (0..).zip(ledger).filter(|(_, effect)| holds(effect)).map(|(position, _)| position).collect()
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn nothing_is_lost_and_what_came_twice_is_what_the_ledger_doubts() {
    let (site, told, came, harm) = through_harm("repeat: safe");
    assert_eq!(told.code, Some(0), "{told:?}");
    for item in 0..60 {
        let expected = 1 + harm.published.get(&item).copied().unwrap_or_default();
        assert_eq!(came.get(&item), Some(&expected), "item {item}: sent again only where an answer was lost");
    }
    let ledger = ledger(&site, 60);
    assert_eq!(those(&ledger, |effect| effect["effect"] == "done").len(), 60);
    for (effect, item) in ledger.iter().zip(0..) {
        let doubts = harm.doubted.get(&item).copied().unwrap_or_default();
        assert_eq!(effect["doubts"], doubts, "{effect}");
    }
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn without_leave_to_repeat_nothing_comes_twice_and_every_doubt_is_listed() {
    let (site, told, came, harm) = through_harm("idempotency: { key: \"${{ item.sku }}\" }");
    assert_ne!(told.code, Some(0), "{told:?}");
    assert_eq!(came.values().max(), Some(&1), "something came twice: {came:?}");
    let ledger = ledger(&site, 60);
    let doubted: BTreeSet<u64> = harm.doubted.keys().copied().filter(|item| *item < 60).collect();
    assert_eq!(those(&ledger, |effect| effect["effect"] == "in_doubt"), doubted);
    assert_eq!(those(&ledger, |effect| effect["effect"] == "done").len(), 60 - doubted.len());
    let listed = site.json(&["effects", "@latest", "--in-doubt", "--json"]);
    let listed = listed.iter().filter(|effect| effect["step"] == "publish").count();
    assert_eq!(listed, doubted.len());
}
