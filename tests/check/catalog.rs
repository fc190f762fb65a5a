//! A catalog like the real one, so that these tests do not change when a connector gains a field.

use milepost::core::catalog::{
    Catalog, ConnectionKind, Descriptor, Field, Kind, Place, Role, TriggerKind, always, never,
};
use serde_json::{Map, Value};

const fn needed(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// A source that is a queue.
const QUEUE: &[Field] = &[
    needed("queue", Kind::Plain),
    field("delete_after", Kind::Plain),
    field("rotate", Kind::Section(&[field("items", Kind::Count), field("age", Kind::Duration)])),
    field("idle", Kind::Duration),
];

fn reads_only(with: &Map<String, Value>) -> bool {
    matches!(with.get("method").and_then(Value::as_str), None | Some("GET" | "HEAD"))
}

const BASE: Descriptor = Descriptor {
    uses: "",
    summary: "",
    role: Role::Pure,
    place: Place::Item,
    connections: &[],
    fields: &[],
    facts: &[],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: never,
};

const STEPS: &[Descriptor] = &[
    Descriptor {
        uses: "json.validate",
        role: Role::Source,
        place: Place::Run,
        connections: &["local", "s3", "embedded"],
        fields: &[
            needed("source", Kind::Source(QUEUE)),
            field("schema", Kind::File),
            field("required", Kind::Texts),
            needed("item_key", Kind::Expression),
            field("on_invalid", Kind::OneOf(&["dead_letter", "fail"])),
            field("format", Kind::OneOf(&["json", "ndjson", "csv"])),
        ],
        ..BASE
    },
    Descriptor { uses: "map", fields: &[needed("mapping", Kind::File)], ..BASE },
    Descriptor {
        uses: "eventbridge.publish",
        role: Role::Effect { probes: false },
        place: Place::Anywhere,
        connections: &["embedded", "aws"],
        fields: &[field("source", Kind::Text), needed("detail_type", Kind::Plain)],
        facts: &["event_id"],
        batch_default: 25,
        batch_max: 25,
        ..BASE
    },
    Descriptor {
        uses: "sqs.consume",
        role: Role::Receive,
        connections: &["embedded", "aws"],
        fields: &[
            needed("queue", Kind::Plain),
            field("wait", Kind::Duration),
            field("visibility_timeout", Kind::Duration),
            field("max_receives", Kind::Count),
            field("delete_after", Kind::Plain),
        ],
        facts: &["message_id"],
        batch_default: 10,
        batch_max: 10,
        ..BASE
    },
    Descriptor {
        uses: "pimcore.upsert",
        role: Role::Effect { probes: true },
        connections: &["pimcore", "sandbox"],
        fields: &[needed("mapping", Kind::File)],
        facts: &["id"],
        ..BASE
    },
    Descriptor {
        uses: "medusa.upsert",
        role: Role::Effect { probes: true },
        connections: &["medusa", "sandbox"],
        fields: &[needed("mapping", Kind::File)],
        facts: &["id", "handle"],
        batch_default: 50,
        batch_max: 50,
        ..BASE
    },
    Descriptor {
        uses: "signal.wait",
        role: Role::Listen,
        fields: &[needed("signal", Kind::Plain), needed("key", Kind::Text), field("timeout", Kind::Duration)],
        ..BASE
    },
    Descriptor {
        uses: "http.request",
        role: Role::Effect { probes: false },
        place: Place::Anywhere,
        fields: &[
            needed("url", Kind::Text),
            field("method", Kind::OneOf(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])),
            field("headers", Kind::Any),
            field("body", Kind::Any),
            field("expect", Kind::Count),
        ],
        facts: &["status", "body"],
        harmless: reads_only,
        ..BASE
    },
    Descriptor {
        uses: "delay",
        role: Role::Timer,
        place: Place::Anywhere,
        fields: &[needed("duration", Kind::Duration)],
        ..BASE
    },
    Descriptor { uses: "fail", place: Place::Anywhere, fields: &[field("message", Kind::Text)], ..BASE },
    Descriptor { uses: "manifest", place: Place::Run, ..BASE },
    Descriptor {
        uses: "alert",
        role: Role::Effect { probes: false },
        place: Place::Anywhere,
        fields: &[field("message", Kind::Text)],
        harmless: always,
        ..BASE
    },
];

const CONNECTIONS: &[ConnectionKind] = &[
    ConnectionKind { name: "local", summary: "", fields: &[] },
    ConnectionKind { name: "s3", summary: "", fields: &[field("max_bytes", Kind::Size)] },
    ConnectionKind { name: "embedded", summary: "", fields: &[field("rules", Kind::Any)] },
    ConnectionKind { name: "redis", summary: "", fields: &[needed("url", Kind::Plain)] },
    ConnectionKind {
        name: "aws",
        summary: "",
        fields: &[needed("event_bus", Kind::Text), field("queue", Kind::Text)],
    },
    ConnectionKind { name: "sandbox", summary: "", fields: &[] },
    ConnectionKind {
        name: "webhook",
        summary: "",
        fields: &[needed("scheme", Kind::OneOf(&["standard", "token"])), needed("secrets", Kind::Secrets)],
    },
    ConnectionKind {
        name: "receiver",
        summary: "",
        fields: &[needed("url", Kind::Plain), needed("secret", Kind::Secret)],
    },
    ConnectionKind {
        name: "pimcore",
        summary: "",
        fields: &[
            needed("url", Kind::Text),
            needed("endpoint", Kind::Text),
            needed("api_key", Kind::Secret),
            field("timeout", Kind::Duration),
        ],
    },
    ConnectionKind {
        name: "medusa",
        summary: "",
        fields: &[needed("url", Kind::Text), needed("email", Kind::Text), needed("password", Kind::Secret)],
    },
];

const TRIGGERS: &[TriggerKind] = &[TriggerKind {
    uses: "s3.created",
    summary: "",
    connections: &["aws"],
    needs_input: true,
    fields: &[needed("queue", Kind::Plain), field("prefix", Kind::Plain), field("wait", Kind::Duration)],
}];

/// The catalog.
pub(crate) fn catalog() -> Catalog {
    Catalog {
        steps: STEPS.to_vec(),
        connections: CONNECTIONS.to_vec(),
        key_stores: vec!["embedded", "redis"],
        triggers: TRIGGERS.to_vec(),
        senders: vec!["webhook", "sandbox"],
        announcers: vec!["pimcore", "sandbox"],
        couriers: vec!["receiver", "aws", "embedded"],
        buses: vec!["aws", "embedded"],
        executors: vec!["step_functions"],
    }
}
