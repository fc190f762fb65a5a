//! A PIM of our own that fails as a test says, and a workflow that sends it items over a real bus and
//! a real queue.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aws::{HANGS, Wiring, environment};
use crate::site::Site;
use crate::site::relay::message;

/// The workflow of the site, in which every call is tried three times.
pub(crate) const WORKFLOW: &str = "workflows/products.yaml";

type Rule = Box<dyn Fn(&str) -> u16 + Send>;

/// When each product came, every time.
type Heard = BTreeMap<String, Vec<Instant>>;

/// A PIM that answers with the status that its rule says, and counts what reached it.
pub(crate) struct Pim {
    pub(crate) url: String,
    rule: Arc<Mutex<Rule>>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

impl Pim {
    pub(crate) fn start(rule: impl Fn(&str) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let heard = Arc::<(Mutex<Heard>, Condvar)>::default();
        let pim = Self { url, rule: Arc::clone(&rule), heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (rule, heard) = (Arc::clone(&rule), Arc::clone(&heard));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Ok(request) = message(&mut stream) {
                        let request = String::from_utf8_lossy(&request);
                        let path = request.split(' ').nth(1).unwrap();
                        let sku = path.rsplit('/').next().unwrap().to_owned();
                        let status = (rule.lock().unwrap())(&sku);
                        heard.0.lock().unwrap().entry(sku).or_default().push(Instant::now());
                        heard.1.notify_all();
                        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}");
                        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        pim
    }

    pub(crate) fn rule(&self, rule: impl Fn(&str) -> u16 + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// How often each product came.
    pub(crate) fn heard(&self) -> BTreeMap<String, usize> {
        let heard = self.heard.0.lock().unwrap();
        heard.iter().map(|(sku, times)| (sku.clone(), times.len())).collect()
    }

    /// How long after each other a product came.
    pub(crate) fn gaps(&self, sku: &str) -> Vec<Duration> {
        self.heard.0.lock().unwrap()[sku].windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Waits until so many products came.
    pub(crate) fn until(&self, count: usize) {
        let heard = self.heard.0.lock().unwrap();
        let (_heard, waited) =
            self.heard.1.wait_timeout_while(heard, HANGS, |heard| heard.len() < count).unwrap();
        assert!(!waited.timed_out(), "fewer than {count} products came");
    }
}

/// A site whose workflow sends each item over the bus and the queue to the PIM. `consume` are fields
/// of the step that receives.
pub(crate) fn site(endpoint: &str, wiring: &Wiring, items: u32, pim: &Pim, consume: &str) -> Site {
    let mut site = Site::new();
    site.env.extend(environment(endpoint));
    let items: Vec<Value> = (0..items).map(|number| json!({ "sku": format!("S{number}") })).collect();
    fs::write(site.path("workflows/items.json"), serde_json::to_vec(&items).unwrap()).unwrap();
    let text = format!(
        r#"workflow: products
input: {{ source: {{ type: uri, default: items.json }} }}
connections:
  files: {{ use: local }}
  bus: {{ use: aws, event_bus: {bus}, queue: {queue} }}
defaults: {{ retry: {{ attempts: 3, backoff: {{ initial: 50ms, max: 200ms, jitter: none }} }} }}
steps:
  read:
    uses: json.validate
    connection: files
    with: {{ source: "${{{{ input.source }}}}", item_key: "${{{{ item.sku }}}}" }}
  publish:
    needs: [read]
    uses: eventbridge.publish
    connection: bus
    repeat: safe
    with: {{ source: milepost.test, detail_type: ProductIngested }}
  consume:
    needs: [publish]
    uses: sqs.consume
    connection: bus
    timeout: 20s
    with: {{ queue: products, wait: 2s, delete_after: pim, {consume} }}
  pim:
    needs: [consume]
    uses: http.request
    repeat: safe
    timeout: 5m
    with: {{ method: PUT, url: "{pim}/products/${{{{ item.sku }}}}" }}
"#,
        bus = wiring.bus,
        queue = wiring.queue.name,
        pim = pim.url,
    );
    fs::write(site.path(WORKFLOW), text).unwrap();
    site
}
