//! What happened outside, as far as anybody can know: the ledger after lost answers and kills, and
//! what people make of it. Every verdict is held against the witness outside.

use std::fs;

use serde_json::Value;

use super::counterpart::{Answer, Counterpart};
use super::site::Told;
use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{Site, WORKFLOW, tame};

const CHARGES: &str = "workflows/charges.yaml";

/// A site with a workflow that charges each order once, then tells with what status it was charged.
/// `extra` goes into the step that charges.
fn charging(orders: usize, counterpart: &Counterpart, extra: &str) -> Site {
    let site = Site::new();
    let lines: Vec<String> = (1..=orders).map(|order| format!("{{\"order\": \"A-{order:03}\"}}")).collect();
    fs::write(site.path("workflows/charges.ndjson"), lines.join("\n")).unwrap();
    let workflow = format!(
        r#"workflow: charges
connections: {{ files: {{ use: local }} }}
defaults: {{ retry: {{ attempts: 3, backoff: {{ initial: 10ms, factor: 2, max: 40ms, jitter: none }} }}, timeout: 10m }}
steps:
  orders:
    uses: json.validate
    connection: files
    with: {{ source: charges.ndjson, item_key: "${{{{ item.order }}}}", required: [order] }}
  charge:
    needs: [orders]
    uses: http.request
    {extra}
    with: {{ method: POST, url: "{url}/charge/${{{{ item.order }}}}" }}
  tell:
    needs: [charge]
    uses: http.request
    repeat: safe
    with: {{ method: PUT, url: "{url}/told/${{{{ item.order & '/' & $string(steps.charge.status) }}}}" }}
"#,
        url = counterpart.url
    );
    fs::write(site.path(CHARGES), workflow).unwrap();
    let checked = site.milepost(&["check", CHARGES]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    site
}

/// `item step effect doubts settle_by` of each line.
fn words(effects: &[Value]) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = |effect: &Value| {
        ["item", "step", "effect", "doubts", "settle_by"].map(|field| word(&effect[field])).join(" ")
    };
    effects.iter().map(line).collect()
}

/// The ledger as JSON lines; it may be empty.
fn ledger(site: &Site, options: &[&str]) -> Vec<Value> {
    let told = site.milepost(&[&["effects", "@latest", "--json"], options].concat());
    assert_eq!(told.code, Some(0), "{told:?}");
    told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn status(site: &Site) -> String {
    site.json(&["show", "@latest", "--json"]).remove(0)["status"].as_str().unwrap().to_owned()
}

/// Charges four orders, of which two are charged and the answer is lost.
fn charged() -> (Counterpart, Site) {
    let lossy = |name: &str| match name {
        "POST /charge/A-002" | "POST /charge/A-003" => Answer::Dropped,
        _ => Answer::Given,
    };
    let outside = Counterpart::start(lossy);
    let site = charging(4, &outside, "retry: { attempts: 1 }");
    assert_eq!(site.milepost(&["run", CHARGES]).code, Some(1));
    (outside, site)
}

fn settle(site: &Site, options: &[&str]) -> Told {
    site.milepost(&[&["effects", "@latest", "--settle"], options].concat())
}

#[test]
fn what_was_lost_is_listed_and_only_what_is_in_doubt_is_settled_and_only_as_it_can_be() {
    let (_outside, site) = charged();
    let told = site.milepost(&["show", "@latest"]);
    assert!(tame(&site, &told.stderr).contains("next: milepost effects RUN --in-doubt"), "{told:?}");
    let doubts = ledger(&site, &["--in-doubt"]);
    assert_eq!(
        words(&doubts),
        ["A-002 charge in_doubt 0 person", "A-003 charge in_doubt 0 person"],
        "exactly those whose answer was lost"
    );
    assert_eq!(doubts[0]["key"].as_str().unwrap().split_once('/').unwrap().1, "charge/item 1");

    let refused = settle(&site, &["done", "--item", "A-002"]);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(tame(&site, &refused.stderr), @r#"
error[E1042]: later steps look at what 'charge' returned: give --fact status=VALUE (null, if it returned nothing)
next: milepost effects RUN --in-doubt
"#);
    let refused = settle(&site, &["done", "--item", "A-001"]);
    assert_eq!(refused.code, Some(6));
    insta::assert_snapshot!(tame(&site, &refused.stderr), @r#"
error[E1041]: nothing about A-001 of RUN is in doubt
  charge is done
  tell is done
next: milepost effects RUN --in-doubt
"#);
    assert_eq!(
        settle(&site, &["done", "--item", "A-002", "--fact", "sum=1"]).code,
        Some(2),
        "it returns no such fact"
    );
    assert_eq!(settle(&site, &["not-done"]).code, Some(2), "nothing was named");
    assert_eq!(ledger(&site, &["--in-doubt"]).len(), 2, "what is refused changes nothing");
}

#[test]
fn what_nobody_can_look_up_is_settled_by_a_person_and_the_run_then_ends_properly() {
    let (outside, site) = charged();
    let settled = settle(&site, &["done", "--item", "A-002", "--fact", "status=299"]);
    assert_eq!(settled.code, Some(0), "{settled:?}");
    insta::assert_snapshot!(tame(&site, &format!("{}{}", settled.stdout, settled.stderr)), @r#"
1 effect of 1 item settled as done
next: milepost resume RUN --plan
"#);
    assert_eq!(settle(&site, &["not-done", "--all"]).code, Some(0));
    assert!(ledger(&site, &["--in-doubt"]).is_empty());
    assert_eq!(status(&site), "failed", "a person's word changes nothing before the resume");
    let plan = site.milepost(&["resume", "@latest", "--plan"]);
    let plan = tame(&site, &plan.stdout);
    insta::assert_snapshot!(plan.split_once('\n').unwrap().1, @r#"
  2 of 4 items done; nothing is in doubt

step    what   items  why
orders  kept       4  done before
charge  kept       3  done before
tell    kept       2  done before
charge  to do      1  never ran
tell    to do      2  never ran
"#);

    outside.rule(|_| Answer::Given);
    let told = site.milepost(&["resume", "@latest"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(status(&site), "succeeded");
    assert_eq!(outside.times("POST /charge/A-002"), 1, "done: never again");
    assert_eq!(outside.times("PUT /told/A-002/299"), 1, "with the fact that the person gave");
    assert_eq!(outside.times("POST /charge/A-003"), 2, "not done: once more");
    assert_eq!(outside.times("PUT /told/A-003/201"), 1);
    let events = site.json(&["events", "@latest", "--json"]);
    let said: Vec<_> = events.iter().filter(|event| event["kind"] == "settled").collect();
    assert_eq!((said.len(), &said[0]["status"], &said[1]["item"]), (2, &"done".into(), &"A-003".into()));
    assert!(said.iter().all(|event| event["by"].is_string()), "it is kept who said it");
}

/// After a kill the effects in doubt are exactly the calls that were open, and what is called done
/// arrived. A repeat that was harmless leaves its doubt in the ledger for good, until a person looks.
#[test]
fn after_a_kill_the_ledger_lists_exactly_the_open_calls_and_never_forgets_a_repeat() {
    let outside = Counterpart::start(|name| {
        let number: usize = name.rsplit('-').next().unwrap().parse().unwrap_or(0);
        if name.starts_with("POST") && number > 8 { Answer::Held } else { Answer::Given }
    });
    let site = charging(40, &outside, "repeat: safe");
    let working = site.start(&["run", CHARGES]);
    outside.holds(8);
    let live = ledger(&site, &["--verdict", "intended", "--step", "charge"]);
    assert_eq!(live.len(), 8, "under way, and not in doubt, while the engine lives");
    let busy = site.milepost(&["effects", "@latest", "--settle", "done", "--all"]);
    assert_eq!(busy.code, Some(6), "{busy:?}");
    working.signal("KILL");
    assert_eq!(working.wait().code, None);

    let open: Vec<String> =
        outside.heard(Answer::Held).iter().map(|name| name.replace("POST /charge/", "")).collect();
    let doubts = ledger(&site, &["--in-doubt"]);
    let charges: Vec<String> = doubts
        .iter()
        .filter(|doubt| doubt["step"] == "charge")
        .map(|doubt| doubt["item"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(charges, open, "exactly the open calls");
    assert!(doubts.iter().all(|doubt| doubt["effect"] == "in_doubt" && doubt["settle_by"] == "repeat"));
    for done in ledger(&site, &["--step", "charge", "--verdict", "done"]) {
        assert_eq!(outside.times(&format!("POST /charge/{}", done["item"].as_str().unwrap())), 1);
    }

    outside.rule(|_| Answer::Given);
    assert_eq!(site.milepost(&["resume", "@latest"]).code, Some(0));
    let repeated = ledger(&site, &["--in-doubt", "--step", "charge"]);
    let expected: Vec<String> = open.iter().map(|item| format!("{item} charge done 1 null")).collect();
    assert_eq!(words(&repeated), expected, "done, and perhaps done before");
    for item in &open {
        assert_eq!(outside.times(&format!("POST /charge/{item}")), 2);
    }
    let told = site.milepost(&[
        "effects",
        "@latest",
        "--settle",
        "done",
        "--step",
        "charge",
        "--all",
        "--fact",
        "status=200",
    ]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(ledger(&site, &["--in-doubt", "--step", "charge"]).is_empty(), "a person has looked");
}

#[test]
fn every_effect_of_the_product_workflow_is_in_the_ledger_with_its_key_and_the_counts_add_up() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 60);
    let working = site.start(&["run", WORKFLOW]);
    relay.reached();
    working.signal("KILL");
    assert_eq!(working.wait().code, None);
    relay.go_on(true, false);
    let plan: Value = site.json(&["resume", "@latest", "--plan", "--json"]).remove(0);
    let doubts = ledger(&site, &["--in-doubt"]);
    let name = |value: &Value| format!("{} {}", value["item"], value["step"]);
    let planned: Vec<String> = plan["in_doubt"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(doubts.iter().map(name).collect::<Vec<_>>(), planned, "the plan and the ledger agree");
    let looked_up = doubts.iter().filter(|doubt| doubt["settle_by"] == "probe").count();
    assert!(looked_up > 0, "nothing was open");
    let by_sku = |effect: &Value| !effect["key"].as_str().unwrap().contains('/');
    assert!(doubts.iter().filter(|doubt| doubt["step"] != "publish").all(by_sku), "{doubts:?}");

    assert_eq!(site.milepost(&["resume", "@latest"]).code, Some(0));
    let all = ledger(&site, &[]);
    assert_eq!(all.len(), 3 * 197, "publish, pim and medusa of each valid product");
    assert!(all.iter().all(|effect| effect["effect"] == "done" && effect["key"].is_string()));
    assert!(
        all.iter()
            .filter(|effect| effect["step"] == "pim")
            .all(|effect| effect["facts"]["id"].is_string() || effect["facts"]["id"].is_number())
    );
    let heading = site.milepost(&["effects", "@latest", "--limit", "1"]);
    insta::assert_snapshot!(tame(&site, &heading.stdout).lines().skip(1).take(7).collect::<Vec<_>>().join("\n"), @r#"
effects  verdict     what is known
    591  done        done for sure
      -  refused     not done for sure
      -  in_doubt    perhaps done
      -  intended    a call is under way
      -  not_needed  never sent: the other side already held it
"#);
}
