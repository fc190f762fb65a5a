//! Webhooks out, over a local receiver that takes them, refuses, leads elsewhere, goes away or hangs.

use std::sync::Arc;
use std::time::Duration;

use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome};
use milepost::core::time::Timestamp;
use milepost::ports::{Effect, Worker};
use milepost::webhook::{Delivery, Headers, Scheme, Secret, Source};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::world::{call, done, faults, worker};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What came in, as text.
struct Inbox {
    url: String,
    came: mpsc::UnboundedReceiver<String>,
}

/// Answers every request with this and closes; with nothing it never answers.
async fn receiver(answer: Option<&'static str>) -> Inbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let (sender, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&text) {
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                text.extend_from_slice(&buffer[..read]);
                if read == 0 {
                    break;
                }
            }
            if sender.send(String::from_utf8(text).unwrap()).is_err() {
                return;
            }
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap_or_default(),
                None => open.push(stream),
            }
        }
    });
    Inbox { url, came }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()) == Some(body.len())
}

fn sends(url: &str, private: &str) -> Arc<dyn Effect> {
    let settings = json!({ "url": url, "secret": SECRET, "private": private });
    let with = json!({ "type": "run.failed", "data": { "sku": "${{ item.sku }}" } });
    match worker("webhook.send", Some(("receiver", settings)), &with) {
        Worker::Effect(effect) => effect,
        _ => panic!("it is no effect"),
    }
}

async fn sent(effect: &dyn Effect) -> Outcome {
    let call = call(effect, json!({ "sku": "A" }));
    effect.call(&[call]).await.outcomes.remove(0)
}

/// The headers and the body of what came.
fn parts(request: &str) -> (Headers, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let pairs = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    (Headers::of(pairs.map(|(name, value)| (name, value.as_bytes()))), body)
}

#[tokio::test]
async fn what_is_sent_is_proven_by_the_rules_of_standard_webhooks_and_repeats_keep_their_id() {
    let mut inbox = receiver(Some("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")).await;
    let effect = sends(&inbox.url, "allowed");
    let (first, second) = (sent(&*effect).await, sent(&*effect).await);
    let (facts, again) = (done(&first), done(&second));
    assert_eq!(facts["id"], again["id"], "receivers drop what they have");
    let source = Source::new(Scheme::Standard, vec![Secret::standard(SECRET).unwrap()], None);
    for _ in 0..2 {
        let request = inbox.came.recv().await.unwrap();
        let (headers, body) = parts(&request);
        let proven =
            source.verify(Delivery { headers: &headers, body: body.as_bytes() }, Timestamp(0)).unwrap();
        assert_eq!(facts["id"], proven.id);
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            body,
            json!({ "type": "run.failed", "timestamp": "1970-01-01T00:00:00Z", "data": { "sku": "A" } })
        );
        assert!(!request.contains("whsec_"), "{request}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_what_is_gone_is_not_tried_again() {
    let mut elsewhere = receiver(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    for (answer, status) in
        [(redirect.leak() as &str, "elsewhere"), ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", "410")]
    {
        let inbox = receiver(Some(answer)).await;
        match sent(&*sends(&inbox.url, "allowed")).await {
            Outcome::Refused { fault, again: Again::Never } => {
                assert!(fault.message.contains(status), "{fault}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(elsewhere.came.try_recv().is_err(), "nobody was there");
}

#[tokio::test]
async fn who_refuses_or_is_not_there_is_tried_again_and_who_goes_away_is_in_doubt() {
    let refusing = receiver(Some("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")).await;
    let told = sent(&*sends(&refusing.url, "allowed")).await;
    assert!(matches!(told, Outcome::Refused { again: Again::Later, .. }), "{told:?}");
    let busy = receiver(Some("HTTP/1.1 503 No\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n")).await;
    let told = sent(&*sends(&busy.url, "allowed")).await;
    let seven = Again::After(Duration::from_secs(7));
    assert!(matches!(told, Outcome::Refused { again, .. } if again == seven));
    let leaving = receiver(Some("")).await;
    assert!(matches!(sent(&*sends(&leaving.url, "allowed")).await, Outcome::Unclear(_)));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let told = sent(&*sends(&format!("http://{closed}/in"), "allowed")).await;
    assert!(
        matches!(&told, Outcome::Refused { fault, again: Again::Later } if fault.name == name::UNREACHABLE),
        "{told:?}"
    );
}

#[tokio::test]
async fn who_hangs_is_waited_for_as_long_as_the_step_says() {
    let mut inbox = receiver(None).await;
    let effect = sends(&inbox.url, "allowed");
    let sending = tokio::spawn(async move { sent(&*effect).await });
    inbox.came.recv().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(21)).await;
    let told = sending.await.unwrap();
    assert!(matches!(&told, Outcome::Unclear(fault) if fault.name == name::TIMEOUT), "{told:?}");
}

#[tokio::test]
async fn a_private_address_is_refused_by_number_and_by_name() {
    let mut inbox = receiver(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let settings = |url: &str| json!({ "url": url, "secret": SECRET });
    let with = json!({ "type": "x" });
    for number in [
        inbox.url.as_str(),
        "http://169.254.169.254/latest",
        "http://[::1]:80/",
        "http://2130706433/",
        "http://0x7f.1/",
    ] {
        let wrong = faults("webhook.send", ("receiver", settings(number)), &with);
        assert!(wrong.iter().any(|fault| fault.message.contains("private: allowed")), "{number}: {wrong:?}");
    }
    let named = inbox.url.replace("127.0.0.1", "localhost");
    let told = sent(&*sends(&named, "refused")).await;
    assert!(matches!(&told, Outcome::Refused { fault, .. } if fault.message.contains("private")), "{told:?}");
    assert!(inbox.came.try_recv().is_err(), "nothing came");
}
