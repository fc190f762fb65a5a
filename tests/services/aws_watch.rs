//! Uploads to a real bucket start runs, told by S3 itself and by EventBridge. The product workflow
//! delivers to the stand-ins; bus and queue inside it are the embedded ones.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, EventBridgeConfiguration, NotificationConfiguration, QueueConfiguration,
    VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::site::outside::Outside;
use crate::site::{Site, Working};

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// The products of the shipped sample that pass the gate.
const PRODUCTS: usize = 197;
/// An AWS server of tests is slow, and starts each service when it is first called.
const SOON: Duration = Duration::from_secs(120);

fn endpoint() -> String {
    std::env::var("MILEPOST_TEST_AWS").expect("MILEPOST_TEST_AWS names an AWS server")
}

/// A bucket and a queue of the test's own.
struct Cloud {
    name: String,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    events: aws_sdk_eventbridge::Client,
    queue_url: String,
    queue_arn: String,
}

impl Cloud {
    async fn new() -> Self {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .load()
            .await;
        let path_style = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(path_style);
        let (sqs, events) = (aws_sdk_sqs::Client::new(&config), aws_sdk_eventbridge::Client::new(&config));
        let name = format!("watch-{}", uuid::Uuid::now_v7().simple());
        s3.create_bucket().bucket(&name).send().await.unwrap();
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let enabling = s3.put_bucket_versioning().bucket(&name).versioning_configuration(versioning);
        enabling.send().await.unwrap();
        let queue_url = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        let asking = sqs.get_queue_attributes().queue_url(&queue_url);
        let known = asking.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
        let queue_arn = known.attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
        Self { name, s3, sqs, events, queue_url, queue_arn }
    }

    async fn notify(&self, notifications: NotificationConfiguration) {
        let setting = self.s3.put_bucket_notification_configuration().bucket(&self.name);
        setting.notification_configuration(notifications).send().await.unwrap();
    }

    /// From the bucket to the queue.
    async fn notify_queue(&self) {
        let queue = QueueConfiguration::builder()
            .queue_arn(&self.queue_arn)
            .events("s3:ObjectCreated:*".into())
            .build()
            .unwrap();
        self.notify(NotificationConfiguration::builder().queue_configurations(queue).build()).await;
    }

    /// From the bucket to the default bus, and by a rule from there to the queue.
    async fn notify_bus(&self) {
        let bus = EventBridgeConfiguration::builder().build();
        self.notify(NotificationConfiguration::builder().event_bridge_configuration(bus).build()).await;
        let pattern = json!({ "source": ["aws.s3"], "detail": { "bucket": { "name": [&self.name] } } });
        let rule = self.events.put_rule().name(&self.name).event_pattern(pattern.to_string());
        rule.send().await.unwrap();
        let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(&self.queue_arn).build();
        self.events.put_targets().rule(&self.name).targets(target.unwrap()).send().await.unwrap();
    }

    /// Uploads, and returns the version.
    async fn upload(&self, key: &str, content: &'static [u8]) -> String {
        let put = self.s3.put_object().bucket(&self.name).key(key).body(ByteStream::from_static(content));
        put.send().await.unwrap().version_id.unwrap()
    }

    /// Tells of an upload once more, as S3 does at times.
    async fn tell_again(&self, key: &str, version: &str) {
        let body = json!({ "Records": [{
            "eventTime": "2026-11-22T18:34:21.189Z", "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": &self.name }, "object": { "key": key, "versionId": version } }
        }] });
        self.sqs
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body.to_string())
            .send()
            .await
            .unwrap();
    }

    /// Waits until nothing is in the queue, visible or hidden.
    async fn until_empty(&self) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let begun = Instant::now();
        loop {
            let asking = self.sqs.get_queue_attributes().queue_url(&self.queue_url);
            let known = asking.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
            let counts = known.attributes.unwrap();
            if names.iter().all(|name| counts[name] == "0") {
                return;
            }
            assert!(begun.elapsed() < SOON, "{counts:?}");
        }
    }

    /// The product workflow with a trigger: an upload says when, the sample says what.
    fn site(&self, outside: &Outside) -> Site {
        let mut site = Site::reaching(&outside.pim, &outside.shop);
        let trigger = format!(
            "  uploads: {{ use: aws }}\n\ntriggers:\n  uploads:\n    uses: s3.created\n    \
             connection: uploads\n    input: upload\n    \
             with: {{ queue: {}, prefix: incoming/, suffix: .json, wait: 2s }}\n\nprofiles:\n",
            self.name
        );
        let input = "sample.json }\n  upload: { type: uri, default: none }\n";
        site.edit("product-sync.yaml", &[("sample.json }\n", input), ("\nprofiles:\n", &trigger)]);
        site.env.push(("AWS_ENDPOINT_URL", endpoint()));
        site
    }
}

fn runs(site: &Site) -> Vec<Value> {
    site.json(&["list", "--json"]).remove(0).as_array().unwrap().clone()
}

fn until_succeeded(site: &Site, wanted: usize) {
    let begun = Instant::now();
    loop {
        let runs = runs(site);
        if runs.len() == wanted && runs.iter().all(|run| run["status"] == "succeeded") {
            return;
        }
        assert!(runs.len() <= wanted && begun.elapsed() < SOON, "{runs:?}");
    }
}

fn written(outside: &Outside) -> [usize; 2] {
    let (pim, shop) = outside.calls();
    [pim, shop].map(|calls| calls.iter().map(|call| call.wrote.len()).sum())
}

fn end(working: Working) -> Vec<String> {
    working.signal("INT");
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.stderr.contains("cannot be read") && !told.stderr.contains("out of reach"), "{told:?}");
    told.stderr.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn an_upload_starts_one_run_by_itself_however_often_s3_tells_of_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outside = Outside::start();
    let cloud = runtime.block_on(Cloud::new());
    let site = cloud.site(&outside);
    let key = "incoming/x y+é.json";
    let version = runtime.block_on(async {
        cloud.notify_queue().await;
        cloud.upload("incoming/folder/", b"").await;
        cloud.upload(key, b"[]").await
    });
    let working = site.start(&["watch", WORKFLOW]);
    let subject = format!("s3://{}/{key}?versionId={version}", cloud.name);
    assert!(working.run.ends_with(&format!("started by uploads: {subject}")), "{}", working.run);
    until_succeeded(&site, 1);
    assert_eq!(written(&outside), [PRODUCTS; 2], "every product is in the PIM and the shop, once");

    runtime.block_on(async {
        for _ in 0..3 {
            cloud.tell_again("incoming/x+y%2B%C3%A9.json", &version).await;
        }
        cloud.until_empty().await;
    });
    assert_eq!(runs(&site).len(), 1, "the same upload starts no second run");
    runtime.block_on(cloud.upload(key, b"[1]"));
    until_succeeded(&site, 2);
    runtime.block_on(cloud.until_empty());
    assert_eq!(written(&outside), [PRODUCTS; 2], "the same products are not written again");
    let told = end(working);
    assert_eq!(told.iter().filter(|line| line.contains("told again")).count(), 3, "{told:?}");
    assert!(told.iter().any(|line| line.contains("s3:TestEvent")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("incoming/folder/")), "{told:?}");
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn an_upload_that_comes_through_eventbridge_and_from_s3_itself_is_one_upload() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outside = Outside::start();
    let cloud = runtime.block_on(Cloud::new());
    let site = cloud.site(&outside);
    let (key, version) = (
        "incoming/a.json",
        runtime.block_on(async {
            cloud.notify_bus().await;
            cloud.upload("incoming/a.json", b"[]").await
        }),
    );
    let working = site.start(&["watch", WORKFLOW]);
    let subject = format!("s3://{}/{key}?versionId={version}", cloud.name);
    assert!(working.run.ends_with(&subject), "{}", working.run);
    until_succeeded(&site, 1);
    runtime.block_on(async {
        cloud.tell_again(key, &version).await;
        cloud.until_empty().await;
    });
    assert_eq!(runs(&site).len(), 1);
    assert_eq!(written(&outside), [PRODUCTS; 2]);
    end(working);
}
