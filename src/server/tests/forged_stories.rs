//! What is made up to get in, or to have a visitor's browser act.

use super::network_stories::{network, over_tcp, whole};
use super::*;

#[tokio::test]
async fn a_token_is_taken_from_the_header_and_the_cookie_and_from_nowhere_else() {
    let (_network, address) = network(Anonymous::Nothing).await;
    for path in ["/v1/runs?token=acts", "/v1/runs?access_token=acts", "/v1/runs?milepost_token=acts"] {
        let (status, body) = over_tcp(address, &format!("GET {path} HTTP/1.1\nhost: a")).await;
        assert_eq!(status, 401, "{path}: {body}");
    }
    for header in ["x-token: acts", "x-api-key: acts", "authorization: Basic acts", "authorization: acts"] {
        let (status, body) = over_tcp(address, &format!("GET /v1/runs HTTP/1.1\nhost: a\n{header}")).await;
        assert_eq!(status, 401, "{header}: {body}");
    }
    let form = "POST /v1/runs/@failed/actions HTTP/1.1\nhost: a\ncontent-type: application/json\n\n{\"token\":\"acts\"}";
    assert_eq!(over_tcp(address, form).await.0, 401);
}

#[tokio::test]
async fn no_header_makes_another_method_of_a_request() {
    let (_network, address) = network(Anonymous::Nothing).await;
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let ask = |method: &str, token: &str| {
            let head = format!("{method} /v1/runs/@failed HTTP/1.1\nhost: a\n{header}: DELETE");
            format!("{head}\nauthorization: Bearer {token}\ncontent-type: application/json")
        };
        let (status, body) = over_tcp(address, &ask("GET", "looks")).await;
        assert!(status == 200 && body.starts_with("{\"run\":"), "{header}: {status} {body}");
        assert_eq!(over_tcp(address, &ask("POST", "acts")).await.0, 405, "{header}");
    }
    let asked = "GET /v1/session?_method=DELETE HTTP/1.1\nhost: a";
    assert_eq!(over_tcp(address, asked).await.0, 405);
}

#[tokio::test]
async fn no_path_leads_anywhere_but_to_its_row() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let long = format!("/v1/runs/{}", "a".repeat(9_000));
    let longest = format!("/v1/runs/{}", "a".repeat(600_000));
    for (path, expected) in [
        ("/v1/runs/..%2f..%2fetc%2fpasswd", 404),
        ("/v1/runs/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/v1/../etc/passwd", 404),
        ("/v1/./runs", 404),
        ("/v1/runs/../tokens", 404),
        ("//v1/runs", 404),
        ("/v1//runs", 404),
        ("/v1/runs/", 404),
        ("/V1/runs", 404),
        ("/v1/runs;x=1", 404),
        ("/v1/runs/%00", 400),
        ("/v1/runs/@failed%00", 400),
        ("/v1/runs/%ff", 400),
        ("/v1/runs/%c0%af", 400),
        ("/v1/runs/%", 400),
        ("/v1/runs/%4", 400),
        ("/v1/runs/%zz", 400),
        ("/v1/runs/%2525", 404),
        ("/page/../v1/runs", 404),
        ("/page/%2e%2e%2f%2e%2e%2fCargo.toml", 404),
        (&long, 404),
        // Longer than a head may be: it is not read.
        (&longest, 431),
        // What a proxy is asked; the path counts, and so does the token.
        ("http://elsewhere/v1/runs/@failed", 200),
        ("http://elsewhere/v1/tokens", 403),
        ("*", 404),
    ] {
        let ask = format!("GET {path} HTTP/1.1\nhost: a\nauthorization: Bearer acts");
        let answer = whole(address, &ask).await;
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let path = &path[..path.len().min(60)];
        assert_eq!(status, expected, "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
        if ![200, 431].contains(&status) {
            assert!(answer.contains("application/problem+json"), "{path}: {answer}");
        }
    }
    let bytes = whole(address, "GET /v1/runs/\u{ff} HTTP/1.1\nhost: a\nauthorization: Bearer acts").await;
    assert!(bytes.starts_with("HTTP/1.1 404"), "a letter, and no run is called so: {bytes}");
}

#[tokio::test]
async fn nothing_is_granted_to_pages_of_other_sites_and_no_page_is_framed() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let from = "origin: http://elsewhere\naccess-control-request-method: POST\naccess-control-request-headers: authorization";
    for (method, path) in [
        ("OPTIONS", "/v1/runs"),
        ("OPTIONS", "/hooks/pim"),
        ("GET", "/v1/runs"),
        ("GET", "/healthz"),
        ("GET", "/login"),
    ] {
        let ask = format!("{method} {path} HTTP/1.1\nhost: a\n{from}\nauthorization: Bearer looks");
        let answer = whole(address, &ask).await.to_ascii_lowercase();
        assert!(!answer.contains("access-control-"), "{method} {path}: {answer}");
    }
    for path in ["/login", "/", "/runs/@failed", "/runs/zzz"] {
        let ask = format!("GET {path} HTTP/1.1\nhost: a\ncookie: milepost_token=looks");
        let answer = whole(address, &ask).await.to_ascii_lowercase();
        let head = answer.split("\r\n\r\n").next().unwrap();
        for line in [
            "content-security-policy: ",
            "default-src 'none'",
            "frame-ancestors 'none'",
            "nosniff",
            "referrer-policy: ",
        ] {
            assert!(head.contains(line), "{path}: {line}: {head}");
        }
        assert!(!head.contains("unsafe-inline") && !head.contains("unsafe-eval"), "{path}: {head}");
    }
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
    let (_network, address) = network(Anonymous::Nothing).await;
    let begin = |origin: &str| {
        let head = "POST /v1/session HTTP/1.1\nhost: here\ncontent-type: application/json";
        format!("{head}{origin}\n\n{{\"token\":\"acts\"}}")
    };
    for (origin, is_secure) in
        [("", false), ("\norigin: http://here", false), ("\norigin: https://here", true)]
    {
        let answer = whole(address, &begin(origin)).await.to_ascii_lowercase();
        let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
        assert!(
            ["httponly", "samesite=strict", "path=/"].iter().all(|part| cookie.contains(part)),
            "{cookie}"
        );
        assert_eq!(cookie.contains("; secure"), is_secure, "{cookie}");
    }
    assert_eq!(over_tcp(address, &begin("\norigin: http://elsewhere")).await.0, 403);
    assert_eq!(over_tcp(address, &begin("\nsec-fetch-site: cross-site")).await.0, 403);
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_brings_no_rights() {
    let (_network, address) = network(Anonymous::Reads).await;
    for (method, path) in
        [("GET", "/v1/runs"), ("GET", "/"), ("POST", "/v1/runs/@failed/resume"), ("GET", "/v1/live")]
    {
        let ask = format!(
            "{method} {path} HTTP/1.1\nhost: evil.example:7300\norigin: http://evil.example:7300\n\
             sec-fetch-site: same-origin\ncontent-type: application/json\nx-forwarded-host: localhost"
        );
        let answer = whole(address, &ask).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(["401", "303"].contains(&status), "{path}: {answer}");
    }
}
