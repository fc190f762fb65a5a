//! The definition, or the outside, is not what it was: what keeps its work, what is done anew, and
//! what is refused.

use serde_json::{Value, json};

use super::site::outside::{Outside, faults};
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, SEVERAL_AT_ONCE, Site, WORKFLOW, tame};

/// A field that only some products can fill: the others are dead letters of this mapping.
const TOO_STRICT: &[(&str, &str)] = &[(
    "  title: title\n  handle",
    "  title: title\n  subtitle: { text: compare_at_price.amount, required: true }\n  handle",
)];
const MENDED: &[(&str, &str)] =
    &[("  subtitle: { text: compare_at_price.amount, required: true }\n", "  subtitle: { text: brand }\n")];

/// How often PIM and shop were written.
fn writes(outside: &Outside) -> (u64, u64) {
    let (pim, shop) = outside.calls();
    let wrote = |entries: &[milepost::connectors::sandbox::Entry]| {
        entries.iter().map(|entry| entry.wrote.len() as u64).sum()
    };
    (wrote(&pim), wrote(&shop))
}

/// The shop is out of order, and the run does not wait until it is back.
fn shop_is_down(site: &Site, outside: &Outside) {
    let never_pauses = ("\"${env:SHOP_URL}\" }", "\"${env:SHOP_URL}\", pause_after: 0 }");
    site.edit("product-sync.yaml", &[never_pauses, SEVERAL_AT_ONCE]);
    faults(&outside.shop, &json!({ "outage": true }));
}

fn shown(site: &Site) -> (String, u64, u64) {
    let shown: Value = site.json(&["show", "@latest", "--json"]).remove(0);
    let count = |state: &str| shown["items"][state].as_u64().unwrap();
    (shown["status"].as_str().unwrap().to_owned(), count("succeeded"), count("dead_lettered"))
}

fn planned(site: &Site, line: &[&str]) -> Value {
    site.json(&[&["resume", "@latest", "--plan", "--json"], line].concat()).remove(0)
}

#[test]
fn a_mended_mapping_helps_the_dead_letters_and_steps_that_are_the_same_keep_their_work() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    site.edit("product-sync/medusa.yaml", TOO_STRICT);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let (_, done, dead) = shown(&site);
    assert!(dead > 20 && done > 20, "{done} done, {dead} dead");
    let before = writes(&outside);
    assert_eq!(before, (SAMPLE[1], done));

    let stored = planned(&site, &[]);
    assert!(
        stored["execute"].as_array().unwrap().is_empty(),
        "the same mapping would refuse the same: {stored:#}"
    );
    site.edit("product-sync/medusa.yaml", MENDED);
    let plan = site.milepost(&["resume", "@latest", "--plan", "--definition", "current"]);
    let (head, table) = plan.stdout.split_once("step       what").unwrap();
    insta::assert_snapshot!(tame(&site, head.split_once('\n').unwrap().1), @"
    0 of 200 items done; nothing is in doubt

    definition
    line  step       verdict      why
    50    validate   valid
    59    transform  valid
    64    publish    valid
    72    consume    valid
    78    pim        valid
    85    published  valid
    95    medusa     must re-run  definition changed
    ");
    assert!(table.contains("definition changed"), "{table}");
    assert!(plan.stderr.contains("--definition current --expect "), "{}", plan.stderr);
    let plan = planned(&site, &["--definition", "current"]);
    let hash = plan["plan"].as_str().unwrap();

    // The engine dies in the middle of it. A plain resume goes on under the new definition.
    relay.stop_at(Moment::Answering, 3);
    let working = site.start(&["resume", "@latest", "--definition", "current", "--expect", &hash[..8]]);
    relay.reached();
    working.signal("KILL");
    assert_eq!(working.wait().code, None);
    relay.go_on(true, false);
    assert_eq!(shown(&site).0, "interrupted");
    assert_eq!(site.milepost(&["resume", "@latest"]).code, Some(0));
    assert_eq!(shown(&site), ("succeeded".to_owned(), SAMPLE[1], SAMPLE[2]));
    let (pim, shop) = writes(&outside);
    assert_eq!(pim, before.0, "the PIM was done");
    // Products of the call that was cut off are looked up: those that hold the new content stay.
    assert!((done + SAMPLE[1]..=done + SAMPLE[1] + 50).contains(&shop), "{shop} writes, {done} before");
    let events = site.json(&["events", "@latest", "--json"]);
    let redefined: Vec<&Value> = events.iter().filter(|event| event["kind"] == "redefined").collect();
    assert_eq!(redefined.len(), 1);
    assert!(redefined[0]["message"].as_str().unwrap().ends_with("to run again: medusa (definition changed)"));
}

#[test]
fn when_the_product_itself_changes_everything_behind_it_is_done_anew_under_new_event_ids() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    shop_is_down(&site, &outside);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    faults(&outside.shop, &json!({}));
    site.edit("product-sync/mapping.yaml", &[("max: 255", "max: 40")]);
    let plan = planned(&site, &["--definition", "current"]);
    let verdicts: Vec<String> = plan["definition"]
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| {
            let word = |field: &str| verdict[field].as_str().unwrap().to_owned();
            let told = format!("{} {}: {}", verdict["line"], word("step"), word("verdict"));
            format!("{told} {}", word("reason")).trim_end().to_owned()
        })
        .collect();
    insta::assert_snapshot!(verdicts.join("\n"), @"
    50 validate: valid
    59 transform: must re-run definition changed
    64 publish: must re-run upstream changed
    72 consume: must re-run upstream changed
    78 pim: must re-run upstream changed
    85 published: must re-run upstream changed
    95 medusa: must re-run upstream changed
    ");
    assert_eq!(site.milepost(&["resume", "@latest", "--definition", "current"]).code, Some(0));
    assert_eq!(shown(&site), ("succeeded".to_owned(), SAMPLE[1], SAMPLE[2]));
    assert_eq!(writes(&outside), (2 * SAMPLE[1], SAMPLE[1]));
    let again = planned(&site, &["--definition", "current", "--items", "dead-lettered"]);
    assert!(again["execute"].as_array().unwrap().is_empty(), "{again:#}");
}

/// The PIM step under another name.
const RENAMED: &[(&str, &str)] = &[
    ("  pim:\n    needs", "  catalogue:\n    needs"),
    ("needs: [pim]", "needs: [catalogue]"),
    ("steps.pim.modified", "steps.catalogue.modified"),
    ("delete_after: pim", "delete_after: catalogue"),
];

#[test]
fn an_edit_that_the_records_cannot_follow_is_refused_with_its_line_and_nothing_is_changed() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    shop_is_down(&site, &outside);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let events = site.json(&["events", "@latest", "--json"]);
    let refused = |edits: &[(&str, &str)]| {
        site.edit("product-sync.yaml", edits);
        let told = site.milepost(&["resume", "@latest", "--definition", "current"]);
        let plan = site.milepost(&["resume", "@latest", "--definition", "current", "--plan"]);
        assert_eq!((told.code, plan.code), (Some(6), Some(6)), "{told:?}");
        assert_eq!(told.stderr, plan.stderr, "looking and doing say the same");
        let back: Vec<(&str, &str)> = edits.iter().rev().map(|(old, new)| (*new, *old)).collect();
        site.edit("product-sync.yaml", &back);
        tame(&site, &told.stderr)
    };
    insta::assert_snapshot!(refused(RENAMED), @r"
error[E1034]: RUN cannot go on under SITE/workflows/product-sync.yaml as it is now; nothing was changed
  line  50  validate  valid
  line  59  transform  valid
  line  64  publish  valid
  line  72  consume  valid
  line  78  catalogue  incompatible: it is new and stands before 'medusa', which has records: put it behind
  line  85  published  must re-run: definition changed
  line  95  medusa  valid
  line   -  pim  incompatible: it was removed or renamed, and has records
next: milepost resume RUN --plan
      milepost run SITE/workflows/product-sync.yaml
");
    let inserted = &[(
        "  medusa:\n    needs: [published]",
        "  rest:\n    needs: [published]\n    uses: delay\n    with: { for: 1s }\n\n  medusa:\n    needs: [rest]",
    )];
    insta::assert_snapshot!(refused(inserted), @r"
error[E1034]: RUN cannot go on under SITE/workflows/product-sync.yaml as it is now; nothing was changed
  line  50  validate  valid
  line  59  transform  valid
  line  64  publish  valid
  line  72  consume  valid
  line  78  pim  valid
  line  85  published  valid
  line  95  rest  incompatible: it is new and stands before 'medusa', which has records: put it behind
  line 100  medusa  valid
next: milepost resume RUN --plan
      milepost run SITE/workflows/product-sync.yaml
");
    let source = &[("item_key: ${{ item.product_id }}", "item_key: ${{ item.sku }}")];
    insta::assert_snapshot!(refused(source), @"
    error[E1034]: RUN cannot go on under SITE/workflows/product-sync.yaml as it is now; nothing was changed
      line  50  validate  incompatible: the items were read by it, or after it: start a new run
      line  59  transform  valid
      line  64  publish  valid
      line  72  consume  valid
      line  78  pim  valid
      line  85  published  must re-run: upstream changed
      line  95  medusa  valid
    next: milepost resume RUN --plan
          milepost run SITE/workflows/product-sync.yaml
    ");

    site.edit("product-sync.yaml", &[("uses: medusa.upsert", "uses: medusa.upset")]);
    let mistakes = site.milepost(&["resume", "@latest", "--definition", "current"]);
    assert_eq!(mistakes.code, Some(2));
    assert!(mistakes.stderr.contains("did you mean 'medusa.upsert'?"), "{}", mistakes.stderr);
    assert_eq!(site.json(&["events", "@latest", "--json"]), events, "nothing was changed");
    assert_eq!(writes(&outside), (SAMPLE[1], 0));
}

#[test]
fn a_step_that_is_added_behind_the_others_runs_for_every_item() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    faults(&outside.shop, &json!({ "refuse": ["31000009"] }));
    site.edit("product-sync.yaml", &[("dead_letters: 2%", "dead_letters: 3")]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let before = writes(&outside);
    faults(&outside.shop, &json!({}));
    site.edit(
        "product-sync.yaml",
        &[(
            "\n\ntolerate",
            "\n\n  rest:\n    needs: [medusa]\n    uses: delay\n    with: { for: 5ms }\n\ntolerate",
        )],
    );
    assert_eq!(site.milepost(&["resume", "@latest", "--definition", "current"]).code, Some(0));
    assert_eq!(writes(&outside), (before.0, before.1 + 1), "only the dead letter was called again");
    let shown: Value = site.json(&["show", "@latest", "--json"]).remove(0);
    let steps = shown["steps"].as_array().unwrap();
    let rest = steps.iter().find(|step| step["step"] == "rest").unwrap();
    assert_eq!(rest["items"]["succeeded"], SAMPLE[1]);
}

#[test]
fn a_plan_that_is_no_longer_the_one_that_was_seen_is_refused() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    shop_is_down(&site, &outside);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let plan = planned(&site, &[]);
    let seen = plan["plan"].as_str().unwrap();
    assert_eq!(site.milepost(&["resume", "@latest", "--expect", seen]).code, Some(1), "still out of order");
    let before = writes(&outside);
    let told = site.milepost(&["resume", "@latest", "--expect", seen]);
    assert_eq!(told.code, Some(6));
    let now = planned(&site, &[])["plan"].as_str().unwrap().to_owned();
    let told = told.stderr.replace(&now, "NOW").replace(seen, "SEEN");
    insta::assert_snapshot!(tame(&site, &told), @r"
error[E1033]: RUN: the plan is NOW now, and SEEN was expected; nothing was changed
next: milepost resume RUN --plan
");
    assert_eq!(writes(&outside), before);
    let short = site.milepost(&["resume", "@latest", "--expect", "4f1c"]);
    assert_eq!(short.code, Some(2), "{short:?}");
}

/// A site whose run has one dead letter in the shop, and whose shop is now under another address.
fn with_another_shop(outside: &Outside, other: &Outside) -> Site {
    let mut site = Site::reaching(&outside.pim, &outside.shop);
    faults(&outside.shop, &json!({ "refuse": ["31000009"] }));
    site.edit("product-sync.yaml", &[("dead_letters: 2%", "dead_letters: 3"), SEVERAL_AT_ONCE]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let run: Value = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(run["items"]["dead_lettered"], SAMPLE[2] + 1);
    site.env.retain(|(name, _)| *name != "SHOP_URL");
    site.env.push(("SHOP_URL", other.shop.clone()));
    site
}

#[test]
fn another_address_is_shown_and_refused_until_somebody_says_what_it_is() {
    let outside = Outside::start();
    let other = Outside::start();
    let site = with_another_shop(&outside, &other);
    let tamed = |text: &str| {
        tame(&site, &text.replace(&outside.shop, "THE-OLD-SHOP").replace(&other.shop, "THE-NEW-SHOP"))
    };
    let told = site.milepost(&["resume", "@latest"]);
    assert_eq!(told.code, Some(6));
    insta::assert_snapshot!(tamed(&told.stderr), @r"
error[E1035]: RUN: the outside is not what it was when the run was started
  connection 'shop' was url THE-OLD-SHOP, and is url THE-NEW-SHOP; steps: medusa
  another system, where nothing is done yet: --accept-connection
  the same system at another address: --accept-connection=moved
next: milepost resume RUN --accept-connection --plan
      milepost resume RUN --accept-connection=moved --plan
");
    let plan = site.milepost(&["resume", "@latest", "--plan"]);
    let hash = planned(&site, &[])["plan"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(tamed(&format!("{}{}", plan.stdout, plan.stderr).replace(&hash, "HASH")), @"
    RUN  plan HASH
      0 of 200 items done; nothing is in doubt

    definition
    line  step       verdict      why
    50    validate   valid
    59    transform  valid
    64    publish    valid
    72    consume    valid
    78    pim        valid
    85    published  valid
    95    medusa     must re-run  connection changed

    connection shop
      was  url THE-OLD-SHOP
      now  url THE-NEW-SHOP

    step       what   items  why
    validate   kept     197  done before
    transform  kept     197  done before
    publish    kept     197  done before
    consume    kept     197  done before
    pim        kept     197  done before
    published  kept     197  done before
    medusa     to do    197  connection changed
    validate   left       3  same content would be refused again
    transform  left       3  a step before it stays as it is
    publish    left       3  a step before it stays as it is
    consume    left       3  a step before it stays as it is
    pim        left       3  a step before it stays as it is
    published  left       3  a step before it stays as it is
    medusa     left       3  a step before it stays as it is

    next: milepost resume RUN --accept-connection --expect HASH
          milepost resume RUN --accept-connection=moved --plan
    ");
}

#[test]
fn another_system_gets_everything_and_one_that_only_moved_gets_what_is_left() {
    let outside = Outside::start();
    let other = Outside::start();
    let site = with_another_shop(&outside, &other);
    let before = writes(&outside);
    let hash = planned(&site, &[])["plan"].as_str().unwrap().to_owned();
    let moved = planned(&site, &["--accept-connection=moved"]);
    let sum = |plan: &Value| -> u64 {
        plan["execute"].as_array().unwrap().iter().map(|share| share["items"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&moved), 1, "what is done stays done: {moved:#}");
    let told = site.milepost(&["resume", "@latest", "--accept-connection", "--expect", &hash]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(writes(&outside), before, "the old systems were left alone");
    assert_eq!(writes(&other), (0, SAMPLE[1]), "the new shop has all of them");
}
