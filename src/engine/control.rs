//! What the driver of a run is asked for while it works.

use tokio::sync::{mpsc, oneshot, watch};

/// What a driver can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// No new attempt; those under way end; the run is interrupted, and can be resumed.
    Stop,
    /// No new attempt; those under way end; the run is cancelled, for good.
    Cancel {
        /// Who asks.
        by: String,
    },
    /// No new attempt until somebody says so; those under way end.
    Pause {
        /// Who asks.
        by: String,
    },
    /// Goes on after a pause.
    Unpause {
        /// Who asks.
        by: String,
    },
}

/// Why a driver does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// It does not fit where the run stands.
    #[error("{0}")]
    Unfit(String),
    /// The driver is ending, or has not begun.
    #[error("its engine is ending")]
    Gone,
}

/// A request with the way back.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) answer: Answer,
}

/// Tells whoever asked. Dropping it tells that the driver is gone.
pub(super) type Answer = oneshot::Sender<Result<(), Declined>>;

/// What the driver of a run listens to.
#[derive(Debug)]
pub struct Control {
    asked: mpsc::UnboundedReceiver<Asked>,
    has_begun: watch::Sender<bool>,
}

/// The other end. Dropping it changes nothing for the run.
#[derive(Clone, Debug)]
pub struct Handle {
    asked: mpsc::UnboundedSender<Asked>,
    has_begun: watch::Receiver<bool>,
}

impl Control {
    /// A control and its other end.
    pub fn new() -> (Handle, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (begins, has_begun) = watch::channel(false);
        (Handle { asked: sender, has_begun }, Self { asked: receiver, has_begun: begins })
    }

    /// Tells whoever waits for it that what the run begins with is durable.
    pub(super) fn has_begun(&self) {
        self.has_begun.send_if_modified(|has_begun| !std::mem::replace(has_begun, true));
    }

    /// Returns with the next request; never, if there is none.
    pub(super) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Handle {
    /// Asks the driver to stop, without waiting for it.
    pub fn stop(&self) {
        // A driver that is gone has stopped.
        drop(self.send(Request::Stop));
    }

    /// Returns once it is durable that the run was started, or resumed, with what that changed.
    ///
    /// # Errors
    /// The driver ended before: none of it was recorded.
    pub async fn begun(&self) -> Result<(), Declined> {
        let mut has_begun = self.has_begun.clone();
        has_begun.wait_for(|has_begun| *has_begun).await.map(drop).map_err(|_| Declined::Gone)
    }

    /// Asks the driver. When it returns `Ok`, what was asked for is durable.
    ///
    /// # Errors
    /// [`Declined`] says why not.
    pub async fn ask(&self, request: Request) -> Result<(), Declined> {
        self.send(request).await.unwrap_or(Err(Declined::Gone))
    }

    fn send(&self, request: Request) -> oneshot::Receiver<Result<(), Declined>> {
        let (answer, answered) = oneshot::channel();
        // Nobody there drops the way back, which tells the same.
        let _ = self.asked.send(Asked { request, answer });
        answered
    }
}
