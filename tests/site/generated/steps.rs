//! The steps of a case while it is made.

use std::fmt::Write as _;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{Outline, Script};

/// Once per run or once per item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Once per run.
    Run,
    /// Once per item.
    Item,
}

/// A step as others see it.
struct Known {
    name: String,
    kind: Kind,
    /// All before it, by position.
    before: Vec<usize>,
    needs: Vec<usize>,
    /// It asks the server, so it has facts.
    asks: bool,
}

/// What is made so far.
pub(super) struct Made {
    pub(super) seed: u64,
    /// The section `steps`.
    pub(super) text: String,
    /// The gate, by its position.
    pub(super) gate: Option<usize>,
    /// Addresses that are called once per run.
    pub(super) called: Vec<String>,
    /// The same once per item, without the key.
    called_by_items: Vec<String>,
    steps: Vec<Known>,
}

impl Made {
    pub(super) fn new(seed: u64) -> Self {
        let (called, called_by_items) = (Vec::new(), Vec::new());
        Self { seed, text: String::new(), gate: None, called, called_by_items, steps: Vec::new() }
    }

    pub(super) fn outlines(&self) -> Vec<Outline> {
        let name = |at: &usize| self.steps[*at].name.clone();
        let outline = |step: &Known| Outline {
            name: step.name.clone(),
            needs: step.needs.iter().map(name).collect(),
            on_items: step.kind == Kind::Item,
        };
        self.steps.iter().map(outline).collect()
    }

    /// What the server answers: most addresses answer at once, some after failures, few never.
    pub(super) fn script(&self, rng: &mut StdRng, keys: &[String]) -> Script {
        let of_items =
            self.called_by_items.iter().flat_map(|path| keys.iter().map(move |key| format!("{path}/{key}")));
        let paths: Vec<String> = self.called.iter().cloned().chain(of_items).collect();
        let mut script = Script::new();
        for path in paths {
            let statuses = match rng.random_range(0..20) {
                0..13 => continue,
                13..16 => vec![503],
                16 => vec![503, 429],
                17 => vec![404],
                18 => vec![400],
                // More often than any step tries.
                _ => vec![503; 8],
            };
            script.insert(path, statuses);
        }
        script
    }

    /// The gate; it needs whatever is before it, or nothing.
    pub(super) fn gate(&mut self, rng: &mut StdRng) {
        let needs = self.some(rng, Kind::Run, 0.5);
        let on_invalid = if rng.random_bool(0.1) { "fail" } else { "dead_letter" };
        self.begin("gate", &needs);
        write!(
            self.text,
            "    uses: json.validate\n    connection: files\n    with: {{ source: items.ndjson, item_key: \
             \"${{{{ item.key }}}}\", required: [key, n], on_invalid: {on_invalid} }}\n"
        )
        .unwrap();
        self.gate = Some(self.steps.len());
        self.know("gate".to_owned(), Kind::Run, needs, false);
    }

    /// One more step.
    pub(super) fn step(&mut self, rng: &mut StdRng, kind: Kind) {
        let needs = self.needs(rng, kind);
        let name = self.name(rng);
        self.begin(&name, &needs);
        let asks = self.does(rng, kind, &name);
        let mut before = needs.clone();
        for need in &needs {
            before.extend(&self.steps[*need].before);
        }
        if rng.random_bool(0.35) {
            let condition = self.condition(rng, kind, &before);
            writeln!(self.text, "    when: \"${{{{ {condition} }}}}\"").unwrap();
        }
        self.know(name, kind, needs, asks);
    }

    fn know(&mut self, name: String, kind: Kind, needs: Vec<usize>, asks: bool) {
        let mut before = needs.clone();
        for need in &needs {
            before.extend(&self.steps[*need].before);
        }
        before.sort_unstable();
        before.dedup();
        self.steps.push(Known { name, kind, before, needs, asks });
    }

    /// Names with what names may have in them; now and then a long one.
    fn name(&self, rng: &mut StdRng) -> String {
        let at = self.steps.len();
        match rng.random_range(0..6) {
            0 => format!("step-{at}"),
            1 => format!("close_{at}"),
            2 if rng.random_bool(0.3) => format!("{}{at}", "a_very_long_name-".repeat(3)),
            _ => format!("s{at}"),
        }
    }

    fn begin(&mut self, name: &str, needs: &[usize]) {
        writeln!(self.text, "  {name}:").unwrap();
        if !needs.is_empty() {
            let names: Vec<&str> = needs.iter().map(|need| self.steps[*need].name.as_str()).collect();
            writeln!(self.text, "    needs: [{}]", names.join(", ")).unwrap();
        }
    }

    /// Each of a kind with this chance.
    fn some(&self, rng: &mut StdRng, kind: Kind, chance: f64) -> Vec<usize> {
        let all = 0..self.steps.len();
        all.filter(|at| self.steps[*at].kind == kind && Some(*at) != self.gate && rng.random_bool(chance))
            .collect()
    }

    fn needs(&self, rng: &mut StdRng, kind: Kind) -> Vec<usize> {
        let chance = [0.2, 0.4, 0.6][rng.random_range(0..3)];
        let mut needs = self.some(rng, kind, chance);
        if kind == Kind::Item {
            if needs.is_empty() {
                needs.extend(self.gate);
            }
            needs.extend(self.some(rng, Kind::Run, 0.1));
        }
        needs.sort_unstable();
        needs
    }

    /// Writes what the step does; returns whether it asks the server.
    fn does(&mut self, rng: &mut StdRng, kind: Kind, name: &str) -> bool {
        match rng.random_range(0..20) {
            0..3 => self.text += "    uses: nothing\n",
            3..5 => self.text += "    uses: delay\n    with: { for: 1ms }\n",
            5..7 => self.text += "    uses: alert\n    with: { message: done }\n",
            7 => {
                let times = ["", "times: 1, ", "times: 2, "][rng.random_range(0..3)];
                writeln!(self.text, "    uses: fail\n    with: {{ {times}message: made to }}").unwrap();
                let attempts = rng.random_range(1..=3);
                writeln!(self.text, "    retry: {{ attempts: {attempts} }}").unwrap();
            }
            _ => {
                let key = if kind == Kind::Item { " & '/' & item.key" } else { "" };
                writeln!(self.text, "    uses: http.request").unwrap();
                let url = format!("${{{{ input.url & '/{name}'{key} }}}}");
                let expect = if rng.random_bool(0.4) { ", expect: [200, 404]" } else { "" };
                writeln!(self.text, "    with: {{ url: \"{url}\"{expect} }}").unwrap();
                if rng.random_bool(0.3) {
                    writeln!(self.text, "    retry: {{ attempts: {} }}", rng.random_range(1..=3)).unwrap();
                }
                let called = if kind == Kind::Item { &mut self.called_by_items } else { &mut self.called };
                called.push(format!("/{name}"));
                return true;
            }
        }
        false
    }

    /// A condition over what the step sees; most can be a Choice, some cannot.
    fn condition(&self, rng: &mut StdRng, kind: Kind, before: &[usize]) -> String {
        let asking: Vec<&Known> = before.iter().map(|at| &self.steps[*at]).filter(|step| step.asks).collect();
        if let Some(step) = asking.choose(rng).filter(|_| rng.random_bool(0.5)) {
            let name = format!("steps.`{}`", step.name);
            return match rng.random_range(0..5) {
                0 => format!("{name}.status = 200"),
                1 => format!("$not({name}.status = 404)"),
                2 => format!("$exists({name}) and {name}.body.call = 1"),
                3 => format!("({name}.status ?? 0) = 200"),
                _ => format!("$exists({name}.status) ? {name}.status in [200, 404] : input.flag"),
            };
        }
        if kind == Kind::Item && rng.random_bool(0.5) {
            return ["item.n > 1", "item.kind = 'a'", "input.flag or item.n = 0"][rng.random_range(0..3)]
                .to_owned();
        }
        let over_input = [
            "input.flag",
            "input.mode = 'a'",
            "input.count > 2 and input.mode != 'c'",
            "$not(input.flag)",
            "(input.mode ?: 'c') = 'b'",
            "input.count + 1 > 3",
        ];
        over_input[rng.random_range(0..over_input.len())].to_owned()
    }
}
