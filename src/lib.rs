//! See README.

pub mod config;
pub mod inventory;
