//! The page as a browser gets it, without one: sound HTML, no foreign text that becomes markup, every link leads
//! somewhere, and nothing is done for a form that is not our own.

mod alerts;
mod served;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::super::{Anonymous, Service, Way, router};
use crate::core::cell::{Cell, State};
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::run::Status;
use crate::core::steer::Hold;
use crate::view::fake::START;
use crate::view::fake::{FakeJournal, FakeNames, archive, doubtful, fill, run};
use crate::view::{Action, Archive, Unhold};
use served::{Asked, Served};

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;";
/// Elements that have no end.
const VOID: [&str; 5] = ["meta", "link", "input", "img", "br"];

struct Got {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

type Page = TowerToHyperService<axum::Router>;

/// The page for whoever may do everything.
fn page(archive: Archive) -> Page {
    let stuck = archive.find("@latest").ok().map(|run| run.id);
    let router = router(service(archive, Arc::new(Served { stuck, ..Served::default() })));
    TowerToHyperService::new(router.layer(axum::Extension(Way::Socket)))
}

fn service(archive: Archive, operator: Arc<Served>) -> Service {
    Service { archive, operator, anonymous: Anonymous::Nothing }
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
    let mut waits = crate::view::fake::run(2 << 100, Status::Running);
    let hold = Hold { since: START, trials: 2, fault: served::trouble(), next: START };
    waits.steer.holds.insert(HOSTILE.to_owned(), hold);
    fill(&journal, &waits);
    let fault = Some(Fault::new(HOSTILE, HOSTILE));
    let facts = [(HOSTILE.to_owned(), serde_json::json!(HOSTILE))].into_iter().collect();
    let cells = vec![
        Cell { state: State::Succeeded, ..Cell::default() },
        Cell { state: State::Succeeded, attempts: 1, facts, ..Cell::default() },
        Cell { state: State::DeadLettered, attempts: 1, fault, ..Cell::default() },
    ];
    journal.put(crate::core::change::Change::Progress(run.id, Unit::Item(2), Progress::of(cells)));
    journal.put(alerts::put(&run, 0, Some(START)));
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
    for records in [archive(true), hostile(), doubtful()] {
        let seen = crawl(&page(records)).await;
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
    for path in [
        "/",
        "/runs/@failed",
        "/runs/@failed/items",
        "/runs/@failed/items/K2",
        "/dead-letters",
        "/workflows",
        "/connections",
    ] {
        let got = get(&page, path).await;
        assert!(got.body.contains(escaped), "{path} does not show it");
    }
    let search = get(&page, "/?search=%22%3E%3Cscript%3E").await;
    assert!(!search.body.contains("\"><script>"), "{}", search.body);
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let page = page(archive(true));
    let first = get(&page, "/runs/@failed").await;
    let tag = first.headers[header::ETAG].clone();
    let again = Request::get("/runs/@failed").header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
    let again = send(&page, again).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn what_is_wrong_is_a_page_too() {
    let page = page(archive(true));
    for (path, status, says) in [
        ("/runs/run_zzz", StatusCode::NOT_FOUND, "E1001"),
        ("/runs/@failed/items/nothing", StatusCode::NOT_FOUND, "E1011"),
        ("/runs/@failed/items?step=nowhere", StatusCode::NOT_FOUND, "E1012"),
        ("/runs/@failed/items?after=x", StatusCode::BAD_REQUEST, "E1203"),
        ("/dead-letters?after=x", StatusCode::BAD_REQUEST, "E1203"),
    ] {
        let got = get(&page, path).await;
        assert_eq!(got.status, status, "{path}");
        assert!(got.body.contains(says) && got.body.contains("<!DOCTYPE html>"), "{path}: {}", got.body);
        assert_sound(path, &got.body);
    }
}

/// A page with an operator that writes down what is done, over the network.
struct Noted {
    page: Page,
    operator: Arc<Served>,
}

impl Noted {
    fn new() -> Self {
        let operator = Arc::new(Served::default());
        let page = TowerToHyperService::new(router(service(doubtful(), Arc::clone(&operator))));
        Self { page, operator }
    }

    async fn post(&self, path: &str, more: &[(&str, &str)], form: &str) -> Got {
        let request = Request::post(path)
            .header(header::HOST, "127.0.0.1:7300")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        send(&self.page, request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Sends a form of our own, as a browser that has logged in.
    async fn sends(&self, path: &str, form: &str) -> (StatusCode, Option<String>) {
        let own = [("origin", "http://127.0.0.1:7300"), ("cookie", "milepost_token=acts")];
        let got = self.post(path, &own, form).await;
        (got.status, location(&got))
    }
}

fn location(got: &Got) -> Option<String> {
    got.headers.get(header::LOCATION).map(|location| location.to_str().unwrap().to_owned())
}

const FORMS: &[(&str, &str)] = &[
    ("/runs/@latest/act", "action=cancel"),
    ("/runs/@latest/settle", "step=pim&done=yes"),
    ("/runs/@latest/drop", "reason=x"),
    ("/runs/@latest/resume", "expect=4f1c"),
    ("/workflows/w/start", "key=k"),
    ("/workflows/w/examine", ""),
    ("/unpause", "workflow="),
];

#[tokio::test]
async fn nothing_is_done_for_a_form_of_another_site_or_of_nobody() {
    let noted = Noted::new();
    let (cookie, own) = (("cookie", "milepost_token=acts"), ("origin", "http://127.0.0.1:7300"));
    for (path, form) in FORMS {
        for more in [
            vec![own],
            vec![own, ("cookie", "milepost_token=nobody")],
            vec![own, ("cookie", "milepost_token=looks")],
            vec![cookie],
            vec![cookie, ("origin", "http://evil.example")],
            vec![cookie, ("origin", "http://127.0.0.1:7301")],
            vec![cookie, ("origin", "null")],
            vec![cookie, ("sec-fetch-site", "cross-site")],
            vec![cookie, own, ("sec-fetch-site", "same-site")],
        ] {
            let got = noted.post(path, &more, form).await;
            assert!(got.status.is_client_error(), "{path} {more:?}: {}", got.status);
            assert_sound(path, &got.body);
        }
    }
    assert_eq!(noted.operator.asked(), []);
}

#[tokio::test]
async fn an_own_form_is_done_once_in_the_name_of_the_token_and_leads_to_what_it_did() {
    let noted = Noted::new();
    let run = format!("/runs/{}", RunId(3 << 100));
    let to_run = (StatusCode::SEE_OTHER, Some(run.clone()));
    for (path, form) in FORMS.iter().filter(|(path, _)| path.starts_with("/runs/")) {
        assert_eq!(noted.sends(path, form).await, to_run, "{path}");
    }
    let settle = "step=pim&item=K3&done=yes&facts=id%3D17+sku%3Dabc";
    assert_eq!(noted.sends("/runs/@latest/settle", settle).await, to_run);
    let odd = "step=pim&item=K3&done=yes&facts=17";
    assert_eq!(noted.sends("/runs/@latest/settle", odd).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let start = "key=page-1&input.source=a%2Fb&input.count=";
    assert_eq!(noted.sends("/workflows/w/start", start).await, to_run);
    let place = noted.sends("/workflows/a%20b/examine", "").await.1;
    assert_eq!(place.as_deref(), Some("/connections#a%20b"));
    assert_eq!(noted.sends("/unpause", "workflow=w").await.1.as_deref(), Some("/"));

    let asked = noted.operator.asked();
    let by = |asked: &Asked| match asked {
        Asked::Act(_, order) => Some(order.by.clone()),
        Asked::Resume(_, order) => Some(order.by.clone()),
        Asked::Start(order, _) => Some(order.by.clone()),
        Asked::Unhold(_, by) => Some(by.clone()),
        Asked::Examine(_) => None,
    };
    assert_eq!(asked.len(), 8, "{asked:?}");
    assert!(asked.iter().filter_map(by).all(|by| by == "token:acts"), "{asked:?}");
    assert_eq!(asked[7], Asked::Unhold(Unhold::Workflow("w".into()), "token:acts".into()));
    let Asked::Start(order, key) = &asked[5] else { panic!("{asked:?}") };
    assert_eq!((order.workflow.as_deref(), key.as_deref()), (Some("w"), Some("page-1")));
    assert_eq!((order.input.len(), &order.input["source"]), (1, &serde_json::json!("a/b")));
    let Asked::Act(_, order) = &asked[4] else { panic!("{asked:?}") };
    let Action::Settle(settling) = &order.action else { panic!("{order:?}") };
    assert_eq!((settling.items.as_slice(), settling.done), (&["K3".to_owned()][..], true));
    assert_eq!(
        (&settling.facts["id"], &settling.facts["sku"]),
        (&serde_json::json!(17), &serde_json::json!("abc"))
    );
}

#[tokio::test]
async fn whoever_is_not_known_is_led_to_the_login_and_back_to_where_they_went() {
    let noted = Noted::new();
    let got = get(&noted.page, "/runs/@latest/items?status=dead_lettered&key=a%26b").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    let login = location(&got).unwrap();
    let form = get(&noted.page, &login).await;
    assert_sound(&login, &form.body);
    let to = "/runs/@latest/items?status=dead_lettered&key=a%26b".to_owned();
    assert!(values(&form.body, "value").contains(&to), "{}", form.body);

    let own = [("origin", "https://127.0.0.1:7300")];
    let wrong = noted.post("/login", &own, "token=nobody&to=%2F").await;
    assert_eq!((wrong.status, wrong.headers.get(header::SET_COOKIE)), (StatusCode::UNAUTHORIZED, None));
    let right = noted.post("/login", &own, "token=+acts%0A&to=%2Fdead-letters").await;
    assert_eq!((right.status, location(&right).as_deref()), (StatusCode::SEE_OTHER, Some("/dead-letters")));
    let cookie = right.headers[header::SET_COOKIE].to_str().unwrap();
    for term in ["milepost_token=acts;", "HttpOnly", "SameSite=Strict", "Secure"] {
        assert!(cookie.contains(term), "{cookie}");
    }
    let left = noted.post("/logout", &own, "").await;
    assert!(left.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let foreign = noted.post("/login", &[("origin", "https://evil.example")], "token=acts").await;
    assert_eq!((foreign.status, foreign.headers.get(header::SET_COOKIE)), (StatusCode::FORBIDDEN, None));
}

#[tokio::test]
async fn what_is_given_up_is_of_the_run_that_is_shown_whichever_is_the_latest_by_then() {
    let page = page(hostile());
    let of_all = get(&page, "/dead-letters").await.body;
    assert!(!of_all.contains("/drop\""), "of one run only: {of_all}");
    let of_one = get(&page, "/dead-letters?run=@latest").await.body;
    let none = get(&page, "/dead-letters?run=@latest&step=nowhere").await.body;
    assert!(!none.contains("/drop\""), "{none}");
    assert!(values(&of_one, "action").contains(&format!("/runs/{}/drop", RunId(4 << 100))), "{of_one}");
    assert!(of_one.contains("id=\"head\" data-live"), "it follows the filter: {of_one}");
}

#[tokio::test]
async fn whoever_may_only_look_sees_no_button() {
    let noted = Noted::new();
    let look = async |token: &str, path: &str| {
        let cookie = format!("milepost_token={token}");
        let request = Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap();
        send(&noted.page, request).await.body
    };
    for path in
        ["/", "/runs/@latest", "/runs/@latest/effects", "/runs/@latest/plan", "/workflows", "/connections"]
    {
        let forms = |page: &str| page.matches("method=\"post\"").count();
        let (looks, acts) = (look("looks", path).await, look("acts", path).await);
        assert_eq!(forms(&looks), 1, "only the way out: {path}");
        assert!(forms(&acts) > 1, "{path}: {acts}");
    }
}

#[tokio::test]
async fn nobody_looks_over_the_network_unless_that_was_said_and_the_page_is_not_in_the_document() {
    let noted = Noted::new();
    for (path, access, _) in super::PAGES {
        let path = path.replace("{run}", "@latest").replace("{item}", "K1").replace("{workflow}", "w");
        let got = get(&noted.page, &path).await;
        let is_open = *access == super::Access::Open;
        assert_eq!(got.status.is_success() || got.status == StatusCode::METHOD_NOT_ALLOWED, {
            is_open || *access == super::Access::Operate
        });
        assert!(got.body.is_empty() || is_open || *access == super::Access::Operate, "{path}: {}", got.body);
    }
    let document = get(&noted.page, "/openapi.json").await.body;
    assert!(!document.contains("\"/workflows") && document.contains("\"/v1/workflows"), "{document}");
    let open = Service { anonymous: Anonymous::Reads, ..service(doubtful(), Arc::default()) };
    let open = TowerToHyperService::new(router(open));
    let request = |host| Request::get("/").header(header::HOST, host).body(Body::empty()).unwrap();
    let here = send(&open, request("localhost:7300")).await;
    assert!(here.status.is_success() && here.body.contains("href=\"/login\""), "{}", here.body);
    assert_eq!(send(&open, request("evil.example")).await.status, StatusCode::SEE_OTHER);
}
