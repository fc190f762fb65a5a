//! What people ask a loop for, beside its triggers.

use std::sync::atomic::Ordering;

use milepost::app::Asked;
use milepost::core::trigger::WhenBusy;
use milepost::view::ResumeTerms;

use super::post::{Post, SOON, Server, life, occasion};

#[test]
fn that_a_person_went_on_with_a_run_is_on_disk_when_it_is_answered() {
    let post = Post::new();
    post.fake.tell("1", &[occasion("bad")]);
    life(async {
        let mut watch = post.watch().await;
        let run = watch.expect(&["started s3://bucket/bad", "failed"]).await[0];
        let asked = Asked { expected: None, by: Some("ana") };
        watch.watching.desk().resume(run, &ResumeTerms::default(), asked).await.unwrap();
        // What a kill at this moment would leave.
        let archive = watch.engine.archive();
        assert_eq!(archive.show(&run.to_string()).unwrap().resumes, 1);
        let events = archive.events(&run.to_string(), 0, None).unwrap().events;
        let resumed = events.iter().find(|event| event.kind == "resumed").unwrap();
        assert_eq!(resumed.by.as_deref(), Some("ana"));
    });
}

#[test]
fn a_person_goes_on_with_a_run_before_its_turn_and_it_is_begun_once() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.state.lock().unwrap().when_busy = Some(WhenBusy::Waits);
    post.fake.tell("1", &[occasion("slow"), occasion("next"), occasion("last")]);
    life(async {
        let mut watch = post.watch().await;
        watch.expect(&["started s3://bucket/slow"]).await;
        server.asked.recv_timeout(SOON).unwrap();
        let desk = watch.watching.desk();
        while desk.queue().waiting < 2 {
            tokio::task::yield_now().await;
        }
        let next = watch.runs()[1].0;
        let terms = ResumeTerms::default();
        desk.resume(next, &terms, Asked::default()).await.unwrap();
        assert_eq!(watch.expect(&["goes on", "succeeded"]).await, [next, next]);
        // Once more, in the moment in which its turn may come, by two people.
        let last = watch.runs()[0].0;
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        let (one, other) = tokio::join!(
            desk.resume(last, &terms, Asked::default()),
            desk.resume(last, &terms, Asked::default())
        );
        assert!(one.is_err() || other.is_err(), "one of them begins it, or the loop does");
        let mut told = Vec::new();
        while told.len() < 3 {
            told.push(watch.next().await.0);
        }
        assert_eq!(told.iter().filter(|told| *told == "succeeded").count(), 2, "{told:?}");
        assert!(!told.iter().any(|told| told.starts_with("stuck")), "{told:?}");
        assert!(watch.end().await.is_empty());
    });
}
