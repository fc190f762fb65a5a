use serde_json::json;

use super::*;

fn product() -> Value {
    json!({
        "external_id": "a", "handle": "a-1", "title": "t",
        "options": [{ "title": "Size", "values": ["S", "M"] }],
        "variants": [
            { "title": "S", "sku": "A", "options": { "Size": "S" }, "stock": 3,
              "prices": [{ "currency_code": "eur", "amount": "9.90" }, { "currency_code": "jpy", "amount": 1500 }] },
            { "title": "M", "sku": "B", "options": { "Size": "M" }, "prices": [{ "currency_code": "kwd", "amount": 1.125 }],
              "stock": [{ "location": "Berlin", "quantity": 0 }, { "location": "Paris", "quantity": 2 }] },
        ],
        "images": [{ "url": "https://img.example/a.jpg" }],
        "categories": [{ "path": "A > B" }, { "id": "pcat_1" }, { "path": ["A", "B > C"] }],
        "tags": [{ "value": "new" }], "type": "Shirt", "collection": { "title": "Summer" },
        "sales_channels": [{ "name": "Web" }], "shipping_profile": "Default",
    })
}

/// The reason for which the good product is refused with one thing changed.
fn reason(pointer: &str, value: Value) -> String {
    let mut product = product();
    if let Some(place) = product.pointer_mut(pointer) {
        *place = value;
    } else {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        product.pointer_mut(parent).unwrap()[name] = value;
    }
    check(&product).expect_err(pointer).message
}

#[test]
fn a_product_with_everything_is_let_through() {
    assert_eq!(check(&product()), Ok(()));
}

#[test]
fn prices_that_medusa_would_take_are_refused_with_their_place_and_value() {
    let amount = |amount: Value| reason("/variants/0/prices/0/amount", amount);
    assert_eq!(amount(json!(-3.5)), "variants[0].prices[0].amount: -3.5 is less than nothing");
    assert!(amount(json!("0.00")).contains("give the product away"));
    assert!(amount(json!("9.999")).contains("9.999 has more than the 2 decimals that 'eur' has"));
    assert!(amount(json!("1.000000000000000000001")).contains("decimals"));
    assert!(amount(json!("12345678901234.25")).contains("digits that the shop keeps"));
    assert!(amount(json!(1e21)).contains("digits that the shop keeps"));
    assert!(amount(json!("1e400")).contains("'1e400' is no amount"));
    assert!(amount(json!("12,50")).contains("'12,50' is no amount"));
    assert!(amount(json!(null)).contains("null is no amount"));
    assert!(reason("/variants/0/prices/1/amount", json!(1500.5)).contains("0 decimals that 'jpy' has"));
    assert!(reason("/variants/1/prices/0/amount", json!("1.1255")).contains("3 decimals that 'kwd' has"));
    assert!(reason("/variants/0/prices/1/currency_code", json!("eur")).contains("currency of prices[0] too"));
    assert!(
        reason("/variants/0/prices/0/currency_code", json!("euro")).contains("'euro' is no currency code")
    );
}

#[test]
fn what_is_given_away_on_purpose_says_so() {
    let mut product = product();
    product["variants"][0]["prices"][0]["amount"] = json!(0);
    product["variants"][0]["free"] = json!(true);
    assert_eq!(check(&product), Ok(()));
    product["variants"][0]["prices"][0]["amount"] = json!(-1);
    assert!(check(&product).is_err());
}

#[test]
fn prices_for_different_quantities_share_a_currency() {
    let mut product = product();
    product["variants"][0]["prices"] = json!([
        { "currency_code": "eur", "amount": 9.9 },
        { "currency_code": "eur", "amount": 8.9, "min_quantity": 10 },
    ]);
    assert_eq!(check(&product), Ok(()));
}

#[test]
fn variants_are_one_combination_and_one_sku_each() {
    assert!(
        reason("/variants/1/sku", json!("A")).contains("variants[1].sku: 'A' is the SKU of variants[0] too")
    );
    assert!(
        reason("/variants/1/options", json!({ "Size": "S" }))
            .contains("'S' is the combination of variants[0] too")
    );
    assert!(reason("/variants/1/options", json!({})).contains("'Size' of the product has no value here"));
    assert!(reason("/variants/1/options", json!({ "Size": "XL" })).contains("'XL' is none of the values"));
}

#[test]
fn stock_needs_a_sku_a_quantity_and_somebody_to_hold_it() {
    assert!(reason("/variants/0/sku", json!("")).contains("the variant has none"));
    assert!(reason("/variants/0/manage_inventory", json!(false)).contains("manage_inventory: false"));
    for wrong in [json!(-1), json!(1.5), json!("3"), json!(true), json!(u64::MAX)] {
        assert!(reason("/variants/0/stock", wrong.clone()).contains("no quantity"), "{wrong}");
    }
    assert!(reason("/variants/1/stock/1/location", json!("Berlin")).contains("'Berlin' is named twice"));
    assert!(reason("/variants/1/stock/1/location", json!(7)).contains("7 names no location"));
}

#[test]
fn handles_statuses_and_images_have_a_form() {
    for wrong in ["", "A-b", "a b", "a--b", "-a", "a/b", "a_b"] {
        assert!(reason("/handle", json!(wrong)).contains("is no handle"), "{wrong}");
    }
    assert!(reason("/handle", json!("x".repeat(256))).contains("longer than 255"));
    assert!(reason("/status", json!("active")).contains("'active' is none of draft"));
    for wrong in [json!(""), json!("img.jpg"), json!("ftp://a.example/b"), json!("data:,x"), json!(null)] {
        assert!(reason("/images/0/url", wrong.clone()).contains("images[0].url"), "{wrong}");
    }
    let mut product = product();
    product["handle"] = json!("ölfilter-58-größe-私の");
    assert_eq!(check(&product), Ok(()));
}

#[test]
fn names_have_a_form() {
    assert!(reason("/categories/0", json!({ "path": "A > " })).contains("categories[0]"));
    assert!(reason("/categories/0", json!({ "name": "A" })).contains("write { path: A > B }"));
    assert!(reason("/tags/0", json!({ "value": " " })).contains("tags[0]"));
    assert!(reason("/tags", json!("new")).contains("'new' is no list"));
    assert!(reason("/sales_channels", json!([])).contains("nobody could see"));
    assert!(reason("/collection", json!({ "handle": "s" })).contains("collection"));
    assert!(reason("/shipping_profile", json!(7)).contains("7 names nothing"));
}

#[test]
fn texts_hold_no_control_characters_and_bodies_are_not_too_large() {
    assert_eq!(
        reason("/metadata", json!({ "note": ["ok", "x\0"] })),
        "metadata.note[1]: the text contains the control character U+0000"
    );
    assert!(reason("/metadata", json!({ "no\u{7}te": 1 })).contains("a name contains"));
    assert!(reason("/description", json!("x".repeat(2_100_000))).contains("bytes long"));
    let mut product = product();
    product["description"] = json!("line\r\n\tline\u{a0}");
    assert_eq!(check(&product), Ok(()));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut product = product();
    product["status"] = json!("active");
    product["handle"] = json!("A");
    let variant = product["variants"][0].clone();
    product["variants"] = json!([variant, variant, variant, variant]);
    let message = check(&product).unwrap_err().message;
    assert!(message.starts_with("handle: "), "{message}");
    assert!(message.contains("; status: ") && message.ends_with("; and 3 more"), "{message}");
}
