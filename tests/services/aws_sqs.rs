//! Messages from a real queue: all arrive once, what is none of ours is a dead letter and stops nobody,
//! what is given up is in the dead-letter queue and comes back, and a server that is lost is waited for.

use std::sync::{Arc, Condvar, Mutex};

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::aws::proxy::{Does, Proxy};
use crate::aws::server::Server;
use crate::aws::{Aws, HANGS, Queue, Wiring, until};
use crate::pim::{Pim, WORKFLOW, site};
use crate::site::Site;

fn show(site: &Site) -> Value {
    site.json(&["show", "@latest", "--json"]).remove(0)
}

fn events(site: &Site, kind: &str) -> Vec<Value> {
    let mut events = site.json(&["events", "@latest", "--json"]);
    events.retain(|event| event["kind"] == kind);
    events
}

/// Receives what is there, as soon as it shows, and shows it again at once, until the queue has given
/// it all up.
fn wear_out(aws: &Aws, queue: &Queue) {
    let ask = || {
        let asked = aws.sqs().receive_message().queue_url(&queue.url).max_number_of_messages(10);
        aws.wait(asked.visibility_timeout(0).wait_time_seconds(5).send()).unwrap();
        aws.depth(queue)
    };
    until("the queue", ask, |depth| *depth == 0);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn two_hundred_items_arrive_once_among_messages_that_are_none() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 30, 2);
    let strays = ["", "{", "{\"Event\":\"s3:TestEvent\"}", "{\"detail-type\":\"Order\",\"detail\":{}}"];
    for body in strays.iter().filter(|body| !body.is_empty()) {
        aws.send(&wiring.queue, body);
    }
    let of_another = json!({ "milepost": {
        "run": "run_01jzzzzzzzzzzzzzzzzzzzzzzz", "item": 1, "digest": "d", "version": "1",
        "event_id": "00000000-0000-0000-0000-000000000001",
    }, "data": {} });
    aws.send(&wiring.queue, &of_another.to_string());
    let pim = Pim::start(|_| 200);
    let site = site(aws.endpoint(), &wiring, 200, &pim, "visibility_timeout: 30s");
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let heard = pim.heard();
    assert_eq!((heard.len(), heard.values().max()), (200, Some(&1)));
    assert_eq!(show(&site)["strays"], 3);
    let mut reasons: Vec<String> =
        events(&site, "stray").iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("'Order' without our envelope"), "{reasons:?}");
    // What was ours is gone; the rest is left to the redrive policy.
    until("the queue", || aws.depth(&wiring.queue), |depth| *depth == 4);
    let set = aws.sqs().set_queue_attributes().queue_url(&wiring.queue.url);
    aws.wait(set.attributes(QueueAttributeName::VisibilityTimeout, "0").send()).unwrap();
    wear_out(&aws, &wiring.queue);
    assert_eq!(aws.depth(&wiring.dead_letters), 4);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn messages_that_show_again_while_their_items_work_change_nothing() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 1, 1_000);
    // Nobody can hide a message longer, and deleting fails at first.
    let proxy = Proxy::before(&aws, |call| match (call.operation.as_str(), call.number) {
        ("ChangeMessageVisibilityBatch", _) => Does::Refuse(403, "AccessDenied"),
        ("DeleteMessageBatch", 1..=3) => Does::LoseRequest,
        _ => Does::Pass,
    });
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = Arc::clone(&gate);
    let pim = Pim::start(move |_| {
        let open = held.0.lock().unwrap();
        drop(held.1.wait_timeout_while(open, HANGS, |open| !*open).unwrap());
        200
    });
    let site = site(&proxy.endpoint(), &wiring, 40, &pim, "visibility_timeout: 1s");
    let working = site.start(&["run", WORKFLOW]);
    // All messages came, and came again, while the PIM says nothing.
    proxy.until("ChangeMessageVisibilityBatch", 6);
    let before = proxy.calls("ReceiveMessage");
    proxy.until("ReceiveMessage", before + 12);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    let heard = pim.heard();
    assert_eq!((heard.len(), heard.values().max()), (40, Some(&1)), "each product was written once");
    assert_eq!(aws.depth(&wiring.dead_letters), 0);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_product_that_fails_is_in_the_dead_letter_queue_and_a_redrive_brings_it_through() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 30, 3);
    let pim = Pim::start(|sku| if sku == "S7" { 500 } else { 200 });
    let site = site(aws.endpoint(), &wiring, 30, &pim, "visibility_timeout: 30s");
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(pim.heard()["S7"], 3, "three attempts are three calls");
    assert_eq!((aws.depth(&wiring.dead_letters), aws.depth(&wiring.queue)), (1, 0));
    let items = site.json(&["items", "@latest", "--json"]);
    let left: Vec<&Value> = items.iter().filter(|item| item.get("message_left").is_some()).collect();
    assert_eq!(
        (left.len(), &left[0]["item"], &left[0]["message_left"]),
        (1, &json!("S7"), &json!("consume"))
    );
    let story = site.milepost(&["items", "@latest", "--item", "S7"]).stdout;
    assert!(story.contains("left to the dead-letter queue of consume"), "{story}");

    pim.rule(|_| 200);
    let told = site.milepost(&["dead-letters", "redrive", "@latest"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(pim.heard()["S7"], 4);
    assert_eq!(events(&site, "redriven").len(), 1);
    until("the dead-letter queue", || aws.depth(&wiring.dead_letters), |depth| *depth == 0);
    assert!(site.json(&["items", "@latest", "--json"]).iter().all(|item| item.get("message_left").is_none()));
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn some_dead_letters_are_redriven_without_the_others() {
    let aws = Aws::shared();
    let wiring = aws.wiring("ProductIngested", 30, 2);
    // Refused for what they are: so many calls without an answer would be an outage of the PIM.
    let pim = Pim::start(|sku| if sku.len() == 2 { 422 } else { 200 });
    let site = site(aws.endpoint(), &wiring, 20, &pim, "visibility_timeout: 30s");
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    assert_eq!((aws.depth(&wiring.dead_letters), aws.depth(&wiring.queue)), (10, 0));
    pim.rule(|_| 200);
    let told = site.milepost(&["dead-letters", "redrive", "@latest", "--item", "S3", "--item", "S4"]);
    assert_eq!(told.code, Some(1), "the others are dead letters still: {told:?}");
    let [redriven] = events(&site, "redriven").try_into().unwrap();
    assert_eq!((&redriven["step"], &redriven["messages"]), (&json!("consume"), &json!(2)));
    assert_eq!((aws.depth(&wiring.dead_letters), aws.depth(&wiring.queue)), (8, 0));
}

/// Makes what `wiring` made, on a server that forgot it.
fn wire_again(aws: &Aws, wiring: &Wiring) {
    let dead = aws.queue(&wiring.dead_letters.name, &[]);
    let redrive = json!({ "deadLetterTargetArn": dead.arn, "maxReceiveCount": 3 });
    let queue = aws.queue(&wiring.queue.name, &[(QueueAttributeName::RedrivePolicy, redrive.to_string())]);
    let events = aws.eventbridge();
    aws.wait(events.create_event_bus().name(&wiring.bus).send()).unwrap();
    let pattern = json!({ "detail-type": ["ProductIngested"] }).to_string();
    let rule = events.put_rule().event_bus_name(&wiring.bus).name(&wiring.rule).event_pattern(pattern);
    aws.wait(rule.send()).unwrap();
    let target = Target::builder().id("queue").arn(&queue.arn).build().unwrap();
    let targets = events.put_targets().event_bus_name(&wiring.bus).rule(&wiring.rule).targets(target);
    aws.wait(targets.send()).unwrap();
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_server_that_forgets_everything_is_waited_for_and_a_resume_sends_again_what_was_lost() {
    let mut server = Server::start();
    let aws = server.aws();
    let wiring = aws.wiring("ProductIngested", 30, 3);
    let gate = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let held = Arc::clone(&gate);
    // After sixty products the PIM takes no more until it is told to.
    let pim = Pim::start(move |_| {
        let mut taken = held.0.lock().unwrap();
        *taken += 1;
        drop(held.1.wait_timeout_while(taken, HANGS, |taken| (60..1_000).contains(taken)).unwrap());
        200
    });
    let site = site(aws.endpoint(), &wiring, 900, &pim, "visibility_timeout: 30s");
    let working = site.start(&["run", WORKFLOW]);
    pim.until(59);
    server.kill();
    let paused = until("the run", || show(&site), |shown| shown["status"] == "paused");
    let reason = paused["paused"]["connections"].to_string();
    assert!(reason.contains("failed to connect") || reason.contains("connection broke"), "{reason}");
    server.start_anew();
    wire_again(&aws, &wiring);
    *gate.0.lock().unwrap() = 10_000;
    gate.1.notify_all();
    // It goes on by itself; what the server forgot is found to be lost once its time is over.
    let told = working.wait();
    assert_eq!(told.code, Some(1), "{told:?}");
    let plan = site.json(&["resume", "@latest", "--plan", "--json"]).remove(0);
    let lost = plan["execute"].as_array().unwrap().iter();
    let lost = lost.filter(|share| share["reason"] == "republish: message lost").collect::<Vec<_>>();
    assert_eq!((lost.len(), &lost[0]["step"]), (1, &json!("publish")), "{plan}");
    let told = site.milepost(&["resume", "@latest"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let heard = pim.heard();
    assert_eq!((heard.len(), heard.values().max()), (900, Some(&1)), "each product was written once");
}
