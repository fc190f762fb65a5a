//! From readings to the table: medians, ratios, and whether targets are met.

use std::io::{self, Write};

use serde::Serialize;

use crate::case::{CPU, Case, Readings, Row, Target};
use crate::floor::Machine;
use crate::turns::median;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The case.
    pub(crate) case: String,
    /// What it is.
    pub(crate) what: String,
    /// The median of its turns.
    pub(crate) figure: f64,
    /// Of the figure.
    pub(crate) unit: String,
    /// Processor time per unit, in microseconds, where the case has a process of its own.
    pub(crate) cpu_micros: Option<f64>,
    /// The median of the floor.
    pub(crate) floor: Option<f64>,
    /// The median of figure through floor, each of one turn.
    pub(crate) ratio: Option<f64>,
    /// What is to be reached, in words.
    pub(crate) target: String,
    /// Whether it is.
    pub(crate) met: Option<bool>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// Turns of each case.
    pub(crate) runs: u64,
    /// What sizes were divided by.
    pub(crate) divisor: u64,
    /// Processors.
    pub(crate) processors: usize,
    /// The table.
    pub(crate) lines: Vec<Line>,
    /// The floors of the machine, of each turn.
    pub(crate) machine: Vec<Machine>,
}

/// The lines of a case. What it is stands in the first.
pub(crate) fn lines(case: &Case, turns: &[Readings]) -> Vec<Line> {
    let mut lines: Vec<Line> = case.rows.iter().filter_map(|row| Line::of(case, row, turns)).collect();
    for line in lines.iter_mut().skip(1) {
        line.what.clear();
    }
    lines
}

impl Line {
    /// The line of a row; `None` when no turn has the reading.
    fn of(case: &Case, row: &Row, turns: &[Readings]) -> Option<Self> {
        let read = |name: &'static str| turns.iter().filter_map(move |turn| turn.get(name).copied());
        let figure = median(read(row.reading))?;
        let floor = row.floor.and_then(|floor| median(read(floor)));
        let ratio = row.floor.and_then(|floor| {
            median(turns.iter().filter_map(|turn| Some(turn.get(row.reading)? / turn.get(floor)?)))
        });
        Some(Self {
            case: case.name.to_owned(),
            what: case.what.to_owned(),
            figure,
            unit: row.unit.to_owned(),
            cpu_micros: if row.unit.ends_with("/s") { median(read(CPU)) } else { None },
            floor,
            ratio,
            target: row.target.words(),
            met: row.target.is_met(figure, ratio),
        })
    }

    fn cells(&self) -> [String; 9] {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), shown);
        [
            self.case.clone(),
            shown(self.figure),
            self.unit.clone(),
            number(self.cpu_micros),
            number(self.floor),
            self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            self.target.clone(),
            match self.met {
                None => "-",
                Some(true) => "yes",
                Some(false) => "NO",
            }
            .to_owned(),
            self.what.clone(),
        ]
    }
}

impl Target {
    fn words(self) -> String {
        match self {
            Self::Nothing => "-".to_owned(),
            Self::AtLeast(least) => format!("≥ {}", shown(least)),
            Self::AtLeastAndRatio(least, ratio) => format!("≥ {}, {ratio} of floor", shown(least)),
            Self::AtMost(most) => format!("≤ {}", shown(most)),
        }
    }

    fn is_met(self, figure: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Nothing => None,
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtLeastAndRatio(least, part) => {
                Some(figure >= least && ratio.is_some_and(|ratio| ratio >= part))
            }
            Self::AtMost(most) => Some(figure <= most),
        }
    }
}

const HEADS: [&str; 9] = ["case", "figure", "unit", "CPU µs", "floor", "ratio", "target", "met", "what"];
/// Columns with numbers, which end at one line.
const NUMBERS: [bool; 9] = [false, true, false, true, true, true, false, false, false];

impl Results {
    /// For a terminal.
    pub(crate) fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let rows: Vec<[String; 9]> = self.lines.iter().map(Line::cells).collect();
        let heads = HEADS.map(str::to_owned);
        let width = |at: usize| rows.iter().chain([&heads]).map(|row| row[at].chars().count()).max();
        let widths: Vec<usize> = (0..HEADS.len()).map(|at| width(at).unwrap_or(0)).collect();
        for row in [&heads].into_iter().chain(&rows) {
            let cells = row.iter().enumerate().map(|(at, cell)| {
                let width = widths[at];
                if NUMBERS[at] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        writeln!(out, "{}", self.below())
    }

    /// For a document.
    pub(crate) fn tell_in_markdown(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "| {} |", HEADS.join(" | "))?;
        let rule = NUMBERS.map(|number| if number { "---:" } else { "---" });
        writeln!(out, "| {} |", rule.join(" | "))?;
        for line in &self.lines {
            writeln!(out, "| {} |", line.cells().join(" | "))?;
        }
        writeln!(out, "\n{}", self.below())
    }

    /// What stands below the table.
    fn below(&self) -> String {
        let of = |figure: fn(&Machine) -> f64| {
            median(self.machine.iter().map(figure)).map_or_else(|| "-".to_owned(), shown)
        };
        let smaller = match self.divisor {
            1 => String::new(),
            divisor => format!(" Sizes divided by {divisor}: not the figures of the targets."),
        };
        format!(
            "Medians of {}, {} processors.{smaller} Floors of the machine, a second: {} appends of 4 KiB with fdatasync; \
             sled with flush and sync_data {} commits of one row, {} rows by 16, {} rows by 500.",
            self.runs,
            self.processors,
            of(|machine| machine.appends),
            of(|machine| machine.commits),
            of(|machine| machine.rows_by_16),
            of(|machine| machine.rows_by_500),
        )
    }
}

/// A figure with as many digits as say something, thousands apart.
pub(crate) fn shown(figure: f64) -> String {
    if figure.abs() < 10.0 {
        return format!("{figure:.2}");
    }
    if figure.abs() < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    format!("{sign}{apart}")
}
