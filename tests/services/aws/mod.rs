//! A server of the AWS API, and what tests make on it. Everything gets a name of its own, so that
//! tests run side by side.
//!
//! - `stack` deploys the template that users deploy.
//! - `server` starts a server that belongs to one test, which may kill it; `proxy` stands before a
//!   server and does to its calls what the test says; `machine` is what Step Functions runs.

pub(crate) mod machine;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod stack;

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::QueueAttributeName::{self, All, QueueArn};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Longer than anything takes that works.
pub(crate) const HANGS: Duration = Duration::from_mins(2);
/// The region that everything is in.
const REGION: &str = "us-east-1";

/// A server of the AWS API, as a test uses it.
pub(crate) struct Aws {
    endpoint: String,
    config: SdkConfig,
    runtime: Runtime,
}

/// A queue that a test made.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) arn: String,
}

/// A bus whose rule sends events of one type to a queue, which has a dead-letter queue.
pub(crate) struct Wiring {
    pub(crate) bus: String,
    pub(crate) rule: String,
    pub(crate) queue: Queue,
    pub(crate) dead_letters: Queue,
}

/// A name that no other test has.
pub(crate) fn unique(what: &str) -> String {
    format!("test-{}-{what}", &uuid::Uuid::now_v7().simple().to_string()[20..])
}

/// Asks until it is so.
pub(crate) fn until<T: std::fmt::Debug>(
    what: &str,
    mut ask: impl FnMut() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < HANGS, "{what} never came to that: {answer:?}");
    }
}

/// What a process needs in its environment to find the server at this endpoint.
pub(crate) fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]
}

impl Aws {
    /// The server that the tests share. Nobody may stop it.
    pub(crate) fn shared() -> Self {
        let url = std::env::var("MILEPOST_TEST_AWS");
        Self::at(
            &url.expect("MILEPOST_TEST_AWS names no server; start the tests with tests/services/run aws"),
        )
    }

    /// A server at this endpoint.
    pub(crate) fn at(endpoint: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(endpoint)
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .retry_config(RetryConfig::disabled());
        let config = runtime.block_on(config.load());
        Self { endpoint: endpoint.to_owned(), config, runtime }
    }

    /// The server's address.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits for something of the SDK.
    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// A client of SQS.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// A client of EventBridge.
    pub(crate) fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// A client of CloudWatch.
    pub(crate) fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.config)
    }

    /// A client of Step Functions.
    pub(crate) fn sfn(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// A client of S3.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes a queue with these attributes.
    pub(crate) fn queue(&self, name: &str, attributes: &[(QueueAttributeName, String)]) -> Queue {
        let attributes = attributes.iter().cloned().collect::<HashMap<_, _>>();
        let made = self.sqs().create_queue().queue_name(name).set_attributes(Some(attributes)).send();
        self.wait(made).unwrap();
        self.queue_called(name)
    }

    /// The queue of this name, which is there.
    pub(crate) fn queue_called(&self, name: &str) -> Queue {
        let asked = self.sqs().get_queue_url().queue_name(name).send();
        let url = self.wait(asked).unwrap().queue_url.unwrap();
        let arn = self.attributes(&url)[&QueueArn].clone();
        Queue { name: name.to_owned(), url, arn }
    }

    fn attributes(&self, url: &str) -> HashMap<QueueAttributeName, String> {
        let asked = self.sqs().get_queue_attributes().queue_url(url).attribute_names(All).send();
        self.wait(asked).unwrap().attributes.unwrap()
    }

    /// Makes a bus, a rule for events of this type, the queue that they come to, and its dead-letter
    /// queue. A message received and not deleted comes back after `visibility` seconds; after
    /// `max_receives` receives it is a dead letter.
    pub(crate) fn wiring(&self, detail_type: &str, visibility: u32, max_receives: u32) -> Wiring {
        let dead_letters = self.queue(&unique("events-dlq"), &[]);
        let redrive = json!({ "deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": max_receives });
        let attributes = [
            (QueueAttributeName::VisibilityTimeout, visibility.to_string()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ];
        let queue = self.queue(&unique("events"), &attributes);
        let bus = unique("bus");
        self.wait(self.eventbridge().create_event_bus().name(&bus).send()).unwrap();
        let rule = self.rule(&bus, &json!({ "detail-type": [detail_type] }), &queue);
        Wiring { bus, rule, queue, dead_letters }
    }

    /// Makes a rule on the bus: what matches the pattern comes to the queue, which lets it in.
    pub(crate) fn rule(&self, bus: &str, pattern: &Value, queue: &Queue) -> String {
        let (events, rule) = (self.eventbridge(), unique("rule"));
        let made = events.put_rule().event_bus_name(bus).name(&rule).event_pattern(pattern.to_string());
        let arn = self.wait(made.send()).unwrap().rule_arn.unwrap();
        self.let_in(queue, "events.amazonaws.com", &arn);
        let target = Target::builder().id("queue").arn(&queue.arn).build().unwrap();
        let targets = events.put_targets().event_bus_name(bus).rule(&rule).targets(target).send();
        assert_eq!(self.wait(targets).unwrap().failed_entry_count, 0);
        rule
    }

    /// Lets a service send to the queue what comes from this source; replaces the queue's policy.
    pub(crate) fn let_in(&self, queue: &Queue, service: &str, source: &str) {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": service }, "Action": "sqs:SendMessage",
            "Resource": queue.arn, "Condition": { "ArnEquals": { "aws:SourceArn": source } },
        }] });
        let set = self.sqs().set_queue_attributes().queue_url(&queue.url);
        let set = set.attributes(QueueAttributeName::Policy, policy.to_string()).send();
        self.wait(set).unwrap();
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self) -> String {
        let name = unique("bucket");
        self.wait(self.s3().create_bucket().bucket(&name).send()).unwrap();
        name
    }

    /// Writes an object.
    pub(crate) fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        let body = aws_sdk_s3::primitives::ByteStream::from(content.to_vec());
        self.wait(self.s3().put_object().bucket(bucket).key(key).body(body).send()).unwrap();
    }

    /// Sends a message.
    pub(crate) fn send(&self, queue: &Queue, body: &str) {
        self.wait(self.sqs().send_message().queue_url(&queue.url).message_body(body).send()).unwrap();
    }

    /// Tells a queue of an upload as S3 does, which writes the key as in a URL.
    pub(crate) fn tell_of_upload(&self, queue: &Queue, bucket: &str, key: &str, version: &str) {
        let body = json!({ "Records": [{
            "eventTime": "2026-11-22T18:34:21.189Z", "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": bucket }, "object": { "key": key, "versionId": version } }
        }] });
        self.send(queue, &body.to_string());
    }

    /// The next message that is not S3's test of its own setting; it is deleted.
    pub(crate) fn next(&self, queue: &Queue) -> Value {
        let ask = || {
            let bodies = self.take(queue, 20).into_iter();
            let mut told = bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap());
            told.find(|told| told["Event"] != "s3:TestEvent")
        };
        until(&queue.name, ask, Option::is_some).unwrap()
    }

    /// How many messages the queue holds, visible or not.
    pub(crate) fn depth(&self, queue: &Queue) -> u64 {
        let attributes = self.attributes(&queue.url);
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        counts.iter().map(|count| attributes[count].parse::<u64>().unwrap()).sum()
    }

    /// Receives up to ten messages, waiting up to `seconds` for the first of them, and deletes them.
    pub(crate) fn take(&self, queue: &Queue, seconds: i32) -> Vec<String> {
        let sqs = self.sqs();
        self.wait(async {
            let asked = sqs.receive_message().queue_url(&queue.url).max_number_of_messages(10);
            let received = asked.wait_time_seconds(seconds).send().await.unwrap();
            let mut bodies = Vec::new();
            for message in received.messages.unwrap_or_default() {
                let receipt = message.receipt_handle.unwrap();
                sqs.delete_message().queue_url(&queue.url).receipt_handle(receipt).send().await.unwrap();
                bodies.push(message.body.unwrap());
            }
            bodies
        })
    }
}
