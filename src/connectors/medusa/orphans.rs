//! Inventory items that stand in the way: a create that died, or a product update that dropped a
//! variant, leaves its item behind, which still owns the SKU and belongs to nobody.

use std::sync::atomic::AtomicU64;

use serde_json::Value;

use super::client::Shop;
use super::request::text;
use super::variants;
use super::verdict::Trouble;

/// The ids of the items with the SKUs of this product that no variant counts its stock on. What was
/// counted on them may go with them: nobody could sell it.
pub(super) async fn find(shop: &Shop, wanted: &Value, sent: &AtomicU64) -> Result<Vec<String>, Trouble> {
    let skus: Vec<&str> = variants::skus(wanted).collect();
    let mut query = vec![("limit", "1000"), ("fields", "id,sku,variants.id")];
    query.extend(skus.iter().map(|sku| ("sku[]", *sku)));
    let answer = shop.get("admin/inventory-items", &query, sent).await?;
    let items = answer["inventory_items"].as_array().into_iter().flatten();
    let orphans = items.filter(|item| is_orphan(item, &skus));
    Ok(orphans.map(|item| text(item, "id").to_owned()).collect())
}

/// Only what says itself that it is ours, and says that it has no variant, is one.
fn is_orphan(item: &Value, skus: &[&str]) -> bool {
    let variants = item["variants"].as_array().map(Vec::as_slice);
    skus.contains(&text(item, "sku")) && variants.is_some_and(|known| known.iter().all(Value::is_null))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_that_has_a_variant_or_another_sku_or_says_nothing_is_left_alone() {
        for (item, orphan) in [
            (json!({ "sku": "A", "variants": [] }), true),
            (json!({ "sku": "A", "variants": [null] }), true),
            (json!({ "sku": "A", "variants": [{ "id": "variant_1" }] }), false),
            (json!({ "sku": "B", "variants": [] }), false),
            (json!({ "sku": "A" }), false),
        ] {
            assert_eq!(is_orphan(&item, &["A"]), orphan, "{item}");
        }
    }
}
