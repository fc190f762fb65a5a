//! The page as a browser gets it, without one: sound HTML, no foreign text that becomes markup, every link leads
//! somewhere, and nothing is done for a form that is not our own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::super::tests::service;
use super::super::{Actor, Service, router};
use crate::core::cell::{Cell, State};
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::run::Status;
use crate::view::fake::{FakeJournal, FakeNames, doubtful, fill, run};
use crate::view::{Acted, Action, Archive, Order};

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;";
/// Elements that have no end.
const VOID: [&str; 5] = ["meta", "link", "input", "img", "br"];

struct Got {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

type Page = TowerToHyperService<axum::Router>;

fn page(archive: Archive) -> Page {
    TowerToHyperService::new(router(Service { archive, ..service() }))
}

async fn send(page: &Page, request: Request<Body>) -> Got {
    let answer = page.call(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Got { status: parts.status, headers: parts.headers, body }
}

async fn get(page: &Page, path: &str) -> Got {
    send(page, Request::get(path).body(Body::empty()).unwrap()).await
}

/// The values of an attribute, as a browser reads them.
fn values(page: &str, attribute: &str) -> Vec<String> {
    let begin = format!(" {attribute}=\"");
    let found = page.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
    found
        .map(|value| {
            value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        })
        .collect()
}

/// Fails when an element is not closed, or closed where it was not opened, or an ID is there twice.
fn assert_sound(path: &str, page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("{path}: a tag has no end: {tag}"));
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{path}: </{name}> closes something else");
        } else if !tag.starts_with('!') && !VOID.contains(&name) {
            open.push(name);
        }
        let names: String = tag.split('"').step_by(2).collect();
        assert!(!names.contains(" style=") && !names.contains(" on"), "{path}: the policy forbids <{tag}>");
    }
    assert!(open.is_empty(), "{path}: never closed: {open:?}");
    let ids = values(page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
}

/// A run in which every text that comes from outside is hostile.
fn hostile() -> Archive {
    let journal = Arc::new(FakeJournal::default());
    let mut run = run(4 << 100, Status::Failed);
    run.workflow = HOSTILE.into();
    run.file = HOSTILE.into();
    run.profile = Some(HOSTILE.into());
    run.source.as_mut().unwrap().uri = HOSTILE.into();
    run.fault = Some(Fault::new(HOSTILE, HOSTILE));
    fill(&journal, &run);
    let fault = Some(Fault::new(HOSTILE, HOSTILE));
    let facts = [(HOSTILE.to_owned(), serde_json::json!(HOSTILE))].into_iter().collect();
    let cells = vec![
        Cell { state: State::Succeeded, ..Cell::default() },
        Cell { state: State::Succeeded, attempts: 1, facts, ..Cell::default() },
        Cell { state: State::DeadLettered, attempts: 1, fault, ..Cell::default() },
    ];
    journal.put(crate::core::change::Change::Progress(run.id, Unit::Item(2), Progress { cells }));
    Archive::new(journal, Arc::new(FakeNames))
}

/// Follows every link that a page has, beginning with the list of runs.
async fn crawl(page: &Page) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec!["/".to_owned(), "/runs/@latest/items?key=k&status=&step=".to_owned()];
    while let Some(path) = next.pop() {
        let path = path.split('#').next().unwrap_or_default().to_owned();
        if path.is_empty() || !seen.insert(path.clone()) {
            continue;
        }
        assert!(path.starts_with('/') && !path.starts_with("//"), "{path} leads away");
        let got = get(page, &path).await;
        assert!(got.status.is_success(), "{path}: {}: {}", got.status, got.body);
        if !path.starts_with("/page/") {
            assert_sound(&path, &got.body);
            assert!(
                !got.body.contains("<script>") && !got.body.contains("<img src=x"),
                "{path}: {}",
                got.body
            );
            let policy = got.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            next.extend(values(&got.body, "href"));
            next.extend(values(&got.body, "src"));
            next.extend(values(&got.body, "data-href"));
        }
    }
    seen
}

#[tokio::test]
async fn every_link_leads_to_a_sound_page_whatever_the_texts_are() {
    for archive in [service().archive, hostile(), doubtful()] {
        let seen = crawl(&page(archive)).await;
        for tab in ["/items", "/effects", "/timeline", "/events", "/workflow", "/plan"] {
            assert!(
                seen.iter().any(|path| path.starts_with("/runs/") && path.ends_with(tab)),
                "{tab}: {seen:?}"
            );
        }
        assert!(seen.len() > 20, "{seen:?}");
    }
}

#[tokio::test]
async fn hostile_texts_are_shown_and_are_never_markup() {
    let page = page(hostile());
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;";
    for path in ["/", "/runs/@failed", "/runs/@failed/items", "/runs/@failed/items/K2", "/dead-letters"] {
        let got = get(&page, path).await;
        assert!(got.body.contains(escaped), "{path} does not show it");
    }
    let search = get(&page, "/?search=%22%3E%3Cscript%3E").await;
    assert!(!search.body.contains("\"><script>"), "{}", search.body);
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let page = page(service().archive);
    let first = get(&page, "/runs/@failed").await;
    let tag = first.headers[header::ETAG].clone();
    let again = Request::get("/runs/@failed").header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
    let again = send(&page, again).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn what_is_wrong_is_a_page_too() {
    let page = page(service().archive);
    for (path, status, says) in [
        ("/runs/run_zzz", StatusCode::NOT_FOUND, "E1001"),
        ("/runs/@failed/items/nothing", StatusCode::NOT_FOUND, "E1011"),
        ("/runs/@failed/items?step=nowhere", StatusCode::BAD_REQUEST, "E1012"),
        ("/runs/@failed/items?after=x", StatusCode::BAD_REQUEST, "E1203"),
        ("/dead-letters?after=x", StatusCode::BAD_REQUEST, "E1203"),
    ] {
        let got = get(&page, path).await;
        assert_eq!(got.status, status, "{path}");
        assert!(got.body.contains(says) && got.body.contains("<!DOCTYPE html>"), "{path}: {}", got.body);
        assert_sound(path, &got.body);
    }
}

/// A service that writes down what is done, and the word that its forms carry.
struct Noted {
    page: Page,
    orders: Arc<Mutex<Vec<(RunId, Order)>>>,
    word: String,
}

impl Noted {
    async fn new() -> Self {
        let orders: Arc<Mutex<Vec<(RunId, Order)>>> = Arc::default();
        let noted = Arc::clone(&orders);
        let actor: Actor = Arc::new(move |run, order| {
            noted.lock().unwrap().push((run, order));
            Box::pin(async move {
                Ok(Acted { run, status: Status::Paused, message: String::new(), next: vec![] })
            })
        });
        let service = Service { actor, archive: doubtful(), ..service() };
        let page = TowerToHyperService::new(router(service));
        let shown = get(&page, "/runs/@latest").await.body;
        let word =
            shown.split("name=\"word\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Self { page, orders, word }
    }

    async fn post(&self, path: &str, origin: Option<&str>, form: String) -> (StatusCode, Option<String>) {
        let mut request = Request::post(path)
            .header(header::HOST, "127.0.0.1:7400")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let answer = self.page.call(request.body(Body::from(form)).unwrap()).await.unwrap();
        let location = answer.headers().get(header::LOCATION);
        (answer.status(), location.map(|location| location.to_str().unwrap().to_owned()))
    }
}

#[tokio::test]
async fn nothing_is_done_for_a_form_that_is_not_our_own() {
    let noted = Noted::new().await;
    let forged = format!("action=cancel&word={}", "0".repeat(noted.word.len()));
    let stolen = format!("action=cancel&word={}", noted.word);
    for (path, origin, form) in [
        ("/runs/@latest/act", None, "action=cancel".to_owned()),
        ("/runs/@latest/act", None, forged),
        ("/runs/@latest/act", Some("http://evil.example"), stolen.clone()),
        ("/runs/@latest/act", Some("null"), stolen),
        ("/runs/@latest/settle", None, "word=&step=pim&done=yes".to_owned()),
        ("/runs/@latest/drop", None, "word=&reason=x".to_owned()),
        ("/runs/@latest/resume", None, "word=&expect=4f1c".to_owned()),
    ] {
        let (status, _) = noted.post(path, origin, form.clone()).await;
        assert!(status.is_client_error(), "{path} {origin:?} {form}: {status}");
    }
    assert!(noted.orders.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_own_form_is_done_once_and_leads_back_to_the_run() {
    let noted = Noted::new().await;
    let own = Some("http://127.0.0.1:7400");
    let (status, location) =
        noted.post("/runs/@latest/act", own, format!("action=close&word={}", noted.word)).await;
    assert_eq!((status, location), (StatusCode::SEE_OTHER, Some(format!("/runs/{}", RunId(3 << 100)))));
    let settle = format!("word={}&step=pim&item=K3&done=yes&facts=id%3D17+sku%3Dabc", noted.word);
    assert_eq!(noted.post("/runs/@latest/settle", own, settle).await.0, StatusCode::SEE_OTHER);
    let odd = format!("word={}&step=pim&item=K3&done=yes&facts=17", noted.word);
    assert_eq!(noted.post("/runs/@latest/settle", own, odd).await.0, StatusCode::BAD_REQUEST);
    let resume = format!("word={}&expect=4f1c&items=K3%0D%0AK4&definition=current", noted.word);
    assert_eq!(noted.post("/runs/@latest/resume", own, resume).await.0, StatusCode::SEE_OTHER);
    let orders = noted.orders.lock().unwrap();
    let [(_, close), (_, settle)] = orders.as_slice() else { panic!("{orders:?}") };
    assert_eq!((&close.action, close.by.as_str()), (&Action::Close, "page"));
    let Action::Settle(settling) = &settle.action else { panic!("{settle:?}") };
    assert_eq!((settling.items.as_slice(), settling.done), (&["K3".to_owned()][..], true));
    assert_eq!(
        (&settling.facts["id"], &settling.facts["sku"]),
        (&serde_json::json!(17), &serde_json::json!("abc"))
    );
}
