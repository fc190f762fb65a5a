//! Vectors of others, and what must never be believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::core::time::Timestamp;
use crate::core::workflow::Hook;

/// The reference library's own secret (standard-webhooks, `libraries/rust/src/lib.rs`).
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const TEXT: &str = "pim-webhook-secret";
const OTHER: &str = "another-webhook-secret";
const BODY: &str = r#"{"general":{"eventName":"pimcore.dataobject.postUpdate","timestamp":1690975273,"subjectType":"object","versionOnly":false},"subject":{"id":260,"path":"/Products/SKU-1","published":true,"type":"Product"}}"#;
/// When the deliveries below were signed, in seconds.
const AT: u64 = 1_790_000_000;
const STANDARD_SIGNATURE: &str = "v1,EZN8kcOPbjVaYMHDBrN5a9iCCeLkpUKQB01u9A1DTX4=";
const SYMFONY_SIGNATURE: &str = "sha256=1b42be16f74c4b896d7491def74f1be5bfb56fd478948d63ae6bd858bc1d00ef";
const GITHUB_SIGNATURE: &str = "sha256=0e43d6dcc78d5287d6196ed57436dd8758321e3bdd20c25d2bd9a29f0b72eb7f";

type Pairs<'a> = Vec<(&'a str, String)>;

fn headers(pairs: &Pairs<'_>) -> Headers {
    Headers::of(pairs.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000)
}

fn verified(source: &Source, pairs: &Pairs<'_>, body: &[u8], at: u64) -> Result<Proven, Refused> {
    source.verify(Delivery { headers: &headers(pairs), body }, seconds(at))
}

fn source(scheme: Scheme, secrets: &[&str], id_header: Option<&str>) -> Source {
    let secret = |text: &&str| match scheme {
        Scheme::Standard => Secret::standard(text).unwrap(),
        _ => Secret::text(text).unwrap(),
    };
    let secrets = secrets.iter().map(secret).collect();
    Source::new(scheme, secrets, id_header.map(str::to_owned))
}

fn hmac(header: &str, prefix: &str, encoding: Encoding) -> Scheme {
    Scheme::Hmac { header: header.to_owned(), prefix: prefix.to_owned(), encoding }
}

fn github(secrets: &[&str]) -> Source {
    source(hmac("X-Hub-Signature-256", "sha256=", Encoding::Hex), secrets, None)
}

fn standard(id: &str, time: &str, signature: &str) -> Pairs<'static> {
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.to_owned()),
        ("webhook-signature", signature.to_owned()),
    ]
}

fn symfony(event: &str, id: &str) -> Pairs<'static> {
    vec![
        ("webhook-event", event.to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-signature", SYMFONY_SIGNATURE.to_owned()),
    ]
}

/// A delivery of every scheme that is proven, with its source.
fn every() -> Vec<(Source, Pairs<'static>)> {
    let token = Scheme::Token { header: "X-Token".to_owned() };
    let shopify = "DkPW3MeNUofWGW7VdDbdh1gyHjvdIMJdK9minwty638=";
    vec![
        (
            source(Scheme::Standard, &[WHSEC], None),
            standard("msg_pim_0001", &AT.to_string(), STANDARD_SIGNATURE),
        ),
        (github(&[TEXT]), vec![("x-hub-signature-256", GITHUB_SIGNATURE.to_owned())]),
        (
            source(hmac("X-Shopify-Hmac-SHA256", "", Encoding::Base64), &[TEXT], None),
            vec![("x-shopify-hmac-sha256", shopify.to_owned())],
        ),
        (source(Scheme::Symfony, &[TEXT], None), symfony("product.published", "msg_pim_0001")),
        (source(token, &[TEXT], None), vec![("x-token", TEXT.to_owned())]),
    ]
}

#[test]
fn the_vectors_of_others_are_believed() {
    let reference = source(Scheme::Standard, &[WHSEC], None);
    let (id, body) =
        ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", br#"{"email":"test@example.com","username":"test_user"}"#);
    let pairs = standard(id, "1649367553", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    assert_eq!(verified(&reference, &pairs, body, 1_649_367_553), Ok(Proven { id: id.to_owned() }));
    let documented = github(&["It's a Secret to Everybody"]);
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let pairs = vec![("X-Hub-Signature-256", signature.to_owned())];
    assert!(verified(&documented, &pairs, b"Hello, World!", AT).is_ok());
    assert_eq!(BODY.len(), 203);
    for (source, pairs) in every() {
        assert!(verified(&source, &pairs, BODY.as_bytes(), AT).is_ok(), "{source:?}");
    }
}

#[test]
fn what_we_sign_is_what_the_reference_signs() {
    let secret = Secret::standard(WHSEC).unwrap();
    assert_eq!(signature(&secret, "msg_pim_0001", AT, BODY.as_bytes()), STANDARD_SIGNATURE);
}

#[test]
fn a_time_that_is_signed_holds_for_300_seconds_both_ways() {
    let (source, pairs) = every().remove(0);
    let told = |at: u64| verified(&source, &pairs, BODY.as_bytes(), at).map(drop);
    for good in [AT - 300, AT, AT + 300] {
        assert_eq!(told(good), Ok(()), "{good}");
    }
    for late in [AT - 301, AT + 301, AT + 86_400, 0] {
        assert_eq!(told(late), Err(Refused::Stale), "{late}");
    }
    let secret = Secret::standard(WHSEC).unwrap();
    for time in ["", "-1790000000", "+1790000000", "1790000000.0", " 1790000000x", "17900000000000", "1.79e9"]
    {
        // Signed as it stands: only a time of ours is one.
        let tag = secret.tag(&[b"id.", time.as_bytes(), b".", BODY.as_bytes()]);
        let pairs = standard("id", time, &format!("v1,{}", STANDARD.encode(tag)));
        assert_eq!(
            verified(&source, &pairs, BODY.as_bytes(), AT),
            Err(Refused::Unsigned("webhook-timestamp"))
        );
    }
}

#[test]
fn a_replay_with_a_newer_time_or_another_id_is_no_delivery() {
    let (source, _) = every().remove(0);
    let later = standard("msg_pim_0001", &(AT + 600).to_string(), STANDARD_SIGNATURE);
    assert_eq!(verified(&source, &later, BODY.as_bytes(), AT + 600), Err(Refused::Forged));
    let renamed = standard("msg_pim_0002", &AT.to_string(), STANDARD_SIGNATURE);
    assert_eq!(verified(&source, &renamed, BODY.as_bytes(), AT), Err(Refused::Forged));
}

#[test]
fn either_secret_is_good_while_one_replaces_the_other_and_no_third() {
    let rotated = github(&[OTHER, TEXT]);
    let pairs = vec![("x-hub-signature-256", GITHUB_SIGNATURE.to_owned())];
    assert!(verified(&rotated, &pairs, BODY.as_bytes(), AT).is_ok());
    let gone = github(&[OTHER]);
    assert_eq!(verified(&gone, &pairs, BODY.as_bytes(), AT), Err(Refused::Forged));
    // A sender that rotates signs with both, and with schemes that we do not know.
    let both = format!("v1a,AAAA v1,{} {STANDARD_SIGNATURE}", STANDARD.encode([7; 32]));
    let (source, _) = every().remove(0);
    let pairs = standard("msg_pim_0001", &AT.to_string(), &both);
    assert!(verified(&source, &pairs, BODY.as_bytes(), AT).is_ok());
    for not_ours in ["v1a", "v2", "V1", ""] {
        let other = STANDARD_SIGNATURE.replace("v1", not_ours);
        let pairs = standard("msg_pim_0001", &AT.to_string(), &other);
        assert_eq!(verified(&source, &pairs, BODY.as_bytes(), AT), Err(Refused::Forged), "{not_ours}");
    }
}

#[test]
fn nothing_in_a_delivery_chooses_the_scheme() {
    // Four schemes carry `webhook-signature`; each source takes its own and no other.
    for (at, (source, _)) in every().into_iter().enumerate() {
        for (other, (_, pairs)) in every().into_iter().enumerate() {
            let taken = verified(&source, &pairs, BODY.as_bytes(), AT).is_ok();
            assert_eq!(taken, at == other, "{source:?} {pairs:?}");
        }
    }
}

#[test]
fn a_header_that_is_missing_or_came_twice_proves_nothing() {
    for (source, pairs) in every() {
        for at in 0..pairs.len() {
            let mut without = pairs.clone();
            let pair = without.remove(at);
            assert!(matches!(verified(&source, &without, BODY.as_bytes(), AT), Err(Refused::Unsigned(_))));
            let mut twice = pairs.clone();
            twice.push(pair);
            assert!(matches!(verified(&source, &twice, BODY.as_bytes(), AT), Err(Refused::Unsigned(_))));
        }
    }
}

#[test]
fn in_symfony_s_scheme_letters_that_move_make_no_other_delivery() {
    let (source, _) = every().remove(3);
    let id =
        |event: &str, id: &str| verified(&source, &symfony(event, id), BODY.as_bytes(), AT).map(|p| p.id);
    let whole = id("product.published", "msg_pim_0001");
    assert!(whole.is_ok());
    assert_eq!(whole, id("product.publish", "edmsg_pim_0001"), "the same bytes are signed");
}

#[test]
fn without_an_id_of_the_sender_the_body_is_the_id() {
    let of = |source: &Source, pairs: &Pairs<'_>, body: &str| verified(source, pairs, body.as_bytes(), AT);
    let token = Scheme::Token { header: "X-Token".to_owned() };
    let source = source(token.clone(), &[TEXT], None);
    let pairs = vec![("x-token", TEXT.to_owned())];
    assert_eq!(of(&source, &pairs, "{}"), of(&source, &pairs, "{}"));
    assert_ne!(of(&source, &pairs, "{}"), of(&source, &pairs, "[]"));
    let named = Source::new(token, vec![Secret::text(TEXT).unwrap()], Some("X-Delivery".to_owned()));
    let mut pairs = pairs;
    assert!(matches!(of(&named, &pairs, "{}"), Err(Refused::Unsigned(_))));
    pairs.push(("x-delivery", "72d3162e".to_owned()));
    assert_eq!(of(&named, &pairs, "{}"), Ok(Proven { id: "72d3162e".to_owned() }));
}

#[test]
fn a_secret_is_long_enough_and_is_never_shown() {
    assert_eq!(Secret::text("").unwrap_err(), SecretFault::Short);
    assert_eq!(Secret::text("fifteen letters").unwrap_err(), SecretFault::Short);
    assert_eq!(Secret::text("a secret from a file\n").unwrap_err(), SecretFault::Padded);
    assert_eq!(Secret::standard("whsec_").unwrap_err(), SecretFault::Short);
    assert_eq!(Secret::standard("whsec_not base64!").unwrap_err(), SecretFault::NotBase64);
    assert!(Secret::standard(WHSEC.trim_start_matches("whsec_")).is_ok());
    let shown = format!("{:?}", github(&[TEXT]));
    assert!(!shown.contains(TEXT), "{shown}");
}

fn hook(fields: &Value) -> Hook {
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    Hook {
        name: "pim".to_owned(),
        connection: "pim".to_owned(),
        signal: "product.published".to_owned(),
        when: text("when"),
        key: text("key").unwrap(),
        id: text("id"),
        version: text("version"),
        payload: fields.get("payload").cloned(),
        ask: None,
    }
}

fn read(fields: &Value, pairs: &Pairs<'_>) -> Result<Option<Told>, String> {
    let reading = Reading::of(&hook(fields)).unwrap();
    let body = serde_json::from_str(BODY).unwrap();
    let told = reading.read(&github(&[TEXT]), &headers(pairs), body, seconds(AT));
    told.map_err(|fault| fault.message)
}

#[test]
fn expressions_say_what_a_body_means() {
    let whole = json!({
        "when": "body.subject.published and $not(body.general.versionOnly)",
        "key": "${{ $substringAfter(body.subject.path, \"/Products/\") }}",
        "id": "${{ headers.`x-delivery` }}/${{ body.subject.id }}",
        "version": "${{ body.general.timestamp }}",
        "payload": { "event": "${{ body.general.eventName }}", "by": "the PIM" },
    });
    let told = read(&whole, &vec![("X-Delivery", "7".to_owned())]).unwrap().unwrap();
    let expected = Told {
        signal: "product.published".to_owned(),
        key: "SKU-1".to_owned(),
        id: Some("7/260".to_owned()),
        version: Some("1690975273".to_owned()),
        payload: json!({ "event": "pimcore.dataobject.postUpdate", "by": "the PIM" }),
    };
    assert_eq!(told, expected);
    let draft = json!({ "when": "body.general.versionOnly", "key": "${{ body.subject.id }}" });
    assert_eq!(read(&draft, &Vec::new()), Ok(None));
}

#[test]
fn what_a_body_does_not_say_is_said_to_be_missing() {
    let wrong = |fields: Value| read(&fields, &Vec::new()).unwrap_err();
    assert!(wrong(json!({ "key": "${{ body.subject.sku }}" })).contains("body.subject.sku"));
    assert!(wrong(json!({ "key": "${{ body.subject }}" })).contains("a text or a number"));
    assert!(wrong(json!({ "key": "x", "when": "body.subject.type" })).contains("true or false"));
    assert!(wrong(json!({ "key": "${{ item.sku }}" })).contains("item.sku"), "there is no item");
}

#[test]
fn what_proves_a_delivery_is_not_seen_by_expressions() {
    let pairs = vec![
        ("X-Hub-Signature-256", "sha256=00".to_owned()),
        ("Authorization", "Bearer x".to_owned()),
        ("Cookie", "a=b".to_owned()),
        ("X-Kind", "update".to_owned()),
    ];
    let told = read(&json!({ "key": "k", "payload": "${{ headers }}" }), &pairs).unwrap().unwrap();
    assert_eq!(told.payload, json!({ "x-kind": "update" }));
}

proptest! {
    /// One bit of anything that is signed, or of the signature, and it is not believed.
    #[test]
    fn a_flipped_bit_is_never_believed(scheme in 0..5usize, place in any::<prop::sample::Index>(), bit in 0..8u32) {
        let (source, pairs) = every().swap_remove(scheme);
        // A token signs nothing: only the token itself proves something.
        let of_body = if scheme == 4 { 0 } else { BODY.len() };
        let lengths: Vec<usize> = pairs.iter().map(|(_, value)| value.len()).collect();
        let mut at = place.index(of_body + lengths.iter().sum::<usize>());
        let mut body = BODY.as_bytes().to_vec();
        let mut values: Vec<Vec<u8>> = pairs.iter().map(|(_, value)| value.clone().into_bytes()).collect();
        if at < of_body {
            body[at] ^= 1 << bit;
        } else {
            at -= of_body;
            let mut value = 0;
            while at >= lengths[value] {
                at -= lengths[value];
                value += 1;
            }
            values[value][at] ^= 1 << bit;
        }
        // Hexadecimal says the same in capitals.
        let is_same = [1, 3].contains(&scheme) && values.iter().zip(&pairs).any(|(value, (name, before))| {
            let (before, digits) = (before.as_bytes(), "sha256=".len());
            name.contains("signature")
                && value != before
                && value[..digits] == before[..digits]
                && value[digits..].eq_ignore_ascii_case(&before[digits..])
        });
        prop_assume!(!is_same);
        let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
        let flipped = Headers::of(names.iter().zip(&values).map(|(name, value)| (*name, value.as_slice())));
        let taken = source.verify(Delivery { headers: &flipped, body: &body }, seconds(AT));
        prop_assert!(taken.is_err(), "{pairs:?} {values:?}");
    }

    /// Whatever is sent, nothing but what is signed with the secret is believed, and nothing panics.
    #[test]
    fn whatever_is_sent_is_not_believed(scheme in 0..5usize, given in ".{0,120}", body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (source, pairs) = every().swap_remove(scheme);
        let pairs: Pairs<'_> = pairs.into_iter().map(|(name, _)| (name, given.clone())).collect();
        prop_assert!(verified(&source, &pairs, &body, AT).is_err());
    }
}
