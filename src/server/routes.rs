//! Every path of the API, as one table: the router and the OpenAPI document are made from it.

use axum::routing::{MethodRouter, delete, get, post};

use super::gate::Access;
use super::{Service, acts, care, health, hooks, live, openapi, reads, session, signals};

/// One path with one method.
pub(super) struct Route {
    /// The method, in lower case.
    pub(super) method: &'static str,
    /// The path, with `{name}` for what varies.
    pub(super) path: &'static str,
    /// What it asks of whoever comes in over the network.
    pub(super) access: Access,
    /// What it answers or does, one line.
    pub(super) about: &'static str,
    /// The names of its query, with their JSON types.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The schema of what is sent.
    pub(super) body: Option<&'static str>,
    /// The schema of what is answered, or a content type.
    pub(super) answer: &'static str,
    /// What answers.
    pub(super) serve: fn() -> MethodRouter<Service>,
}

const fn read(path: &'static str, about: &'static str, serve: fn() -> MethodRouter<Service>) -> Route {
    Route {
        method: "get",
        path,
        access: Access::Read,
        about,
        query: &[],
        body: None,
        answer: "application/json",
        serve,
    }
}

const fn write(path: &'static str, about: &'static str, serve: fn() -> MethodRouter<Service>) -> Route {
    Route { method: "post", access: Access::Operate, ..read(path, about, serve) }
}

const LETTERS: &[(&str, &str)] = &[
    ("run", "string"),
    ("step", "string"),
    ("error", "string"),
    ("before", "integer"),
    ("since", "integer"),
    ("after", "string"),
    ("limit", "integer"),
];
const EFFECTS: &[(&str, &str)] = &[
    ("item", "string"),
    ("step", "string"),
    ("verdict", "string"),
    ("doubt", "string"),
    ("after", "integer"),
    ("limit", "integer"),
];

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        query: &[
            ("status", "string"),
            ("workflow", "string"),
            ("search", "string"),
            ("after", "string"),
            ("limit", "integer"),
        ],
        answer: "RunList",
        ..read("/v1/runs", "The runs, newest first", || get(reads::runs))
    },
    Route {
        body: Some("StartOrder"),
        answer: "Admitted",
        ..write("/v1/runs", "Starts a run; with an Idempotency-Key once", || post(acts::start))
    },
    Route { answer: "RunView", ..read("/v1/runs/{run}", "One run with its steps", || get(reads::show)) },
    Route {
        query: &[
            ("status", "string"),
            ("step", "string"),
            ("key", "string"),
            ("after", "integer"),
            ("limit", "integer"),
        ],
        ..read("/v1/runs/{run}/items", "A page of its items", || get(reads::items))
    },
    read("/v1/runs/{run}/items/{item}", "Everything about one item", || get(reads::item)),
    Route {
        query: &[("from", "integer"), ("limit", "integer")],
        ..read("/v1/runs/{run}/events", "A page of its events", || get(reads::events))
    },
    Route {
        query: &[("limit", "integer")],
        ..read("/v1/runs/{run}/causes", "Its dead letters and doubts by cause", || get(reads::causes))
    },
    Route {
        query: EFFECTS,
        ..read("/v1/runs/{run}/effects", "A page of its effect ledger", || get(reads::effects))
    },
    read("/v1/runs/{run}/effect-counts", "How many effects are known how", || get(reads::effect_counts)),
    read("/v1/runs/{run}/timeline", "When its steps worked", || get(reads::timeline)),
    read("/v1/runs/{run}/definition", "Its workflow file and what that names, as pinned", || {
        get(reads::definition)
    }),
    Route {
        query: &[("terms", "string")],
        ..read("/v1/runs/{run}/plan", "What a resume on these terms (JSON) would do", || get(reads::plan))
    },
    Route {
        answer: "text/event-stream",
        ..read("/v1/runs/{run}/live", "Its events and its view as they change", || get(live::run))
    },
    Route {
        body: Some("Order"),
        answer: "Acted",
        ..write(
            "/v1/runs/{run}/actions",
            "Cancels, pauses, unpauses, closes, settles effects, drops dead letters",
            || post(acts::act),
        )
    },
    Route {
        body: Some("ResumeOrder"),
        answer: "Admitted",
        ..write("/v1/runs/{run}/resume", "Goes on with a run; a redrive is a resume of dead letters", || {
            post(acts::resume)
        })
    },
    Route {
        query: LETTERS,
        ..read("/v1/dead-letters", "A page of the dead letters of all runs", || get(reads::dead_letters))
    },
    read("/v1/runs/{run}/dead-letters/{item}", "Everything about an item, its record included", || {
        get(reads::dead_letter)
    }),
    read(
        "/v1/workflows",
        "The workflows that are started by name, with their inputs and connections",
        || get(acts::workflows),
    ),
    Route {
        answer: "Examination",
        ..write(
            "/v1/workflows/{workflow}/examine",
            "Looks at what it names outside; changes nothing there",
            || post(acts::examine),
        )
    },
    read("/v1/held-connections", "Connections that do not answer, and the runs that wait for them", || {
        get(reads::held_connections)
    }),
    read("/v1/signals", "The signals that are kept, newest first", || get(signals::kept)),
    Route {
        body: Some("Sent"),
        answer: "Signalled",
        ..write("/v1/signals", "Says to waiting items that what they wait for has happened", || {
            post(signals::send)
        })
    },
    Route {
        access: Access::Proof,
        answer: "Delivered",
        ..write(
            "/hooks/{name}",
            "Takes what somebody sends who proves who it is, as the hook is configured",
            || post(hooks::deliver),
        )
    },
    Route {
        answer: "text/event-stream",
        ..read("/v1/live", "The summary of each run that changes", || get(live::runs))
    },
    Route {
        answer: "QueueView",
        ..read("/v1/queue", "The runs that wait, and those at work", || get(acts::queue))
    },
    Route {
        body: Some("UnholdOrder"),
        answer: "QueueView",
        ..write("/v1/unpause", "Lets begin what --paused holds", || post(acts::unpause))
    },
    Route {
        access: Access::Local,
        body: Some("BackupRequest"),
        ..write("/v1/state/backup", "Writes a backup to a file of the server's machine", || {
            post(care::backup)
        })
    },
    Route {
        body: Some("CollectOrder"),
        ..write("/v1/state/gc", "Removes what nobody needs, or says what would go", || post(care::collect))
    },
    Route { access: Access::Local, ..read("/v1/tokens", "The tokens", || get(acts::tokens)) },
    Route {
        access: Access::Local,
        body: Some("TokenOrder"),
        ..write("/v1/tokens", "Makes a token, and shows it once", || post(acts::create_token))
    },
    Route {
        method: "delete",
        access: Access::Local,
        ..write("/v1/tokens/{name}", "Takes a token away", || delete(acts::revoke_token))
    },
    Route {
        access: Access::Open,
        body: Some("Presented"),
        answer: "",
        ..write("/v1/session", "Keeps a token in a cookie of the browser that asks", || post(session::begin))
    },
    Route {
        method: "delete",
        access: Access::Open,
        answer: "",
        ..write("/v1/session", "Forgets that cookie", || delete(session::end))
    },
    Route { access: Access::Open, ..read("/healthz", "The process is up", || get(health::up)) },
    Route {
        access: Access::Open,
        ..read("/readyz", "The thread that writes works, and recovery is done", || get(health::ready))
    },
    Route {
        answer: "text/plain",
        ..read("/metrics", "What is counted, as Prometheus text", || get(health::metrics))
    },
    Route { access: Access::Open, ..read("/openapi.json", "This API", || get(openapi::document)) },
];
