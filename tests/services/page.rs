//! The page in a real browser: what a person clicks, types and reads.

mod browser;
mod served;

use std::fmt::Write as _;

use serde_json::json;

use crate::site::Site;
use crate::site::outside::{Outside, faults};
use browser::Browser;
use served::Served;

/// A site with its engine and a browser.
struct Stage {
    site: Site,
    served: Served,
    browser: Browser,
}

impl Stage {
    fn new() -> Self {
        let site = Site::new();
        let served = Served::open(&site.path("state"));
        Self { site, served, browser: Browser::start() }
    }

    fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.served.url);
        self.browser.open(&url);
    }

    fn workflow(&self) -> std::path::PathBuf {
        self.site.path("workflows/product-sync.yaml")
    }

    /// A run of the shipped workflow that fails: more dead letters than it tolerates.
    fn failed(&self) -> String {
        self.site.edit("product-sync.yaml", &[("dead_letters: 2%", "dead_letters: 0")]);
        self.served.finish(&self.workflow(), &[]).to_string()
    }
}

#[test]
#[ignore = "needs Chromium"]
fn page_a_failed_run_is_found_understood_planned_and_resumed() {
    let mut stage = Stage::new();
    stage.served.finish(&stage.workflow(), &[]);
    let fanned = stage.served.finish(&stage.site.path("workflows/fan-out.yaml"), &[]);
    stage.open(&format!("/runs/{fanned}"));
    stage.browser.shots("branches");
    let failed = stage.failed();
    stage.open("/");
    stage.browser.shots("runs");
    let browser = &mut stage.browser;
    browser.press(&["j", "Enter"]);
    browser.until("document.querySelector('h1')?.innerText.includes('failed')");
    browser.until("document.querySelectorAll('.graph.across .node').length === 6");
    assert!(browser.text().contains("InvalidRecord"), "errors stand there by cause");
    browser.shots("run");
    for (tab, name) in
        [("3", "effects"), ("4", "timeline"), ("5", "events"), ("6", "workflow"), ("2", "items")]
    {
        browser.press(&[tab]);
        browser
            .until(&format!("location.pathname.endsWith('/{name}') && document.readyState === 'complete'"));
        browser.shots(name);
    }
    browser.press(&["/", "3", "1", "0", "0", "0", "2"]);
    browser.until(
        "document.querySelectorAll('#items tbody tr').length < 20 && location.search.includes('key=31000')",
    );
    browser.press(&["Escape", "j", "Enter"]);
    browser.until("document.querySelector('.story') !== null");
    let story = browser.text();
    assert!(story.contains("Source record") && story.contains("Made by transform"), "{story}");
    browser.shots("item");
    stage.open(&format!("/runs/{failed}"));
    let browser = &mut stage.browser;
    browser.press(&["p"]);
    browser.until("document.querySelector('.plan') !== null");
    assert!(browser.text().contains("Nothing was called yet"));
    browser.shots("plan");
    browser.click("button", "Resume by this plan");
    browser.until(&format!("location.pathname === '/runs/{failed}'"));
    stage.open(&format!("/runs/{failed}/events"));
    assert!(stage.browser.text().contains("resumed"));
}

#[test]
#[ignore = "needs Chromium"]
fn page_a_working_run_is_followed_paused_and_cancelled_without_loading_it_again() {
    let mut stage = Stage::new();
    let mut products = Vec::new();
    crate::product::Products::new(6_000, 9, 0).write_array(&mut products).unwrap();
    std::fs::write(stage.site.path("products.json"), products).unwrap();
    let source = stage.site.path("products.json").display().to_string();
    let run = stage.served.start(&stage.workflow(), &[("source", &source)]);
    stage.open(&format!("/runs/{run}"));
    let browser = &mut stage.browser;
    browser.value("(window.first = true, window.counts = document.querySelector('#head .all').innerText, 0)");
    browser.until("window.first && document.querySelector('#head .all').innerText !== window.counts");
    browser.until("document.getElementById('pulse').textContent === 'live'");
    browser.shots("working");
    browser.click("button", "Pause");
    browser.until("document.querySelector('h1')?.innerText.includes('paused')");
    browser.shots("paused");
    browser.click(".sure > summary", "Cancel run");
    browser.click(".pop button", "Cancel run");
    browser.until("document.querySelector('h1')?.innerText.includes('cancelled')");
    stage.open(&format!("/runs/{run}/events"));
    assert!(stage.browser.text().contains("cancelling by page"), "{}", stage.browser.text());
}

/// Two products are refused by the shop, and sent again once it takes them; all of it without the script.
#[test]
#[ignore = "needs Chromium"]
fn page_dead_letters_are_redriven_without_the_script_too() {
    let outside = Outside::start();
    let mut stage = Stage::new();
    let pim = format!("pim: {{ use: sandbox, url: \"{}\" }}", outside.pim);
    let shop = format!("shop: {{ use: sandbox, url: \"{}\" }}", outside.shop);
    stage
        .site
        .edit("product-sync.yaml", &[("pim: { use: sandbox }", &pim), ("shop: { use: sandbox }", &shop)]);
    faults(&outside.shop, &json!({ "refuse": ["31000009", "31000020"] }));
    let failed = stage.failed();
    stage.browser.without_scripts();
    stage.open("/dead-letters");
    stage.browser.shots("dead-letters");
    stage.browser.click("tr:has(a[href$='31000009']) a.small", "alike");
    stage.browser.until("location.search.includes('error=Refused')");
    let alike = stage.browser.text();
    assert!(alike.contains("31000020") && !alike.contains("InvalidRecord"), "{alike}");
    faults(&outside.shop, &json!({}));
    stage.browser.click("a.button", "Plan a redrive");
    stage.browser.until("document.querySelector('.plan') !== null");
    stage.browser.shots("redrive");
    stage.browser.click("button", "Redrive by this plan");
    stage.browser.until(&format!("location.pathname === '/runs/{failed}'"));
    stage.browser.until("document.readyState === 'complete'");
    stage.browser.shots("redriven");
    stage.open(&format!("/runs/{failed}/items/31000009"));
    stage.browser.until(
        "document.querySelector('h2.item').innerText.includes('succeeded') || (location.reload(), false)",
    );
    stage.browser.shots("redriven-item");
    stage.open(&format!("/runs/{failed}/items?step=nowhere"));
    stage.browser.shots("wrong");
    assert!(stage.browser.text().contains("E1012"));
}

/// Times are those of the build that is tested; what a person waits for is told, and held to a second.
#[test]
#[ignore = "needs Chromium"]
fn page_a_hundred_thousand_items_are_painted_and_filtered_at_once() {
    const ITEMS: usize = 100_000;
    let mut stage = Stage::new();
    let mut records = String::new();
    for at in 0..ITEMS {
        writeln!(records, "{{\"sku\":\"S{at:06}\",\"title\":\"product {at}\"}}").unwrap();
    }
    std::fs::write(stage.site.path("many.ndjson"), records).unwrap();
    let file = stage.site.path("many.yaml");
    std::fs::write(&file, MANY).unwrap();
    let run = stage.served.finish(&file, &[]);
    for place in ["", "/items", "/effects", "/timeline"] {
        stage.open(&format!("/runs/{run}{place}"));
        stage.browser.until("performance.getEntriesByName('first-contentful-paint').length > 0");
        let paint =
            stage.browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime");
        let answer = stage.browser.value("performance.getEntriesByType('navigation')[0].responseEnd");
        eprintln!("{ITEMS} items, {place:10} first paint {paint:.0} ms, whole answer {answer:.0} ms");
        assert!(paint.as_f64().unwrap() < 1_000.0 || place == "/timeline", "{place}");
    }
    stage.open(&format!("/runs/{run}/items"));
    for (typed, found) in [("0999", 110), ("777", 100), ("S099999", 1), ("nothing", 0)] {
        let took = stage.browser.value(&format!(
            "new Promise((done) => {{ const input = document.querySelector('[data-search]'); const begun = performance.now(); \
             const seen = new MutationObserver(() => {{ seen.disconnect(); done(performance.now() - begun); }}); \
             seen.observe(document.getElementById('items'), {{ childList: true }}); \
             input.value = {typed:?}; input.form.requestSubmit(); }})"
        ));
        let rows = stage.browser.value("document.querySelectorAll('#items tbody tr').length");
        eprintln!("{ITEMS} items, filter {typed:8} {took:.0} ms, {rows} rows");
        assert_eq!(rows, found.min(100), "{typed}");
    }
}

const MANY: &str = r"
workflow: many
connections:
  files: { use: local }
steps:
  read:
    uses: json.validate
    connection: files
    with:
      source: many.ndjson
      item_key: ${{ item.sku }}
";
