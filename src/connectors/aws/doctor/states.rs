//! Step Functions as an executor: whether we get there, and may do there what driving a run takes.

use serde_json::{Map, Value};

use super::super::session::Session;
use super::super::states::Terms;
use super::answer::{No, no};
use super::{ANSWER_MAX, identity};
use crate::connectors::examine::Diagnosis;

/// What is found about a connection to Step Functions. Nothing is made there: what a run needs, its beginning makes.
pub(crate) async fn examine_states(settings: &Map<String, Value>) -> Vec<Diagnosis> {
    let session = Session::new(ANSWER_MAX);
    let identity = identity(&session).await;
    let known = identity.next.is_none();
    let mut found = vec![identity];
    match Terms::read(settings) {
        Ok(terms) => found.push(role(&terms.role)),
        Err(faults) => found.extend(faults.into_iter().map(|fault| {
            Diagnosis::wrong(
                fault.message,
                fault.hint.unwrap_or_else(|| "write it into the connection".to_owned()),
            )
        })),
    }
    if known {
        found.push(reach(&session).await);
    }
    found
}

/// Only what its name says: to look it up takes a permission that nothing else needs.
fn role(role: &str) -> Diagnosis {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, name] if !account.is_empty() && name.starts_with("role/") => {
            Diagnosis::good(format!("executions have the role {role}"))
        }
        _ => Diagnosis::wrong(
            format!("'{role}' is no ARN of a role"),
            "write it as arn:aws:iam::ACCOUNT:role/NAME; Step Functions must be trusted to assume it",
        ),
    }
}

async fn reach(session: &Session) -> Diagnosis {
    let states = session.sfn().await;
    let what = "Step Functions";
    let gone = |error: No| error.diagnosis(what);
    let machines = states.list_state_machines().max_results(1).send().await;
    if let Err(error) = machines {
        return gone(no("states:ListStateMachines", what, error));
    }
    match states.list_activities().max_results(1).send().await {
        Ok(_) => {
            Diagnosis::good("Step Functions answers; a run makes its activities and its state machine there")
        }
        Err(error) => gone(no("states:ListActivities", what, error)),
    }
}
