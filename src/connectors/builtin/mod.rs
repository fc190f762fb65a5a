//! Steps that need no outside system.

pub(super) mod map;
pub(super) mod source;
