//! The look after an unclear end.

use std::sync::atomic::AtomicU64;

use serde_json::Value;

use super::super::plan::{self, Plan};
use super::super::request::text;
use super::super::verdict::Trouble;
use super::super::{reads, references, stock};
use super::Trade;
use crate::core::cell::Facts;
use crate::core::retry::Probed;

/// Looks whether an earlier attempt was carried out. Done is only what is complete: all that the
/// request names is there and as it says. Anything less is "absent": the next attempt finds what is
/// there and makes it whole.
pub(in super::super) async fn probe(trade: &Trade, request: &Value) -> Probed {
    let sent = AtomicU64::new(0);
    let body = match trade.references.look(&trade.shop, request, &sent).await {
        Ok(Some(body)) => body,
        // What it names is not there, so it cannot be whole. The next attempt says what is wrong.
        Ok(None) => return Probed::Absent,
        Err(trouble) => return Probed::Unknown(trouble.fault()),
    };
    let named = match trade.reads.agreed(&trade.shop, &[text(request, "external_id")], &sent).await {
        Ok(Some(named)) => named.concat(),
        Ok(None) => return Probed::Unknown(reads::unsettled()),
        Err(trouble) => return Probed::Unknown(trouble.fault()),
    };
    let body = references::left_to_people(request, &named, &body);
    match plan::of(&named, None, &body, trade.surplus) {
        Plan::Create | Plan::Change(_) => Probed::Absent,
        Plan::Refuse(fault) => Probed::Unknown(fault),
        Plan::Nothing(mut facts) => match is_settled(trade, &facts, request, &sent).await {
            Ok(true) => {
                facts.insert("action".to_owned(), Value::from("found"));
                Probed::Done(facts)
            }
            // Of what stands in the way for good the next attempt says what it is.
            Ok(false) | Err(Trouble::Content(_)) => Probed::Absent,
            Err(trouble) => Probed::Unknown(trouble.fault()),
        },
    }
}

/// Whether what hangs on the product is as it should be, too: its stock, and whether buyers see it.
async fn is_settled(
    trade: &Trade,
    facts: &Facts,
    request: &Value,
    sent: &AtomicU64,
) -> Result<bool, Trouble> {
    if !stock::is_settled(&trade.shop, &trade.references, request, sent).await? {
        return Ok(false);
    }
    let Some(storefront) = &trade.storefront else { return Ok(true) };
    let id = facts["id"].as_str().unwrap_or_default();
    let seen = storefront.verify(&trade.shop, &[(id, request)], sent).await;
    seen.into_iter().collect::<Result<(), Trouble>>().map(|()| true)
}
