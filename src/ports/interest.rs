//! Whether what a job gives is still wanted.

use tokio::sync::watch;

/// Somebody waits for what a job gives. Once this is dropped, nobody does.
#[derive(Debug, Default)]
pub struct Waiting(watch::Sender<()>);

impl Waiting {
    /// What the job is told of it.
    pub fn interest(&self) -> Interest {
        Interest(Some(self.0.subscribe()))
    }
}

/// What a job knows of whoever waits for what it gives. Unless it is made otherwise, it lasts.
#[derive(Clone, Debug, Default)]
pub struct Interest(Option<watch::Receiver<()>>);

impl Interest {
    /// Whether nobody waits any more.
    pub fn is_lost(&self) -> bool {
        self.0.as_ref().is_some_and(|waiting| waiting.has_changed().is_err())
    }

    /// Returns when nobody waits any more; never, if it lasts.
    pub async fn lost(&self) {
        match self.0.clone() {
            // Nothing is ever sent: the only change is its end.
            Some(mut waiting) => while waiting.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn interest_is_lost_with_whoever_waits() {
        let waiting = Waiting::default();
        let interest = waiting.interest();
        assert!(!interest.is_lost());
        let heard = tokio::spawn({
            let interest = interest.clone();
            async move { interest.lost().await }
        });
        drop(waiting);
        heard.await.unwrap();
        assert!(interest.is_lost());
        assert!(!Interest::default().is_lost(), "this one lasts");
    }
}
