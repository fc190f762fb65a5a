//! Uploads to a real bucket start runs, told by S3 itself and by EventBridge. The product workflow
//! delivers to the stand-ins; bus and queue inside it are the embedded ones.

use std::fs;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{
    BucketVersioningStatus, EventBridgeConfiguration, NotificationConfiguration, QueueConfiguration,
    VersioningConfiguration,
};
use serde_json::{Value, json};

use crate::aws::{Aws, Queue, environment, unique};
use crate::site::outside::Outside;
use crate::site::{Site, Working};

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// The products of the shipped sample that pass the gate.
const PRODUCTS: usize = 197;
/// An AWS server of tests is slow, and starts each service when it is first called.
const SOON: Duration = Duration::from_mins(2);

/// A bucket that keeps versions, and a queue, of the test's own.
struct Cloud {
    aws: Aws,
    bucket: String,
    queue: Queue,
}

impl Cloud {
    fn new() -> Self {
        let aws = Aws::shared();
        let (bucket, queue) = (aws.bucket(), aws.queue(&unique("uploads"), &[]));
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let enabling = aws.s3().put_bucket_versioning().bucket(&bucket).versioning_configuration(versioning);
        aws.wait(enabling.send()).unwrap();
        Self { aws, bucket, queue }
    }

    fn notify(&self, notifications: NotificationConfiguration) {
        let setting = self.aws.s3().put_bucket_notification_configuration().bucket(&self.bucket);
        self.aws.wait(setting.notification_configuration(notifications).send()).unwrap();
    }

    /// From the bucket to the queue.
    fn notify_queue(&self) {
        self.aws.let_in(&self.queue, "s3.amazonaws.com", &format!("arn:aws:s3:::{}", self.bucket));
        let queue = QueueConfiguration::builder().queue_arn(&self.queue.arn);
        let queue = queue.events("s3:ObjectCreated:*".into()).build().unwrap();
        self.notify(NotificationConfiguration::builder().queue_configurations(queue).build());
    }

    /// From the bucket to the account's own bus, and by a rule from there to the queue.
    fn notify_bus(&self) {
        let bus = EventBridgeConfiguration::builder().build();
        self.notify(NotificationConfiguration::builder().event_bridge_configuration(bus).build());
        let pattern = json!({ "source": ["aws.s3"], "detail": { "bucket": { "name": [&self.bucket] } } });
        self.aws.rule("default", &pattern, &self.queue);
    }

    /// Uploads, and returns the version.
    fn upload(&self, key: &str, content: Vec<u8>) -> String {
        let put = self.aws.s3().put_object().bucket(&self.bucket).key(key).body(content.into());
        self.aws.wait(put.send()).unwrap().version_id.unwrap()
    }

    /// Tells of an upload once more, as S3 does at times.
    fn tell_again(&self, key: &str, version: &str) {
        self.aws.tell_of_upload(&self.queue, &self.bucket, key, version);
    }

    /// Waits until nothing is in the queue, visible or hidden.
    fn until_empty(&self) {
        let begun = Instant::now();
        while self.aws.depth(&self.queue) > 0 {
            assert!(begun.elapsed() < SOON, "{} are left", self.aws.depth(&self.queue));
        }
    }

    /// The product workflow, which reads what was uploaded.
    fn site(&self, outside: &Outside) -> Site {
        let mut site = Site::reaching(&outside.pim, &outside.shop);
        let shipped = "  incoming:\n    uses: file.created                   # a file is put into a folder; \
                       where 'files' are local\n    connection: files\n    \
                       with: { folder: product-sync/incoming, suffix: .json }\n";
        let trigger = format!(
            "  uploads:\n    uses: s3.created\n    connection: uploads\n    \
             with: {{ queue: {}, prefix: incoming/, suffix: .json, wait: 2s }}\n",
            self.queue.name
        );
        let edits = [
            ("files: { use: local }", "files: { use: s3 }"),
            ("\nprofiles:\n", "  uploads: { use: aws }\n\nprofiles:\n"),
            (shipped, trigger.as_str()),
        ];
        site.edit("product-sync.yaml", &edits);
        site.env.extend(environment(self.aws.endpoint()));
        site
    }
}

fn sample() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/product-sync/sample.json")).unwrap()
}

pub(crate) fn runs(site: &Site) -> Vec<Value> {
    site.json(&["list", "--json"]).remove(0).as_array().unwrap().clone()
}

pub(crate) fn until_succeeded(site: &Site, wanted: usize) {
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
    let (outside, cloud) = (Outside::start(), Cloud::new());
    let site = cloud.site(&outside);
    let key = "incoming/x y+é.json";
    cloud.notify_queue();
    cloud.upload("incoming/folder/", Vec::new());
    let version = cloud.upload(key, sample());
    let working = site.start(&["watch", WORKFLOW]);
    let subject = format!("s3://{}/incoming/x%20y+é.json?versionId={version}", cloud.bucket);
    assert!(working.run.ends_with(&format!("started by uploads: {subject}")), "{}", working.run);
    until_succeeded(&site, 1);
    assert_eq!(written(&outside), [PRODUCTS; 2], "every product is in the PIM and the shop, once");

    for _ in 0..3 {
        cloud.tell_again("incoming/x+y%2B%C3%A9.json", &version);
    }
    cloud.until_empty();
    assert_eq!(runs(&site).len(), 1, "the same upload starts no second run");
    cloud.upload(key, sample());
    until_succeeded(&site, 2);
    cloud.until_empty();
    assert_eq!(written(&outside), [PRODUCTS; 2], "the same products are not written again");
    let told = end(working);
    assert_eq!(told.iter().filter(|line| line.contains("told again")).count(), 3, "{told:?}");
    assert!(told.iter().any(|line| line.contains("s3:TestEvent")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("incoming/folder/")), "{told:?}");
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn an_upload_that_comes_through_eventbridge_and_from_s3_itself_is_one_upload() {
    let (outside, cloud) = (Outside::start(), Cloud::new());
    let site = cloud.site(&outside);
    let key = "incoming/a.json";
    cloud.notify_bus();
    let version = cloud.upload(key, sample());
    let working = site.start(&["watch", WORKFLOW]);
    let subject = format!("s3://{}/{key}?versionId={version}", cloud.bucket);
    assert!(working.run.ends_with(&subject), "{}", working.run);
    until_succeeded(&site, 1);
    cloud.tell_again(key, &version);
    cloud.until_empty();
    assert_eq!(runs(&site).len(), 1);
    assert_eq!(written(&outside), [PRODUCTS; 2]);
    end(working);
}
