//! What a mapping file says, compiled: every name resolved, every text parsed to what it means.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::category::Tree;
use super::money::{Mark, Rates};
use super::path::Path;
use super::text::Tidy;
use crate::expr::Template;

/// How one value is made.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) kind: Kind,
    /// Used when there is no value.
    pub(super) default: Option<Value>,
    /// No value is a fault.
    pub(super) required: bool,
    /// Only when this has a value that is not false.
    pub(super) when: Option<Operand>,
    /// Only when this has no value, or is false.
    pub(super) unless: Option<Operand>,
}

/// Where a rule takes a value from.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Path),
    Rule(Box<Rule>),
}

/// The kinds of rules.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The first operand that has a value, as it is.
    From(Vec<Operand>),
    Text(Vec<Operand>, Tidy),
    Number(Vec<Operand>, Mark),
    Flag(Vec<Operand>),
    Constant(Value),
    Expression(Template),
    Fields(Vec<(String, Rule)>),
    List(Vec<Operand>),
    Each(Each),
    Entries {
        of: Operand,
        key: Operand,
        make: Box<Rule>,
    },
    Gather(Operand),
    Join(Vec<Operand>, String),
    Split(Operand, String),
    Lookup(Operand, HashMap<String, Value>),
    Money(Money),
    Category(Operand, Arc<Tree>),
    Attributes(Attributes),
    Images(Vec<Operand>, usize),
    Variants(Variants),
    Slug {
        of: Vec<Operand>,
        end: Option<Operand>,
        max: usize,
    },
    /// Of these, or without operands of every field above.
    Hash(Vec<Operand>),
}

/// A list made from a list.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) of: Operand,
    pub(super) make: Box<Rule>,
    pub(super) distinct: bool,
    pub(super) max: usize,
}

/// An amount with its currency.
#[derive(Clone, Debug)]
pub(super) struct Money {
    pub(super) amount: Vec<Operand>,
    pub(super) currency: Operand,
    pub(super) to: Option<String>,
    pub(super) rates: Option<Arc<Rates>>,
    pub(super) mark: Mark,
    /// Amounts are in the currency's smallest unit: cents.
    pub(super) in_minor: bool,
    /// Only when the amount is greater than this one, in the same currency.
    pub(super) above: Option<Operand>,
}

/// Names with values, gathered by name.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    pub(super) of: Vec<Operand>,
    /// Where an element has its name and its value; without it the fields of an object are the names.
    pub(super) pair: Option<(Path, Path)>,
    /// By folded name.
    pub(super) rename: HashMap<String, String>,
    /// Folded names.
    pub(super) ignore: HashSet<String>,
    /// Folded values that say nothing.
    pub(super) ignore_values: HashSet<String>,
    /// Bytes of the longest of them: longer values need no look.
    pub(super) ignore_values_bytes: usize,
    /// By folded name, after renaming.
    pub(super) types: HashMap<String, Type>,
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Flag,
}

/// Every combination of option values.
#[derive(Clone, Debug)]
pub(super) struct Variants {
    pub(super) options: Vec<(String, Operand)>,
    pub(super) sku: Operand,
    /// Folded values that tell nothing apart (`one size`).
    pub(super) plain: HashSet<String>,
    pub(super) max: usize,
}
