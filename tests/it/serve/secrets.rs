//! Secrets are nowhere but in what is sent: other systems send them back in whatever they answer, and still they
//! are in no log, no file of the state, no event, no answer of the API and on no page.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::super::{Site, stored};
use super::server::Server;

/// A workflow whose one effect goes to a system that says back what it was told.
const LEAKS: &str = "workflow: NAME
input:
  source: { type: uri, default: leaks.json }
connections:
  files: { use: local }
  CONNECTION
defaults:
  retry: { attempts: 2, backoff: { initial: 1ms, factor: 1, max: 2ms, jitter: full } }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: \"${{ input.source }}\", schema: any.json, item_key: \"${{ item.name }}\" }
  tell:
    needs: [read]
    STEP
tolerate: { dead_letters: 0% }
";
const HOOK: &str = "hub: { use: webhook, scheme: standard, secrets: \"${env:HUB_SECRET}\" }
hooks:
  told: { connection: hub, signal: go, key: \"${{ body.about }}\" }";
const KINDS: [(&str, &str, &str); 2] = [
    (
        "note",
        "desk: { use: receiver, url: \"${env:ECHO}/in\", secret: \"${env:DESK_SECRET}\", private: allowed }",
        "uses: webhook.send
    connection: desk
    with: { type: noted, data: { name: \"${{ item.name }}\" } }",
    ),
    (
        "pim",
        "pim: { use: pimcore, url: \"${env:ECHO}\", endpoint: products, api_key: \"${env:PIM_KEY}\" }",
        "uses: pimcore.upsert
    connection: pim
    idempotency: { key: \"${{ item.name }}\" }
    with: { mapping: names.yaml }",
    ),
];

const SECRETS: [(&str, &str); 3] = [
    ("PIM_KEY", "pim-key-8c1f-distinctive"),
    ("DESK_SECRET", "whsec_ZGlzdGluY3RpdmUtZGVzay1zZWNyZXQtNDFhYQ=="),
    ("HUB_SECRET", "whsec_ZGlzdGluY3RpdmVodWJzZWNyZXQwMDE="),
];

/// A server that answers with everything that it was sent, as a success or as a failure.
struct Echo {
    url: String,
    fails: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (fails, heard) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (failing, hearing) = (Arc::clone(&fails), Arc::clone(&heard));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                hearing.fetch_add(1, Ordering::Relaxed);
                // Whoever asked may have gone.
                let _ = answer(stream.unwrap(), failing.load(Ordering::Relaxed));
            }
        });
        Self { url, fails, heard }
    }
}

fn answer(stream: TcpStream, fails: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut said, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        // First what matters: of a long answer only the beginning is told.
        let at = if SECRETS.iter().any(|(_, secret)| line.contains(secret)) { 0 } else { said.len() };
        said.insert_str(at, &line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    said.push_str(&String::from_utf8_lossy(&body));
    let status = if fails { "400 Bad Request" } else { "200 OK" };
    let body = json!({ "message": said, "echo": said }).to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    write!(reader.get_mut(), "{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// What must be nowhere: each secret, a part of it that says enough, and what carries it over the network.
fn needles(token: &str) -> Vec<String> {
    let mut needles: Vec<String> = vec![token.to_owned(), token[..20].to_owned()];
    needles.extend(["8c1f-dist", "ZGlzdGluY3RpdmUtZGVz", "ZGlzdGluY3RpdmVo"].map(str::to_owned));
    needles
}

fn assert_clean(place: &str, told: &[u8], needles: &[String]) {
    for needle in needles {
        let at = told.windows(needle.len()).position(|part| part == needle.as_bytes());
        let around = |at: usize| String::from_utf8_lossy(&told[at.saturating_sub(200)..at]).into_owned();
        assert_eq!(at.map(around), None, "{place} tells {needle}");
    }
}

/// Every path that answers by itself, of the API and of the page.
fn asked(server: &Server, runs: &[String]) -> Vec<(String, String)> {
    let mut paths: Vec<String> =
        ["/", "/dead-letters", "/workflows", "/connections"].map(str::to_owned).to_vec();
    for run in runs {
        let pages = ["", "/items", "/items/A", "/effects", "/timeline", "/events", "/workflow", "/plan"];
        paths.extend(pages.iter().map(|page| format!("/runs/{run}{page}")));
    }
    let document = server.read("/openapi.json");
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_some() && !path.ends_with("live") {
            let named = path.replace("{item}", "A");
            paths.extend(runs.iter().map(|run| named.replace("{run}", run)));
        }
    }
    let told = |path: String| {
        let (_, answer) = server.ask("GET", &path, None);
        (path, answer.to_string())
    };
    paths.into_iter().map(told).collect()
}

fn searched(site: &Site, needles: &[String]) -> usize {
    let stored = stored(site);
    for (path, content) in &stored {
        assert_clean(&path.display().to_string(), content, needles);
    }
    stored.len()
}

#[test]
fn a_secret_that_comes_back_is_kept_nowhere_and_shown_nowhere() {
    let echo = Echo::start();
    let site = leaking(&echo);
    let files = KINDS.map(|(name, ..)| format!("workflows/{name}.yaml"));
    let server = Server::start(&site, &files.each_ref().map(String::as_str));
    let needles = needles(&server.token);
    let run = |workflow: &str, ends: &str| {
        let run = server.start_run(&json!({ "workflow": workflow }))["run"].as_str().unwrap().to_owned();
        let shown = server.until_ended(&run);
        assert_eq!(shown["status"], ends, "{workflow}: {shown:#}");
        run
    };
    let mut runs: Vec<String> = KINDS.map(|(name, ..)| run(name, "failed")).to_vec();
    let letters = server.read("/v1/dead-letters").to_string();
    assert!(letters.contains("${env:PIM_KEY}"), "something came back: {letters}");
    echo.fails.store(false, Ordering::Relaxed);
    runs.push(run("note", "succeeded"));
    for (name, ..) in KINDS {
        let examined = server.ask("POST", &format!("/v1/workflows/{name}/examine"), None);
        assert_eq!(examined.0, 200);
        assert_clean("the examination", examined.1.to_string().as_bytes(), &needles);
    }
    assert!(echo.heard.load(Ordering::Relaxed) >= 6, "each was told its secret, and told it back");
    let answers = asked(&server, &runs);
    assert!(answers.len() > 40);
    for (path, answer) in &answers {
        assert_clean(path, answer.as_bytes(), &needles);
    }
    let told = server.stop();
    assert_clean("what it says", (told.stdout + &told.stderr).as_bytes(), &needles);
    assert!(searched(&site, &needles) > 3);
    for file in &files {
        let doctor = site.milepost(&["doctor", file]);
        assert_clean("the doctor", (doctor.stdout + &doctor.stderr).as_bytes(), &needles);
    }
}

fn leaking(echo: &Echo) -> Site {
    let mut site = Site::new();
    let write = |name: &str, text: &str| fs::write(site.path("workflows").join(name), text).unwrap();
    write("any.json", "{}");
    write("leaks.json", r#"[{"name":"A"},{"name":"B"}]"#);
    write("names.yaml", "about: names\nfields:\n  sku: name\n");
    for (at, (name, connection, step)) in KINDS.into_iter().enumerate() {
        let text = LEAKS.replace("NAME", name).replace("STEP", step);
        let hook = if at == 0 { format!("\n  {HOOK}") } else { String::new() };
        write(&format!("{name}.yaml"), &text.replace("CONNECTION", &format!("{connection}{hook}")));
    }
    site.env.extend(SECRETS.map(|(name, secret)| (name, secret.to_owned())));
    site.env.extend([("ECHO", echo.url.clone()), ("MILEPOST_LOG", "milepost=trace".to_owned())]);
    site
}
