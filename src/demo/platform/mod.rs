//! The platform's other interfaces, answered from the same projects as the Discovery API: the Admin API with its webhooks, and the Semantic
//! Layer. HTTP, tokens and faults are the server's business.

mod admin;
mod follow;
mod list;
mod objects;
mod semantic;
mod semantic_query;
mod spoil;
mod state;

pub use state::{
    ACTIVE, Account, DELETED, Job, Platform, PlatformEnvironment, PlatformProject, Run, RunStatus, Subscription,
};

pub(super) use admin::{Call, refused};
pub(super) use semantic_query::SemanticQuery;
pub(super) use spoil::{each_list, edit, place};
