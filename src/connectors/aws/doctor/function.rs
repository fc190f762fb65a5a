//! A function of Lambda: whether it is there, and whether it may take as long as its step waits.

use std::time::Duration;

use super::super::session::Session;
use super::answer::{No, no};
use crate::connectors::examine::Diagnosis;

/// Looks at the function that a step invokes.
pub(super) async fn examine(
    session: &Session,
    function: &str,
    timeout: Duration,
    found: &mut Vec<Diagnosis>,
) {
    let what = format!("function {function}");
    let asked = session.lambda().await.get_function_configuration().function_name(function).send().await;
    let known = match asked.map_err(|error| no("lambda:GetFunctionConfiguration", &what, error)) {
        Ok(known) => known,
        Err(No::Absent) => {
            let next = "create it, or name another; look at AWS_REGION";
            return found.push(Diagnosis::wrong(format!("{what}: there is none"), next));
        }
        Err(No::Other(diagnosis)) => return found.push(diagnosis),
    };
    let seconds = known.timeout().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    let diagnosis = if Duration::from_secs(seconds) > timeout {
        Diagnosis::wrong(
            format!(
                "{what}: it may take {seconds} s, and its step waits for {timeout:?}: what takes longer is in doubt"
            ),
            format!("write timeout: {}s at the step", seconds + 5),
        )
    } else {
        Diagnosis::good(format!("{what}: it is there"))
    };
    found.push(diagnosis);
}
