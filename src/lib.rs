//! `lineaged` keeps a local, trustworthy catalog of a dbt project: it reads where the project's state can be read completely,
//! compares it with what it holds, and commits the difference to one SQLite file.
//!
//! The rooms stand in the order in which data flows; arrows never go up:
//!
//! ```text
//! origin ──▶ inventory ──▶ plan(stored, read) ──▶ catalog.apply ──▶ derive ──▶ answers ──▶ cli | http | export ──▶ deliver
//! ```
//!
//! `sync` is this line as code, and the only place that knows the order.

pub mod inventory;
pub mod time;

pub mod catalog;
pub mod config;
mod derive;
pub mod origin;
mod outbound;
pub mod plan;
mod redact;
mod schedule;
pub mod sync;

pub mod answers;
mod deliver;
mod export;
mod output;
mod selection;

pub mod cli;
mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod http;
mod logging;
pub mod telemetry;
