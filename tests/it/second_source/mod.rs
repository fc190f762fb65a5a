//! A second source of quite another shape: prices as nested texts with a currency beside them, numbers
//! as IDs, attributes as an object, two lists of images, categories as IDs alone. It goes into both
//! systems with the files of this folder, and no code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use milepost::connectors::sandbox::Entry;
use serde_json::{Value, json};

use super::Site;
use super::site::outside::Outside;

const WORKFLOW: &str = "workflows/second-source.yaml";
const SEED: u64 = 20_261_122;
const ITEMS: u64 = 240;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }
}

/// What must have come of a record.
struct Expected {
    price: String,
    compare_at: Option<String>,
    attributes: BTreeMap<&'static str, String>,
    images: Vec<String>,
    category: &'static str,
    description: String,
}

const CATEGORIES: &[(&[u64], &str)] = &[
    (&[10, 11, 4711], "Home / Kitchen / Knives"),
    (&[10, 11], "Home / Kitchen"),
    (&[20, 77], "Garden / Tools"),
    (&[20, 999], "Garden"),
    (&[888], "Other"),
];

/// `129900` as `1.299,00`.
fn german(cents: u64) -> String {
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    format!("{grouped},{:02}", cents % 100)
}

/// The cents in euro, as the shop shows them. A euro was worth 0.80 francs.
fn euro(cents: u64, currency: &str) -> String {
    let cents = if currency == "CHF" { (cents * 10 + 4) / 8 } else { cents };
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn generated(number: u64, dice: &mut Dice) -> (Value, Expected) {
    let id = 700_000 + number;
    let currency = dice.one(&["EUR", "CHF"]);
    let (price, list) = (1 + dice.roll(400_000), 1 + dice.roll(400_000));
    let (colour, weight) = (dice.one(&["Rot", "Blau", "Grün"]), dice.roll(9000));
    let (ids, category) = CATEGORIES[usize::try_from(dice.roll(CATEGORIES.len() as u64)).unwrap()];
    let image = |at: u64| format!("https://bilder.example/{id}-{at}.jpg");
    let record = json!({
        "artikel": id,
        "bezeichnung": { "de": format!("Messer {number}"), "en": if number.is_multiple_of(3) { Value::Null } else { json!(format!("Knife {number}")) } },
        "beschreibung": format!("<p>Scharf &amp; <b>leicht</b></p>\n<ul><li>Nr. {number}</li></ul>"),
        "hersteller": { "name": " Klinge  & Söhne " },
        "preise": {
            "verkauf": { "brutto": german(price), "waehrung": currency },
            "uvp": { "brutto": german(list), "waehrung": currency },
        },
        "kategorien": ids,
        "eigenschaften": {
            "Farbe": colour, "Werkstoff": ["Stahl", "Holz"], "Gewicht": format!("{}.{:03}", weight / 1000, weight % 1000),
            "Lagerplatz": "A-7",
        },
        "bilder": {
            "gross": [{ "url": format!("//bilder.example/{id}-1.jpg") }, { "url": null }],
            "weitere": [image(1), image(2), "kein Bild"],
        },
        "bestand": dice.roll(3),
    });
    let weight = format!("{}.{:03}", weight / 1000, weight % 1000);
    let weight = weight.trim_end_matches('0').trim_end_matches('.').to_owned();
    let expected = Expected {
        price: euro(price, currency),
        compare_at: (list > price).then(|| euro(list, currency)),
        attributes: BTreeMap::from([
            ("color", colour.to_owned()),
            ("material", "Stahl, Holz".to_owned()),
            ("weight", weight),
        ]),
        images: vec![image(1), image(2)],
        category,
        description: format!("Scharf & leicht\nNr. {number}"),
    };
    (record, expected)
}

/// What a stand-in holds, by what `key` says of it.
fn held(entries: &[Entry], key: fn(&Value) -> &Value) -> BTreeMap<String, Value> {
    let puts = entries.iter().flat_map(|entry| &entry.changes).map(|change| &change["put"]);
    puts.filter_map(|put| Some((key(put).as_str()?.to_owned(), put.clone()))).collect()
}

/// The categories that the shop has by ID, each as the path of names that leads to it.
fn categories(entries: &[Entry]) -> BTreeMap<String, String> {
    let changes = entries.iter().flat_map(|entry| &entry.changes).map(|change| &change["around"]);
    let made: BTreeMap<&str, &Value> =
        changes.filter_map(|made| Some((made["id"].as_str()?, made))).collect();
    let path = |category: &Value| {
        let mut names = vec![category["name"].as_str()?];
        let mut below = category;
        while let Some(parent) = below["parent_category_id"].as_str() {
            below = made[parent];
            names.insert(0, below["name"].as_str()?);
        }
        Some(names.join(" / "))
    };
    made.iter().filter_map(|(id, category)| Some(((*id).to_owned(), path(category)?))).collect()
}

/// An amount as its digits, without zeros at the end.
fn digits(amount: &str) -> &str {
    if amount.contains('.') { amount.trim_end_matches('0').trim_end_matches('.') } else { amount }
}

#[test]
fn another_source_reaches_both_systems_with_files_alone() {
    println!("seed {SEED}");
    let outside = Outside::start();
    let mut site = Site::new();
    site.env = vec![("PIM_URL", outside.pim.clone()), ("SHOP_URL", outside.shop.clone())];
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/second_source");
    super::site::copy(&files.join("second-source"), &site.path("workflows/second-source"));
    fs::copy(files.join("second-source.yaml"), site.path(WORKFLOW)).unwrap();
    let mut dice = Dice(SEED);
    let made: Vec<(Value, Expected)> = (0..ITEMS).map(|number| generated(number, &mut dice)).collect();
    let lines: Vec<String> = made.iter().map(|(record, _)| record.to_string()).collect();
    fs::write(site.path("list.ndjson"), lines.join("\n")).unwrap();

    let checked = site.milepost(&["check", WORKFLOW]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
    for run in ["first", "second"] {
        let told = site.milepost(&["run", WORKFLOW, "--input", "source=list.ndjson"]);
        assert_eq!(told.code, Some(0), "{run}: {told:?}");
        let (pim, shop) = outside.calls();
        let paths = categories(&shop);
        let (pim, shop) = (held(&pim, |put| &put["fields"]["sku"]), held(&shop, |put| &put["external_id"]));
        assert_eq!((pim.len() as u64, shop.len() as u64), (ITEMS, ITEMS), "{run}");
        for (record, expected) in &made {
            let id = record["artikel"].to_string();
            in_pim(&pim[&format!("GH-{id}")]["fields"], expected);
            in_shop(&shop[&id], &paths, expected);
        }
    }
}

fn in_pim(object: &Value, expected: &Expected) {
    assert_eq!(digits(&object["price"].to_string()), digits(&expected.price));
    assert_eq!(object["currency"], "EUR");
    let compare_at = object.get("compareAtPrice").filter(|amount| !amount.is_null());
    let compare_at = compare_at.map(ToString::to_string);
    assert_eq!(compare_at.as_deref().map(digits), expected.compare_at.as_deref().map(digits));
    assert_eq!(object["categoryPath"], expected.category);
    assert_eq!(object["imageUrls"], json!(expected.images));
    assert_eq!(object["attributes"], json!(expected.attributes));
    // The stand-in's class has one per language.
    assert_eq!(object["description"]["en"], expected.description);
    assert_eq!(object["brand"], "Klinge & Söhne");
}

fn in_shop(product: &Value, paths: &BTreeMap<String, String>, expected: &Expected) {
    let prices: Vec<String> = product["variants"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|variant| variant["prices"].as_array().into_iter().flatten())
        .filter(|price| price["currency_code"] == "eur")
        .map(|price| price["amount"].to_string())
        .collect();
    assert_eq!(prices.iter().map(|amount| digits(amount)).collect::<Vec<_>>(), [digits(&expected.price)]);
    let images: Vec<&str> = product["images"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|image| image["url"].as_str())
        .collect();
    assert_eq!(images, expected.images);
    let categories: Vec<&str> = product["categories"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|category| Some(paths[category["id"].as_str()?].as_str()))
        .collect();
    assert_eq!(categories, [expected.category]);
    assert_eq!(product["metadata"]["attributes"], json!(expected.attributes));
    assert_eq!(product["description"], expected.description);
}
