//! What the triggers share that look for themselves whether something has happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::core::fault::{Fault, name};
use crate::core::trigger::{Heard, Notice};
use crate::ports::{Clock, Marks, StoreError};

/// How long nothing happens before that is said, and the longest pause between two looks.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// For so many times as long as a look took, the next one is not begun: what grows to where a look takes
/// long is looked at less often, and does not take a core for itself.
const REST: u32 = 20;

/// Looks every so often until there is something, or says that nothing happened.
///
/// # Errors
/// Those of looking.
pub(crate) async fn until_heard<L>(
    clock: &dyn Clock,
    every: Duration,
    look: impl Fn() -> L + Send + Sync,
) -> Result<Heard, Fault>
where
    L: Future<Output = Result<Option<Notice>, Fault>> + Send,
{
    let begun = clock.passed();
    loop {
        let before = clock.passed();
        if let Some(notice) = look().await? {
            return Ok(Heard::Notice(notice));
        }
        let after = clock.passed();
        if after.saturating_sub(begun) >= WAIT_MAX {
            return Ok(Heard::Nothing);
        }
        let rest = after.saturating_sub(before) * REST;
        clock.sleep_until(clock.now().after(every.max(rest).min(WAIT_MAX))).await;
    }
}

/// Does what may take long, away from the threads that wait.
///
/// # Errors
/// It broke off: a defect of Milepost.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Fault::new(name::DEFECT, error.to_string()))
}

/// What one trigger remembers: read once, and kept beside the store from then on. The engine owns the
/// store, and a trigger its marks, so that nobody else changes them.
#[derive(Clone)]
pub(crate) struct Remembered {
    /// The name under which it remembers.
    of: String,
    marks: Arc<dyn Marks>,
    /// By subject; `None`: not read yet.
    known: Arc<Mutex<Option<BTreeMap<String, String>>>>,
}

impl Remembered {
    /// What the trigger of this name remembers.
    pub(crate) fn new(of: &str, marks: &Arc<dyn Marks>) -> Self {
        Self { of: of.to_owned(), marks: Arc::clone(marks), known: Arc::default() }
    }

    /// Looks at everything that is remembered, by subject, away from the threads that wait.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&BTreeMap<String, String>) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let Self { of, marks, known } = self.clone();
        let looked = aside(move || {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let known = match &mut *known {
                Some(known) => known,
                unread @ None => unread.insert(marks.marks(&of)?),
            };
            Ok(look(known))
        });
        looked.await?.map_err(unremembered)
    }

    /// Remembers, and forgets what is `None`; all of it or nothing. When it returns `Ok`, that survives a
    /// power cut.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn remember(&self, news: BTreeMap<String, Option<String>>) -> Result<(), Fault> {
        if news.is_empty() {
            return Ok(());
        }
        self.marks.mark(&self.of, news.clone()).await.map_err(unremembered)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not read yet is read with this in it.
        let Some(known) = &mut *known else { return Ok(()) };
        for (subject, seen) in news {
            match seen {
                Some(seen) => drop(known.insert(subject, seen)),
                None => drop(known.remove(&subject)),
            }
        }
        Ok(())
    }
}

fn unremembered(error: StoreError) -> Fault {
    Fault::new(name::NO_ANSWER, error.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;

    use crate::core::time::Timestamp;
    use crate::ports::Clock;

    /// Time goes by only when somebody waits for it.
    #[derive(Default)]
    pub(crate) struct Waited(pub(crate) AtomicU64);

    #[async_trait]
    impl Clock for Waited {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.0.fetch_max(until.0, Ordering::SeqCst);
        }
    }
}
