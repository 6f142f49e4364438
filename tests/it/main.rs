//! Whole-program tests: the real binary against a Discovery server that speaks real HTTP and real GraphQL.

#![allow(missing_docs)]

mod api;
mod boundaries;
mod changes;
mod check_platform;
mod cli;
mod columns;
mod core;
mod coverage;
mod deliver;
mod discover;
mod docs;
mod documents;
mod export;
mod faults;
mod field;
mod guard;
mod health;
mod http;
mod kill;
mod lies;
mod origins;
mod platform;
mod questions;
mod reads;
mod runs;
mod search;
mod secrets;
mod selection;
mod serve;
mod show;
mod soak;
mod support;
mod tables;
mod writers;
