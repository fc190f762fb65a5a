//! How a loop works, and what it begins with.

/// How a loop works.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many runs of one workflow are at work at once.
    pub concurrency: usize,
    /// How many runs of one workflow may wait; more starts are refused, and triggers hear of nothing more
    /// before that.
    pub waiting_max: usize,
    /// Which unfinished runs it goes on with.
    pub finds: Finds,
    /// What it begins with by itself.
    pub begins: Begins,
}

/// Which unfinished runs a loop goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Those that its own triggers started.
    ItsOwn,
    /// Every run of the state directory.
    Everything,
}

/// What a loop begins with by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// All that there is to do.
    AtOnce,
    /// Nothing, before a person says so.
    WhenTold,
}
