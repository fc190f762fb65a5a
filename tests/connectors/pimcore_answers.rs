//! Data Hub's answers one by one: a desk says what a test says, and the connector does what follows.

use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome, Probed};
use serde_json::{Value, json};

use crate::desk::{Asked, Desk, Reply};
use crate::world::{call, done, effect, once, refused};

#[expect(clippy::unnecessary_wraps, reason = "one of the replies of a desk")]
fn said(body: &Value) -> Reply {
    Some((200, body.to_string()))
}

fn listed(nodes: &Value) -> Reply {
    let edges: Vec<Value> = nodes.as_array().unwrap().iter().map(|node| json!({ "node": node })).collect();
    said(&json!({ "data": { "found": { "edges": edges } } }))
}

fn ended(success: bool, message: &str) -> Reply {
    let output = json!({ "id": "5", "version": 2, "modificationDate": 7 });
    said(&json!({ "data": { "done": { "success": success, "message": message, "output": output } } }))
}

fn raised(message: &str) -> Reply {
    said(&json!({ "errors": [{ "message": message }] }))
}

/// What an upsert of the SKU `A` comes to, and what was asked for it.
async fn upsert(replies: Vec<Reply>) -> (Outcome, Vec<Asked>) {
    upsert_of(json!({ "sku": "A" }), replies).await
}

async fn upsert_of(product: Value, replies: Vec<Reply>) -> (Outcome, Vec<Asked>) {
    let desk = Desk::scripted(replies).await;
    let settings = json!({ "url": desk.url, "endpoint": "e", "api_key": "k", "languages": ["en", "de"] });
    let outcome = once(&*effect("pimcore.upsert", "pimcore", settings), &product).await;
    (outcome, desk.asked())
}

/// The operations that were asked for, by their first words.
fn operations(asked: &[Asked]) -> Vec<&'static str> {
    let known = ["getProductListing", "getProduct", "createProduct", "updateProduct"];
    asked.iter().map(|asked| known.into_iter().find(|name| asked.query().contains(name)).unwrap()).collect()
}

#[tokio::test]
async fn an_object_that_goes_away_before_its_update_is_looked_up_again_and_made() {
    let stale = "unable to update object. Unknown id or fullpath";
    let a = json!([{ "id": "5", "sku": "A" }]);
    let (outcome, asked) =
        upsert(vec![listed(&a), ended(false, stale), listed(&json!([])), ended(true, "object created: 6")])
            .await;
    assert_eq!(done(&outcome)["action"], "created");
    assert_eq!(
        operations(&asked),
        ["getProductListing", "updateProduct", "getProductListing", "createProduct"]
    );
    // It may also have come back under another id.
    let other = json!([{ "id": "6", "sku": "A" }]);
    let (outcome, asked) =
        upsert(vec![listed(&a), ended(false, stale), listed(&other), ended(true, "object 6 updated")]).await;
    assert_eq!(done(&outcome)["action"], "updated");
    assert_eq!(asked[3].json()["variables"]["i"], 6);
    // Once more is enough for one attempt.
    let (outcome, _) = upsert(vec![listed(&a), ended(false, stale), listed(&a), ended(false, stale)]).await;
    assert_eq!(refused(&outcome), (Again::Later, stale));
}

#[tokio::test]
async fn two_objects_with_the_sku_are_ambiguous_for_good() {
    let both = json!([{ "id": "5", "sku": "A" }, { "id": "6", "sku": "A" }]);
    let (outcome, asked) = upsert(vec![listed(&both)]).await;
    let (again, message) = refused(&outcome);
    assert_eq!((again, asked.len()), (Again::Never, 1));
    assert!(message.contains("ambiguous: the objects \"5\" and \"6\""), "{message}");
    // One of them is ours exactly; the other only looks alike to the database.
    let alike = json!([{ "id": "5", "sku": "a" }, { "id": "6", "sku": "A" }]);
    let (outcome, asked) = upsert(vec![listed(&alike), ended(true, "object 6 updated")]).await;
    assert_eq!(done(&outcome)["action"], "updated");
    assert_eq!(asked[1].json()["variables"]["i"], 6);
    // Neither of the two that came is ours, and there may be a third.
    let others = json!([{ "id": "5", "sku": "a" }, { "id": "6", "sku": "á" }]);
    assert_eq!(refused(&upsert(vec![listed(&others)]).await.0).0, Again::Never);
}

#[tokio::test]
async fn a_conflict_is_looked_up_and_updated() {
    let taken = "creating failed: Duplicate full path [ /Products/A ] - cannot save object";
    let ours = json!([{ "id": "9", "sku": "A" }]);
    let (outcome, asked) =
        upsert(vec![listed(&json!([])), ended(false, taken), listed(&ours), ended(true, "object 9 updated")])
            .await;
    assert_eq!(done(&outcome)["action"], "updated");
    assert_eq!(asked[3].json()["variables"]["i"], 9);
    // The listing may lag behind; what stands at the path is ours.
    let there = said(&json!({ "data": { "found": { "id": "9", "sku": "A" } } }));
    let (outcome, asked) = upsert(vec![
        listed(&json!([])),
        ended(false, taken),
        listed(&json!([])),
        there,
        ended(true, "object 9 updated"),
    ])
    .await;
    assert_eq!(done(&outcome)["action"], "updated");
    assert_eq!(asked[3].json()["variables"]["p"], "/Products/A");
    // Whoever it was is gone again: another attempt may make it.
    let gone = said(&json!({
        "data": { "found": null }, "errors": [{ "message": "object with fullpath:'/Products/A' not found" }],
    }));
    let (outcome, _) = upsert(vec![listed(&json!([])), ended(false, taken), listed(&json!([])), gone]).await;
    assert_eq!(refused(&outcome), (Again::Later, taken));
}

#[tokio::test]
async fn a_create_that_failed_half_way_is_looked_up_before_anything_else() {
    let ours = json!([{ "id": "9", "sku": "A" }]);
    for half in [ended(false, "creating failed: SQLSTATE[40001]: 1213"), raised("Internal server error")] {
        let (outcome, asked) =
            upsert(vec![listed(&json!([])), half.clone(), listed(&ours), ended(true, "object 9 updated")])
                .await;
        assert_eq!(done(&outcome)["action"], "updated");
        assert_eq!(operations(&asked)[3], "updateProduct");
        // It ended, and nothing is there: surely not done.
        let (outcome, _) = upsert(vec![listed(&json!([])), half, listed(&json!([]))]).await;
        assert_eq!(refused(&outcome).0, Again::Later);
    }
    // An update that ended so is in doubt, and the probe settles it.
    let (outcome, _) = upsert(vec![listed(&ours), raised("Internal server error")]).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
}

#[tokio::test]
async fn what_was_written_in_one_language_is_not_undone_by_a_refusal_of_the_other() {
    let in_two = || json!({ "sku": "A", "localized": { "name": { "en": "Cup", "de": "Tasse" } } });
    let ours = json!([{ "id": "5", "sku": "A" }]);
    let never = "Validation failed: name";
    // A create and an update.
    let created = vec![listed(&json!([])), ended(true, "object created: 5")];
    let updated = vec![listed(&ours), ended(true, "object 5 updated")];
    for begun in [created, updated] {
        let refused_then = [begun.clone(), vec![ended(false, never)]].concat();
        let (outcome, _) = upsert_of(in_two(), refused_then).await;
        assert_eq!(refused(&outcome), (Again::Never, "done in part: Validation failed: name"));
        let away_then = [begun, vec![Some((503, String::new()))]].concat();
        let (outcome, _) = upsert_of(in_two(), away_then).await;
        let Outcome::Unclear(fault) = &outcome else { panic!("{outcome:?}") };
        assert!(fault.message.starts_with("done in part: "), "{fault}");
    }
    // The look after a create that failed is answered by nobody: whether it saved is not known.
    let unseen = vec![listed(&json!([])), raised("Internal server error"), Some((503, String::new()))];
    let (outcome, _) = upsert_of(in_two(), unseen).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
    // In the first language nothing was written yet.
    let (outcome, _) = upsert_of(in_two(), vec![listed(&ours), ended(false, never)]).await;
    assert_eq!(refused(&outcome), (Again::Never, never));
}

#[tokio::test]
async fn what_a_mutation_says_counts_beside_errors() {
    let body = json!({
        "data": { "done": { "success": false, "message": "Validation failed: price", "output": null } },
        "errors": [{ "message": "Internal server error" }],
    });
    let (outcome, _) = upsert(vec![listed(&json!([])), said(&body)]).await;
    assert_eq!(refused(&outcome), (Again::Never, "Validation failed: price"));
}

#[tokio::test]
async fn pages_for_people_and_failing_servers_are_no_answers() {
    let page = || Some((200, "<!DOCTYPE html><title>Sign in</title>".to_owned()));
    let (outcome, _) = upsert(vec![page()]).await;
    assert_eq!(refused(&outcome).0, Again::Later);
    let (outcome, _) = upsert(vec![listed(&json!([])), page()]).await;
    let Outcome::Unclear(fault) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.name, name::NO_ANSWER);
    for status in [500, 502, 503, 504] {
        let (outcome, _) = upsert(vec![listed(&json!([])), Some((status, "<html>".to_owned()))]).await;
        assert!(matches!(outcome, Outcome::Unclear(_)), "{status}: {outcome:?}");
    }
    for status in [302, 403, 404, 405] {
        let (outcome, _) = upsert(vec![listed(&json!([])), Some((status, "<html>".to_owned()))]).await;
        assert_eq!(refused(&outcome).0, Again::Never, "{status}");
    }
    // The connection ends in the middle of the write.
    let (outcome, _) = upsert(vec![listed(&json!([])), None]).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
}

#[tokio::test]
async fn every_attempt_is_another_request_to_the_output_cache() {
    let desk = Desk::start(|_| std::future::ready(listed(&json!([{ "id": "5", "sku": "A" }])))).await;
    let settings = json!({ "url": desk.url, "endpoint": "e", "api_key": "k" });
    let pim = effect("pimcore.upsert", "pimcore", settings);
    for _ in 0..2 {
        pim.probe(&call(&*pim, json!({ "sku": "A" }))).await;
    }
    let bodies: Vec<Value> = desk.asked().iter().map(Asked::json).collect();
    assert_eq!(bodies[0]["query"], bodies[1]["query"]);
    assert_eq!(bodies[0]["variables"], bodies[1]["variables"]);
    assert_ne!(bodies[0]["extensions"]["attempt"], bodies[1]["extensions"]["attempt"]);
}

#[tokio::test]
async fn what_the_site_does_not_show_is_not_called_done() {
    let desk = Desk::scripted(vec![raised("Cannot query field \"name\" on type \"object_Product\".")]).await;
    let settings = json!({ "url": desk.url, "endpoint": "e", "api_key": "k" });
    let pim = effect("pimcore.upsert", "pimcore", settings);
    let wanted = call(&*pim, json!({ "sku": "A", "name": "x" }));
    assert_eq!(pim.probe(&wanted).await, Probed::Absent);
    // A look that failed says nothing.
    assert!(matches!(pim.probe(&wanted).await, Probed::Unknown(_)));
}
