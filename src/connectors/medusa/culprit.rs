//! Which product of a refused batch is to blame. There is no code and hardly a place in Medusa's
//! answers, only a sentence; this reads it. It saves calls and nothing else: what is named here is
//! sent again alone, and the answer to that is its verdict.

use serde_json::Value;

use super::request::text;

/// What of a product Medusa names when it refuses it.
const NAMES: [&str; 2] = ["handle", "id"];
/// What of a variant it names.
const VARIANT_NAMES: [&str; 4] = ["sku", "ean", "upc", "barcode"];

/// The entries of a batch (creates and updates, each in their order) that the sentence names, by
/// their place in `create` followed by `update`; empty when it says nothing.
pub(super) fn named(message: &str, create: &[Value], update: &[Value]) -> Vec<usize> {
    let placed = |list: &str, offset: usize, entries: &[Value]| {
        let place = message.split(&format!("'{list}, ")).nth(1)?.split([',', '\'']).next()?;
        place.parse().ok().filter(|at| *at < entries.len()).map(|at: usize| at + offset)
    };
    if let Some(at) = placed("create", 0, create).or_else(|| placed("update", create.len(), update)) {
        return vec![at];
    }
    let is_named = |entry: &Value| {
        let own = NAMES.iter().map(|name| text(entry, name));
        let variants = entry["variants"].as_array().into_iter().flatten();
        let theirs = variants.flat_map(|variant| VARIANT_NAMES.iter().map(|name| text(variant, name)));
        own.chain(theirs).any(|word| says(message, word))
    };
    let entries = create.iter().chain(update).enumerate();
    entries.filter(|(_, entry)| is_named(entry)).map(|(at, _)| at).collect()
}

/// Whether the sentence says the word as a value, not only as a part of another one.
fn says(message: &str, word: &str) -> bool {
    let is_border = |next: Option<char>| next.is_none_or(|next| matches!(next, ' ' | ',' | '"' | '.' | '\''));
    !word.is_empty()
        && message.match_indices(word).any(|(at, _)| {
            is_border(message[..at].chars().next_back())
                && is_border(message[at + word.len()..].chars().next())
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_names_the_place_or_the_value() {
        let product = |handle: &str, sku: &str| json!({ "handle": handle, "variants": [{ "sku": sku }] });
        let create = [product("red-shoe", "R"), product("red", "S-1"), product("blue", "S-12")];
        let update = [json!({ "id": "prod_7", "title": "x" }), json!({ "id": "prod_8", "handle": "green" })];
        for (message, places) in [
            ("Invalid request: Field 'create, 1, title' is required", vec![1]),
            ("Invalid request: Expected type: 'string' for field 'update, 1, title', got: 'number'", vec![4]),
            ("Invalid request: Field 'create, 9, title' is required", vec![]),
            ("Product with handle: red, already exists.", vec![1]),
            ("Product with handle: red-shoe, already exists.", vec![0]),
            ("Product variant with sku: S-1, already exists.", vec![1]),
            ("Inventory item with sku: S-12, already exists.", vec![2]),
            ("Unable to update the products with ids: prod_7", vec![3]),
            ("Product with id \"prod_8\" not found", vec![4]),
            ("An unknown error occurred.", vec![]),
        ] {
            assert_eq!(named(message, &create, &update), places, "{message}");
        }
    }
}
