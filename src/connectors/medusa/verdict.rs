//! What Medusa's answers mean. There is no code for anything; a duplicate is a 400 with a text.

use crate::connectors::wire::{Answer, Broken};
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// Why a call did not simply succeed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// Surely nothing was done, for a reason that lies not in the content.
    Sure {
        /// Why.
        fault: Fault,
        /// Whether another attempt makes sense.
        again: Again,
    },
    /// Surely nothing was done, because of something in what was sent: in a batch, perhaps one
    /// product of many.
    Content(Fault),
    /// Answered with 500, while the server answers others well. What was begun was taken back.
    /// Either it cannot take what was sent (a character that its database cannot hold, a text that
    /// its index cannot), or it stumbled this once.
    Stumbled(Fault),
    /// Perhaps something was done.
    Unsure(Fault),
}

impl Trouble {
    pub(super) fn of_broken(broken: Broken) -> Self {
        match broken.known() {
            (fault, Some(again)) => Self::Sure { fault, again },
            (fault, None) => Self::Unsure(fault),
        }
    }

    /// Whatever goes wrong with a read, nothing was changed by it.
    pub(super) fn of_read(self) -> Self {
        match self {
            Self::Unsure(fault) => Self::Sure { fault, again: Again::Later },
            other => other,
        }
    }

    /// A status other than 200, of a write.
    pub(super) fn of_status(answer: &Answer) -> Self {
        match (answer.status, answer.of_write()) {
            // Two transactions met; the database took back ours.
            (409, _) => Self::Sure { fault: answer.fault(), again: Again::Later },
            (_, Outcome::Refused { again: Again::Never, .. }) => Self::Content(words(answer)),
            (_, Outcome::Refused { fault, again }) => Self::Sure { fault, again },
            _ => Self::Unsure(answer.fault()),
        }
    }

    /// For a single product, at this attempt (from 1).
    pub(super) fn outcome(self, attempt: u32) -> Outcome {
        match self {
            Self::Sure { fault, again } => Outcome::Refused { fault, again },
            Self::Content(fault) => {
                // The product was deleted since it was looked up: the next look will not find it.
                let is_stale =
                    fault.message.contains("Product with id") && fault.message.contains("not found");
                Outcome::Refused { fault, again: if is_stale { Again::Later } else { Again::Never } }
            }
            Self::Stumbled(fault) => {
                let message =
                    format!("the shop answers others, and this product with 500: {}", fault.message);
                // Once may be chance (a delete that met an update); twice is the product.
                let again = if attempt > 1 { Again::Never } else { Again::Later };
                Outcome::Refused { fault: Fault::new(name::REFUSED, message), again }
            }
            Self::Unsure(fault) => Outcome::Unclear(fault),
        }
    }

    /// Why a read has no answer, and whether it may have one later.
    pub(super) fn told(self) -> (Fault, Again) {
        match self {
            Self::Sure { fault, again } => (fault, again),
            Self::Content(fault) => (fault, Again::Never),
            Self::Unsure(fault) | Self::Stumbled(fault) => (fault, Again::Later),
        }
    }

    pub(super) fn fault(self) -> Fault {
        self.told().0
    }
}

/// Medusa's own words.
pub(super) fn words(answer: &Answer) -> Fault {
    let json = answer.json().unwrap_or_default();
    json["message"].as_str().map_or_else(|| answer.fault(), |message| Fault::new(name::REFUSED, message))
}

/// A 401 to credentials that were just taken, or to a key. The same words stand for a key that is
/// wrong and for one that is revoked, so another attempt is left to the policy.
pub(super) fn shut_out(answer: &Answer) -> Trouble {
    let message = format!("the shop does not let us in: {}", words(answer).message);
    Trouble::Sure { fault: Fault::new(name::REFUSED, message), again: Again::Later }
}

/// Whether the text says that the handle is taken.
pub(super) fn says_handle_taken(fault: &Fault) -> bool {
    fault.message.contains("Product with handle:") && fault.message.contains("already exists")
}

/// Whether the text says that an inventory item stands in the way of a SKU.
pub(super) fn says_item_taken(fault: &Fault) -> bool {
    fault.message.contains("Inventory item with sku:") && fault.message.contains("already exists")
}
