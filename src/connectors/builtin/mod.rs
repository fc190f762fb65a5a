//! Steps that need no outside system.

pub mod alert;
pub mod delay;
pub mod fail;
pub mod map;
pub mod nothing;
pub mod signal;
pub mod source;
