//! What senders do, and what becomes of it: an engine with a workflow file, and nothing between.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::app::{StartError, now};
use crate::config::Options;
use crate::connectors::sandbox::{self, Faults, Sandbox};
use crate::view::Signalled;
use crate::webhook::{Secret, signature};

/// What `${env:…}` gives under cargo, and no other way: a test must not change the environment.
const FIRST: &str = concat!(env!("CARGO_PKG_NAME"), "-first-secret");

const WORKFLOW: &str = r#"workflow: hooked
connections:
  signed: { use: webhook, scheme: standard, secrets: ["${env:CARGO_PKG_NAME}FIRST", "${env:CARGO_PKG_NAME}SECOND"] }
  hub: { use: webhook, scheme: token, header: X-Token, secrets: "${env:CARGO_PKG_NAME}-first-secret" }
  pim: { use: sandbox, url: "PIM" }
hooks:
  told:
    connection: signed
    signal: go
    when: ${{ $not(body.draft ?? false) }}
    key: ${{ body.group }}
    version: "${{ body.version ?? null }}"
    payload: { by: "${{ body.by ?? \"nobody\" }}" }
  hinted:
    connection: hub
    signal: product.published
    key: ${{ body.sku }}
    ask: pim
steps:
  hello: { uses: alert }
"#;

struct Story {
    engine: Engine,
    hooks: Hooks,
    dir: TempDir,
    pim: Sandbox,
}

/// As the workflow file has it: letters and digits are base64, four by four.
fn secret(of: &str) -> Secret {
    Secret::standard(&format!("{}{}", env!("CARGO_PKG_NAME"), of)).unwrap()
}

const ONE: &str = "AAAABBBBCCCCDDDDEEEEFFFF";
const TWO: &str = "GGGGHHHHIIIIJJJJKKKKLLLL";

impl Story {
    async fn begin() -> Self {
        let dir = TempDir::new().unwrap();
        let pim = sandbox::start(&dir.path().join("outside"), &Faults::default()).await.unwrap();
        let file = dir.path().join("hooked.yaml");
        let text = WORKFLOW.replace("FIRST", ONE).replace("SECOND", TWO).replace("PIM", &pim.pim_url);
        fs::write(&file, text).unwrap();
        let engine = Engine::open(&Options::new(dir.path().join("state"))).await.unwrap();
        let hooks = engine.hooks([(file.as_path(), None)]).await.unwrap();
        Self { engine, hooks, dir, pim }
    }

    /// The same state directory under another engine.
    async fn again(self) -> Self {
        let Self { engine, dir, pim, .. } = self;
        drop(engine);
        let engine = Engine::open(&Options::new(dir.path().join("state"))).await.unwrap();
        let hooks = engine.hooks([(dir.path().join("hooked.yaml").as_path(), None)]).await.unwrap();
        Self { engine, hooks, dir, pim }
    }

    async fn sends(&self, id: &str, body: &Value) -> Result<Delivered, HookError> {
        self.sends_as(id, body, &secret(ONE), 0).await
    }

    /// Signed with a secret, `late` seconds from now.
    async fn sends_as(
        &self,
        id: &str,
        body: &Value,
        with: &Secret,
        late: i64,
    ) -> Result<Delivered, HookError> {
        let body = body.to_string();
        let seconds = (now().0 / 1_000).saturating_add_signed(late);
        let (time, signed) = (seconds.to_string(), signature(with, id, seconds, body.as_bytes()));
        let headers = [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signed)];
        let headers = Headers::of(headers.map(|(name, value)| (name, value.as_bytes())));
        self.engine.deliver(&self.hooks, "told", headers, Bytes::from(body)).await
    }

    /// A hint that is proven with a token.
    async fn hints(&self, sku: &str, token: &str) -> Result<Delivered, HookError> {
        let headers = Headers::of([("X-Token", token.as_bytes())]);
        let body = Bytes::from(json!({ "sku": sku }).to_string());
        self.engine.deliver(&self.hooks, "hinted", headers, body).await
    }

    /// The keys of what is kept, each with its ID.
    fn kept(&self) -> Vec<(String, String)> {
        let kept = self.engine.signals().unwrap().into_iter();
        let mut kept: Vec<_> = kept.map(|signal| (signal.key, signal.id)).collect();
        kept.sort();
        kept
    }

    async fn pim_has(&self, sku: &str, published: bool) {
        let query =
            "mutation($i: UpdateProductInput, $p: Boolean) { createProduct(key: \"K\", path: \"/Products\", \
                     published: $p, input: $i) { success message } }"
                .replace('K', sku);
        let body = json!({ "query": query, "variables": { "i": { "sku": sku }, "p": published } });
        let url = format!("{}/pimcore-graphql-webservices/{}", self.pim.pim_url, sandbox::ENDPOINT);
        let client = reqwest::Client::new();
        let answer = client.post(url).header("X-API-Key", sandbox::API_KEY).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["data"]["createProduct"]["success"], true, "{answer}");
    }

    async fn pim_fails(&self, faults: &Faults) {
        let url = format!("{}/sandbox/faults", self.pim.pim_url);
        reqwest::Client::new().post(url).json(faults).send().await.unwrap();
    }
}

fn signal(delivered: Result<Delivered, HookError>) -> Signalled {
    delivered.unwrap().signalled.expect("it became a signal")
}

#[tokio::test]
async fn what_is_sent_twice_is_one_signal_and_both_are_taken() {
    let story = Story::begin().await;
    let body = json!({ "group": "A", "version": 7, "by": "ana" });
    let first = signal(story.sends("msg_1", &body).await);
    assert_eq!((first.key.as_str(), first.id.as_str(), first.known), ("A", "told/msg_1", false));
    let again = signal(story.sends("msg_1", &body).await);
    assert!(again.known);
    let story = story.again().await;
    let later = signal(story.sends_as("msg_1", &body, &secret(ONE), 60).await);
    assert!(later.known, "another engine knows it, too");
    assert_eq!(story.kept(), [("A".to_owned(), "told/msg_1".to_owned())]);
    let kept = story.engine.signals().unwrap().remove(0);
    assert_eq!((kept.version.as_deref(), &kept.payload), (Some("7"), &json!({ "by": "ana" })));
}

#[tokio::test]
async fn what_is_not_proven_leaves_nothing_behind() {
    let story = Story::begin().await;
    let body = json!({ "group": "A" });
    let stranger = Secret::text("the secret of a stranger").unwrap();
    for (with, late) in [(stranger, 0), (secret(ONE), -400), (secret(ONE), 400), (secret(TWO), -86_400)] {
        assert_eq!(story.sends_as("msg_1", &body, &with, late).await, Err(HookError::Unproven));
    }
    assert_eq!(story.hints("SKU-1", "guessed").await, Err(HookError::Unproven));
    assert_eq!(story.kept(), []);
    // A refused one has not used up its ID.
    assert!(!signal(story.sends("msg_1", &body).await).known);
}

#[tokio::test]
async fn both_secrets_are_good_and_clocks_may_differ_by_five_minutes() {
    let story = Story::begin().await;
    for (at, (with, late)) in [(ONE, -290), (ONE, 290), (TWO, 0)].into_iter().enumerate() {
        let id = format!("msg_{at}");
        let told = story.sends_as(&id, &json!({ "group": id }), &secret(with), late).await;
        assert!(!signal(told).known);
    }
    assert_eq!(story.kept().len(), 3);
}

#[tokio::test]
async fn what_a_hook_is_not_made_for_is_taken_and_what_it_cannot_read_is_refused() {
    let story = Story::begin().await;
    let told = story.sends("msg_1", &json!({ "group": "A", "draft": true })).await;
    assert_eq!(told, Ok(Delivered { hook: "told".to_owned(), signalled: None }));
    for (at, wrong) in
        [json!({}), json!({ "group": {} }), json!({ "group": "" }), json!([]), json!(null)].iter().enumerate()
    {
        let told = story.sends(&format!("wrong_{at}"), wrong).await;
        assert!(matches!(told, Err(HookError::Content(_))), "{wrong}: {told:?}");
    }
    let long = json!({ "group": "x".repeat(600) });
    assert!(matches!(story.sends("long", &long).await, Err(HookError::Content(_))));
    assert_eq!(story.kept(), []);
    let nobody = story.engine.deliver(&story.hooks, "nobody", Headers::default(), Bytes::new()).await;
    assert_eq!(nobody, Err(HookError::Unknown("nobody".to_owned())));
}

#[tokio::test]
async fn a_hint_counts_for_what_the_system_says_when_it_is_asked() {
    let story = Story::begin().await;
    story.pim_has("SHOWN", true).await;
    story.pim_has("DRAFT", false).await;
    for unsaid in ["DRAFT", "UNKNOWN", "shown"] {
        assert_eq!(story.hints(unsaid, FIRST).await.unwrap().signalled, None, "{unsaid}");
    }
    story.pim_fails(&Faults { outage: true, ..Faults::default() }).await;
    assert!(matches!(story.hints("SHOWN", FIRST).await, Err(HookError::Later(_))), "to be sent again");
    assert_eq!(story.kept(), []);
    story.pim_fails(&Faults::default()).await;
    let told = signal(story.hints("SHOWN", FIRST).await);
    assert_eq!((told.key.as_str(), told.known), ("SHOWN", false));
    let kept = story.engine.signals().unwrap().remove(0);
    let version: u64 = kept.version.unwrap().parse().unwrap();
    assert!((now().0 / 1_000).abs_diff(version) < 600, "the PIM's own time: {version}");
    story.pim_fails(&Faults { outage: true, ..Faults::default() }).await;
    assert!(signal(story.hints("SHOWN", FIRST).await).known, "what is known needs nobody");
}

#[tokio::test]
async fn of_many_senders_each_delivery_becomes_one_signal() {
    let story = Arc::new(Story::begin().await);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..16 {
        let story = Arc::clone(&story);
        senders.spawn(async move {
            let mut new = 0;
            for at in 0..40 {
                // Neighbours send the same half of it.
                let id = format!("msg_{}", (sender / 2) * 40 + at);
                new += u64::from(!signal(story.sends(&id, &json!({ "group": id })).await).known);
            }
            new
        });
    }
    let new: u64 = senders.join_all().await.into_iter().sum();
    assert_eq!(new, 8 * 40, "each was new to one of those who sent it");
    assert_eq!(story.kept().len(), 8 * 40);
}

#[tokio::test]
async fn a_secret_that_is_none_or_is_not_there_is_named_and_not_shown() {
    let story = Story::begin().await;
    let file = story.dir.path().join("other.yaml");
    let wrong = async |from: &str, to: &str| {
        fs::write(&file, fs::read_to_string(story.dir.path().join("hooked.yaml")).unwrap().replace(from, to))
            .unwrap();
        match story.engine.hooks([(file.as_path(), None)]).await.map(drop).unwrap_err() {
            StartError::Mistakes(report) => report.render(false),
            other => panic!("{other}"),
        }
    };
    let short = wrong(&format!("${{env:CARGO_PKG_NAME}}{ONE}"), "${env:CARGO_PKG_NAME}").await;
    assert!(short.contains("secret 1 is none: it has fewer than 16 bytes"), "{short}");
    let unset = wrong("${env:CARGO_PKG_NAME}-first", "${env:MILEPOST_NEVER_SET}").await;
    assert!(unset.contains("MILEPOST_NEVER_SET is not set"), "{unset}");
    let names =
        Engine::hooks(&story.engine, [(story.dir.path().join("hooked.yaml").as_path(), None); 2]).await;
    assert!(matches!(names.map(drop), Err(StartError::Input(why)) if why.contains("rename")));
}
