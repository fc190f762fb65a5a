//! Durable records shaped for people: one set of types for `--json`, the HTTP API and the page.
//! Nothing is shown that does not follow from a durable record, and nothing here does IO but
//! through the ports.
//!
//! Read in this order: `archive` (what can be asked), `reference` (how a run is named), `status`
//! and `counts` (the words and numbers), then one file per answer: `run`, `item`, `event`,
//! `cause`, `plan`, `effects`, `letters`, `timeline`, `definition`; what can be done is in `action`. What is refused is a [`Problem`].

mod action;
mod alert;
mod archive;
mod cause;
mod counts;
mod deed;
mod definition;
mod effects;
mod event;
#[cfg(test)]
pub(crate) mod fake;
pub mod graph;
mod hook;
mod item;
mod letters;
mod made;
mod pause;
mod plan;
mod problem;
mod queue;
mod reference;
mod ruling;
mod run;
mod served;
mod signal;
mod status;
mod step;
mod terms;
#[cfg(test)]
mod tests;
mod timeline;
mod token;
mod when;

pub use action::{Acted, Action, Order};
pub use alert::AlertView;
pub use archive::{Archive, Names};
pub use cause::{Cause, Causes};
pub use counts::ItemCounts;
pub use deed::{DeedFilter, DeedPage, DeedView};
pub use definition::{DefinitionView, FileView};
pub use effects::{Doubtful, EffectCounts, EffectFilter, EffectPage, EffectView};
pub use event::{EventPage, EventView, RecordedView};
pub use hook::Delivered;
pub use item::{Facts, ItemFilter, ItemPage, ItemStep, ItemStory, ItemView};
pub use letters::{LetterPage, LetterQuery, LetterStory, LetterView};
pub use made::MadeView;
pub use pause::{HoldView, PauseView};
pub use plan::{PlanConnection, PlanDoubt, PlanExecute, PlanLeft, PlanReuse, PlanVerdict, PlanView};
pub use problem::{Problem, ProblemKind, code};
pub use queue::{
    Admitted, CollectOrder, LaneView, QueueView, ResumeOrder, StartOrder, StuckView, Unhold, UnholdOrder,
    WaitingView,
};
pub use ruling::{Dropping, Settling};
pub use run::{RunFilter, RunList, RunSummary, RunView, SourceView};
pub use served::{
    ConnectionView, Examination, ExaminedView, FindingView, HealthView, HeldConnection, InputView,
    ServedView, TriggerView,
};
pub use signal::{Sent, SignalView, Signalled};
pub use status::UnitStatus;
pub use step::{Does, StepTrack, StepView};
pub use terms::{Acceptance, DefinitionChoice, ITEMS_DEAD_LETTERED, ITEMS_FAILED, ResumeTerms, argument};
pub use timeline::{StepTimeline, TimelineView};
pub use token::{NewToken, TokenOrder, TokenView};
pub use when::When;
