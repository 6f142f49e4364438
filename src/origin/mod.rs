//! Where an environment is read from.

pub mod artifacts;
pub mod discovery;
