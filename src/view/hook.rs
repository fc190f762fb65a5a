//! What becomes of what others send to a hook.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Signalled;

/// What came of a delivery. Whatever it says is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivered {
    /// The hook.
    pub hook: String,
    /// The signal that it became; `None`: it tells of nothing that the hook is made for.
    pub signalled: Option<Signalled>,
}
