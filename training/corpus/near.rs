//! What near misses really say. `make day` counts and explains its wrong actions by this.

use serde::{Deserialize, Serialize};

/// Why a text that looks like a request is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Asks about it
    Question,
    /// Says that it must not be done
    Forbidden,
    /// Says that it is not needed any more
    Settled,
    /// Says that it was done, and that something is wrong
    Done,
    /// Asks for it for somebody else
    SomebodyElse,
    /// Asks for something else about the same thing
    SomethingElse,
}
