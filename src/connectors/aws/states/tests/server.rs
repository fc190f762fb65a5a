//! A server of our own that speaks Step Functions as far as it is asked, and does what the test says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(1);
/// How long a poll is kept open. One that brought nothing is followed by the next.
const POLL: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Kept {
    asked: Vec<(String, Value)>,
    /// What each operation is refused with, before it is done.
    refusals: HashMap<String, VecDeque<(u16, &'static str)>>,
    /// Orders by activity.
    orders: HashMap<String, VecDeque<Value>>,
    /// Polls under way by activity, and the most that there ever were.
    polls: HashMap<String, (usize, usize)>,
    events: Vec<Value>,
    role: String,
    status: &'static str,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    changed: Notify,
}

pub(super) struct Server {
    pub(super) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        shared.kept().status = "RUNNING";
        let routes = axum::Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared, serving }
    }

    /// From now on nobody is here.
    pub(super) fn end(&self) {
        self.serving.abort();
        // Open connections live on: they are told that nobody is here.
        self.shared.kept().status = "GONE";
        self.shared.changed.notify_waiters();
    }

    /// The next of these operations are refused, with these codes.
    pub(super) fn refuse(&self, operation: &str, refusals: &[(u16, &'static str)]) {
        self.shared.kept().refusals.insert(operation.to_owned(), refusals.iter().copied().collect());
    }

    /// Lets an activity order something.
    pub(super) fn order(&self, activity: &str, token: &str, input: &Value) {
        let order = json!({ "taskToken": token, "input": input.to_string() });
        self.shared.kept().orders.entry(activity.to_owned()).or_default().push_back(order);
        self.shared.changed.notify_waiters();
    }

    pub(super) fn append(&self, events: impl IntoIterator<Item = Value>) {
        self.shared.kept().events.extend(events);
    }

    pub(super) fn status(&self, status: &'static str) {
        self.shared.kept().status = status;
    }

    /// Executions have this role already.
    pub(super) fn role(&self, role: &str) {
        role.clone_into(&mut self.shared.kept().role);
    }

    /// Most polls of an activity that were ever under way at once.
    pub(super) fn polls(&self, activity: &str) -> usize {
        self.shared.kept().polls.get(activity).map_or(0, |(_, most)| *most)
    }

    /// What was asked of an operation so far.
    pub(super) fn asked(&self, operation: &str) -> Vec<Value> {
        let kept = self.shared.kept();
        kept.asked.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until an operation was asked for so many times, and says with what.
    pub(super) async fn until(&self, operation: &str, times: usize) -> Vec<Value> {
        let enough = async {
            loop {
                let changed = self.shared.changed.notified();
                let asked = self.asked(operation);
                if asked.len() >= times {
                    return asked;
                }
                changed.await;
            }
        };
        timeout(HANGS, enough)
            .await
            .unwrap_or_else(|_| panic!("{operation} was never asked for {times} times"))
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let operation = target.strip_prefix("AWSStepFunctions.").unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let refusal = {
        let mut kept = shared.kept();
        kept.asked.push((operation.to_owned(), body.clone()));
        kept.refusals.get_mut(operation).and_then(VecDeque::pop_front)
    };
    shared.changed.notify_waiters();
    if let Some((status, code)) = refusal {
        let body = json!({ "__type": code, "message": "as told" }).to_string();
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let told = if operation == "GetActivityTask" {
        poll(&shared, &body).await
    } else {
        answer(&shared, operation, &body)
    };
    match told {
        Some(told) => told.to_string().into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn poll(shared: &Shared, body: &Value) -> Option<Value> {
    let arn = body["activityArn"].as_str().unwrap();
    let activity = arn.rsplit(':').next().unwrap();
    let count = |by: isize| {
        let mut kept = shared.kept();
        let (now, most) = kept.polls.entry(activity.to_owned()).or_default();
        *now = now.checked_add_signed(by).unwrap();
        *most = (*most).max(*now);
    };
    count(1);
    let ordered = async {
        loop {
            let changed = shared.changed.notified();
            {
                let mut kept = shared.kept();
                if kept.status == "GONE" {
                    return None;
                }
                if let Some(order) = kept.orders.get_mut(activity).and_then(VecDeque::pop_front) {
                    return Some(order);
                }
            }
            changed.await;
        }
    };
    let told = timeout(POLL, ordered).await.unwrap_or_else(|_| Some(json!({})));
    count(-1);
    told
}

fn answer(shared: &Shared, operation: &str, body: &Value) -> Option<Value> {
    let mut kept = shared.kept();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let arn = |kind: &str| format!("arn:aws:states:us-east-1:7:{kind}:{}", text("name"));
    Some(match operation {
        _ if kept.status == "GONE" => return None,
        "CreateActivity" => json!({ "activityArn": arn("activity"), "creationDate": 0 }),
        "CreateStateMachine" => {
            if kept.role.is_empty() {
                kept.role = text("roleArn");
            }
            json!({ "stateMachineArn": arn("stateMachine"), "creationDate": 0 })
        }
        "DescribeStateMachine" => json!({
            "stateMachineArn": text("stateMachineArn"), "name": "m", "definition": "{}", "roleArn": kept.role,
            "type": "STANDARD", "creationDate": 0,
        }),
        "UpdateStateMachine" => {
            kept.role = text("roleArn");
            json!({ "updateDate": 0 })
        }
        "StartExecution" => json!({ "executionArn": "e", "startDate": 0 }),
        "DescribeExecution" => json!({
            "executionArn": "e", "stateMachineArn": "m", "status": kept.status, "startDate": 0,
        }),
        "GetExecutionHistory" => page(&kept.events, body),
        "SendTaskHeartbeat" | "SendTaskSuccess" | "SendTaskFailure" | "StopExecution" => {
            json!({ "stopDate": 0 })
        }
        other => panic!("nobody should ask for {other}"),
    })
}

/// A page of the history, the newest first. The token is the number of the first that was not told.
fn page(events: &[Value], body: &Value) -> Value {
    assert_eq!(body["reverseOrder"], true);
    let most = usize::try_from(body["maxResults"].as_u64().unwrap()).unwrap();
    let from = body["nextToken"].as_str().map_or(events.len(), |token| token.parse().unwrap());
    let to = from.saturating_sub(most);
    let page: Vec<&Value> = events[to..from].iter().rev().collect();
    let next = (to > 0).then(|| to.to_string());
    json!({ "events": page, "nextToken": next })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
