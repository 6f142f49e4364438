//! What differs between what is stored and what was read, and whether it may be applied. Pure: no clock, no I/O, no SQL.

mod carry;
mod diff;
mod fold;
mod graph;
mod guard;
mod owners;

pub use carry::{Carried, carry_over};
pub use diff::{Change, ChangeKind, Counts, Diff, diff};
pub use graph::cycle_warnings;
pub(crate) use graph::*;
pub(crate) use guard::*;
pub(crate) use owners::resolve_owners;
