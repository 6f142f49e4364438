//! `lineaged` keeps a local, trustworthy catalog of a dbt project: it reads the dbt platform's Discovery API completely, compares it
//! with what it holds, and commits the difference to one SQLite file.
//!
//! The modules stand in the order in which data flows; arrows never go up:
//!
//! ```text
//! discovery ──▶ inventory ──▶ graph ──▶ diff(stored, fetched) ──▶ catalog ──▶ views ──▶ cli | http
//! ```

pub mod config;
pub mod redact;
pub mod schedule;

pub mod catalog;
pub mod diff;
pub mod discovery;
pub mod graph;
pub mod guard;
pub mod inventory;
pub mod origin;
pub mod output;
pub mod selection;
pub mod sync;
pub mod views;

pub mod cli;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod http;
pub mod logging;
pub mod telemetry;
