//! A message settles a doubt that lies below the watermark, and the engine dies at any commit.

use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::cell::{Cell, SettleBy, State};
use milepost::core::change::{Change, Message};
use milepost::core::desk::Limits;
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::{DeleteAfter, Track};
use milepost::core::progress::Progress;
use milepost::core::run::{Run, Source, Status};
use milepost::engine::assembly::Assembly;
use milepost::engine::{Control, Ports, drive};
use milepost::ports::{Clock, Journal};
use milepost::store::{Fate, MemoryStore};

use crate::case::new_run;
use crate::clock::{InPlace, SimClock};
use crate::effects::SimReceiver;
use crate::graphs::{assembly, effect, source, station, step};
use crate::world::{Life, World};
use milepost::ports::Worker;

const RUN: RunId = RunId(7);
const ITEMS: u64 = 70;
const DOUBTFUL: u64 = 3;

fn workflow(world: &Arc<World>) -> Assembly {
    let mut receive = step("consume", Role::Receive, vec![1], SettleBy::Repeat);
    receive.delete_after = DeleteAfter::Step(2);
    let steps = vec![
        step("source", Role::Pure, vec![], SettleBy::Repeat),
        step("publish", Role::Effect { probes: false }, vec![0], SettleBy::Person),
        receive,
        step("pim", Role::Effect { probes: true }, vec![2], SettleBy::Probe),
    ];
    let stations = vec![
        station(source(world, ITEMS), None),
        station(effect(world, 1, false), None),
        station(Worker::Receiver(Arc::new(SimReceiver { world: Arc::clone(world) })), None),
        station(effect(world, 3, false), None),
    ];
    assembly(world, (Track::new(steps), stations), ITEMS)
}

fn progress(states: &[State]) -> Progress {
    Progress::of(states.iter().map(|state| Cell { state: *state, ..Cell::default() }))
}

/// All items are done but one, whose publish only a person could settle, and whose message comes
/// when the watermark has long passed it.
fn records() -> Vec<Change> {
    let source = Source {
        uri: "sim".into(),
        records: "r".into(),
        index: "i".into(),
        count: ITEMS,
        origin: None,
        intake: None,
    };
    let run = Run { status: Status::Interrupted, source: Some(source), epoch: 1, ..new_run(RUN) };
    let done = progress(&[State::Succeeded; 4]);
    let doubtful = progress(&[State::Succeeded, State::InDoubt(None), State::Pending, State::Pending]);
    let message = Message {
        queue: "q".into(),
        run: RUN,
        item: Some(DOUBTFUL),
        event_id: 1,
        detail_type: "T".into(),
        digest: "d".into(),
    };
    let item = |at| if at == DOUBTFUL { doubtful.clone() } else { done.clone() };
    let mut changes = vec![
        Change::Run(Box::new(run)),
        Change::Progress(RUN, Unit::Run, progress(&[State::Succeeded])),
        Change::Watermark(RUN, ITEMS),
        Change::Enqueue(vec![message]),
    ];
    changes.extend((0..ITEMS).map(|at| Change::Progress(RUN, Unit::Item(at), item(at))));
    changes
}

/// One life that dies at its write number `cut`. Returns how many writes it made.
fn live(clock: &Arc<SimClock>, store: &MemoryStore, world: &Arc<World>) -> u64 {
    let run = store.run(RUN).unwrap().unwrap();
    let shared = Arc::new(store.clone());
    world.meet(Life { queue: shared.clone(), inbox: shared.clone(), journal: shared.clone() });
    let ports = Ports {
        journal: Arc::clone(&shared) as Arc<dyn Journal>,
        keys: Arc::clone(&shared) as Arc<dyn milepost::ports::Keys>,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        pins: shared,
        compute: Arc::new(InPlace),
    };
    let limits = Limits { window: 10, patience: Duration::from_secs(1) };
    let assembly = Arc::new(workflow(world));
    let runtime = clock.runtime();
    let _ended = runtime.block_on(async move {
        let (_stop, control) = Control::new();
        drive(run, Some("plan".into()), assembly, ports, control, limits, 1).await
    });
    clock.keep(&runtime);
    store.writes()
}

#[test]
fn an_item_that_a_message_brings_back_from_below_the_watermark_is_never_forgotten() {
    let mut cut = 1;
    loop {
        let clock = Arc::new(SimClock::new());
        let world = World::new(cut, Arc::clone(&clock) as Arc<dyn Clock>);
        let first = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        clock.runtime().block_on(first.commit(records())).unwrap();
        let first = first.survivor(move |write| if write < cut { Fate::Kept } else { Fate::Lost });
        let writes = live(&clock, &first, &world);
        let second = first.survivor(|_| Fate::Kept);
        if second.run(RUN).unwrap().unwrap().status != Status::Succeeded {
            live(&clock, &second, &world);
        }
        let last = second.survivor(|_| Fate::Kept);
        let progress = last.progress(RUN, Unit::Item(DOUBTFUL)).unwrap().unwrap();
        let states: Vec<State> = progress.cells.iter().map(|cell| cell.state).collect();
        assert_eq!(states, [State::Succeeded; 4], "after death at write {cut}");
        assert_eq!(last.run(RUN).unwrap().unwrap().status, Status::Succeeded);
        assert_eq!(world.entry((Unit::Item(DOUBTFUL), 1)).applied, 0, "the publish is never repeated");
        assert_eq!(world.entry((Unit::Item(DOUBTFUL), 3)).applied, 1);
        if writes < cut {
            assert!(cut > 5, "there were {writes} writes to die at");
            return;
        }
        cut += 1;
    }
}
