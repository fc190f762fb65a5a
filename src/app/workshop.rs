//! The threads that drive runs, apart from those that answer people: whatever the runs have to do, a
//! question is taken up at once, and however many ask, the runs go on.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime of its own. What still works in it ends soon after it is dropped.
pub(super) struct Workshop {
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
}

impl Workshop {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn open(threads: usize) -> std::io::Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads.max(1)).thread_name("milepost-work").enable_all();
        Ok(Self { runtime: Some(runtime.build()?) })
    }

    /// Lets a task work here.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.as_ref().expect("it is only taken when it is dropped").spawn(work)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}
