//! `http.upsert` in a workflow file: what `check` says of mistakes, all at once and each with its
//! place.

use std::fs;

use super::{Site, tame};

const WRONG: &str = r#"workflow: upsert
input:
  source: { type: uri, default: products.ndjson }
connections:
  files: { use: local }
  api: { use: http, url: "http://127.0.0.1:9/api", user: shop }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: "${{ input.source }}", item_key: "${{ item.sku }}" }
  send:
    needs: [read]
    uses: http.upsert
    connection: api
    with:
      lookup: { url: "items?sku=${{ item.sku }}", at: data, key: /sku }
      create: { url: "/items/${{ found.id }}" }
      update: { url: "/items/${{ $string(found.id) }}" }
      answers: { conflict: [taken] }
  again:
    needs: [send]
    uses: http.upsert
    connection: api
    with: { body: { sku: "${{ item.sku }}" }, create: { url: /items }, update: { url: "/items/${{ found.id }}" }, compare: [/sku] }
"#;

fn checked(text: &str) -> String {
    let site = Site::new();
    fs::write(site.path("workflows/upsert.yaml"), text).unwrap();
    let told = site.milepost(&["check", "workflows/upsert.yaml"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    tame(&site, &told.stderr)
}

/// The places and the first lines of what is said.
fn mistakes(told: &str) -> Vec<String> {
    let lines: Vec<&str> = told.lines().collect();
    let heads = lines.windows(2).filter(|pair| pair[1].trim_start().starts_with("-->"));
    heads
        .map(|pair| format!("{} {}", pair[1].rsplit("upsert.yaml").next().unwrap_or_default(), pair[0]))
        .collect()
}

#[test]
fn every_mistake_of_an_upsert_is_found_with_its_place() {
    insta::assert_snapshot!(mistakes(&checked(WRONG)).join("\n"), @r#"
    :18:34 error[E502]: there is no 'found' in expressions
    :23:11 error[E603]: step 'again' may call 'http.upsert' 3 times, and nothing makes that harmless
    "#);
    let mended =
        WRONG.replace("{ url: \"/items/${{ found.id }}\" }\n      update", "{ url: /items }\n      update");
    let mended = mended.replace(
        "    connection: api\n    with: { body",
        "    connection: api\n    repeat: safe\n    with: { body",
    );
    insta::assert_snapshot!(mistakes(&checked(&mended)).join("\n"), @r#"
    :6:58 error[E801]: connection 'api': 'user' goes with 'password', which is not there
    :17:22 error[E801]: step 'send': 'lookup.url' must begin with '/'
    :17:55 error[E801]: step 'send': "data" in 'at' is no JSON pointer
    :17:66 error[E801]: step 'send': 'key' goes with 'equals', which is not there
    :19:22 error[E801]: step 'send': '$string(found.id)': an expression over what was found is a plain path, for example found.id
    :20:28 error[E801]: step 'send': "taken" is no HTTP status
    :26:80 error[E801]: step 'again': 'update' speaks of 'found', but nothing is looked up
    :26:124 error[E801]: step 'again': without 'lookup' there is nothing to compare with
    "#);
}
