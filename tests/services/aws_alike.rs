//! The same file means the same, whoever drives it: shipped workflows and generated graphs, with the same inputs and
//! the same faults, once by the engine alone and once by a real interpreter of the Amazon States Language. What is
//! known to differ is in `docs/step-functions.md`; nothing of that is compared here, and everything else is.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::alike::{Picture, contents};
use crate::aws::{Aws, environment};
use crate::generated::generated;
use crate::scripted::Server;
use crate::site::Site;
use crate::site::outside::{Outside, faults};

/// How many generated graphs are compared when nobody says `MILEPOST_GRAPHS`.
const GRAPHS: u64 = 40;
/// Graphs under way at once: most of the time of each is the interpreter's.
const AT_ONCE: u64 = 4;
const STATES: &str = "states: { use: step_functions, role: \"arn:aws:iam::000000000000:role/milepost\" }";
const DRIVEN: [&str; 2] = ["--executor", "step_functions"];

/// Runs a workflow in two sites, by the engine alone and driven; what is different, in words.
fn compared(sites: &[Site; 2], line: &[&str]) -> (Picture, Vec<String>) {
    let driven: Vec<&str> = line.iter().chain(&DRIVEN).copied().collect();
    let told = [sites[0].milepost(line), sites[1].milepost(&driven)];
    let [embedded, driven] = sites.each_ref().map(Picture::of);
    let mut found = embedded.differences(&driven);
    if told[0].code != told[1].code {
        found.push(format!("exit: {told:?}"));
    }
    (embedded, found)
}

fn site(aws: &Aws) -> Site {
    let mut site = Site::new();
    site.env = environment(aws.endpoint());
    site.env.push(("STATES_ROLE", "arn:aws:iam::000000000000:role/milepost".to_owned()));
    site
}

fn graph(aws: &Aws, seed: u64) -> Vec<String> {
    let case = generated(seed);
    let servers = [(); 2].map(|()| Server::start(&case.script));
    let connections = format!("connections:\n  {STATES}\n");
    let yaml = if case.yaml.contains("connections:\n") {
        case.yaml.replacen("connections:\n", &connections, 1)
    } else {
        case.yaml.replacen("\nsteps:\n", &format!("\n{connections}\nsteps:\n"), 1)
    };
    let sites = servers.each_ref().map(|server| {
        let site = site(aws);
        fs::write(site.path("graph.yaml"), yaml.replace("http://127.0.0.1:9", &server.url)).unwrap();
        for (name, text) in &case.files {
            fs::write(site.path(name), text).unwrap();
        }
        site
    });
    let (_, mut found) = compared(&sites, &["run", "graph.yaml"]);
    let [embedded, driven] = servers.each_ref().map(Server::calls);
    if embedded != driven {
        found.push(format!("calls: {embedded:?} / {driven:?}"));
    }
    if !found.is_empty() {
        found.insert(0, format!("seed {seed}:\n{yaml}"));
    }
    found
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn generated_graphs_end_alike_whoever_drives_them() {
    let graphs = std::env::var("MILEPOST_GRAPHS").map_or(GRAPHS, |text| text.parse().unwrap());
    let from = std::env::var("MILEPOST_SEED")
        .map_or_else(|_| rand::random_range(0..1_000_000), |text| text.parse().unwrap());
    println!(
        "seeds {from} to {}: MILEPOST_SEED={from} MILEPOST_GRAPHS={graphs} asks for the same",
        from + graphs - 1
    );
    let next = AtomicU64::new(from);
    let found: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let aws = Aws::shared();
                    let mut found = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= from + graphs {
                            return found;
                        }
                        found.extend(graph(&aws, seed));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Two sites with the shipped product workflow, each with stand-ins of its own.
fn products(aws: &Aws, outsides: &[Outside; 2]) -> [Site; 2] {
    outsides.each_ref().map(|outside| {
        let mut site = Site::reaching(&outside.pim, &outside.shop);
        site.env.extend(environment(aws.endpoint()));
        site.edit("product-sync.yaml", &[("\nconnections:", &format!("\nconnections:\n  {STATES}"))]);
        site
    })
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn products_that_are_refused_end_alike_whoever_drives_them() {
    let (aws, outsides) = (Aws::shared(), [Outside::start(), Outside::start()]);
    for outside in &outsides {
        faults(&outside.pim, &json!({ "refuse": ["SHEIN-31000009", "SHEIN-31000020"] }));
        faults(&outside.shop, &json!({ "refuse": ["31000045"] }));
    }
    let sites = products(&aws, &outsides);
    let (picture, found) = compared(&sites, &["run", "workflows/product-sync.yaml"]);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!((picture.status, picture.error), (json!("failed"), json!("ToleranceExceeded")));
    let [embedded, driven] = outsides.each_ref().map(contents);
    assert_eq!(embedded, driven);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_malformed_file_fails_alike_whoever_drives_it_and_keeps_its_error_name() {
    let (aws, outsides) = (Aws::shared(), [Outside::start(), Outside::start()]);
    let sites = products(&aws, &outsides);
    for site in &sites {
        fs::write(site.path("cut.json"), "[{\"product_id\": \"1\", \"product_na").unwrap();
    }
    let line = ["run", "workflows/product-sync.yaml", "--input", "source=cut.json"];
    let (picture, found) = compared(&sites, &line);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!((picture.status, picture.error), (json!("failed"), json!("ValidationError")));
    for outside in &outsides {
        assert_eq!(contents(outside).map(|held| held.len()), [0, 0], "nothing was done outside");
    }
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn the_small_workflows_end_alike_whoever_drives_them() {
    let (aws, outside) = (Aws::shared(), Outside::start());
    for (file, input) in [
        ("hello.yaml", None),
        ("fan-out.yaml", None),
        ("fan-out.yaml", Some(format!("url={}", outside.shop))),
    ] {
        let sites = [site(&aws), site(&aws)];
        for site in &sites {
            let (old, new) = match file {
                "hello.yaml" => ("\nsteps:", format!("\nconnections:\n  {STATES}\n\nsteps:")),
                _ => ("\nconnections:", format!("\nconnections:\n  {STATES}")),
            };
            site.edit(file, &[(old, &new)]);
        }
        let path = format!("workflows/{file}");
        let mut line = vec!["run", &path];
        line.extend(input.iter().flat_map(|input| ["--input", input.as_str()]));
        let (picture, found) = compared(&sites, &line);
        assert_eq!(found, Vec::<String>::new(), "{line:?}");
        assert_eq!(picture.status, json!("succeeded"));
    }
}
