//! What a server does by itself, beside its runs: it notices that its files were changed, and removes what
//! nobody needs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::Engine;
use crate::connectors::listening::aside;
use crate::ports::Clock;

use super::desk::Desk;

/// How often it is looked whether the files that are served were changed.
const LOOKS_EVERY: Duration = Duration::from_secs(10);
/// How long after the start what nobody needs is first removed…
const COLLECTS_FIRST: Duration = Duration::from_mins(10);
/// …and how long after one removal the next one begins.
const COLLECTS_EVERY: Duration = Duration::from_hours(24);
/// Who removes it then.
const SERVER: &str = "the server";

/// When what nobody needs is removed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collects {
    /// Some minutes after the start, and then once a day.
    Daily,
    /// Only when somebody says so.
    Never,
}

/// Goes on until it is dropped; it does not keep the engine from ending.
pub struct Upkeep {
    _tasks: JoinSet<()>,
}

impl Upkeep {
    /// Begins to look at the files of this desk, and to remove what nobody needs.
    pub fn begin(engine: &Arc<Engine>, desk: Desk, collects: Collects) -> Self {
        let mut tasks = JoinSet::new();
        let clock = Arc::clone(&engine.ports.clock);
        tasks.spawn(again_and_again(clock, LOOKS_EVERY, LOOKS_EVERY, move || look(desk.clone())));
        if collects == Collects::Daily {
            let (clock, engine) = (Arc::clone(&engine.ports.clock), Arc::downgrade(engine));
            let collecting = move || collect(Weak::clone(&engine));
            tasks.spawn(again_and_again(clock, COLLECTS_FIRST, COLLECTS_EVERY, collecting));
        }
        Self { _tasks: tasks }
    }
}

async fn look(desk: Desk) {
    if let Err(fault) = aside(move || drop(desk.look())).await {
        tracing::error!(%fault, "the files that are served could not be looked at");
    }
}

async fn collect(engine: Weak<Engine>) {
    let Some(engine) = engine.upgrade() else { return };
    if let Err(error) = engine.collect_beside(SERVER.to_owned()).await {
        tracing::error!(%error, "what nobody needs was not removed");
    }
}

/// Does something when `first` is over, and then each time when `every` is over since it was done.
async fn again_and_again<D>(clock: Arc<dyn Clock>, first: Duration, every: Duration, job: impl Fn() -> D)
where
    D: Future<Output = ()>,
{
    let mut pause = first;
    loop {
        clock.sleep_until(clock.now().after(pause)).await;
        job().await;
        pause = every;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;

    use futures_util::FutureExt;

    use super::*;
    use crate::connectors::listening::tests::Waited;

    #[test]
    fn what_nobody_needs_is_removed_ten_minutes_after_the_start_and_then_once_a_day() {
        let minute = 60_000;
        let (clock, times) = (Arc::new(Waited::default()), Mutex::new(Vec::new()));
        let job = || {
            times.lock().unwrap().push(clock.now().0 / minute);
            // It takes a minute, and the fourth one never ends.
            clock.0.fetch_add(minute, Ordering::SeqCst);
            let is_last = times.lock().unwrap().len() == 4;
            async move {
                if is_last {
                    std::future::pending::<()>().await;
                }
            }
        };
        let ticking = Arc::clone(&clock) as Arc<dyn Clock>;
        let collecting = again_and_again(ticking, COLLECTS_FIRST, COLLECTS_EVERY, job);
        assert!(collecting.now_or_never().is_none(), "it goes on for ever");
        let day = 24 * 60;
        assert_eq!(*times.lock().unwrap(), [10, 11 + day, 12 + 2 * day, 13 + 3 * day]);
    }
}
