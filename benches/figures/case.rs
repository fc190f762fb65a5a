//! What a case is: its work, its floor, and what is to be reached. The cases are in `cases`.

use std::collections::BTreeMap;

use crate::cases::CASES;
use crate::workflows::Flow;

/// What one turn of a case came to, by name.
pub(crate) type Readings = BTreeMap<String, f64>;

/// Units per second.
pub(crate) const RATE: &str = "rate";
/// From the start of the work to its end.
pub(crate) const SECONDS: &str = "seconds";
/// Processor time of the case's process, user and system, per unit.
pub(crate) const CPU: &str = "cpu_micros";
/// Most memory that the case's process held, in MiB.
pub(crate) const PEAK: &str = "peak_mb";
/// Bytes on disk per unit, pins apart.
pub(crate) const STORE: &str = "store_bytes";
/// The same while everything waits.
pub(crate) const WAITING: &str = "waiting_bytes";
/// Half of the times are not longer, in milliseconds.
pub(crate) const P50: &str = "p50_ms";
/// All but one in a hundred are not longer.
pub(crate) const P99: &str = "p99_ms";
/// With the files in the page cache, in milliseconds.
pub(crate) const WARM: &str = "warm_ms";
/// Without them.
pub(crate) const COLD: &str = "cold_ms";
/// A size, in MB, or MiB where it is memory.
pub(crate) const SIZE: &str = "size_mb";
/// What no engine can be better than.
pub(crate) const FLOOR: &str = "floor";
/// The same of those readings.
pub(crate) const FLOOR_P99: &str = "floor_p99_ms";
pub(crate) const FLOOR_COLD: &str = "floor_cold_ms";

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) what: &'static str,
    /// Items, steps or runs.
    pub(crate) size: u64,
    pub(crate) work: Work,
    pub(crate) floor: Floor,
    pub(crate) rows: &'static [Row],
    /// Whether it is measured without being named.
    pub(crate) is_usual: bool,
}

/// How a case works.
pub(crate) enum Work {
    /// One run in a process of its own.
    Run(Flow),
    /// The same against stand-ins, which have a process of their own.
    Outside(Flow),
    /// Two runs, one with keys and one without: what a key takes.
    Keys(Flow, Flow),
    /// Items that wait in all blocks at once, and are woken one of each block at a time.
    Scattered(Flow),
    /// So many runs at once.
    AtOnce(Layer, Flow),
    /// So many runs, one after the other.
    InTurn(Layer, Flow),
    /// The binary is killed in the middle of a run, and goes on.
    Killed(Flow),
    /// The binary starts a run.
    Started(Flow),
    /// The binary serves, and nothing happens.
    Idle(Flow),
    /// The binary is a file.
    Binary,
}

/// Where a run is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// As `serve` does: recorded, put in line, and begun when its turn comes.
    Desk,
    /// As `run` does.
    Engine,
}

/// What bounds a case.
pub(crate) enum Floor {
    Unknown,
    /// This much, by arithmetic.
    Given(f64),
    /// Durable batches of one row in sled, one after the other, a second.
    Commits,
    /// Rows that sled takes in large durable batches; so many are a unit.
    Rows(f64),
    /// So many such batches of one row, in milliseconds.
    Series(u32),
    /// Records of the same file that one thread parses in a second.
    Parse,
    /// `milepost --version`, from its start to its end.
    Process,
    /// The case measures its own.
    Own,
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) reading: &'static str,
    pub(crate) unit: &'static str,
    /// The reading that bounds it.
    pub(crate) floor: Option<&'static str>,
    pub(crate) target: Target,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// It is only told.
    Nothing,
    AtLeast(f64),
    /// At least so many, and such a part of the floor.
    AtLeastAndRatio(f64, f64),
    AtMost(f64),
}

impl Case {
    /// The case of a name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }

    /// Whether it is meant by one of these names, or by the first part of its name.
    pub(crate) fn is_chosen(&self, names: &str) -> bool {
        let is_meant = |name: &str| {
            self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        if names.is_empty() { self.is_usual } else { names.split(',').any(|name| is_meant(name.trim())) }
    }

    /// The workflow that it runs, if it does.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        match &self.work {
            Work::Run(flow)
            | Work::Outside(flow)
            | Work::Keys(flow, _)
            | Work::Scattered(flow)
            | Work::AtOnce(_, flow)
            | Work::InTurn(_, flow)
            | Work::Killed(flow)
            | Work::Started(flow)
            | Work::Idle(flow) => Some(flow),
            Work::Binary => None,
        }
    }
}
