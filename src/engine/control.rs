//! How a run is told to stop.

use tokio::sync::watch;

/// What the driver of a run listens to.
#[derive(Clone, Debug)]
pub struct Control {
    stop: watch::Receiver<bool>,
}

/// The other end: asks a run to stop. Dropping it does not stop the run.
#[derive(Clone, Debug)]
pub struct Stop {
    stop: watch::Sender<bool>,
}

impl Control {
    /// A control and its other end.
    pub fn new() -> (Stop, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stop { stop: sender }, Self { stop: receiver })
    }

    /// Returns once the run is asked to stop; never, if it is not.
    pub async fn stopped(&mut self) {
        if self.stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stop {
    /// No new attempt starts; those under way end; the run is interrupted, and can be resumed.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}
