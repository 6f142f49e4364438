//! The platform's other interfaces, read only: which environments there are, jobs and runs (Admin API), subscriptions of webhooks, and what
//! metrics can be grouped by (Semantic Layer). Each is asked by itself; none of them is needed to read an environment.

mod accounts;
mod client;
mod error;
mod jobs;
mod list;
mod runs;
mod semantic_layer;
mod subscriptions;
mod value;

pub use accounts::PlatformEnvironment;
pub use client::Client;
pub use error::Error;
pub use subscriptions::Subscription;
