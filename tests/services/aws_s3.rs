//! S3 as sources and steps see it, over a real server of its API. Each test has a bucket of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::{Value, json};

use crate::aws::{Aws, environment, unique};
use crate::site::Site;

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// The products of the shipped sample, and those of them that pass the gate.
const PRODUCTS: (u64, u64) = (200, 197);

/// A bucket of its own.
struct Bucket {
    aws: Aws,
    name: String,
}

impl Bucket {
    fn new() -> Self {
        let bucket = Self::without_versions();
        let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let versioned = bucket.aws.s3().put_bucket_versioning().bucket(&bucket.name);
        bucket.aws.wait(versioned.versioning_configuration(versions).send()).unwrap();
        bucket
    }

    fn without_versions() -> Self {
        let aws = Aws::shared();
        let name = aws.bucket();
        Self { aws, name }
    }

    fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Keeps bytes under a key; their version, in a bucket with versions.
    fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        let put = self.aws.s3().put_object().bucket(&self.name).key(key);
        let put = self.aws.wait(put.body(ByteStream::from(bytes.into())).send()).unwrap();
        put.version_id().unwrap_or_default().to_owned()
    }

    /// What a key holds, with its metadata.
    fn get(&self, key: &str) -> (Vec<u8>, Value) {
        let asked = self.aws.s3().get_object().bucket(&self.name).key(key).send();
        self.aws.wait(async {
            let answer = asked.await.unwrap();
            let metadata = json!(answer.metadata().unwrap());
            (answer.body.collect().await.unwrap().to_vec(), metadata)
        })
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self.aws.s3().list_objects_v2().bucket(&self.name).prefix(prefix);
        let listed = self.aws.wait(list.send()).unwrap();
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }
}

/// A site whose workflows read from S3, at `endpoint`.
fn site(endpoint: &str) -> Site {
    let mut site = Site::new();
    site.edit(
        "product-sync.yaml",
        &[
            ("files: { use: local }", "files: { use: s3 }"),
            ("initial: 1s", "initial: 10ms"),
            ("max: 30s", "max: 40ms"),
        ],
    );
    site.env.extend(environment(endpoint));
    site
}

fn sample() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/product-sync/sample.json")).unwrap()
}

fn from(uri: &str) -> String {
    format!("source={uri}")
}

/// Passes bytes between an engine and the server; the first connection is cut after so many bytes of
/// answers, after `meanwhile`.
fn cutting(server: &Aws, after: usize, meanwhile: impl Fn() + Send + 'static) -> (String, Arc<AtomicBool>) {
    let target = server.endpoint().strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cut = Arc::new(AtomicBool::new(false));
    let was_cut = Arc::clone(&cut);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&target).unwrap();
            let (mut asking, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asking, &mut asked));
            if cut.load(Ordering::SeqCst) {
                let (mut from, mut to) = (server, client);
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                continue;
            }
            pass(&server, &client, after);
            meanwhile();
            cut.store(true, Ordering::SeqCst);
            client.shutdown(Shutdown::Both).unwrap();
        }
    });
    (url, was_cut)
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, bytes: usize) {
    let mut left = vec![0; bytes];
    let mut at = 0;
    while at < bytes {
        let read = from.read(&mut left[at..]).unwrap();
        assert!(read > 0, "the server has fewer than {bytes} bytes to say");
        to.write_all(&left[at..at + read]).unwrap();
        at += read;
    }
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn a_source_in_a_bucket_is_pinned_with_what_s3_says_of_it() {
    let bucket = Bucket::new();
    let site = site(bucket.aws.endpoint());
    let key = "in/Shein 2026+é.json";
    let version = bucket.put(key, sample());
    let newest = bucket.put(key, "[]");
    let uri = bucket.uri("in/Shein%202026+%C3%A9.json");
    // The newest version has no products; the one before it has all of them.
    assert_eq!(site.milepost(&["run", WORKFLOW, "--input", &from(&uri)]).code, Some(0));
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["items"]["total"], 0);
    assert_eq!(shown["source"]["origin"]["version"], newest);
    let told = site.milepost(&["run", WORKFLOW, "--input", &from(&format!("{uri}?versionId={version}"))]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!([&shown["items"]["total"], &shown["items"]["succeeded"]], [PRODUCTS.0, PRODUCTS.1]);
    let origin = &shown["source"]["origin"];
    assert_eq!(origin["version"], version);
    assert_eq!(origin["bytes"], sample().len());
    assert_eq!(origin["verified"], true, "{origin}");
    assert!(origin["etag"].is_string() && origin["checksum"].is_string(), "{origin}");
    assert!(site.milepost(&["show", "@latest"]).stdout.contains(&version));
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn a_missing_object_ends_the_run_before_any_effect_and_a_resume_finds_it() {
    let bucket = Bucket::new();
    let site = site(bucket.aws.endpoint());
    let uri = bucket.uri("in/late.json");
    let told = site.milepost(&["run", WORKFLOW, "--input", &from(&uri)]);
    assert_ne!(told.code, Some(0));
    assert!(format!("{told:?}").contains("there is no object"), "{told:?}");
    let absent = format!("s3://{}/in/late.json", unique("nowhere"));
    let elsewhere = site.milepost(&["run", WORKFLOW, "--input", &from(&absent)]);
    assert!(format!("{elsewhere:?}").contains("there is no bucket"), "{elsewhere:?}");
    let run = told.stdout.lines().next().unwrap();
    bucket.put("in/late.json", sample());
    let resumed = site.milepost(&["resume", run]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(site.json(&["show", run, "--json"])[0]["items"]["succeeded"], PRODUCTS.1);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn a_broken_transfer_is_taken_up_and_a_changed_object_is_not() {
    let bucket = Bucket::new();
    let uri = bucket.uri("in/products.json");
    bucket.put("in/products.json", sample());
    let (relay, cut) = cutting(&bucket.aws, 100_000, || {});
    let broken = site(&relay);
    let told = broken.milepost(&["run", WORKFLOW, "--input", &from(&uri)]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(cut.load(Ordering::SeqCst));
    let shown = broken.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["items"]["succeeded"], PRODUCTS.1);
    assert_eq!(shown["source"]["origin"]["verified"], true);
    // Without versions the newest content is all there is: it is pinned down by its ETag.
    let plain = Bucket::without_versions();
    let uri = plain.uri("in/products.json");
    plain.put("in/products.json", sample());
    let plain = Arc::new(plain);
    let (relay, _) = cutting(&plain.aws, 100_000, {
        let plain = Arc::clone(&plain);
        move || drop(plain.put("in/products.json", "[]"))
    });
    let changed = site(&relay);
    let told = changed.milepost(&["run", WORKFLOW, "--input", &from(&uri)]);
    assert_ne!(told.code, Some(0));
    assert!(format!("{told:?}").contains("SourceChanged"), "{told:?}");
    assert_eq!(changed.json(&["show", "@latest", "--json"])[0]["source"], Value::Null);
    assert_eq!(changed.milepost(&["resume", "@latest"]).code, Some(0), "as it is now, it has no items");
}

const STEPS: &str = r#"
workflow: copies
connections:
  files: { use: s3 }
steps:
  settings:
    uses: s3.read
    connection: files
    with: { uri: "s3://BUCKET/settings.json" }
  read:
    needs: [settings]
    uses: json.validate
    connection: files
    with: { source: "s3://BUCKET/in.ndjson", item_key: "${{ item.id }}" }
  write:
    needs: [read]
    uses: s3.write
    connection: files
    with:
      uri: "s3://BUCKET/${{ steps.settings.content.folder }}/${{ item.id }}.json"
      body: { id: "${{ item.id }}", of: "${{ steps.settings.etag }}" }
  look:
    needs: [write]
    uses: s3.read
    connection: files
    with: { uri: "s3://BUCKET/${{ steps.settings.content.folder }}/${{ item.id }}.json?versionId=${{ steps.write.version }}" }
"#;

#[test]
#[ignore = "needs an AWS server; tests/services/run starts one"]
fn steps_write_objects_and_read_them() {
    let bucket = Bucket::new();
    let site = site(bucket.aws.endpoint());
    bucket.put("settings.json", r#"{"folder":"out"}"#);
    let items = (0..12).map(|id| format!("{{\"id\":\"p{id}\"}}\n")).collect::<Vec<_>>().concat();
    bucket.put("in.ndjson", items);
    fs::write(site.path("workflows/copies.yaml"), STEPS.replace("BUCKET", &bucket.name)).unwrap();
    let told = site.milepost(&["run", "workflows/copies.yaml"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(bucket.keys("out/").len(), 12);
    let (bytes, metadata) = bucket.get("out/p7.json");
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(written["id"], "p7");
    assert!(metadata["milepost-effect"].is_string(), "{metadata}");
    let items = site.json(&["items", "@latest", "--json"]);
    let seventh = items.iter().find(|item| item["item"] == "p7").unwrap();
    assert_eq!(seventh["status"], "succeeded", "{seventh}");
    assert!(seventh["facts"].to_string().contains("\"of\""), "what was read back: {seventh}");
}
