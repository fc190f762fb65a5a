//! The outside systems that the served workflows name: which they are, whether they answer, and who waits for them.

use axum::response::Response;
use maud::{Markup, html};

use super::super::gate::Caller;
use super::super::reads::waiting;
use super::shell::{Frame, Here};
use super::visit::{Visit, trouble};
use super::words::{at, badge, fault_line, instant, segment, trials};
use crate::view::{
    ConnectionView, ExaminedView, FindingView, HealthView, HeldConnection, Problem, ServedView,
};

/// The state of a connection over which calls go, and of one that is held.
const LETS_THROUGH: &str = "open for calls";
const HELD: &str = "held";

pub(super) async fn show(visit: Visit) -> Response {
    let (operator, archive) = (visit.service.operator.clone(), visit.service.archive.clone());
    let read = waiting(move || Ok((operator.workflows(), archive.held_connections()?))).await;
    let made = read.map(|(served, held)| page(&served, &held, &visit.caller));
    visit.answer(made)
}

fn page(served: &Result<Vec<ServedView>, Problem>, held: &[HeldConnection], caller: &Caller) -> Markup {
    let content = html! {
        div.head { h1 { "Connections" } p.quiet { "What the served workflows name outside." } }
        div #connections data-live {
            @match served {
                Err(problem) => (trouble(problem)),
                Ok(served) => {
                    @if served.is_empty() { div.empty { p { "No workflow is served." } } }
                    @for known in served { (of(known, held, caller)) }
                }
            }
            (elsewhere(served.as_deref().unwrap_or_default(), held))
        }
    };
    let frame = Frame::new("Connections", Here::Connections, Some(caller)).following("/v1/live".to_owned());
    frame.around(&content)
}

fn of(served: &ServedView, held: &[HeldConnection], caller: &Caller) -> Markup {
    let examined = served.examined.as_ref();
    let found = |name: &str| examined?.connections.iter().find(|known| known.connection == name);
    let known = |name: &str| served.connections.iter().any(|known| known.connection == name);
    html! {
        section.card id=(segment(&served.workflow)) {
            div.head {
                h2.item { (served.workflow) @if let Some(profile) = &served.profile { span.small { (profile) } } }
                div.actions {
                    @if let Some(examined) = examined { p.small.standing { "examined " (instant(examined.at)) } }
                    @if caller.may_act() { form method="post" action=(format!("/workflows/{}/examine", segment(&served.workflow))) {
                        button type="submit" { @if examined.is_some() { "Examine again" } @else { "Examine" } }
                    } }
                }
            }
            @if !served.mistakes.is_empty() { div.box.bad { ul { @for mistake in &served.mistakes { li { (mistake) } } } } }
            @else if served.connections.is_empty() { p.quiet { "It names none." } }
            @else { div.scroll { table.rows.health {
                thead { tr { th { "Connection" } th { "Calls" } th.wide { "Health" } th { "Steps" } } }
                tbody { @for connection in &served.connections {
                    (row(connection, found(&connection.connection), &holds(served, connection, held)))
                } }
            } } }
            // A step without a connection is examined as one of its own.
            @for alone in examined.iter().flat_map(|examined| &examined.connections).filter(|alone| !known(&alone.connection)) {
                p { b { (alone.connection) } " " span.small { (alone.kind) } } (findings(&alone.found))
            }
        }
    }
}

fn holds<'a>(
    served: &ServedView,
    connection: &ConnectionView,
    held: &'a [HeldConnection],
) -> Vec<&'a HeldConnection> {
    let is_it = |held: &&HeldConnection| {
        held.workflow == served.workflow && held.hold.connection == connection.connection
    };
    held.iter().filter(is_it).collect()
}

fn row(connection: &ConnectionView, examined: Option<&ExaminedView>, held: &[&HeldConnection]) -> Markup {
    html! {
        tr {
            td { b { (connection.connection) } " " span.small { (connection.kind) } (identity(connection)) }
            td { @if held.is_empty() { span.small { (LETS_THROUGH) } } @else { (badge(HELD)) } }
            td.wide {
                @if let Some(examined) = examined { (findings(&examined.found)) } @else { span.none { "not examined" } }
                @for held in held { (why(held)) }
            }
            td { @for step in &connection.steps { span.pair.small { (step) } } }
        }
    }
}

fn identity(connection: &ConnectionView) -> Markup {
    let fields = connection.identity.iter().filter(|(name, _)| *name != "use");
    html! {
        @for (name, value) in fields { div.small { (name) " " code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } } }
    }
}

/// Why a run makes no calls over it.
fn why(held: &HeldConnection) -> Markup {
    html! {
        p.small {
            a.id href=(at(held.run, "")) { (held.run) } " holds it since " (instant(held.hold.since)) "; "
            (trials(&held.hold)) ". "
            (fault_line(&held.hold.error))
        }
    }
}

fn health(health: HealthView) -> Markup {
    badge(match health {
        HealthView::Good => "ok",
        HealthView::Unknown => "cannot_tell",
        HealthView::Wrong => "wrong",
    })
}

fn findings(found: &[FindingView]) -> Markup {
    html! {
        ul.findings { @for finding in found {
            li { (health(finding.health)) span { (finding.what) @if let Some(next) = &finding.next { span.small { " " (next) } } } }
        } }
    }
}

/// Connections that runs hold whose workflow is not served.
fn elsewhere(served: &[ServedView], held: &[HeldConnection]) -> Markup {
    let is_shown = |held: &&HeldConnection| {
        let mut connections = served
            .iter()
            .filter(|known| known.workflow == held.workflow)
            .flat_map(|known| &known.connections);
        connections.any(|known| known.connection == held.hold.connection)
    };
    let others: Vec<&HeldConnection> = held.iter().filter(|held| !is_shown(held)).collect();
    html! {
        @if !others.is_empty() {
            h2 { "Held by other runs" }
            @for held in others { div.box.doubt { p { b { (held.hold.connection) } " of " (held.workflow) } (why(held)) } }
        }
    }
}
