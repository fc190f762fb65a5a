//! Reading what the shop has, and making what it lacks: what all kinds of references share.

use std::sync::atomic::AtomicU64;

use serde_json::Value;

use crate::connectors::medusa::client::Shop;
use crate::connectors::medusa::verdict::Trouble;
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;

/// Entries of one page.
const PAGE: usize = 1_000;
/// Bytes of names in one query. Node.js refuses more than 16 KiB of request head, and a byte of a
/// name may take three in an address.
const QUERY_BYTES_MAX: usize = 4_000;

/// Every entry of a list, page by page.
pub(super) async fn all(
    shop: &Shop,
    path: &str,
    list: &str,
    query: &[(&str, &str)],
    sent: &AtomicU64,
) -> Result<Vec<Value>, Trouble> {
    let mut entries: Vec<Value> = Vec::new();
    loop {
        let (limit, offset) = (PAGE.to_string(), entries.len().to_string());
        let mut page = query.to_vec();
        // The order has to be one that pages can rely on.
        page.extend([("limit", limit.as_str()), ("offset", offset.as_str()), ("order", "id")]);
        let answer = shop.get(path, &page, sent).await?;
        let read = answer[list].as_array().cloned().unwrap_or_default();
        let is_last = read.len() < PAGE;
        entries.extend(read);
        if is_last {
            return Ok(entries);
        }
    }
}

/// The names in groups that fit into one query each.
pub(super) fn groups<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    let mut bytes = 0;
    for name in names {
        let cost = name.len() + 10;
        if groups.is_empty() || bytes + cost > QUERY_BYTES_MAX {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += cost;
        if let Some(last) = groups.last_mut() {
            last.push(name);
        }
    }
    groups
}

/// What it means for a product that something it needs could not be made: nothing of the product was
/// written, and making it again is harmless, because names are unique.
pub(super) fn unmade(trouble: Trouble, what: &str) -> Trouble {
    match trouble.of_read() {
        Trouble::Content(fault) => content(format!("{what} cannot be made: {}", fault.message)),
        other => other,
    }
}

/// Whether nothing else needs to be tried now: the shop is away, or refuses us.
pub(super) fn is_outage(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Sure { .. } | Trouble::Unsure(_))
}

/// Whether the trouble is a name that is taken.
pub(super) fn says_taken(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Content(fault) if fault.message.contains("already exists"))
}

/// A refusal of ours.
pub(super) fn content(message: impl Into<String>) -> Trouble {
    Trouble::Content(Fault::new(name::REFUSED, message))
}

/// An answer that is not what Medusa answers.
pub(super) fn strange(what: &str) -> Trouble {
    let fault = Fault::new(name::NO_ANSWER, format!("the shop's answer names no id for {what}"));
    Trouble::Sure { fault, again: Again::Later }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_in_groups_that_fit_into_an_address() {
        let names: Vec<String> = (0..100).map(|at| format!("{at:0>90}")).collect();
        let groups = groups(names.iter().map(String::as_str));
        assert_eq!(groups.len(), 3);
        assert_eq!(groups.concat(), names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(super::groups(std::iter::once("x".repeat(9_000).as_str())).len(), 1);
    }
}
