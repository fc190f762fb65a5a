//! Who is at the other end of a connection.

use super::Site;

/// The kind of connection behind which a stand-in is.
pub(crate) const STAND_IN: &str = "sandbox";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// The system that the connection names.
    System,
    /// A stand-in for it. Whose connection says no `url` is in this process, and whoever makes a worker has
    /// put the address into its settings.
    StandIn,
}

impl Counterpart {
    /// Who is at the other end of a connection of this kind.
    pub fn of(kind: &str) -> Self {
        if kind == STAND_IN { Self::StandIn } else { Self::System }
    }
}

impl Site<'_> {
    /// Who is at the other end of the step's connection; without one, whoever the step names itself.
    pub(crate) fn counterpart(&self) -> Counterpart {
        self.connection.map_or(Counterpart::System, |connection| Counterpart::of(&connection.kind))
    }
}
