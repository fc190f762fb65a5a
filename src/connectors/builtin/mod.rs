//! Steps that need no outside system.

pub mod alert;
pub mod delay;
pub mod fail;
pub mod folder;
pub mod map;
pub mod nothing;
pub mod schedule;
pub mod signal;
pub mod source;
