//! A source of quite another shape goes through with mapping files alone: prices as texts with
//! their currency beside them, numbers as IDs, attributes as an object, two lists of pictures,
//! categories as IDs.

use std::collections::BTreeMap;

use milepost::mapping::Mapping;
use serde_json::{Value, json};

use crate::stage::{scope, shipped};

const MAPPING: &str = r#"
rates: second/rates.yaml
categories: second/categories.yaml
unique: [sku, handle]
fields:
  id: { text: nr, required: true }
  sku: { text: nr, prefix: DE-, required: true }
  title: { text: [texte.name_en, texte.name], max: 255, required: true }
  handle: { slug: [texte.name_en, texte.name], max: 100, end: nr }
  description: { text: texte.lang, lines: keep }
  brand: { text: hersteller.name, default: Unbranded }
  price: { money: preis.brutto.betrag, currency: preis.brutto.waehrung, to: EUR, decimal_mark: ",", required: true }
  compare_at_price:
    money: preis.uvp.betrag
    currency: preis.uvp.waehrung
    to: EUR
    decimal_mark: ","
    above: preis.brutto.betrag
  category: { category: kategorien }
  attributes: { attributes: merkmale, ignore: [Gewicht brutto], rename: { Farbe: Color }, types: { Akku: bool }, default: [] }
  images: { images: ["bilder[].gross", "galerie[].url"], default: [] }
  variants: { variants: { Size: groessen, Color: merkmale.Farbe }, sku: { text: nr, prefix: DE- } }
  in_stock: { lookup: bestand.status, table: { lieferbar: true, ausverkauft: false }, default: false }
  source: { fields: { name: { value: grosshandel }, id: { text: nr } } }
  content_hash: { hash: all }
"#;

fn generated(number: u64) -> Value {
    json!({
        "nr": 880_000 + number,
        "texte": {"name": format!("Küchenmesser Größe {}", number % 5), "lang": "Scharf.\nSpülmaschinenfest."},
        "hersteller": {"name": " Klinge  & Söhne "},
        "preis": {
            "brutto": {"betrag": format!("1.{:03},{:02}", number % 1000, number % 100), "waehrung": "EUR"},
            "uvp": {"betrag": "2.499,00 ", "waehrung": "EUR"},
        },
        "kategorien": [7, if number.is_multiple_of(10) { 999 } else { 4711 }],
        "merkmale": {"Farbe": ["Rot", "Blau"], "Akku": "no", "Gewicht brutto": 3},
        "bilder": [{"gross": format!("//cdn.example/{number}-1.jpg")}, {"gross": null}],
        "galerie": [{"url": format!("https://cdn.example/{number}-1.jpg")}, {"url": format!("https://cdn.example/{number}-2.jpg")}],
        "groessen": ["20 cm", "24 cm"],
        "bestand": {"status": if number.is_multiple_of(3) { "ausverkauft" } else { "lieferbar" }},
    })
}

#[test]
fn another_source_needs_another_mapping_file_and_nothing_else() {
    let files: BTreeMap<String, Vec<u8>> = [
        ("second/rates.yaml", "date: 2026-11-20\nbase: EUR\nrates: { USD: 1.08 }\n"),
        ("second/categories.yaml", "default: Other\npaths: { 4711: Home > Kitchen > Knives }\n"),
    ]
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .into();
    let mapping = Mapping::compile(MAPPING, "second/mapping.yaml", &files)
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let product = mapping.apply(&scope(generated(41))).unwrap();
    let lines = product.as_object().unwrap().iter().map(|(name, value)| format!("{name}: {value}"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    id: "880041"
    sku: "DE-880041"
    title: "Küchenmesser Größe 1"
    handle: "kuechenmesser-groesse-1-880041"
    description: "Scharf.\nSpülmaschinenfest."
    brand: "Klinge & Söhne"
    price: {"amount":"1041.41","currency":"EUR"}
    compare_at_price: {"amount":"2499.00","currency":"EUR"}
    category: {"path":["Home","Kitchen","Knives"],"source":["7","4711"]}
    attributes: [{"code":"color","name":"Color","type":"text","values":["Rot","Blau"]},{"code":"akku","name":"Akku","type":"bool","values":[false]}]
    images: ["https://cdn.example/41-1.jpg","https://cdn.example/41-2.jpg"]
    variants: [{"sku":"DE-880041-20-CM-ROT","title":"20 cm / Rot","options":{"Size":"20 cm","Color":"Rot"}},{"sku":"DE-880041-20-CM-BLAU","title":"20 cm / Blau","options":{"Size":"20 cm","Color":"Blau"}},{"sku":"DE-880041-24-CM-ROT","title":"24 cm / Rot","options":{"Size":"24 cm","Color":"Rot"}},{"sku":"DE-880041-24-CM-BLAU","title":"24 cm / Blau","options":{"Size":"24 cm","Color":"Blau"}}]
    in_stock: true
    source: {"name":"grosshandel","id":"880041"}
    content_hash: "f1d6fdf413f24d5278b6351152b80771"
    "#);
    // What PIM and shop take is made by the shipped files: they see the canonical product only.
    let (pim, shop) = (shipped("product-sync/pimcore.yaml"), shipped("product-sync/medusa.yaml"));
    for number in 0..300 {
        let product = mapping.apply(&scope(generated(number))).unwrap();
        assert_eq!(product["category"].get("unmapped").is_some(), number % 10 == 0);
        let scope = scope(product.clone());
        assert_eq!(pim.apply(&scope).unwrap()["sku"], product["sku"]);
        let shop = shop.apply(&scope).unwrap();
        assert_eq!(shop["variants"].as_array().map(Vec::len), Some(4));
        assert_eq!(shop["variants"][3]["options"], json!({"Size": "24 cm", "Color": "Blau"}));
    }
}
