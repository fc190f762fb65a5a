//! `kill -9` at any moment, then `resume`: nothing is missing, nothing that is known to be done is
//! repeated. The stand-ins run in their own process, and only their journal is believed.
//!
//! `MILEPOST_KILLS=30` asks for more kills, `MILEPOST_SEED` for the same ones again.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may, as tests may")]

#[path = "../../examples/products/product.rs"]
mod product;
#[path = "../site/mod.rs"]
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::Command;

use milepost::connectors::sandbox::Entry;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use site::Site;
use site::outside::{Outside, faults};
use site::relay::{Moment, Relay};

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// Products of the sample that pass the gate.
const GOOD: usize = 197;
/// Calls of one run of the sample, roughly: two for each product in the PIM, and those of the shop.
const CALLS: u64 = 2 * GOOD as u64 + 20;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// What a run knows to be done, and what is open, in both systems.
struct Known {
    done: BTreeSet<(usize, String)>,
    in_doubt: BTreeSet<(usize, String)>,
}

const SYSTEMS: [&str; 2] = ["pim", "medusa"];

fn known(site: &Site, run: &str) -> Known {
    let mut known = Known { done: BTreeSet::new(), in_doubt: BTreeSet::new() };
    for item in site.json(&["items", run, "--json"]) {
        let key = item["item"].as_str().unwrap();
        for (at, step) in SYSTEMS.iter().enumerate() {
            let entry = (at, key.to_owned());
            if item["facts"].get(step).is_some() {
                known.done.insert(entry);
            } else if item["status"] == "in_doubt" && item["step"] == *step {
                known.in_doubt.insert(entry);
            }
        }
    }
    known
}

/// The effects in both systems that `effects` lists as perhaps done, by product.
fn doubts(site: &Site, run: &str) -> BTreeSet<(usize, String)> {
    let told = site.milepost(&["effects", run, "--in-doubt", "--json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let effects = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let listed = effects.filter_map(|effect| {
        let system = SYSTEMS.iter().position(|step| effect["step"] == *step)?;
        Some((system, effect["item"].as_str().unwrap().to_owned()))
    });
    listed.collect()
}

/// How often each product was written into each system. The PIM knows a product by its SKU, which
/// ends with the product's number.
fn writes(outside: &Outside) -> BTreeMap<(usize, String), usize> {
    let (pim, shop) = outside.calls();
    let mut counts = BTreeMap::new();
    let mut add = |at, entries: Vec<Entry>| {
        for key in entries.into_iter().flat_map(|entry| entry.wrote) {
            let number = key.rsplit('-').next().unwrap().to_owned();
            *counts.entry((at, number)).or_insert(0) += 1;
        }
    };
    add(0, pim);
    add(1, shop);
    counts
}

/// Everything is there, and what was written again was open at the kill. Returns how much was.
fn judge(before: &BTreeMap<(usize, String), usize>, known: &Known, outside: &Outside, good: usize) -> usize {
    let after = writes(outside);
    for (at, step) in SYSTEMS.iter().enumerate() {
        let products = after.keys().filter(|(system, _)| *system == at).count();
        assert_eq!(products, good, "products in {step}");
    }
    let again: Vec<_> =
        before.iter().filter(|(key, count)| after[*key] > **count).map(|(key, _)| key).collect();
    for key in &known.done {
        assert_eq!(after[key], before[key], "{key:?} was known to be done and was written again");
    }
    for (key, count) in &after {
        assert!(*count <= 1 + usize::from(known.in_doubt.contains(key)), "{key:?} was written {count} times");
    }
    for key in &again {
        assert!(known.in_doubt.contains(*key), "{key:?} was not open at the kill and was written again");
        assert_eq!(after[*key], before[*key] + 1, "{key:?} was written more than once more");
    }
    again.len()
}

#[test]
fn killed_between_a_tenth_and_nine_tenths_of_a_run_nothing_is_lost_and_nothing_known_is_repeated() {
    let kills = number("MILEPOST_KILLS", 4);
    let seed = number("MILEPOST_SEED", rand::random());
    println!("seed {seed}: MILEPOST_SEED={seed} MILEPOST_KILLS={kills} asks for the same kills");
    let mut chance = StdRng::seed_from_u64(seed);
    for kill in 1..=kills {
        let moment = match kill % 3 {
            0 => Moment::Answered,
            1 => Moment::Answering,
            _ => Moment::Asked,
        };
        let tenth = CALLS / 10;
        killed_at(kill, moment, chance.random_range(tenth..=9 * tenth), chance.random_bool(0.5));
    }
}

fn killed_at(kill: u64, moment: Moment, call: u64, loses: bool) {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    // Every fourth time answers get lost by themselves, too.
    let drops = if kill.is_multiple_of(4) { 0.05 } else { 0.0 };
    faults(&outside.pim, &json!({ "drops": drops, "seed": call }));
    relay.stop_at(moment, call);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    working.signal("KILL");
    working.wait();
    let open = relay.open_calls();
    relay.go_on(true, loses);

    let (before, known) = (writes(&outside), known(&site, &run));
    let doubts = doubts(&site, &run);
    assert!(known.in_doubt.is_subset(&doubts), "in doubt, and not listed: {:?}", known.in_doubt);
    assert!(doubts.is_disjoint(&known.done), "known to be done, and listed as perhaps done");
    assert!(open == 0 || !doubts.is_empty(), "{open} calls were open, and nothing is in doubt");
    for key in before.keys() {
        let is_told = known.done.contains(key) || doubts.contains(key);
        assert!(is_told, "{key:?} was written, and is neither known to be done nor listed as perhaps done");
    }
    let told = site.milepost(&["resume", &run]);
    assert!(told.code == Some(0) && told.stderr.contains(" in doubt"), "{told:?}");
    let again = judge(&before, &known, &outside, GOOD);
    assert_eq!(self::doubts(&site, &run), BTreeSet::new(), "everything was looked up");
    let fate = match moment {
        Moment::Asked if loses => "out, and never arrives",
        Moment::Asked => "out, and arrives after the kill",
        Moment::Answering => "done, and the answer is lost",
        Moment::Answered => "answered",
    };
    println!(
        "kill {kill:>3}: call {call:>3} is {fate:<31}  open {open}, known done {:>3}, in doubt {:>2}, repeated {again}",
        known.done.len(),
        doubts.len(),
    );
}

#[test]
fn killed_right_after_its_first_line_a_run_is_resumed_from_the_beginning() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    working.signal("KILL");
    working.wait();
    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let known = Known { done: BTreeSet::new(), in_doubt: BTreeSet::new() };
    judge(&BTreeMap::new(), &known, &outside, GOOD);
}

/// The source is a pipe, so the gate stands still exactly where we stop writing.
#[test]
fn killed_in_the_middle_of_the_gate_a_run_has_done_nothing_and_begins_again() {
    const PRODUCTS: u64 = 300;
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    let mut products = Vec::new();
    product::Products::new(PRODUCTS, 11, 0).write_array(&mut products).unwrap();
    let source = site.path("products.json");
    assert!(Command::new("mkfifo").arg(&source).status().unwrap().success());

    let working = site.start(&["run", WORKFLOW, "--input", "source=products.json"]);
    let run = working.run.clone();
    let mut pipe = fs::OpenOptions::new().write(true).open(&source).unwrap();
    // More than a pipe holds: when this returns, the gate has read a part of it.
    pipe.write_all(&products[..products.len() / 2]).unwrap();
    let shown: Value = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(shown["source"], Value::Null, "the gate has not ended: {shown}");
    working.signal("KILL");
    working.wait();
    assert_eq!(outside.calls(), (Vec::new(), Vec::new()), "an effect before the gate");

    fs::remove_file(&source).unwrap();
    fs::write(&source, &products).unwrap();
    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let known = Known { done: BTreeSet::new(), in_doubt: BTreeSet::new() };
    judge(&BTreeMap::new(), &known, &outside, usize::try_from(PRODUCTS).unwrap());
}
