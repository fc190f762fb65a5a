//! An engine with its page on a port of this machine.

use std::path::Path;
use std::sync::Arc;

use milepost::app::{Engine, Start};
use milepost::config::Options;
use milepost::core::id::RunId;
use milepost::server::{self, Service};
use milepost::view::{Acted, Problem, ProblemKind, ResumeTerms, code};
use tokio::runtime::Runtime;

/// An engine that is being served.
pub(super) struct Served {
    pub(super) url: String,
    engine: Arc<Engine>,
    runtime: Runtime,
}

impl Served {
    /// Opens a state directory and serves it.
    pub(super) fn open(state: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = Arc::new(runtime.block_on(Engine::open(&Options::new(state))).unwrap());
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = server::router(service(&engine));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, engine, runtime }
    }

    /// Starts a run and lets it work.
    pub(super) fn start(&self, file: &Path, input: &[(&str, &str)]) -> RunId {
        let input = input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let start = Start { file: file.to_owned(), input, profile: None };
        self.runtime.block_on(self.engine.start(start)).unwrap().id
    }

    /// Starts a run, waits until it rests, and says which it was.
    pub(super) fn finish(&self, file: &Path, input: &[(&str, &str)]) -> RunId {
        let input = input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let start = Start { file: file.to_owned(), input, profile: None };
        self.runtime.block_on(async {
            let mut running = self.engine.start(start).await.unwrap();
            running.finished().await.unwrap();
            running.id
        })
    }
}

fn service(engine: &Arc<Engine>) -> Service {
    let (plans, acts, resumes) = (Arc::clone(engine), Arc::clone(engine), Arc::clone(engine));
    Service {
        archive: engine.archive(),
        planner: Arc::new(move |run, terms: ResumeTerms| {
            let engine = Arc::clone(&plans);
            Box::pin(async move { engine.plan(run, &terms).await.map_err(|error| refused(&error)) })
        }),
        actor: Arc::new(move |run, order| {
            let engine = Arc::clone(&acts);
            Box::pin(async move { engine.act(run, order).await })
        }),
        resumer: Arc::new(move |run, order| {
            let engine = Arc::clone(&resumes);
            Box::pin(async move {
                let running = engine.resume(run, &order.terms, order.expect.as_deref()).await;
                running.map_err(|error| refused(&error))?;
                let status = engine.archive().show(&run.to_string())?.status;
                Ok(Acted { run, status, message: "it goes on".to_owned(), next: Vec::new() })
            })
        }),
        keeper: Arc::new(|_| Box::pin(async { Err(server::ending()) })),
    }
}

fn refused(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Refused, code::RESUME_REFUSED, error.to_string())
}
