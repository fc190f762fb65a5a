//! Computing threads: as many as there are processors, fed by one queue.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use crate::ports::Compute;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed set of threads that compute. They end when the crew is dropped.
pub struct Crew {
    jobs: mpsc::Sender<Job>,
}

impl Crew {
    /// Starts `threads` threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("compute-{number}")).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }
}

impl Compute for Crew {
    fn submit(&self, job: Job) {
        // The threads outlive the sender, so this cannot fail.
        let _ = self.jobs.send(job);
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(mpsc::RecvError) => return,
        }
    }
}
