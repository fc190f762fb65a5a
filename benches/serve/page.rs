//! The page about a run of many items: how long the server makes each of its pages, and, when
//! `MILEPOST_TEST_CHROMIUM` names a browser, how soon something is painted and how soon a filter has filtered.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::browser::Browser;
use crate::load::Connection;
use crate::site::Site;

/// One item in so many has a record that the gate refuses.
const REFUSED_EVERY: u64 = 997;
/// How often each page is asked for.
const TIMES: usize = 7;
/// What is looked at, behind the path of the run.
const PAGES: &[&str] = &[
    "",
    "/items",
    "/items?status=dead_lettered",
    "/items?status=succeeded&step=third",
    "/items?status=running",
    "/items?key=99999",
    "/items?after=90000",
    "/effects",
    "/timeline",
    "/events",
    "/workflow",
];

/// Three effects for each item, which change nothing outside.
const WORKFLOW: &str = "\
workflow: many
input:
  source: { type: uri, default: many.jsonl }
connections:
  files: { use: local }
steps:
  records:
    uses: json.validate
    connection: files
    with: { source: \"${{ input.source }}\", schema: many.schema.json, item_key: \"${{ item.id }}\" }
  first: { uses: nothing, needs: [records], batch: { max: 100 } }
  second: { uses: nothing, needs: [first], batch: { max: 100 } }
  third: { uses: nothing, needs: [second], batch: { max: 100 } }
tolerate: { dead_letters: 2% }
";

/// What came out, in milliseconds.
pub(crate) struct Found {
    items: u64,
    /// Of each page: the middle of all times, and the longest.
    made: Vec<(&'static str, f64, f64)>,
    /// Of each page, and of a filter that is typed, in a browser.
    seen: Vec<(&'static str, f64, f64)>,
}

pub(crate) fn measure(items: u64) -> anyhow::Result<Found> {
    let site = Site::new()?;
    let mut records = String::new();
    for at in 0..items {
        let price = if at % REFUSED_EVERY == REFUSED_EVERY - 1 { json!("none") } else { json!(at) };
        writeln!(records, "{}", json!({ "id": format!("K-{at:06}"), "price": price }))?;
    }
    let schema =
        json!({ "type": "object", "required": ["id"], "properties": { "price": { "type": "number" } } });
    site.put("workflows/many.jsonl", &records)?;
    site.put("workflows/many.schema.json", &schema.to_string())?;
    site.put("workflows/many.yaml", WORKFLOW)?;
    let run = site.command(&["run", "workflows/many.yaml", "--json"]).output()?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let server = site.serve()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connection = runtime.block_on(Connection::to(&server.address, &site.token))?;
    let shown: serde_json::Value = runtime.block_on(connection.read("/v1/runs/@latest"))?;
    ensure!(shown["items"]["total"] == items, "{shown}");
    let mut made = Vec::new();
    for page in PAGES {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            runtime.block_on(connection.ask("GET", &format!("/runs/@latest{page}"), ""))?;
            times.push(begun.elapsed());
        }
        let (middle, longest) = middle_and_longest(times);
        made.push((*page, middle, longest));
    }
    let mut seen = Vec::new();
    if std::env::var_os("MILEPOST_TEST_CHROMIUM").is_some() {
        seen = in_a_browser(&format!("http://{}", server.address), &site.token);
    }
    server.kill()?;
    Ok(Found { items, made, seen })
}

fn in_a_browser(url: &str, token: &str) -> Vec<(&'static str, f64, f64)> {
    let mut browser = Browser::start();
    browser.open(&format!("{url}/"));
    browser.click("input[name=token]", "");
    browser.write(token);
    browser.click("main button", "Log in");
    browser.until("location.pathname !== '/login' && document.readyState === 'complete'");
    let mut seen = Vec::new();
    for page in PAGES {
        let times = (0..TIMES).map(|_| {
            browser.open(&format!("{url}/runs/@latest{page}"));
            browser.until("performance.getEntriesByName('first-contentful-paint').length === 1");
            time(&browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        });
        let (middle, longest) = middle_and_longest(times.collect());
        seen.push((*page, middle, longest));
    }
    browser.open(&format!("{url}/runs/@latest/items"));
    for (name, field, values) in [
        ("a key, typed", "input[name=key]", ["4242", "K-0999", "77777", "000", "K-05", "9", "31337"]),
        (
            "a state, chosen",
            "select[name=status]",
            ["dead_lettered", "succeeded", "running", "", "pending", "dead_lettered", ""],
        ),
        ("a step, chosen", "select[name=step]", ["records", "third", "", "first", "third", "records", ""]),
    ] {
        let times = values.iter().map(|value| {
            // From the keystroke, so with the pause in which one goes on typing.
            time(&browser.value(&format!(
                "new Promise((done) => {{ const field = document.querySelector('{field}'), begun = performance.now(); \
                 const path = () => location.search; const before = path(); \
                 field.value = '{value}'; field.dispatchEvent(new Event('input', {{ bubbles: true }})); \
                 const look = () => path() !== before ? requestAnimationFrame(() => done(performance.now() - begun)) \
                 : setTimeout(look, 1); look(); }})"
            )))
        });
        let (middle, longest) = middle_and_longest(times.collect());
        seen.push((name, middle, longest));
    }
    seen
}

fn time(milliseconds: &serde_json::Value) -> Duration {
    Duration::from_secs_f64(milliseconds.as_f64().unwrap_or(f64::from(u32::MAX)) / 1_000.0)
}

fn middle_and_longest(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0;
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a run of {} items, in ms: the middle of {TIMES}, and the longest", self.items)?;
        for (title, rows) in [("made by the server", &self.made), ("first painted, filtered", &self.seen)] {
            for (name, middle, longest) in rows {
                writeln!(
                    f,
                    "{title:24} {:40} {middle:8.1} {longest:8.1}",
                    if name.is_empty() { "the run" } else { name }
                )?;
            }
        }
        Ok(())
    }
}
