//! The line of runs that wait to begin.

use maud::{Markup, html};

use super::super::gate::Caller;
use super::words::{at, instant, number};
use crate::view::{LaneView, QueueView};

/// How many runs wait, where some do, and the buttons that let begin what is held.
pub(super) fn line(queue: &QueueView, caller: &Caller) -> Markup {
    let lanes: Vec<&LaneView> = queue
        .workflows
        .iter()
        .filter(|lane| lane.paused || !lane.waiting.is_empty() || !lane.stuck.is_empty())
        .collect();
    html! {
        @if queue.paused || !lanes.is_empty() {
            div.box.line[!queue.paused].doubt[queue.paused] {
                @if queue.paused {
                    div.head {
                        p { b { "Held." } " The server was started with " code { "--paused" } ": this begins when somebody says so." }
                        @if caller.may_act() { (release("", "Let everything begin")) }
                    }
                }
                @for lane in lanes { (of(lane, caller)) }
                p.small { (number(queue.waiting as u64)) " wait; of each workflow there is room for " (number(queue.waiting_max as u64)) "." }
            }
        }
    }
}

fn of(lane: &LaneView, caller: &Caller) -> Markup {
    html! {
        div.lane-line {
            b { (lane.workflow) }
            span.small {
                (number(lane.at_work.len() as u64)) " of " (number(lane.concurrency as u64)) " at work, "
                (number(lane.waiting.len() as u64)) " wait"
                @if lane.paused { ", held" }
            }
            @if lane.paused && caller.may_act() { (release(&lane.workflow, "Let it begin")) }
        }
        @for stuck in &lane.stuck {
            p.small {
                a href=(at(stuck.run, "")) { (stuck.run) } " does not go on: " (stuck.why)
                ". It is tried again at " (instant(stuck.again)) ", and nobody waits for it."
            }
        }
    }
}

fn release(workflow: &str, label: &str) -> Markup {
    html! {
        form method="post" action="/unpause" {
            input type="hidden" name="workflow" value=(workflow);
            button type="submit" { (label) }
        }
    }
}
