//! The idempotency key of an effect: one rule for the attempt that is made and for whoever asks later.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::Records;

use super::context::{Common, Context};
use super::fetch::content;

/// The key that every attempt at these effects of a unit has, by step; `None` where the declared key
/// cannot be rendered. The unit's content is read and computed again only when a key looks at it.
pub fn keys(
    common: &Common,
    unit: Unit,
    records: Option<&dyn Records>,
    progress: &Progress,
    steps: &[usize],
) -> Vec<Option<String>> {
    let mut context = None;
    let mut key = |step: usize| {
        let Some(keyed) = &common.assembly.stations(unit).get(step)?.key else {
            return Some(undeclared(common, unit, step));
        };
        let context = context.get_or_insert_with(|| {
            Context::new(common, unit, content(common, unit, records, common.run.failure().as_ref()))
        });
        // A connector that panics on this item has failed the item already; here it only has no key.
        let made = || rendered(&keyed.key, &context.scope(common, step, progress)?, "an idempotency key");
        catch_unwind(AssertUnwindSafe(made)).ok()?.ok()
    };
    steps.iter().map(|step| key(*step)).collect()
}

/// What a declared expression names for one unit.
///
/// # Errors
/// The fault of the expression; something that is no text.
pub(super) fn rendered(template: &Template, scope: &Scope, what: &str) -> Result<String, Fault> {
    match template.render(scope)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Fault::new(name::MAPPING, format!("{what} must be text or a number, not {other}"))),
    }
}

/// The key of an effect for which the file declares none.
pub(super) fn undeclared(common: &Common, unit: Unit, step: usize) -> String {
    format!("{}/{}/{unit}", common.run.id, common.assembly.plan.track(unit).steps[step].name)
}
