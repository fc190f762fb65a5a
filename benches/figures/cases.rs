//! What is measured, as a table.

use crate::case::{
    COLD, Case, FLOOR, FLOOR_COLD, FLOOR_P99, Floor, Layer, P50, P99, PEAK, RATE, Row, SIZE, STORE, Target,
    WAITING, WARM, Work,
};
use crate::workflows;

const fn row(reading: &'static str, unit: &'static str, target: Target) -> Row {
    Row { reading, unit, floor: None, target }
}

const fn bounded(reading: &'static str, unit: &'static str, target: Target) -> Row {
    Row { reading, unit, floor: Some(FLOOR), target }
}

const MEMORY: Row = row(PEAK, "MiB at most", Target::Nothing);
const FILES: Row = row(STORE, "store B/item", Target::Nothing);

const BASE: Case = Case {
    name: "",
    what: "",
    size: 0,
    work: Work::Binary,
    floor: Floor::Unknown,
    rows: &[],
    is_usual: true,
};

/// All cases, in the order in which they have their turns.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "W1",
        what: "one run of 1,000 effect steps in sequence, 200 bytes each",
        size: 1_000,
        work: Work::Run(workflows::SEQUENCE),
        floor: Floor::Commits,
        rows: &[bounded(RATE, "steps/s", Target::AtLeastAndRatio(2_000.0, 0.75))],
        ..BASE
    },
    Case {
        name: "W2-2k",
        what: "one run, 2,000 items × 4 effect steps",
        size: 2_000,
        work: Work::Run(workflows::FOUR_STEPS),
        floor: Floor::Rows(1.0),
        rows: &[bounded(RATE, "item-steps/s", Target::Nothing)],
        ..BASE
    },
    Case {
        name: "W2-100k",
        what: "one run, 100,000 items × 4 effect steps",
        size: 100_000,
        work: Work::Run(workflows::FOUR_STEPS),
        floor: Floor::Rows(1.0),
        rows: &[bounded(RATE, "item-steps/s", Target::AtLeast(100_000.0)), MEMORY],
        ..BASE
    },
    Case {
        name: "W2-batches",
        what: "the same, up to 100 items a call",
        size: 100_000,
        work: Work::Run(workflows::FOUR_STEPS_IN_BATCHES),
        floor: Floor::Rows(1.0),
        rows: &[bounded(RATE, "item-steps/s", Target::Nothing)],
        ..BASE
    },
    Case {
        name: "W3",
        what: "1,000 runs of 6 steps at once, asked for as of a server",
        size: 1_000,
        work: Work::AtOnce(Layer::Desk, workflows::SIX_STEPS),
        floor: Floor::Rows(7.0),
        rows: &[bounded(RATE, "runs/s", Target::AtLeast(8_000.0))],
        ..BASE
    },
    Case {
        name: "W3-direct",
        what: "the same, started in the engine without a line to wait in",
        size: 1_000,
        work: Work::AtOnce(Layer::Engine, workflows::SIX_STEPS),
        floor: Floor::Rows(7.0),
        rows: &[bounded(RATE, "runs/s", Target::AtLeast(8_000.0))],
        ..BASE
    },
    Case {
        name: "W3-idle",
        what: "300 runs of 6 steps one after the other, asked for as of a server",
        size: 300,
        work: Work::InTurn(Layer::Desk, workflows::SIX_STEPS),
        floor: Floor::Series(7),
        rows: IDLE_RUN,
        ..BASE
    },
    Case {
        name: "W3-idle-direct",
        what: "the same, started in the engine without a line to wait in",
        size: 300,
        work: Work::InTurn(Layer::Engine, workflows::SIX_STEPS),
        floor: Floor::Series(7),
        rows: IDLE_RUN,
        ..BASE
    },
    Case {
        name: "W4",
        what: "kill -9 in the middle of 1,000,000 items × 4, from the start to the first new effect",
        size: 1_000_000,
        work: Work::Killed(workflows::FOUR_STEPS),
        floor: Floor::Own,
        rows: &[
            bounded(WARM, "ms warm", Target::AtMost(100.0)),
            Row { reading: COLD, unit: "ms cold", floor: Some(FLOOR_COLD), target: Target::AtMost(200.0) },
        ],
        ..BASE
    },
    Case {
        name: "P1-100k",
        what: "whole product pipeline, effects that do nothing, 100,000 products",
        size: 100_000,
        work: Work::Run(workflows::PIPELINE),
        floor: Floor::Parse,
        rows: &[bounded(RATE, "products/s", Target::AtLeast(12_000.0)), MEMORY, FILES],
        ..BASE
    },
    Case {
        name: "P1-1M",
        what: "the same with 1,000,000 products, and M1: its memory",
        size: 1_000_000,
        work: Work::Run(workflows::PIPELINE),
        floor: Floor::Parse,
        rows: &[
            bounded(RATE, "products/s", Target::AtLeast(12_000.0)),
            row(PEAK, "MiB at most", Target::AtMost(200.0)),
            FILES,
        ],
        ..BASE
    },
    Case {
        name: "P1-keys",
        what: "the same with 100,000 products and an idempotency key at PIM and shop",
        size: 100_000,
        work: Work::Run(workflows::PIPELINE_WITH_KEYS),
        floor: Floor::Parse,
        rows: &[bounded(RATE, "products/s", Target::Nothing), MEMORY, FILES],
        ..BASE
    },
    Case {
        name: "P1-sandbox",
        what: "the same with 5,000 products against the stand-ins",
        size: 5_000,
        work: Work::Outside(workflows::PIPELINE_WITH_STAND_INS),
        floor: Floor::Parse,
        rows: &[bounded(RATE, "products/s", Target::Nothing)],
        is_usual: false,
    },
    Case {
        name: "P2",
        what: "validate and transform alone, 100,000 products",
        size: 100_000,
        work: Work::Run(workflows::PURE),
        floor: Floor::Parse,
        rows: &[bounded(RATE, "products/s", Target::AtLeast(40_000.0)), MEMORY],
        ..BASE
    },
    Case {
        name: "P2-python",
        what: "the same by a Python handler",
        size: 100_000,
        work: Work::Run(workflows::PURE_IN_PYTHON),
        floor: Floor::Parse,
        rows: &[bounded(RATE, "products/s", Target::Nothing)],
        is_usual: false,
    },
    Case {
        name: "S1",
        what: "1,000,000 finished items × 2 steps, 36 opaque bytes each",
        size: 1_000_000,
        work: Work::Run(workflows::OPAQUE),
        floor: Floor::Given(72.0),
        rows: &[bounded(STORE, "B/item", Target::AtMost(150.0))],
        ..BASE
    },
    Case {
        name: "S1-packed",
        what: "the same with UUIDs, which pack",
        size: 1_000_000,
        work: Work::Run(workflows::PACKED),
        floor: Floor::Given(32.0),
        rows: &[bounded(STORE, "B/item", Target::AtMost(90.0))],
        ..BASE
    },
    Case {
        name: "S1-scattered",
        what: "100,000 items that wait between 2 steps, woken one of each block at a time",
        size: 100_000,
        work: Work::Scattered(workflows::SCATTERED),
        floor: Floor::Given(72.0),
        rows: &[
            bounded(STORE, "B/item", Target::AtMost(400.0)),
            row(WAITING, "B/item that waits", Target::Nothing),
        ],
        ..BASE
    },
    Case {
        name: "S1-keys",
        what: "100,000 idempotency keys that are kept",
        size: 100_000,
        work: Work::Keys(workflows::ONE_STEP_WITH_A_KEY, workflows::ONE_STEP),
        rows: &[row(STORE, "B/key", Target::AtMost(120.0))],
        ..BASE
    },
    Case {
        name: "C1",
        what: "from the start of `milepost run` to the first effect",
        size: 20,
        work: Work::Started(workflows::SIX_STEPS),
        floor: Floor::Process,
        rows: &[bounded(P50, "ms", Target::AtMost(50.0))],
        ..BASE
    },
    Case {
        name: "idle",
        what: "memory of `milepost serve` with nothing to do",
        work: Work::Idle(workflows::SIX_STEPS),
        rows: &[row(SIZE, "MiB", Target::AtMost(40.0))],
        ..BASE
    },
    Case {
        name: "binary",
        what: "size of the binary",
        rows: &[row(SIZE, "MB", Target::AtMost(25.0))],
        ..BASE
    },
];

const IDLE_RUN: &[Row] = &[
    bounded(P50, "ms, half", Target::AtMost(4.0)),
    Row { reading: P99, unit: "ms, 99 of 100", floor: Some(FLOOR_P99), target: Target::AtMost(12.0) },
];
