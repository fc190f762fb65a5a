//! Every path of the API, as one table: the router and the OpenAPI document are made from it.

use axum::routing::{MethodRouter, delete, get, post};

use serde_json::Value;

use super::gate::Access;
use super::openapi::{Form, of, query_of};
use super::{Service, acts, care, health, hooks, live, openapi, reads, session, signals};
use crate::core::care::{Backup, Collection};
use crate::view::{
    Acted, Admitted, Causes, CollectOrder, DeedFilter, DeedPage, DefinitionView, Delivered, EffectCounts,
    EffectFilter, EffectPage, EventPage, Examination, HeldConnection, ItemFilter, ItemPage, ItemStory,
    LetterPage, LetterQuery, LetterStory, NewToken, Order, PlanView, QueueView, ResumeOrder, RunFilter,
    RunList, RunView, Sent, ServedView, SignalView, Signalled, StartOrder, TimelineView, TokenOrder,
    TokenView, UnholdOrder,
};

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
    /// The form whose members are the names of its query.
    pub(super) query: Option<Form>,
    /// A header that it looks at.
    pub(super) header: Option<Header>,
    /// The form of what is sent.
    pub(super) body: Option<Form>,
    /// What is answered.
    pub(super) answer: Answer,
    /// What answers.
    pub(super) serve: fn() -> MethodRouter<Service>,
}

/// A header that a path looks at.
pub(super) struct Header {
    /// Its name.
    pub(super) name: &'static str,
    /// What it says, one line.
    pub(super) about: &'static str,
    /// What its value looks like.
    pub(super) pattern: fn() -> String,
}

/// What a path answers when it does what it is asked.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// JSON of this form.
    Json(Form),
    /// The same, said with another status when it begins only later.
    Begun(Form),
    /// Text of this content type.
    Text(&'static str),
    /// Nothing: it is done.
    Nothing,
}

const fn read(
    path: &'static str,
    answer: Answer,
    about: &'static str,
    serve: fn() -> MethodRouter<Service>,
) -> Route {
    let (query, header, body) = (None, None, None);
    Route { method: "get", path, access: Access::Read, about, query, header, body, answer, serve }
}

const fn write(
    path: &'static str,
    answer: Answer,
    about: &'static str,
    serve: fn() -> MethodRouter<Service>,
) -> Route {
    Route { method: "post", access: Access::Operate, ..read(path, answer, about, serve) }
}

const EVENT_STREAM: Answer = Answer::Text("text/event-stream");

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        query: Some(query_of::<RunFilter>),
        ..read("/v1/runs", Answer::Json(of::<RunList>), "The runs, newest first", || get(reads::runs))
    },
    Route {
        header: Some(Header {
            name: "Idempotency-Key",
            about: "With the same key it is started once",
            pattern: || format!("^[!-~]{{1,{}}}$", acts::START_KEY_MAX),
        }),
        body: Some(of::<StartOrder>),
        ..write(
            "/v1/runs",
            Answer::Begun(of::<Admitted>),
            "Starts a run; with an Idempotency-Key once",
            || post(acts::start),
        )
    },
    read("/v1/runs/{run}", Answer::Json(of::<RunView>), "One run with its steps", || get(reads::show)),
    Route {
        query: Some(query_of::<ItemFilter>),
        ..read("/v1/runs/{run}/items", Answer::Json(of::<ItemPage>), "A page of its items", || {
            get(reads::items)
        })
    },
    read("/v1/runs/{run}/items/{item}", Answer::Json(of::<ItemStory>), "Everything about one item", || {
        get(reads::item)
    }),
    Route {
        query: Some(query_of::<reads::EventsQuery>),
        ..read("/v1/runs/{run}/events", Answer::Json(of::<EventPage>), "A page of its events", || {
            get(reads::events)
        })
    },
    Route {
        query: Some(query_of::<reads::CausesQuery>),
        ..read(
            "/v1/runs/{run}/causes",
            Answer::Json(of::<Causes>),
            "Its dead letters and doubts by cause",
            || get(reads::causes),
        )
    },
    Route {
        query: Some(query_of::<EffectFilter>),
        ..read(
            "/v1/runs/{run}/effects",
            Answer::Json(of::<EffectPage>),
            "A page of its effect ledger",
            || get(reads::effects),
        )
    },
    read(
        "/v1/runs/{run}/effect-counts",
        Answer::Json(of::<EffectCounts>),
        "How many effects are known how",
        || get(reads::effect_counts),
    ),
    read("/v1/runs/{run}/timeline", Answer::Json(of::<TimelineView>), "When its steps worked", || {
        get(reads::timeline)
    }),
    read(
        "/v1/runs/{run}/definition",
        Answer::Json(of::<DefinitionView>),
        "Its workflow file and what that names, as pinned",
        || get(reads::definition),
    ),
    Route {
        query: Some(query_of::<reads::PlanQuery>),
        ..read(
            "/v1/runs/{run}/plan",
            Answer::Json(of::<PlanView>),
            "What a resume on these terms (JSON) would do",
            || get(reads::plan),
        )
    },
    Route {
        header: Some(Header {
            name: "Last-Event-ID",
            about: "The ID of the last message that was seen: goes on behind it",
            pattern: || "^[0-9]{1,19}$".to_owned(),
        }),
        ..read("/v1/runs/{run}/live", EVENT_STREAM, "Its events and its view as they change", || {
            get(live::run)
        })
    },
    Route {
        body: Some(of::<Order>),
        ..write(
            "/v1/runs/{run}/actions",
            Answer::Json(of::<Acted>),
            "Cancels, pauses, unpauses, closes, settles effects, drops dead letters",
            || post(acts::act),
        )
    },
    Route {
        body: Some(of::<ResumeOrder>),
        ..write(
            "/v1/runs/{run}/resume",
            Answer::Begun(of::<Admitted>),
            "Goes on with a run; a redrive is a resume of dead letters",
            || post(acts::resume),
        )
    },
    Route {
        query: Some(query_of::<LetterQuery>),
        ..read(
            "/v1/dead-letters",
            Answer::Json(of::<LetterPage>),
            "A page of the dead letters of all runs",
            || get(reads::dead_letters),
        )
    },
    read(
        "/v1/runs/{run}/dead-letters/{item}",
        Answer::Json(of::<LetterStory>),
        "Everything about an item, its record included",
        || get(reads::dead_letter),
    ),
    read(
        "/v1/workflows",
        Answer::Json(of::<Vec<ServedView>>),
        "The workflows that are started by name, with their inputs and connections",
        || get(acts::workflows),
    ),
    write(
        "/v1/workflows/{workflow}/examine",
        Answer::Json(of::<Examination>),
        "Looks at what it names outside; changes nothing there",
        || post(acts::examine),
    ),
    read(
        "/v1/held-connections",
        Answer::Json(of::<Vec<HeldConnection>>),
        "Connections that do not answer, and the runs that wait for them",
        || get(reads::held_connections),
    ),
    read(
        "/v1/signals",
        Answer::Json(of::<Vec<SignalView>>),
        "The signals that are kept, newest first",
        || get(signals::kept),
    ),
    Route {
        body: Some(of::<Sent>),
        ..write(
            "/v1/signals",
            Answer::Json(of::<Signalled>),
            "Says to waiting items that what they wait for has happened",
            || post(signals::send),
        )
    },
    Route {
        query: Some(query_of::<DeedFilter>),
        ..read(
            "/v1/deeds",
            Answer::Json(of::<DeedPage>),
            "What people did that is about no one run, newest first",
            || get(reads::deeds),
        )
    },
    Route {
        access: Access::Proof,
        ..write(
            "/hooks/{name}",
            Answer::Json(of::<Delivered>),
            "Takes what somebody sends who proves who it is, as the hook is configured",
            || post(hooks::deliver),
        )
    },
    read("/v1/live", EVENT_STREAM, "The summary of each run that changes", || get(live::runs)),
    read("/v1/queue", Answer::Json(of::<QueueView>), "The runs that wait, and those at work", || {
        get(acts::queue)
    }),
    Route {
        body: Some(of::<UnholdOrder>),
        ..write("/v1/unpause", Answer::Json(of::<QueueView>), "Lets begin what --paused holds", || {
            post(acts::unpause)
        })
    },
    Route {
        body: Some(of::<CollectOrder>),
        ..write(
            "/v1/state/gc",
            Answer::Json(of::<Collection>),
            "Removes what nobody needs, or says what would go",
            || post(care::collect),
        )
    },
    Route {
        access: Access::Local,
        body: Some(of::<care::BackupRequest>),
        ..write(
            "/v1/state/backup",
            Answer::Json(of::<Backup>),
            "Writes a backup to a file of the server's machine",
            || post(care::backup),
        )
    },
    Route {
        access: Access::Local,
        ..read("/v1/tokens", Answer::Json(of::<Vec<TokenView>>), "The tokens", || get(acts::tokens))
    },
    Route {
        access: Access::Local,
        body: Some(of::<TokenOrder>),
        ..write("/v1/tokens", Answer::Json(of::<NewToken>), "Makes a token, and shows it once", || {
            post(acts::create_token)
        })
    },
    Route {
        method: "delete",
        access: Access::Local,
        query: Some(query_of::<acts::Revoking>),
        ..write("/v1/tokens/{name}", Answer::Json(of::<TokenView>), "Takes a token away", || {
            delete(acts::revoke_token)
        })
    },
    Route {
        access: Access::Open,
        body: Some(of::<session::Presented>),
        ..write("/v1/session", Answer::Nothing, "Keeps a token in a cookie of the browser that asks", || {
            post(session::begin)
        })
    },
    Route {
        method: "delete",
        access: Access::Open,
        ..write("/v1/session", Answer::Nothing, "Forgets that cookie", || delete(session::end))
    },
    Route {
        access: Access::Open,
        ..read("/healthz", Answer::Json(of::<health::Standing>), "The process is up", || get(health::up))
    },
    Route {
        access: Access::Open,
        ..read(
            "/readyz",
            Answer::Json(of::<health::Standing>),
            "The thread that writes works, and recovery is done",
            || get(health::ready),
        )
    },
    read("/metrics", Answer::Text("text/plain"), "What is counted, as Prometheus text", || {
        get(health::metrics)
    }),
    Route {
        access: Access::Open,
        ..read("/openapi.json", Answer::Json(of::<Value>), "This API", || get(openapi::document))
    },
];
