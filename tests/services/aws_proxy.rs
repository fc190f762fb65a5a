//! The proxy that stands between engines and a server of the AWS API does what tests ask of it, and
//! a server of one's own can be killed. Otherwise the tests that lean on them would show nothing.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName, SendMessageBatchRequestEntry};

use crate::aws::proxy::{Does, Proxy};
use crate::aws::server::Server;
use crate::aws::{Aws, environment, unique};
use crate::site::Site;

fn entry(bus: &str, number: usize) -> PutEventsRequestEntry {
    let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source("milepost.test");
    entry.detail_type("Tested").detail(format!("{{\"number\":{number}}}")).build()
}

/// The numbers of the events that came, in order, once there are `count` of them.
fn came(aws: &Aws, queue: &crate::aws::Queue, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let bodies = aws.take(queue, 20);
        assert!(!bodies.is_empty(), "only {numbers:?} came");
        for body in bodies {
            let event: serde_json::Value = serde_json::from_str(&body).unwrap();
            numbers.push(event["detail"]["number"].as_u64().unwrap());
        }
    }
    numbers.sort_unstable();
    numbers
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn entries_that_fail_never_arrive_and_the_others_do() {
    let aws = Aws::shared();
    let wiring = aws.wiring("Tested", 30, 3);
    let proxy = Proxy::before(&aws, |call| match call.number {
        1 => Does::FailEntries(vec![1], "ThrottlingException"),
        2 => Does::FailEntries(vec![0], "InternalFailure"),
        _ => Does::Pass,
    });
    let events = Aws::at(&proxy.endpoint());
    let put = |numbers: &[usize]| {
        let entries = numbers.iter().map(|&number| entry(&wiring.bus, number)).collect();
        events.wait(events.eventbridge().put_events().set_entries(Some(entries)).send()).unwrap()
    };
    let answer = put(&[0, 1, 2]);
    let codes: Vec<_> = answer.entries().iter().map(|entry| entry.error_code()).collect();
    assert_eq!((answer.failed_entry_count, codes), (1, vec![None, Some("ThrottlingException"), None]));
    assert_eq!(put(&[3]).entries()[0].error_code(), Some("InternalFailure"));
    put(&[4]);
    assert_eq!(came(&aws, &wiring.queue, 3), [0, 2, 4]);
    assert_eq!((proxy.calls("PutEvents"), aws.depth(&wiring.queue)), (3, 0));
    let rule = aws.eventbridge().describe_rule().event_bus_name(&wiring.bus).name(&wiring.rule).send();
    assert!(aws.wait(rule).unwrap().event_pattern.unwrap().contains("Tested"));
    assert_eq!(aws.depth(&wiring.dead_letters), 0);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn messages_of_a_batch_fail_one_by_one() {
    let aws = Aws::shared();
    let queue = aws.queue(&unique("batch"), &[]);
    aws.send(&queue, "a");
    aws.send(&queue, "b");
    let proxy = Proxy::before(&aws, |call| match call.operation.as_str() {
        "DeleteMessageBatch" => Does::FailEntries(vec![0], "InternalError"),
        _ => Does::Pass,
    });
    let through = Aws::at(&proxy.endpoint());
    let (sqs, mut entries) = (through.sqs(), Vec::new());
    while entries.len() < 2 {
        let received =
            sqs.receive_message().queue_url(&queue.url).max_number_of_messages(10).wait_time_seconds(20);
        for message in through.wait(received.send()).unwrap().messages.unwrap() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(format!("e{}", entries.len()));
            entries.push(entry.receipt_handle(message.receipt_handle.unwrap()).build().unwrap());
        }
    }
    let deleted = sqs.delete_message_batch().queue_url(&queue.url).set_entries(Some(entries)).send();
    let answer = through.wait(deleted).unwrap();
    assert_eq!((answer.successful()[0].id(), answer.failed()[0].id()), ("e1", "e0"));
    assert_eq!(answer.failed()[0].code(), "InternalError");
    assert_eq!((aws.depth(&queue), proxy.calls("DeleteMessageBatch")), (1, 1));
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_lost_request_was_not_carried_out_and_a_lost_answer_was() {
    let aws = Aws::shared();
    let queue = aws.queue(&unique("lost"), &[]);
    let proxy = Proxy::before(&aws, |call| match call.number {
        1 => Does::LoseRequest,
        2 => Does::LoseAnswer,
        _ => Does::Refuse(403, "AccessDenied"),
    });
    let through = Aws::at(&proxy.endpoint());
    let send = || {
        let batch = SendMessageBatchRequestEntry::builder().id("a").message_body("a").build().unwrap();
        through.wait(through.sqs().send_message_batch().queue_url(&queue.url).entries(batch).send())
    };
    assert!(send().unwrap_err().as_service_error().is_none());
    assert_eq!(aws.depth(&queue), 0);
    assert!(send().unwrap_err().as_service_error().is_none());
    assert_eq!(aws.depth(&queue), 1);
    assert_eq!(send().unwrap_err().code(), Some("AccessDenied"));
    assert_eq!(aws.depth(&queue), 1);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn every_service_is_refused_in_its_own_protocol() {
    let aws = Aws::shared();
    let bucket = aws.bucket();
    aws.put(&bucket, "a/b", b"content");
    let proxy = Proxy::before(&aws, |_| Does::Refuse(403, "AccessDenied"));
    let through = Aws::at(&proxy.endpoint());
    let read = || through.wait(through.s3().get_object().bucket(&bucket).key("a/b").send());
    assert_eq!(read().unwrap_err().code(), Some("AccessDenied"));
    let buses = through.wait(through.eventbridge().list_event_buses().send());
    assert_eq!(buses.unwrap_err().code(), Some("AccessDenied"));
    let alarms = through.wait(through.cloudwatch().describe_alarms().send());
    assert_eq!(alarms.unwrap_err().code(), Some("AccessDenied"));
    let counts = ["GetObject", "ListEventBuses", "DescribeAlarms"].map(|operation| proxy.calls(operation));
    assert_eq!(counts, [1; 3]);
    proxy.script(|_| Does::Pass);
    let body = through.wait(read().unwrap().body.collect()).unwrap();
    assert_eq!(body.into_bytes().as_ref(), b"content");
    let head = through.wait(through.s3().head_object().bucket(&bucket).key("a/b").send()).unwrap();
    assert_eq!(head.content_length(), Some(7));
    through.wait(through.cloudwatch().describe_alarms().send()).unwrap();
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn answers_wait_for_the_word_and_a_cut_proxy_is_out_of_reach_until_it_heals() {
    let aws = Aws::shared();
    let queue = aws.queue(&unique("held"), &[]);
    let proxy = Proxy::before(&aws, |call| match call.asks()["MessageBody"].as_str() {
        Some("hold") => Does::Hold,
        _ => Does::Pass,
    });
    let through = Aws::at(&proxy.endpoint());
    let send = |body: &str| {
        through.wait(through.sqs().send_message().queue_url(&queue.url).message_body(body).send())
    };
    std::thread::scope(|scope| {
        let held = scope.spawn(|| send("hold"));
        proxy.until("SendMessage", 1);
        while aws.depth(&queue) == 0 {
            std::thread::yield_now();
        }
        assert!(!held.is_finished());
        proxy.go_on();
        assert!(held.join().unwrap().is_ok());
    });
    proxy.cut();
    assert!(send("cut").unwrap_err().as_service_error().is_none());
    proxy.heal();
    send("healed").unwrap();
    assert_eq!((aws.depth(&queue), proxy.calls("SendMessage")), (2, 2));
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_server_of_ones_own_forgets_everything_when_it_is_killed() {
    let mut server = Server::start();
    let aws = server.aws();
    let name = unique("forgotten");
    let queue = aws.queue(&name, &[(QueueAttributeName::VisibilityTimeout, "7".to_owned())]);
    assert_eq!(queue.name, name);
    aws.send(&queue, "a");
    server.kill();
    let asked = || aws.wait(aws.sqs().get_queue_url().queue_name(&name).send());
    assert!(asked().unwrap_err().as_service_error().is_none(), "nobody listens");
    server.start_anew();
    assert!(asked().unwrap_err().as_service_error().unwrap().is_queue_does_not_exist());
}

/// The binary finds the server by its environment alone.
#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn the_binary_runs_with_the_environment_of_a_server() {
    let mut site = Site::new();
    site.env.extend(environment(Aws::shared().endpoint()));
    assert_eq!(site.milepost(&["check", "workflows/product-sync.yaml"]).code, Some(0));
}
