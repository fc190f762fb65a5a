//! Orders of activities on their way to the runs that they are about. Activities belong to the steps of a workflow,
//! so runs share them: each is polled once, however many runs wait for its orders.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_sfn::operation::get_activity_task::GetActivityTaskOutput;

use super::line::{Line, is_gone, unreachable};
use super::order::{self, Said, UNREADABLE};
use super::route::Route;
use crate::core::execution::{AWAY, Receipt};
use crate::core::fault::Fault;
use crate::core::id::RunId;

/// Who is connected to what.
#[derive(Default)]
struct Plugs {
    /// Each run with the ARNs of its activities.
    routes: HashMap<RunId, (Arc<Route>, BTreeSet<String>)>,
    /// The activities that are polled.
    polled: HashSet<String>,
}

/// Polls activities, and hands each order to its run.
pub(super) struct Switchboard {
    pub(super) line: Line,
    plugs: Mutex<Plugs>,
}

impl Switchboard {
    pub(super) fn new(line: Line) -> Self {
        Self { line, plugs: Mutex::default() }
    }

    fn plugs(&self) -> MutexGuard<'_, Plugs> {
        self.plugs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what these activities order for the route's run to it from now on, and nobody else any more.
    pub(super) fn connect(self: &Arc<Self>, route: &Arc<Route>, activities: BTreeSet<String>) {
        let mut plugs = self.plugs();
        for activity in &activities {
            if plugs.polled.insert(activity.clone()) {
                let (board, activity) = (Arc::clone(self), activity.clone());
                tokio::spawn(async move { board.poll(&activity).await });
            }
        }
        plugs.routes.insert(route.run, (Arc::clone(route), activities));
    }

    /// Hands the route nothing more.
    pub(super) fn disconnect(&self, route: &Arc<Route>) {
        let mut plugs = self.plugs();
        if plugs.routes.get(&route.run).is_some_and(|(connected, _)| Arc::ptr_eq(connected, route)) {
            plugs.routes.remove(&route.run);
        }
    }

    /// Polls an activity for as long as a run needs it. A poll is never broken off: Step Functions may have given it
    /// an order already, and nobody would know of it until its heartbeat is missed.
    async fn poll(&self, activity: &str) {
        while self.is_needed(activity) {
            let client = self.line.polling().await;
            let asked =
                self.line.ask("GetActivityTask", || client.get_activity_task().activity_arn(activity).send());
            match asked.await {
                Ok(task) => self.deliver(task).await,
                Err(trouble) => self.give_up(activity, &unreachable(trouble)),
            }
        }
    }

    /// Whether a run needs the activity. If not, it does not count as polled any more.
    fn is_needed(&self, activity: &str) -> bool {
        let mut plugs = self.plugs();
        let needed = plugs.routes.values().any(|(_, activities)| activities.contains(activity));
        if !needed {
            plugs.polled.remove(activity);
        }
        needed
    }

    /// Tells every run that needs the activity that it is not heard of any more.
    fn give_up(&self, activity: &str, fault: &Fault) {
        self.plugs().routes.retain(|_, (route, activities)| {
            let concerned = activities.contains(activity);
            if concerned {
                route.fail(fault.clone());
            }
            !concerned
        });
    }

    /// Hands over what a poll brought. A poll that brought nothing has no token.
    async fn deliver(&self, task: GetActivityTaskOutput) {
        let Some(token) = task.task_token.filter(|token| !token.is_empty()) else { return };
        let refused = match order::read(&token, task.input.as_deref().unwrap_or_default()) {
            Ok((run, order)) => {
                let route = self.plugs().routes.get(&run).map(|(route, _)| Arc::clone(route));
                if route.is_some_and(|route| route.take(order)) {
                    return;
                }
                Fault::new(AWAY, format!("{run} is not driven by this engine at the moment"))
            }
            Err(why) => Fault::new(UNREADABLE, why),
        };
        // Nobody answering, the order is given again once its heartbeat is missed.
        let _ = self.say(&Receipt(token), order::failure(&refused)).await;
    }

    /// Gives orders back that nobody will answer.
    pub(super) async fn give_back(&self, run: RunId, receipts: Vec<Receipt>) {
        let fault = Fault::new(AWAY, format!("{run} is not driven by this engine any more"));
        for receipt in receipts {
            // As above.
            let _ = self.say(&receipt, order::failure(&fault)).await;
        }
    }

    /// Answers an order. One that takes no answer any more is no error.
    ///
    /// # Errors
    /// Nobody answered for as long as the patience lasts, or a refusal.
    pub(super) async fn say(&self, receipt: &Receipt, said: Said) -> Result<(), Fault> {
        let client = self.line.client().await;
        let told = match said {
            Said::Success(output) => {
                let send = || client.send_task_success().task_token(&receipt.0).output(&output).send();
                self.line.ask("SendTaskSuccess", send).await.map(drop)
            }
            Said::Failure { error, cause } => {
                let send =
                    || client.send_task_failure().task_token(&receipt.0).error(&error).cause(&cause).send();
                self.line.ask("SendTaskFailure", send).await.map(drop)
            }
        };
        told.or_else(|trouble| if is_gone(&trouble) { Ok(()) } else { Err(unreachable(trouble)) })
    }
}
