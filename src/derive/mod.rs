//! What a sync keeps beside the nodes, so that reading is a look-up: connected pairs, column lineage, coverage, health as it was, tests, owners and
//! words. All of it can be made anew from the nodes. Each part writes its own tables, inside the transaction of the catalog.

pub(crate) mod columns;
pub(crate) mod coverage;
pub(crate) mod health;
mod index;
pub(crate) mod lineage;
mod owners;
pub(crate) mod tests;
mod watched;
pub(crate) mod words;
