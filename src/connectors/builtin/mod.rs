//! Steps that need no outside system.

pub mod map;
pub mod source;
