//! Who comes in over the network, and with what.

use super::*;

/// What the API answers over TCP: the status, and the body.
pub(super) async fn over_tcp(address: std::net::SocketAddr, request: &str) -> (u16, String) {
    let answer = whole(address, request).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The whole answer. The other side may hang up before it has read everything.
pub(super) async fn whole(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let head = head.replace('\n', "\r\n");
    let length = body.len();
    let text = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(super) async fn network(anonymous: Anonymous) -> (Network, std::net::SocketAddr) {
    let reserved = reserve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let network = reserved.serve(Service { anonymous, ..service() });
    let address = network.address();
    (network, address)
}

#[tokio::test]
async fn over_the_network_every_path_wants_what_its_row_says() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let host = "host: 127.0.0.1";
    for route in routes::ROUTES {
        let path = route.path.replace("{run}", "@latest").replace("{item}", "A").replace("{name}", "n");
        let method = route.method.to_uppercase();
        let ask = |token: &str| format!("{method} {path} HTTP/1.1\n{host}\n{token}x-none: 1");
        let nobody = over_tcp(address, &ask("")).await.0;
        let wrong = over_tcp(address, &ask("authorization: Bearer nobody\n")).await.0;
        let looks = over_tcp(address, &ask("authorization: Bearer looks\n")).await.0;
        let acts = over_tcp(address, &ask("authorization: Bearer acts\n")).await.0;
        let is_in = |status: u16| ![401, 403].contains(&status);
        let found = (nobody, wrong, is_in(looks), is_in(acts));
        match route.access {
            Access::Open | Access::Proof => {
                assert!(is_in(nobody) && is_in(wrong), "{method} {path}: {found:?}");
            }
            Access::Read => assert_eq!(found, (401, 401, true, true), "{method} {path}"),
            Access::Operate => assert_eq!(found, (401, 401, false, true), "{method} {path}"),
            Access::Local => assert_eq!(found, (401, 401, false, false), "{method} {path}"),
        }
    }
}

#[tokio::test]
async fn a_token_names_who_acts_and_a_cookie_is_one_too() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let order = r#"{"action":"close","by":"somebody else"}"#;
    let act = |more: &str| {
        format!(
            "POST /v1/runs/@failed/actions HTTP/1.1\nhost: a\ncontent-type: application/json\n{more}\n\n{order}"
        )
    };
    let (status, body) = over_tcp(address, &act("authorization: Bearer acts")).await;
    assert!(status == 200 && body.contains("closed by token:acts"), "{status} {body}");
    let (status, body) = over_tcp(address, &act("cookie: a=b; milepost_token=acts")).await;
    assert!(status == 200 && body.contains("closed by token:acts"), "{status} {body}");
    // A wrong token is not mended by a right cookie.
    let both = act("authorization: Basic acts\ncookie: milepost_token=acts");
    assert_eq!(over_tcp(address, &both).await.0, 401);
}

#[tokio::test]
async fn a_page_of_another_site_makes_nobody_act() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let order = r#"{"action":"close","by":"x"}"#;
    let act = |more: &str| {
        let head = "POST /v1/runs/@failed/actions HTTP/1.1\nhost: here:7300\ncookie: milepost_token=acts";
        format!("{head}\n{more}\n\n{order}")
    };
    let json = "content-type: application/json";
    for (more, expected) in [
        (format!("{json}\norigin: http://here:7300\nsec-fetch-site: same-origin"), 200),
        (format!("{json}\norigin: http://elsewhere"), 403),
        (format!("{json}\norigin: http://here"), 403),
        (format!("{json}\norigin: null"), 403),
        (format!("{json}\nsec-fetch-site: cross-site"), 403),
        (format!("{json}\nsec-fetch-site: same-site"), 403),
        ("content-type: text/plain".to_owned(), 415),
        ("content-type: application/x-www-form-urlencoded".to_owned(), 415),
        ("x-none: 1".to_owned(), 415),
    ] {
        assert_eq!(over_tcp(address, &act(&more)).await.0, expected, "{more}");
    }
}

#[tokio::test]
async fn without_a_token_one_looks_only_where_that_was_said_and_under_a_name_of_this_machine() {
    let (_network, address) = network(Anonymous::Reads).await;
    let look = |host: &str| format!("GET /v1/runs HTTP/1.1\nhost: {host}");
    for (host, expected) in
        [("127.0.0.1:7300", 200), ("localhost", 200), ("[::1]:7300", 200), ("evil.example", 401)]
    {
        assert_eq!(over_tcp(address, &look(host)).await.0, expected, "{host}");
    }
    let act = "POST /v1/runs/@failed/resume HTTP/1.1\nhost: localhost\ncontent-type: application/json\n\n{}";
    assert_eq!(over_tcp(address, act).await.0, 401);
    let gone = "GET /v1/runs HTTP/1.1\nhost: localhost\ncookie: milepost_token=gone";
    assert_eq!(over_tcp(address, gone).await.0, 200, "a token that was taken away is nobody's");
    let wrong = "GET /v1/runs HTTP/1.1\nhost: localhost\nauthorization: Bearer nobody";
    assert_eq!(over_tcp(address, wrong).await.0, 401);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_read() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_network, address) = network(Anonymous::Nothing).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/runs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer acts\r\n\
                content-type: application/json\r\ncontent-length: 9999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let token = format!("{{\"token\":\"{}\"}}", "t".repeat(8 << 10));
    let login = format!("POST /v1/session HTTP/1.1\nhost: a\ncontent-type: application/json\n\n{token}");
    assert_eq!(over_tcp(address, &login).await.0, 413, "strangers have little to say");
    let body = format!("{{\"workflow\":\"{}\"}}", "w".repeat(gate::BODY_MAX));
    let start = format!(
        "POST /v1/runs HTTP/1.1\nhost: a\nauthorization: Bearer acts\ncontent-type: application/json\n\n{body}"
    );
    assert_eq!(over_tcp(address, &start).await.0, 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_waited_for_so_long_and_no_longer() {
    let never = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let request = axum::http::Request::builder()
        .method("POST")
        .uri("/v1/runs/@failed/resume")
        .header("content-type", "application/json")
        .extension(Way::Socket)
        .body(never)
        .unwrap();
    let router = hyper_util::service::TowerToHyperService::new(router(service()));
    let answer = hyper::service::Service::call(&router, request).await.unwrap();
    assert_eq!(answer.status(), 408);
}

#[test]
fn the_document_has_every_row_and_names_no_schema_that_is_not_there() {
    let document = openapi::made();
    for route in routes::ROUTES {
        assert!(document["paths"][route.path][route.method]["summary"].is_string(), "{}", route.path);
    }
    let operations =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
    assert_eq!(operations.sum::<usize>(), routes::ROUTES.len(), "two rows are one operation");
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}
