//! The graph of a run as a picture: steps in layers from left to right, or from top to bottom where there is no
//! room; edges that pass a layer go round its steps.

use maud::{Markup, html};

use super::words::{at, counted, number, parts, query};
use crate::core::graph::Graph;
use crate::core::id::RunId;
use crate::view::{Does, StepTrack, StepView, UnitStatus};

/// A step's box.
const WIDE: f64 = 156.0;
const HIGH: f64 = 62.0;
/// What an edge takes that passes a layer.
const PASSING: f64 = 14.0;
/// Between layers, and between what stands beside each other.
const BETWEEN: f64 = 26.0;
const BESIDE: f64 = 18.0;
/// Around all of it.
const MARGIN: f64 = 8.0;
/// Rounds in which what stands beside each other is put near what it hangs on.
const ROUNDS: usize = 6;
/// Letters of a name that fit.
const NAME_MAX: usize = 17;

/// Which way the steps follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// From left to right.
    Across,
    /// From top to bottom.
    Down,
}

/// A step, or an edge on its way through a layer.
#[derive(Clone, Debug)]
struct Spot {
    step: Option<usize>,
    /// The spots of the layer before that it hangs on.
    hangs_on: Vec<usize>,
    /// Where its middle is, along and across the flow.
    middle: (f64, f64),
}

/// Everything in its place.
struct Layout {
    flow: Flow,
    spots: Vec<Spot>,
    size: (f64, f64),
}

/// Draws the steps of a run, but for those of `on_failure`.
pub(super) fn picture(run: RunId, steps: &[StepView], flow: Flow) -> Markup {
    let drawn: Vec<&StepView> = steps.iter().filter(|step| step.track != StepTrack::OnFailure).collect();
    let place = |name: &String| drawn.iter().position(|step| step.step == *name);
    let needs: Vec<Vec<usize>> =
        drawn.iter().map(|step| step.needs.iter().filter_map(place).collect()).collect();
    let layout = Layout::of(&needs, flow);
    let (width, height) = layout.size;
    let class = match flow {
        Flow::Across => "graph across",
        Flow::Down => "graph down",
    };
    html! {
        svg class=(class) viewBox=(format!("0 0 {width:.0} {height:.0}")) width=(format!("{width:.0}")) height=(format!("{height:.0}")) role="group" aria-label="The steps and what they need" {
            @for edge in layout.edges() { path.edge d=(edge) {} }
            @for (step, x, y) in layout.boxes() { (node(run, drawn[step], x, y)) }
        }
    }
}

fn node(run: RunId, step: &StepView, x: f64, y: f64) -> Markup {
    let place = match step.track {
        StepTrack::Items => at(run, &format!("/items{}", query(&[("step", Some(step.step.clone()))]))),
        StepTrack::Run | StepTrack::OnFailure => at(run, "/timeline"),
    };
    let (told, exact) = (told(step), counted(&step.items));
    let over = step.connection.as_ref().map(|name| format!(" over {name}")).unwrap_or_default();
    let about = format!("{} ({}{over}): {}, {exact}", step.step, does(step.does), step.status.word());
    html! {
        a.node.(format!("s-{}", step.status.word())) href=(place) transform=(format!("translate({x:.1} {y:.1})")) {
            title { (about) }
            rect.card width=(WIDE) height=(HIGH) rx="7" {}
            path.mark d=(mark(step.does)) transform="translate(11 12)" {}
            text.name x="31" y="22" { (short(&step.step)) }
            text.told x="12" y="42" { (told) }
            g transform=(format!("translate(12 {})", HIGH - 11.0)) {
                rect.f-pending width=(WIDE - 24.0) height="3" rx="1.5" {}
                @for (status, begin, wide) in parts(&step.items, WIDE - 24.0) {
                    rect.(format!("f-{}", status.word())) x=(format!("{begin:.1}")) width=(format!("{wide:.1}")) height="3" rx="1.5" {}
                }
                @if step.items.total == 0 { rect.(format!("f-{}", step.status.word())) width=(WIDE - 24.0) height="3" rx="1.5" {} }
            }
        }
    }
}

fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// How a step stands, in as few words as fit.
fn told(step: &StepView) -> String {
    let items = &step.items;
    if items.total == 0 {
        return step.status.word().replace('_', " ");
    }
    let others = [
        (items.dead_lettered, "dead"),
        (items.in_doubt, "in doubt"),
        (items.backoff, "later"),
        (items.waiting, "wait"),
        (items.running, "out"),
        (items.cancelled, "cancelled"),
    ];
    let mut words = vec![format!("{} of {}", brief(items.passed()), brief(items.total))];
    words.extend(
        others.iter().find(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", brief(*count))),
    );
    words.join(" · ")
}

/// A number that fits beside another one: exact below ten thousand, then cut, never rounded up.
fn brief(count: u64) -> String {
    match count {
        0..10_000 => number(count),
        10_000..1_000_000 => format!("{}.{}k", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{:02}m", count / 1_000_000, count % 1_000_000 / 10_000),
    }
}

fn does(does: Does) -> &'static str {
    match does {
        Does::Source => "source",
        Does::Computes => "computes",
        Does::Effect => "effect",
        Does::Waits => "waits",
        Does::Listens => "waits for a signal",
    }
}

/// A sign of twelve by twelve: an arrow, a ring, a disc, an hourglass, a bell.
fn mark(does: Does) -> &'static str {
    match does {
        Does::Source => "M2.5 1.5 L10.5 6 L2.5 10.5 Z",
        Does::Computes => {
            "M6 1.5 a4.5 4.5 0 1 1 0 9 a4.5 4.5 0 1 1 0 -9 Z M6 3.2 a2.8 2.8 0 1 0 0 5.6 a2.8 2.8 0 1 0 0 -5.6 Z"
        }
        Does::Effect => "M6 1.5 a4.5 4.5 0 1 1 0 9 a4.5 4.5 0 1 1 0 -9 Z",
        Does::Waits => "M1.5 1 h9 v1.6 l-3.4 3.4 3.4 3.4 v1.6 h-9 v-1.6 l3.4 -3.4 -3.4 -3.4 Z",
        Does::Listens => {
            "M6 1 a3.6 3.6 0 0 0 -3.6 3.6 v2.4 l-1.2 1.9 h9.6 l-1.2 -1.9 v-2.4 a3.6 3.6 0 0 0 -3.6 -3.6 Z M4.6 9.8 a1.4 1.4 0 0 0 2.8 0 Z"
        }
    }
}

impl Layout {
    /// Puts steps into layers; each step stands behind all that it needs.
    fn of(needs: &[Vec<usize>], flow: Flow) -> Self {
        let graph = Graph::new(needs);
        let order = graph.order().unwrap_or_else(|| (0..needs.len()).collect());
        let mut depth = vec![0; needs.len()];
        for step in &order {
            depth[*step] = graph.needs(*step).into_iter().map(|need| depth[need] + 1).max().unwrap_or(0);
        }
        let mut spots: Vec<Spot> = (0..needs.len())
            .map(|step| Spot { step: Some(step), hangs_on: Vec::new(), middle: (0.0, 0.0) })
            .collect();
        let mut layers: Vec<Vec<usize>> =
            vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
        for step in order {
            layers[depth[step]].push(step);
            for need in graph.needs(step) {
                let mut before = need;
                for layer in &mut layers[depth[need] + 1..depth[step]] {
                    layer.push(spots.len());
                    spots.push(Spot { step: None, hangs_on: vec![before], middle: (0.0, 0.0) });
                    before = spots.len() - 1;
                }
                spots[step].hangs_on.push(before);
            }
        }
        let mut layout = Self { flow, spots, size: (0.0, 0.0) };
        layout.place(&mut layers);
        layout
    }

    /// How much a spot takes along and across the flow.
    fn extent(&self, spot: usize) -> (f64, f64) {
        let (along, across) = match self.flow {
            Flow::Across => (WIDE, HIGH),
            Flow::Down => (HIGH, WIDE),
        };
        if self.spots[spot].step.is_some() { (along, across) } else { (along, PASSING) }
    }

    fn place(&mut self, layers: &mut [Vec<usize>]) {
        for layer in layers.iter() {
            self.spread(layer, &vec![0.0; layer.len()]);
        }
        for round in 0..ROUNDS {
            let forth = round % 2 == 0;
            for step in 0..layers.len() {
                let at = if forth { step } else { layers.len() - 1 - step };
                let wanted: Vec<f64> = layers[at].iter().map(|spot| self.pull(*spot, forth)).collect();
                let mut order: Vec<usize> = (0..wanted.len()).collect();
                order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
                layers[at] = order.iter().map(|place| layers[at][*place]).collect();
                let wanted: Vec<f64> = order.into_iter().map(|place| wanted[place]).collect();
                self.spread(&layers[at], &wanted);
            }
        }
        self.fit(layers);
    }

    /// Where a spot would stand if it were alone: in the middle of what it hangs on, or of what hangs on it.
    fn pull(&self, spot: usize, forth: bool) -> f64 {
        let hanging = |(_, other): &(usize, &Spot)| other.hangs_on.contains(&spot);
        let pulls: Vec<f64> = if forth {
            self.spots[spot].hangs_on.iter().map(|before| self.spots[*before].middle.1).collect()
        } else {
            self.spots.iter().enumerate().filter(hanging).map(|(_, other)| other.middle.1).collect()
        };
        if pulls.is_empty() {
            return self.spots[spot].middle.1;
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful of edges")]
        let count = pulls.len() as f64;
        pulls.iter().sum::<f64>() / count
    }

    /// Puts a layer's spots, in their order, as near to where they want to be as they fit.
    fn spread(&mut self, layer: &[usize], wanted: &[f64]) {
        let mut end = f64::NEG_INFINITY;
        let mut shift = 0.0;
        for (spot, wanted) in layer.iter().zip(wanted) {
            let half = self.extent(*spot).1 / 2.0;
            let middle = wanted.max(end + BESIDE + half);
            shift += wanted - middle;
            self.spots[*spot].middle.1 = middle;
            end = middle + half;
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let shift = shift / layer.len().max(1) as f64;
        for spot in layer {
            self.spots[*spot].middle.1 += shift;
        }
    }

    /// Moves everything to where the picture begins, and measures it.
    fn fit(&mut self, layers: &[Vec<usize>]) {
        let all = 0..self.spots.len();
        let begin = all.clone().map(|spot| self.spots[spot].middle.1 - self.extent(spot).1 / 2.0);
        let begin = begin.fold(f64::INFINITY, f64::min);
        let mut along = MARGIN;
        for layer in layers {
            let deep = layer.iter().map(|spot| self.extent(*spot).0).fold(0.0, f64::max);
            for spot in layer {
                let across = self.spots[*spot].middle.1 - begin + MARGIN;
                self.spots[*spot].middle = (along + deep / 2.0, across);
            }
            along += deep + BETWEEN;
        }
        let end = all.map(|spot| self.spots[spot].middle.1 + self.extent(spot).1 / 2.0).fold(0.0, f64::max);
        self.size = self.turned(((along - BETWEEN).max(0.0) + MARGIN, end + MARGIN));
    }

    /// A point along and across the flow as one to the right and down.
    fn turned(&self, (along, across): (f64, f64)) -> (f64, f64) {
        match self.flow {
            Flow::Across => (along, across),
            Flow::Down => (across, along),
        }
    }

    /// Each step with the corner of its box.
    fn boxes(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        self.spots.iter().filter_map(|spot| {
            let (x, y) = self.turned(spot.middle);
            Some((spot.step?, x - WIDE / 2.0, y - HIGH / 2.0))
        })
    }

    /// Each piece of an edge, from one layer to the next, as a path.
    fn edges(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (at, spot) in self.spots.iter().enumerate() {
            for before in &spot.hangs_on {
                let from = self.spots[*before].middle;
                let leaves = from.0 + self.extent(*before).0 / 2.0;
                let arrives = spot.middle.0 - self.extent(at).0 / 2.0;
                let bend = (arrives - leaves) / 2.0;
                let mut points = vec![
                    (leaves, from.1),
                    (leaves + bend, from.1),
                    (arrives - bend, spot.middle.1),
                    (arrives, spot.middle.1),
                ];
                if spot.step.is_none() {
                    points.push((spot.middle.0 + self.extent(at).0 / 2.0, spot.middle.1));
                }
                let points = points.into_iter().map(|point| self.turned(point));
                let words = ["M", "C", "", "", "L"].iter().zip(points);
                let path: Vec<String> = words.map(|(word, (x, y))| format!("{word}{x:.1} {y:.1}")).collect();
                let path = path.join(" ");
                paths.push(path);
            }
        }
        paths
    }
}

/// The words for the signs of the picture.
pub(super) fn legend() -> Markup {
    html! {
        p.legend {
            @for kind in [Does::Source, Does::Computes, Does::Effect, Does::Waits, Does::Listens] {
                span { svg viewBox="0 0 12 12" width="10" height="10" aria-hidden="true" { path.mark d=(mark(kind)) {} } (does(kind)) }
            }
            @for status in [UnitStatus::Succeeded, UnitStatus::Running, UnitStatus::InDoubt, UnitStatus::DeadLettered] {
                span.state.(format!("s-{}", status.word())) { (status.word().replace('_', " ")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(needs: &[Vec<usize>], flow: Flow) -> Vec<(usize, f64, f64)> {
        Layout::of(needs, flow).boxes().collect()
    }

    #[test]
    fn no_box_lies_on_another_and_each_is_behind_what_it_needs() {
        // A fan, a long edge round a chain, a join, and something by itself.
        let needs: Vec<Vec<usize>> = [&[][..], &[0], &[0], &[0], &[1, 2], &[4], &[5, 0, 3], &[], &[7, 6]]
            .map(<[usize]>::to_vec)
            .to_vec();
        for flow in [Flow::Across, Flow::Down] {
            let boxes = boxes(&needs, flow);
            let (width, height) = Layout::of(&needs, flow).size;
            for (step, x, y) in &boxes {
                assert!(*x >= 0.0 && *y >= 0.0 && x + WIDE <= width && y + HIGH <= height, "{step} {flow:?}");
                for (other, x2, y2) in &boxes {
                    let apart = (x - x2).abs() >= WIDE || (y - y2).abs() >= HIGH;
                    assert!(step == other || apart, "{step} lies on {other}, {flow:?}");
                }
                for need in &needs[*step] {
                    let (_, before_x, before_y) = boxes.iter().find(|(at, _, _)| at == need).unwrap();
                    let behind = if flow == Flow::Across { x - before_x } else { y - before_y };
                    assert!(behind > 0.0, "{step} is not behind {need}, {flow:?}");
                }
            }
        }
    }

    #[test]
    fn a_number_in_the_picture_is_never_more_than_there_is() {
        let told = [0, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000, 12_345_678].map(brief);
        assert_eq!(told, ["0", "9,999", "10.0k", "99.9k", "100.0k", "999.9k", "1.00m", "12.34m"]);
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let chain: Vec<Vec<usize>> = (0..6usize).map(|at| at.checked_sub(1).into_iter().collect()).collect();
        let boxes = boxes(&chain, Flow::Across);
        assert!(boxes.iter().all(|(_, _, y)| (y - boxes[0].2).abs() < 0.01), "{boxes:?}");
    }
}
