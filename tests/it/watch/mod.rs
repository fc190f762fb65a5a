//! The trigger loop: one run for each occasion, whatever is told how often, and whoever dies when.
//! What is heard comes from the test; engine, store and runs are the real ones.

mod desk;
pub(crate) mod post;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;

use milepost::app::{Engine, Pace, Watched};
use milepost::config::Options;
use milepost::core::queue::{Stray, Ticket};
use milepost::core::run::Status;
use milepost::core::trigger::WhenBusy;
use milepost::view::{Action, Order};

use post::{PACE, Post, SOON, Server, life, occasion};

#[test]
fn the_same_upload_told_three_times_starts_one_run() {
    let post = Post::new();
    life(async {
        let mut watch = post.watch().await;
        for message in ["1", "2", "3"] {
            post.fake.tell(message, &[occasion("a")]);
        }
        let again = "again s3://bucket/a";
        let runs = watch.expect(&["started s3://bucket/a", "succeeded", again, again]).await;
        assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), 1, "one run: {runs:?}");
        post.fake.tell("4", &[occasion("b")]);
        watch.expect(&["started s3://bucket/b", "succeeded"]).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (2, 0));
        let run = watch.engine.archive().find(&runs[0].to_string()).unwrap();
        assert_eq!(run.trigger.as_deref(), Some("uploads"));
        assert_eq!(run.version, occasion("a").version.map(|version| version.0));
        assert_eq!(run.input["source"], "s3://bucket/a");
        assert!(watch.end().await.is_empty());
    });
}

#[test]
fn the_uploads_of_one_message_run_in_their_order_and_others_wait_in_the_queue_meanwhile() {
    let post = Post::new();
    post.fake.tell("1", &[occasion("a"), occasion("b"), occasion("c")]);
    post.fake.tell("2", &[occasion("d")]);
    life(async {
        let mut watch = post.watch().await;
        for name in ["a", "b"] {
            watch.expect(&[&format!("started s3://bucket/{name}"), "succeeded"]).await;
            assert_eq!(post.fake.receives(), 1, "no receive while something is to do");
        }
        watch.expect(&["started s3://bucket/c", "succeeded", "started s3://bucket/d", "succeeded"]).await;
        assert_eq!((post.fake.receives(), post.fake.left()), (2, 0));
        watch.end().await;
    });
}

#[test]
fn a_loop_that_dies_between_record_and_delete_starts_no_second_run() {
    let post = Post::new();
    post.fake.state.lock().unwrap().delete_hangs = true;
    post.fake.tell("1", &[occasion("a"), occasion("b")]);
    let recorded = life(async {
        let watch = post.watch().await;
        tokio::time::timeout(SOON, post.fake.deleting.notified()).await.expect("a delete");
        assert!(watch.runs().iter().all(|(_, status)| *status == Status::Queued), "{:?}", watch.runs());
        watch.runs().into_iter().map(|(run, _)| run).rev().collect::<Vec<_>>()
    });
    assert_eq!(recorded.len(), 2);

    post.fake.show_again();
    life(async {
        let mut watch = post.watch().await;
        let runs = watch.expect(&["goes on", "succeeded", "goes on", "succeeded"]).await;
        assert_eq!(runs, [recorded[0], recorded[0], recorded[1], recorded[1]], "the oldest first");
        watch.expect(&["again s3://bucket/a", "again s3://bucket/b"]).await;
        assert_eq!(watch.runs().len(), 2);
        watch.end().await;
    });
    assert_eq!(post.fake.left(), 0);
}

#[test]
fn what_a_stop_or_a_death_interrupts_goes_on_with_the_next_loop_before_anything_is_received() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("slow")]);
    let run = life(async {
        let mut watch = post.watch().await;
        let run = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        run
        // Here the engine dies.
    });
    post.fake.tell("2", &[occasion("next")]);
    life(async {
        let mut watch = post.watch().await;
        assert_eq!(watch.expect(&["goes on"]).await, [run]);
        server.asked.recv_timeout(SOON).unwrap();
        assert_eq!(post.fake.receives(), 1, "it is at work, so nothing is received");
        // Here it is asked to end, and the call that is out is answered by nobody.
        watch.watching.stop();
        server.answers.store(true, Ordering::SeqCst);
    });
    life(async {
        let mut watch = post.watch().await;
        let runs = watch.expect(&["goes on", "succeeded", "started s3://bucket/next", "succeeded"]).await;
        assert_eq!(runs[..2], [run, run]);
        assert_eq!(watch.runs().len(), 2);
        watch.end().await;
    });
}

#[test]
fn a_run_that_fails_or_is_given_up_is_told_and_does_not_hold_up_the_others() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("bad"), occasion("slow"), occasion("waits"), occasion("good")]);
    let order = || Order { action: Action::Cancel, by: "ana".to_owned() };
    life(async {
        let mut watch = post.watch().await;
        watch.expect(&["started s3://bucket/bad", "failed"]).await;
        let slow = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        // A person gives up the one that waits, and then the one that is at work.
        let waits = watch.runs().iter().rev().map(|(run, _)| *run).nth(2).unwrap();
        watch.engine.act(waits, order()).await.unwrap();
        watch.engine.act(slow, order()).await.unwrap();
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        watch.expect(&["cancelled"]).await;
        let (told, run) = watch.next().await;
        assert!(told.starts_with("stuck: ") && run == Some(waits), "{told}");
        watch.expect(&["started s3://bucket/good", "succeeded"]).await;
        watch.end().await;
    });
    life(async {
        let watch = post.watch().await;
        assert!(watch.end().await.is_empty(), "a failed run waits for a person, a cancelled one for nobody");
    });
}

#[test]
fn a_run_that_a_person_paused_stays_paused_in_the_next_loop_and_holds_up_nobody() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("slow")]);
    let paused = life(async {
        let mut watch = post.watch().await;
        let run = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        watch.engine.act(run, Order { action: Action::Pause, by: "ana".to_owned() }).await.unwrap();
        watch.watching.stop();
        server.release.send(()).unwrap();
        watch.expect(&["interrupted"]).await;
        run
    });
    post.fake.tell("2", &[occasion("next")]);
    life(async {
        let mut watch = post.watch().await;
        let runs = watch.expect(&["paused by ana", "started s3://bucket/next", "succeeded"]).await;
        assert_eq!(runs[0], paused);
        let kept = watch.runs().into_iter().find(|(run, _)| *run == paused).unwrap();
        assert_eq!(kept.1, Status::Interrupted, "nobody began it");
        watch.end().await;
    });
}

#[test]
fn a_run_whose_pinned_source_is_gone_is_told_and_the_loop_goes_on() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    let source = post.site.path("in.ndjson");
    fs::write(&source, "{\"id\":1}\n").unwrap();
    let read = format!(
        "  read: {{ uses: json.validate, connection: files, with: {{ source: '{}', item_key: '${{{{ item.id }}}}' }} }}\n  \
         ask: {{ needs: [read], uses: http.request,",
        source.display()
    );
    post.edit("  ask: { uses: http.request,", &read);
    post.edit("connections:\n", "connections:\n  files: { use: local }\n");
    post.fake.tell("1", &[occasion("slow")]);
    let broken = life(async {
        let mut watch = post.watch().await;
        let run = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        run
        // Here the engine dies.
    });
    let shelves = fs::read_dir(post.site.path("state/pins")).unwrap();
    let shelves = shelves.flatten().filter(|shelf| shelf.path().is_dir());
    let mut pins = shelves.flat_map(|shelf| fs::read_dir(shelf.path()).unwrap().flatten());
    let pin = pins.find(|pin| fs::read(pin.path()).unwrap() == fs::read(&source).unwrap()).unwrap();
    fs::remove_file(pin.path()).unwrap();
    post.fake.tell("2", &[occasion("next")]);
    server.answers.store(true, Ordering::SeqCst);
    life(async {
        let mut watch = post.watch().await;
        assert_eq!(watch.expect(&["goes on"]).await, [broken]);
        let (told, run) = watch.next().await;
        assert!(
            told.starts_with("broken: the pinned source cannot be read") && run == Some(broken),
            "{told}"
        );
        watch.expect(&["started s3://bucket/next", "succeeded"]).await;
        assert!(watch.end().await.is_empty());
    });
}

#[test]
fn what_happens_while_a_run_is_at_work_stays_or_waits_or_is_passed_over_as_the_trigger_says() {
    for when_busy in [WhenBusy::Stays, WhenBusy::Waits, WhenBusy::Skips] {
        let server = Server::start();
        let post = Post::asking(&server.url);
        post.fake.state.lock().unwrap().when_busy = Some(when_busy);
        post.fake.tell("1", &[occasion("slow")]);
        life(async {
            let mut watch = post.watch().await;
            watch.expect(&["started s3://bucket/slow"]).await;
            server.asked.recv_timeout(SOON).unwrap();
            post.fake.tell("2", &[occasion("b")]);
            let desk = watch.watching.desk();
            match when_busy {
                WhenBusy::Stays => assert_eq!(post.fake.receives(), 1),
                WhenBusy::Waits => {
                    while desk.queue().waiting == 0 {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!((post.fake.receives(), watch.runs().len()), (2, 2), "it is recorded");
                }
                WhenBusy::Skips => drop(watch.expect(&["passed over s3://bucket/b"]).await),
            }
            server.answers.store(true, Ordering::SeqCst);
            server.release.send(()).unwrap();
            watch.expect(&["succeeded"]).await;
            match when_busy {
                WhenBusy::Skips => {
                    post.fake.tell("3", &[occasion("c")]);
                    watch.expect(&["started s3://bucket/c", "succeeded"]).await;
                }
                WhenBusy::Stays | WhenBusy::Waits => {
                    watch.expect(&["started s3://bucket/b", "succeeded"]).await;
                }
            }
            assert_eq!((watch.runs().len(), post.fake.left()), (2, 0));
            watch.end().await;
        });
    }
}

#[test]
fn what_one_message_brings_beyond_the_room_there_is_stays_where_it_is() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.state.lock().unwrap().when_busy = Some(WhenBusy::Waits);
    post.fake.tell("1", &[occasion("slow")]);
    life(async {
        let mut watch = post.watch_at(Pace { waiting_max: 2, ..PACE }, None).await;
        watch.expect(&["started s3://bucket/slow"]).await;
        server.asked.recv_timeout(SOON).unwrap();
        post.fake.tell("2", &[occasion("a"), occasion("b"), occasion("c")]);
        while watch.watching.desk().queue().waiting < 2 {
            tokio::task::yield_now().await;
        }
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        watch.expect(&["succeeded", "started s3://bucket/a", "succeeded"]).await;
        watch.expect(&["started s3://bucket/b", "succeeded"]).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (3, 1), "it is not done");
        post.fake.show_again();
        let again = ["again s3://bucket/a", "again s3://bucket/b", "started s3://bucket/c", "succeeded"];
        watch.expect(&again).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (4, 0));
        watch.end().await;
    });
}

#[test]
fn a_start_that_is_refused_again_and_again_is_no_trigger_that_listens_again() {
    let post = Post::new();
    let nowhere = "  far: { use: aws, event_bus: \"${env:MILEPOST_TEST_NEVER_SET}\" }\n";
    post.edit("profiles:\n", &format!("{nowhere}profiles:\n"));
    let tell = "  tell: { uses: eventbridge.publish, connection: far, repeat: safe, with: { detail_type: Told }, \
                when: \"${{ $contains(input.source, 'loud') }}\" }\n";
    post.edit("steps:\n", &format!("steps:\n{tell}"));
    post.fake.tell("1", &[occasion("a")]);
    life(async {
        let mut watch = post.watch().await;
        for _ in 0..2 {
            let (told, _) = watch.next().await;
            assert!(told.starts_with("refused: "), "{told}");
            post.fake.show_again();
        }
        // The next time it is left alone for two seconds.
        post.edit(nowhere, "  far: { use: embedded }\n");
        watch.expect(&["listens", "started s3://bucket/a", "succeeded"]).await;
        watch.end().await;
    });
}

#[test]
fn two_workflows_and_two_profiles_that_hear_of_one_upload_all_start() {
    let post = Post::new();
    let heard = |profile| {
        post.fake.tell("1", &[occasion("a")]);
        life(async {
            let mut watch = post.watch_in(profile).await;
            let (told, run) = watch.next().await;
            if run.is_some() && told.starts_with("started") {
                watch.expect(&["succeeded"]).await;
            }
            watch.end().await;
            told
        })
    };
    let started = "started s3://bucket/a";
    assert_eq!([heard(None), heard(Some("production"))], [started, started]);
    post.edit("workflow: uploads", "workflow: copies");
    assert_eq!(heard(None), started);
    assert_eq!(heard(None), "again s3://bucket/a");
    // The same workflow, mended meanwhile: what it heard of before is dealt with.
    post.edit("it is bad", "it is very bad");
    assert_eq!(heard(None), "used E1036");
    assert_eq!(post.fake.left(), 0);
}

#[test]
fn while_the_file_has_mistakes_messages_wait_and_when_it_is_mended_they_start() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("slow")]);
    post.fake.tell("2", &[occasion("b")]);
    life(async {
        let mut watch = post.watch().await;
        watch.expect(&["started s3://bucket/slow"]).await;
        server.asked.recv_timeout(SOON).unwrap();
        post.edit("uses: fail", "uses: fall");
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        watch.expect(&["succeeded", "unfit: E301"]).await;
        assert_eq!(post.fake.receives(), 1, "it is not even received");
        post.edit("uses: fall", "uses: fail");
        watch.expect(&["listens", "started s3://bucket/b", "succeeded"]).await;
        watch.end().await;
    });
    // A loop does not begin with a file that has mistakes.
    post.edit("input: source }", "input: sauce }");
    let mistakes = Engine::check(&post.file(), None).err().unwrap();
    assert_eq!(mistakes.findings[0].code, "E503");
}

#[test]
fn what_is_received_while_the_file_is_being_broken_shows_again() {
    let post = Post::new();
    life(async {
        let mut watch = post.watch().await;
        tokio::time::timeout(SOON, post.fake.listening.notified()).await.expect("a receive");
        post.edit("uses: fail", "uses: fall");
        post.fake.tell("1", &[occasion("a")]);
        watch.expect(&["refused: the workflow file has mistakes"]).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (0, 1));
        post.edit("uses: fall", "uses: fail");
        post.fake.show_again();
        watch.expect(&["listens", "started s3://bucket/a", "succeeded"]).await;
        watch.end().await;
    });
}

#[test]
fn a_queue_out_of_reach_is_told_once_and_a_message_nobody_can_read_is_left_to_it() {
    let post = Post::new();
    post.fake.state.lock().unwrap().away = 2;
    let ticket = Ticket::Given("m".into());
    let stray = Stray { id: "m".to_owned(), receives: 2, reason: "no JSON".to_owned(), ticket };
    post.fake.state.lock().unwrap().strays.push_back(stray);
    post.fake.tell("1", &[occasion("a")]);
    life(async {
        let mut watch = post.watch().await;
        let news = ["away: Unreachable: nobody there", "listens", "stray m"];
        watch.expect(&news).await;
        watch.expect(&["started s3://bucket/a", "succeeded"]).await;
        watch.end().await;
    });
}

#[test]
fn a_trigger_listens_in_the_profiles_whose_connection_it_works_over() {
    let post = Post::new();
    let engine = life(Engine::open(&Options::new(post.site.path("state")))).unwrap();
    let read = |profile| {
        let watched = Watched::read(&engine, &post.file(), profile).unwrap();
        (watched.listeners.into_iter().map(|one| one.about).collect::<Vec<_>>(), watched.silent)
    };
    assert_eq!(read(None), (vec![], vec![("uploads".to_owned(), "embedded".to_owned())]));
    assert_eq!(read(Some("production")), (vec!["s3.created, queue q".to_owned()], vec![]));
}
