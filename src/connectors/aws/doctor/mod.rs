//! What `milepost doctor` finds out about a connection to AWS: who we are there, and whether bus,
//! rule, queue, dead-letter queue, alarm and bucket are there and fit together as the workflow needs.
//! Only reads; the actions that it takes are those of the policy in `deploy/aws`.
//!
//! - `answer` says what an error means for the examination; `bus`, `queue`, `alarm`, `bucket`, `function` and `states`
//!   look at one thing each; `policy` reads queue policies.

mod alarm;
mod answer;
mod bucket;
mod bus;
mod function;
mod policy;
mod queue;
mod states;

use std::time::Duration;

use aws_credential_types::credential_feature::AwsCredentialFeature as From;
use aws_credential_types::provider::ProvideCredentials;

use serde_json::Value;

use super::lambda::INVOKE;
use super::session::Session;
use super::trouble::deepest;
use crate::connectors::examine::{Diagnosis, Patient, fixed};
use crate::connectors::{events, settings};
use crate::core::workflow::Step;
use bus::Published;
pub(crate) use states::examine_states;

/// Longest time of one question.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Where everything that a workflow needs is made at once.
const TEMPLATE: &str = "deploy/aws/README.md";

/// What is found about a connection, in the order in which it should be mended.
pub(crate) async fn examine(patient: &Patient<'_>) -> Vec<Diagnosis> {
    let session = Session::new(ANSWER_MAX);
    let identity = identity(&session).await;
    let known = identity.next.is_none();
    let mut found = vec![identity];
    if !known {
        return found;
    }
    for queue in queues(patient) {
        queue::examine(&session, &queue, &mut found).await;
    }
    let published = published(patient);
    if let Some(name) = settings::text(patient.settings, "event_bus").ok().flatten() {
        let queue = queues(patient).into_iter().map(|queue| queue.name).next();
        bus::examine(&session, name, &published, queue.as_deref(), &mut found).await;
    } else if !published.is_empty() {
        let next = "write event_bus: NAME into the connection";
        found.push(Diagnosis::wrong("no event bus is named, and a step publishes", next));
    }
    for step in patient.uses.iter().map(|used| used.site.step).filter(|step| step.uses == INVOKE.uses) {
        if let Some(name) = fixed(&step.with, "function") {
            function::examine(&session, name, step.timeout, &mut found).await;
        }
    }
    for uri in patient.uses.iter().filter_map(|used| used.source.as_deref()) {
        bucket::examine_source(&session, uri, &mut found).await;
    }
    for trigger in &patient.triggers {
        bucket::examine_trigger(&session, trigger, &mut found).await;
    }
    if let Some(name) = settings::text(patient.settings, "bucket").ok().flatten() {
        bucket::examine(&session, name, &mut found).await;
    }
    found
}

/// Whether the SDK's chain finds credentials and a region, and where.
async fn identity(session: &Session) -> Diagnosis {
    let config = session.config().await;
    let next = "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=…, or AWS_PROFILE=…";
    let Some(region) = config.region().filter(|region| !region.as_ref().is_empty()) else {
        return Diagnosis::wrong("AWS: no region is set", "export AWS_REGION=…");
    };
    let Some(provider) = config.credentials_provider() else {
        return Diagnosis::wrong("AWS: no credentials", next);
    };
    match provider.provide_credentials().await {
        Ok(credentials) => {
            let from = credentials.get_property::<Vec<From>>().and_then(|all| all.last());
            let endpoint = config.endpoint_url().map(|url| format!(", endpoint {url}")).unwrap_or_default();
            let from = from.map_or("", place);
            Diagnosis::good(format!("AWS: credentials{from}, region {region}{endpoint}"))
        }
        Err(error) => {
            // The lines that follow the first say what else was tried.
            let why = deepest(&error);
            let why = why.lines().next().unwrap_or_default().trim_end_matches(" Attempted:");
            Diagnosis::wrong(format!("AWS: no credentials: {why}"), next)
        }
    }
}

fn place(from: &From) -> &'static str {
    match from {
        From::CredentialsEnvVars => " from the environment",
        From::CredentialsImds => " from the role of this machine",
        From::CredentialsHttp => " from the role of this container",
        From::CredentialsEnvVarsStsWebIdToken | From::CredentialsStsAssumeRoleWebId => " from a web identity",
        _ => " from a profile",
    }
}

/// A queue and what the workflow expects of it.
struct Expected<'a> {
    name: String,
    receives: Option<Receives<'a>>,
}

/// How a step receives from a queue.
struct Receives<'a> {
    step: &'a str,
    visibility: Duration,
    /// Whether the step says `visibility_timeout` itself.
    says_visibility: bool,
    at_most: u64,
    held: Option<(&'a str, Duration)>,
}

/// As the connector finds them: the connection's queue goes before the step's own.
fn queues<'a>(patient: &'a Patient<'_>) -> Vec<Expected<'a>> {
    let of_connection = settings::text(patient.settings, "queue").ok().flatten();
    let mut queues = Vec::new();
    for used in &patient.uses {
        let step = used.site.step;
        // A queue that is the source says in a section what a consume step says in its parameters.
        let source = step.with.get("source").and_then(Value::as_object);
        let Some(with) = source.or((step.uses == events::CONSUME).then_some(&step.with)) else { continue };
        let Some(name) = of_connection.or(fixed(with, "queue")) else { continue };
        let (visibility, receives_max) = events::expectations(with);
        let says_visibility = with.contains_key("visibility_timeout");
        let receives = Receives {
            step: &used.site.step.name,
            visibility,
            says_visibility,
            at_most: receives_max,
            held: used.held,
        };
        queues.push(Expected { name: name.to_owned(), receives: Some(receives) });
    }
    if let (true, Some(name)) = (queues.is_empty(), of_connection) {
        queues.push(Expected { name: name.to_owned(), receives: None });
    }
    queues
}

/// The events of steps that publish about items: those about a run may go nowhere.
fn published(patient: &Patient<'_>) -> Vec<Published> {
    let publishing = |step: &&Step| step.uses == events::PUBLISH;
    let steps = patient.uses.iter().map(|used| used.site.step).filter(publishing);
    let steps = steps.filter(|step| !step.name.starts_with("on_failure"));
    steps
        .map(|step| Published {
            step: step.name.clone(),
            source: if step.with.contains_key("source") {
                fixed(&step.with, "source").map(str::to_owned)
            } else {
                Some(events::SOURCE.to_owned())
            },
            detail_type: fixed(&step.with, "detail_type").map(str::to_owned),
        })
        .collect()
}
