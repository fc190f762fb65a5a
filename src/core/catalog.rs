//! What connectors declare about themselves, as data: `check` reads it without building anything.

use serde_json::{Map, Value};

/// How a step takes part in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pins a source and yields the items of the run.
    Source,
    /// Computes from its input alone; recomputed on demand, never stored per item.
    Pure,
    /// Changes or reads something outside; every attempt has a durable intent and outcome.
    Effect {
        /// Whether the connector can look up by key if an earlier attempt was carried out.
        probes: bool,
    },
    /// Waits until an instant that follows from its input.
    Timer,
    /// Waits for a message that names the item.
    Receive,
    /// Waits for a signal about a key that follows from its input.
    Listen,
}

/// Where a step may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Once per run: before the source, beside it, or in `on_failure`.
    Run,
    /// Once per item: after the source.
    Item,
    /// Both.
    Anywhere,
}

/// What a field of `with` or of a connection may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, in which `${{ }}` may occur.
    Text,
    /// Text that is taken as written; `${{ }}` is refused.
    Plain,
    /// `true` or `false`.
    Bool,
    /// A whole number of at least zero.
    Count,
    /// A duration such as `30s`.
    Duration,
    /// A number of bytes such as `4 KiB`.
    Size,
    /// One `${{ }}` expression.
    Expression,
    /// The path of a file beside the workflow file, pinned with it. It may be an expression over
    /// `input` only when the file is the source.
    File,
    /// A list of such paths, none of them an expression.
    Files,
    /// Where the items come from: a path or URI, expressions over `input` allowed. Never pinned
    /// with the definition: the gate pins it. Or a queue, a section of these fields.
    Source(&'static [Field]),
    /// A section of these fields.
    Section(&'static [Field]),
    /// A section of these fields that says how an earlier attempt is looked up: a step that has it
    /// probes, whatever its role says.
    Lookup(&'static [Field]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of plain texts.
    Texts,
    /// Any value, with `${{ }}` in its texts.
    Any,
    /// Any value, with `${{ }}` in its texts, which may also look at `found`: what the step itself
    /// found outside.
    Late,
    /// A value that belongs under `connections` only; `${env:NAME}` is allowed inside.
    Secret,
    /// One such value, or a list of them: two while one replaces the other.
    Secrets,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
}

/// One `uses`.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The name in `uses`, for example `pimcore.upsert`.
    pub uses: &'static str,
    /// One line for help and errors.
    pub summary: &'static str,
    /// How it takes part in a run.
    pub role: Role,
    /// Where it may stand.
    pub place: Place,
    /// The kinds of connection it works over; empty when it takes none.
    pub connections: &'static [&'static str],
    /// The fields of `with`.
    pub fields: &'static [Field],
    /// The facts it returns (`steps.NAME.FACT` in expressions), for `check`.
    pub facts: &'static [&'static str],
    /// Most units per call when the file does not say `batch`.
    pub batch_default: u32,
    /// Most units per call that the file may ask for.
    pub batch_max: u32,
    /// Calls in flight at once for this step, when the connection does not say `concurrency`.
    pub concurrency: u32,
    /// Whether the step as written is harmless to repeat by its nature (a GET, a log line).
    pub harmless: fn(&Map<String, Value>) -> bool,
}

impl Descriptor {
    /// Whether the step cannot do without a connection. One that listens is told by others; whom its
    /// connection leads to is asked as well.
    pub fn needs_connection(&self) -> bool {
        !self.connections.is_empty() && self.role != Role::Listen
    }

    /// Whether the step as written can look up by key if an earlier attempt was carried out.
    pub fn probes(&self, with: &Map<String, Value>) -> bool {
        let looks_up = |field: &Field| matches!(field.kind, Kind::Lookup(_)) && with.contains_key(field.name);
        match self.role {
            Role::Effect { probes } => probes || self.fields.iter().any(looks_up),
            Role::Source | Role::Pure | Role::Timer | Role::Receive | Role::Listen => false,
        }
    }
}

/// One `use` of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionKind {
    /// The name in `use`, for example `medusa`.
    pub name: &'static str,
    /// One line for help and errors.
    pub summary: &'static str,
    /// Its fields beside `use` and those that every connection has.
    pub fields: &'static [Field],
}

/// One `uses` of a trigger.
#[derive(Clone, Copy, Debug)]
pub struct TriggerKind {
    /// The name in `uses`, for example `s3.created`.
    pub uses: &'static str,
    /// One line for help and errors.
    pub summary: &'static str,
    /// The kinds of connection it works over; empty when it takes none.
    pub connections: &'static [&'static str],
    /// Whether a run cannot do without being told what it is about.
    pub needs_input: bool,
    /// The fields of `with`. Nothing in them is computed.
    pub fields: &'static [Field],
}

/// Everything a workflow file may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// All step kinds.
    pub steps: Vec<Descriptor>,
    /// All connection kinds.
    pub connections: Vec<ConnectionKind>,
    /// The names of those that keep idempotency keys.
    pub key_stores: Vec<&'static str>,
    /// All kinds of triggers.
    pub triggers: Vec<TriggerKind>,
    /// The names of the kinds of connection that hooks hear from.
    pub senders: Vec<&'static str>,
    /// The names of those that can be asked what they announce.
    pub announcers: Vec<&'static str>,
    /// The names of those that carry alerts.
    pub couriers: Vec<&'static str>,
    /// The names of those of them that carry them under a detail type.
    pub buses: Vec<&'static str>,
    /// The names of those through which an executor is reached.
    pub executors: Vec<&'static str>,
}

impl Catalog {
    /// The descriptor of a `uses`.
    pub fn step(&self, uses: &str) -> Option<&Descriptor> {
        self.steps.iter().find(|known| known.uses == uses)
    }

    /// The description of a trigger's `uses`.
    pub fn trigger(&self, uses: &str) -> Option<&TriggerKind> {
        self.triggers.iter().find(|known| known.uses == uses)
    }

    /// The description of a `use`.
    pub fn connection(&self, name: &str) -> Option<&ConnectionKind> {
        self.connections.iter().find(|known| known.name == name)
    }
}

/// For descriptors whose effect must never be repeated without a reason.
pub fn never(_: &Map<String, Value>) -> bool {
    false
}

/// For descriptors that are harmless to repeat however they are written.
pub fn always(_: &Map<String, Value>) -> bool {
    true
}
