//! akeneo-mock-server: an API that is like that of Akeneo and does not come from us.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::{free_port, script, spawn};
use crate::site::Site;

/// Looked up, then created or updated.
pub(crate) const UPSERT: &str = "upsert.yaml";
/// The API's own upsert.
pub(crate) const NATIVE: &str = "native.yaml";
/// The source of both.
pub(crate) const SOURCE: &str = "workflows/products.ndjson";

/// Longest time that a start may take on a busy machine; alone it takes 2 s.
const START_MAX: Duration = Duration::from_mins(2);
/// Longest time for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A server of one's own, killed when it is dropped. What it holds outlives it, in a database that no
/// other test has.
pub(crate) struct Server {
    port: u16,
    database: String,
    /// None while it is stopped.
    child: Option<Child>,
    dir: TempDir,
    client: reqwest::Client,
    runtime: Runtime,
}

/// A request that the server has answered, from its own log.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) status: u16,
}

impl Server {
    /// A server that holds nothing. Returns once it answers.
    pub(crate) fn start() -> Self {
        // An error says that another test was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The server lets go of connections that nobody uses, which nobody sees here between two calls.
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = format!("akeneo_{}", uuid::Uuid::now_v7().simple());
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self { port: free_port(), database, child: None, dir, client, runtime };
        server.start_again();
        server
    }

    /// Starts it at the same address, with what it held. Returns once it answers.
    pub(crate) fn start_again(&mut self) {
        for name in ["MILEPOST_TEST_AKENEO_PYTHON", "MILEPOST_TEST_AKENEO_POSTGRES"] {
            let is_known = std::env::var_os(name).is_some();
            assert!(is_known, "{name} is not set; start the tests with tests/services/run akeneo");
        }
        let mut command = script("akeneo/serve");
        command.args([&self.port.to_string(), &self.database]);
        self.child = Some(spawn(command, &self.log()));
        let begun = Instant::now();
        while self.try_get("/products?limit=1").is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended at once: {:?}", fs::read_to_string(self.log()));
            assert!(begun.elapsed() < START_MAX, "no answer: {:?}", fs::read_to_string(self.log()));
            std::thread::yield_now();
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/rest/v1", self.port)
    }

    fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    fn try_get(&self, path: &str) -> Result<Value, String> {
        self.runtime.block_on(async {
            let asked = self.client.get(format!("{}{path}", self.url())).send().await;
            let answer = asked.and_then(reqwest::Response::error_for_status);
            let text = answer.map_err(|error| error.to_string())?.text().await;
            serde_json::from_str(&text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
        })
    }

    /// All that it holds: what each product is called and what it costs. Fails when one is there twice.
    pub(crate) fn products(&self) -> BTreeMap<String, Product> {
        let (mut held, mut page) = (BTreeMap::new(), 1);
        loop {
            let answer = self.try_get(&format!("/products?limit=100&page={page}")).unwrap();
            for product in answer["_embedded"]["items"].as_array().unwrap() {
                let data = |name: &str| product["values"][name][0]["data"].clone();
                let sku = product["identifier"].as_str().unwrap().to_owned();
                let told = Product { name: data("name"), price: data("price")[0]["amount"].clone() };
                assert_eq!(held.insert(sku, told), None, "twice: {product}");
            }
            if answer["_links"]["next"].is_null() {
                return held;
            }
            page += 1;
        }
    }

    /// Every write so far that it has answered, over all its starts.
    pub(crate) fn writes(&self) -> Vec<Request> {
        let log = fs::read_to_string(self.log()).unwrap();
        let asked = log.lines().filter_map(|line| {
            let (_, told) = line.split_once(" - \"")?;
            let (request, status) = told.split_once(" HTTP/1.1\" ")?;
            let method = request.split(' ').next()?.to_owned();
            Some(Request { method, status: status.split(' ').next()?.parse().ok()? })
        });
        asked.filter(|request| request.method != "GET").collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a test looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) name: Value,
    pub(crate) price: Value,
}

/// So many records of a source. Their SKUs are plain: a product with a space in its SKU is taken, and
/// never shown again.
pub(crate) fn records(count: u32) -> Vec<Value> {
    let record = |at| json!({ "sku": format!("CUP-{at}"), "name": format!("Tasse {at}"), "price": format!("{at}.99") });
    (0..count).map(record).collect()
}

/// What the server must hold of these records, by workflow: the native one sends no price.
pub(crate) fn expected(workflow: &str, records: &[Value]) -> BTreeMap<String, Product> {
    let product = |record: &Value| {
        let price = if workflow == NATIVE { Value::Null } else { record["price"].clone() };
        (record["sku"].as_str().unwrap().to_owned(), Product { name: record["name"].clone(), price })
    };
    records.iter().map(product).collect()
}

/// A site with both workflows, for this server and these records.
pub(crate) fn site(server: &Server, records: &[Value]) -> Site {
    let mut site = Site::new();
    for name in [UPSERT, NATIVE] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/akeneo").join(name);
        fs::copy(from, site.path("workflows").join(name)).unwrap();
    }
    // The server lets anybody in.
    site.env = vec![("API_URL", server.url()), ("API_TOKEN", "any".to_owned())];
    put(&site, records);
    site
}

/// Replaces the records of a site.
pub(crate) fn put(site: &Site, records: &[Value]) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    fs::write(site.path(SOURCE), lines.join("\n")).unwrap();
}

/// The file of a workflow, as a command names it.
pub(crate) fn file(workflow: &str) -> String {
    format!("workflows/{workflow}")
}
