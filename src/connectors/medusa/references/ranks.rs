//! The order of categories among their siblings. Medusa counts the siblings and takes the next number,
//! without a lock: made at the same moment by two, several get one rank, and nobody can say any more
//! which comes first. Whoever made some looks afterwards, and moves those that tie to the end.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use super::reading;
use crate::connectors::medusa::client::Shop;
use crate::connectors::medusa::request::text;

const ROUTE: &str = "admin/product-categories";
/// How often is looked again: two may be at it at once.
const ROUNDS_MAX: usize = 3;

/// Gives each child of these categories a rank of its own; empty text stands for the top. The order is
/// for the eye, so a shop that does not answer is no failure: ties stay.
pub(super) async fn spread(shop: &Shop, parents: &BTreeSet<String>, sent: &AtomicU64) {
    for parent in parents {
        for _ in 0..ROUNDS_MAX {
            let of_top = if parent.is_empty() { "null" } else { parent };
            let query = [("fields", "id,rank"), ("parent_category_id", of_top)];
            let Ok(siblings) = reading::all(shop, ROUTE, "product_categories", &query, sent).await else {
                return;
            };
            let moved = tied(&siblings);
            if moved.is_empty() {
                break;
            }
            for id in moved {
                let last = json!({ "rank": siblings.len().saturating_sub(1) });
                if shop.post(&format!("{ROUTE}/{id}"), &[("fields", "id")], &last, sent).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Which have to move so that no two have one rank: of each tie all but the oldest, in the order of
/// rank and age. Moving to the end takes one from the rank of those behind, so all behind the first tie
/// move, else they would come before it.
fn tied(siblings: &[Value]) -> Vec<&str> {
    let mut order: Vec<(u64, &str)> =
        siblings.iter().map(|one| (one["rank"].as_u64().unwrap_or(0), text(one, "id"))).collect();
    order.sort_unstable();
    let first = order.windows(2).position(|pair| pair[0].0 == pair[1].0);
    let behind = first.map_or(&[][..], |at| &order[at + 1..]);
    behind.iter().map(|(_, id)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server does with a move to the end.
    fn moved(siblings: &mut [Value], id: &str) {
        let last = siblings.len() as u64 - 1;
        let from = siblings.iter().find(|one| one["id"] == id).unwrap()["rank"].as_u64().unwrap();
        for one in siblings.iter_mut() {
            let rank = one["rank"].as_u64().unwrap();
            if one["id"] == id {
                one["rank"] = json!(last);
            } else if rank > from && rank <= last {
                one["rank"] = json!(rank - 1);
            }
        }
    }

    #[test]
    fn after_the_moves_every_rank_is_there_once_and_the_order_is_kept() {
        for ranks in [vec![0, 0, 2, 2, 2, 2], vec![0, 0, 0], vec![0, 1, 1, 3], vec![0, 1, 2]] {
            let entry = |(at, rank): (usize, &u64)| json!({ "id": format!("pcat_{at}"), "rank": rank });
            let mut siblings: Vec<Value> = ranks.iter().enumerate().map(entry).collect();
            let ids: Vec<String> = tied(&siblings).into_iter().map(ToOwned::to_owned).collect();
            for id in ids {
                moved(&mut siblings, &id);
            }
            let after: Vec<u64> = siblings.iter().map(|one| one["rank"].as_u64().unwrap()).collect();
            assert_eq!(after, (0..ranks.len() as u64).collect::<Vec<_>>(), "{ranks:?}");
            assert_eq!(tied(&siblings), [""; 0]);
        }
    }
}
