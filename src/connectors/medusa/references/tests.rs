use serde_json::json;

use super::premises::{Inventory, Named as Thing};
use super::*;

fn thing(id: &str, name: &str, marks: &[&str]) -> Thing {
    Thing {
        id: id.to_owned(),
        name: name.to_owned(),
        marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
    }
}

fn inventory() -> Inventory {
    Inventory {
        channels: vec![thing("sc_1", "Web", &[]), thing("sc_2", "Shop", &[]), thing("sc_3", "Shop", &[])],
        profiles: vec![thing("sp_1", "Standard", &["default"]), thing("sp_2", "Heavy", &["custom"])],
        locations: vec![thing("sloc_1", "Berlin", &["sc_1"]), thing("sloc_2", "Paris", &[])],
        currencies: vec!["eur".to_owned()],
        default_channel: "sc_1".to_owned(),
        default_location: String::new(),
    }
}

fn placed(request: &Value, options: &Options) -> Result<Value, String> {
    body::place(request, &inventory(), options).map_err(|trouble| trouble.fault().message)
}

#[test]
fn what_a_product_leaves_open_is_filled_in_from_the_shop() {
    let request = json!({ "title": "t", "variants": [{ "sku": "A", "free": true }] });
    let filled = json!({
        "title": "t", "variants": [{ "sku": "A" }],
        "sales_channels": [{ "id": "sc_1" }], "shipping_profile_id": "sp_1",
    });
    assert_eq!(placed(&request, &Options::default()), Ok(filled));
}

#[test]
fn names_become_ids_and_a_name_of_two_is_no_name() {
    let named =
        json!({ "sales_channels": [{ "name": "Web" }, { "id": "sc_2" }], "shipping_profile": "Heavy" });
    let ids =
        json!({ "sales_channels": [{ "id": "sc_1" }, { "id": "sc_2" }], "shipping_profile_id": "sp_2" });
    assert_eq!(placed(&named, &Options::default()), Ok(ids));
    let refused = placed(&json!({ "sales_channels": [{ "name": "Shop" }] }), &Options::default());
    assert!(refused.unwrap_err().contains("several sales channels are called 'Shop'"));
}

#[test]
fn stock_without_a_place_needs_one_place_and_a_linked_one() {
    let request = json!({ "variants": [{ "sku": "A", "stock": 3 }] });
    let refused = placed(&request, &Options::default()).unwrap_err();
    assert!(refused.contains("there is not just one: it has 'Berlin', 'Paris'"), "{refused}");
    let with = json!({ "stock_location": "Paris" });
    let options = |connection: &Value| Options::of(&serde_json::Map::new(), connection.as_object().unwrap());
    let refused = placed(&request, &options(&with).unwrap()).unwrap_err();
    assert!(refused.contains("'Paris' is linked to none"), "{refused}");
    let with = json!({ "stock_location": "sloc_1", "currencies": ["EUR"] });
    let body = placed(&request, &options(&with).unwrap()).unwrap();
    assert_eq!(body["variants"], json!([{ "sku": "A" }]));
    assert!(options(&json!({ "currencies": "EUR" })).is_err());
}

#[test]
fn what_people_did_to_a_product_stays_where_the_request_is_silent() {
    let body = json!({ "sales_channels": [{ "id": "sc_1" }], "shipping_profile_id": "sp_1" });
    let held = json!({ "sales_channels": [{ "id": "sc_9" }], "shipping_profile": { "id": "sp_9" } });
    assert_eq!(left_to_people(&json!({}), std::slice::from_ref(&held), &body), json!({}));
    let silent_on_profile = json!({ "sales_channels": [{ "name": "Web" }] });
    let wanted = left_to_people(&silent_on_profile, &[held], &body);
    assert_eq!(wanted, json!({ "sales_channels": [{ "id": "sc_1" }] }));
    // A link to nothing is no channel, so the product is put where it can be seen.
    let torn = json!({ "sales_channels": [null], "shipping_profile": null });
    assert_eq!(left_to_people(&json!({}), &[torn], &body), body);
}
