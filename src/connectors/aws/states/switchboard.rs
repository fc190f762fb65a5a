//! Orders of activities on their way to the runs that they are about. Activities belong to the steps of a workflow,
//! so runs share them: each is polled once, however many runs wait for its orders.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sfn::operation::get_activity_task::GetActivityTaskOutput;

use super::line::{Line, unreachable};
use super::order::{self, UNREADABLE};
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
    /// Where all lines come from.
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
        while let Some(patience) = self.needed(activity) {
            let line = self.line.patient(patience);
            let client = line.polling().await;
            let poll = || client.get_activity_task().activity_arn(activity).send();
            match line.ask("GetActivityTask", poll).await {
                Ok(task) => self.deliver(task, &line).await,
                Err(trouble) => self.give_up(activity, &unreachable(trouble)),
            }
        }
    }

    /// The patience of the most patient run that needs the activity. If there is none, it does not count as polled
    /// any more.
    fn needed(&self, activity: &str) -> Option<Duration> {
        let mut plugs = self.plugs();
        let needing = plugs.routes.values().filter(|(_, activities)| activities.contains(activity));
        let patience = needing.map(|(route, _)| route.line.patience).max();
        if patience.is_none() {
            plugs.polled.remove(activity);
        }
        patience
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
    async fn deliver(&self, task: GetActivityTaskOutput, line: &Line) {
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
        let _ = line.say(&Receipt(token), order::failure(&refused)).await;
    }
}
