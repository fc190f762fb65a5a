//! What the file says of an upsert, checked.

use serde_json::{Map, Value, json};

use super::BuildFault;
use super::answers::{Answers, pointer};
use super::compare::Compare;
use super::late::Late;
use super::lookup::Lookup;
use super::operation::{self, Operation};
use crate::connectors::{Site, settings};
use crate::core::fault::Fault;
use crate::core::scope::Scope;
use crate::mapping::Mapping;

/// Where the body comes from, unless a request has its own.
enum Body {
    None,
    Written(Late),
    Mapped(Mapping),
}

/// The step as it is written.
pub(super) struct Plan {
    body: Body,
    pub(super) lookup: Option<Lookup>,
    pub(super) create: Operation,
    /// None: what creates also updates.
    pub(super) update: Option<Operation>,
    pub(super) compare: Compare,
    pub(super) answers: Answers,
    /// Where in an object its ID is.
    pub(super) id: Option<String>,
}

impl Plan {
    /// Reads `with`.
    ///
    /// # Errors
    /// Every mistake in it, each with its field.
    pub(super) fn read(site: &Site<'_>) -> Result<Self, Vec<BuildFault>> {
        let with = &site.step.with;
        let section = |name: &str| with.get(name).and_then(Value::as_object);
        let one = |fault: BuildFault| vec![fault];
        let lookup = section("lookup").map(Lookup::read).transpose();
        let empty = Map::new();
        let create = Operation::read(section("create").unwrap_or(&empty), "create", "POST").map_err(one);
        let update = section("update").map(|section| Operation::read(section, "update", "PATCH"));
        let update = update.transpose().map_err(one);
        let compare = Compare::read(with).map_err(one);
        let id = with.get("id").map(|written| pointer(written, "id")).transpose().map_err(one);
        let writes = settings::both(create, update);
        let reads = settings::both(lookup, settings::both(compare, settings::both(id, Answers::read(with))));
        let ((body, (create, update)), (lookup, (compare, (id, answers)))) =
            settings::both(settings::both(body(site), writes), reads)?;
        let plan = Self { body, lookup, create, update, compare, answers, id };
        plan.fits_together()?;
        Ok(plan)
    }

    /// What is right alone may be wrong together.
    fn fits_together(&self) -> Result<(), Vec<BuildFault>> {
        let mut faults = Vec::new();
        if matches!(self.body, Body::None) && !self.compare.is_empty() {
            let message = "'compare' compares with the body of the step, which has none";
            let hint = "write 'mapping' or 'body' beside it";
            faults.push(BuildFault { hint: Some(hint.to_owned()), ..BuildFault::field("compare", message) });
        }
        if self.lookup.is_none() {
            faults.extend(self.needs_lookup());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What makes no sense when nothing is looked up.
    fn needs_lookup(&self) -> Vec<BuildFault> {
        let mut faults = Vec::new();
        if let Some(update) = &self.update {
            faults.extend(operation::needs_lookup(update, "update").err());
            if faults.is_empty() {
                let message = "without 'lookup' nobody knows when to update";
                let hint = "add 'lookup', or remove 'update' where 'create' is an upsert by itself";
                faults
                    .push(BuildFault { hint: Some(hint.to_owned()), ..BuildFault::field("update", message) });
            }
        }
        if !self.compare.is_empty() {
            let message = "without 'lookup' there is nothing to compare with";
            faults.push(BuildFault::field("compare", message));
        }
        faults
    }

    /// Everything that is known before anything is looked up: `{body, key?, lookup?, create, update?}`.
    pub(super) fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let body = match &self.body {
            Body::None => Value::Null,
            Body::Written(written) => written.fill(&written.prepare(scope)?, &Value::Null)?,
            Body::Mapped(mapping) => mapping.apply(scope)?,
        };
        let mut request = json!({ "body": body, "create": self.create.prepare(scope)? });
        if let Some(lookup) = &self.lookup {
            request["lookup"] = lookup.operation.prepare(scope)?;
            if let Some((_, key)) = &lookup.key {
                let key = key.join(&key.prepare(scope)?, &Value::Null, ToOwned::to_owned)?;
                request["key"] = Value::String(key);
            }
        }
        if let Some(update) = &self.update {
            request["update"] = update.prepare(scope)?;
        }
        Ok(request)
    }
}

fn body(site: &Site<'_>) -> Result<Body, Vec<BuildFault>> {
    let with = &site.step.with;
    let written = with.get("body").filter(|body| !body.is_null());
    match (with.get("mapping"), written) {
        (None, None) => Ok(Body::None),
        (None, Some(body)) => match Late::parse(body) {
            Ok(body) => Ok(Body::Written(body)),
            Err(fault) => Err(vec![BuildFault::field("body", fault.message)]),
        },
        (Some(_), None) => settings::mapping(site).map(Body::Mapped),
        (Some(_), Some(_)) => Err(vec![BuildFault::field(
            "body",
            "'mapping' and 'body' both say what the body is: leave one out",
        )]),
    }
}
