//! What the shop holds of wanted products, read whole.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use serde_json::Value;

use super::client::Shop;
use super::compare::FIELDS;
use super::request::text;
use super::verdict::Trouble;

/// Longest part of an address that names keys, encoded. Node takes 16 KB for the head of a request,
/// and the fields are 1.5 KB of it.
const KEYS_BYTES_MAX: usize = 8 * 1024;

/// Products by the value of one of their keys.
pub(super) type Held = HashMap<String, Vec<Value>>;

/// The products with these external IDs, several for one ID if that is how it is.
pub(super) async fn by_external_id(shop: &Shop, keys: &[&str], sent: &AtomicU64) -> Result<Held, Trouble> {
    by(shop, "external_id", keys, sent).await
}

/// The products with these handles.
pub(super) async fn by_handle(shop: &Shop, handles: &[&str], sent: &AtomicU64) -> Result<Held, Trouble> {
    by(shop, "handle", handles, sent).await
}

/// Answers are taken by the key in them, never by their place: a server that does not know the filter
/// answers with any products.
async fn by(shop: &Shop, name: &str, keys: &[&str], sent: &AtomicU64) -> Result<Held, Trouble> {
    let mut held = Held::new();
    let filter = format!("{name}[]");
    for keys in chunks(keys, filter.len()) {
        // External IDs are not unique, so there may be more products than keys.
        let limit = (keys.len() * 2 + 10).to_string();
        let mut query = vec![("limit", limit.as_str()), ("fields", FIELDS)];
        query.extend(keys.iter().map(|key| (filter.as_str(), *key)));
        let mut answer = shop.get("admin/products", &query, sent).await?;
        for product in answer["products"].as_array_mut().into_iter().flatten() {
            let key = text(product, name);
            if keys.contains(&key) {
                held.entry(key.to_owned()).or_default().push(product.take());
            }
        }
    }
    Ok(held)
}

/// Cuts a list of keys so that each part fits into an address.
fn chunks<'a, 'k>(keys: &'a [&'k str], name_length: usize) -> Vec<&'a [&'k str]> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = |key: &str| -> usize {
        key.bytes().map(|byte| if plain(byte) { 1 } else { 3 }).sum::<usize>() + name_length + 6
    };
    let (mut parts, mut start, mut filled) = (Vec::new(), 0, 0);
    for (at, key) in keys.iter().enumerate() {
        if at > start && filled + length(key) > KEYS_BYTES_MAX {
            parts.push(&keys[start..at]);
            (start, filled) = (at, 0);
        }
        filled += length(key);
    }
    if start < keys.len() {
        parts.push(&keys[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stay_short_and_no_key_is_left_out() {
        let short: Vec<String> = (0..50).map(|number| format!("erp-{number}")).collect();
        let long: Vec<String> = (0..50).map(|number| format!("{}-{number}", "größe".repeat(40))).collect();
        for (keys, parts) in [(short, 1), (long, 4)] {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let cut = chunks(&keys, "handle[]".len());
            assert_eq!(cut.len(), parts);
            assert_eq!(cut.concat(), keys);
        }
        let huge = "ü".repeat(9_000);
        assert_eq!(
            chunks(&[&huge, "a"], 8).len(),
            2,
            "alone it may be too long; the others are not to suffer"
        );
        assert!(chunks(&[], 8).is_empty());
    }
}
