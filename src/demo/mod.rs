//! A Discovery server on loopback that is real enough to trust, for `lineaged demo` and for tests.
//!
//! It executes real GraphQL against the public schema, on an inventory that is read from the artifacts of a dbt project. [`Project`] is
//! the plain, mutable state of one environment; [`Server`] answers for any number of them; [`Fault`] makes it misbehave. What
//! the API would say of a node is told in one file, `object`. The dbt platform's other interfaces (Admin API, Semantic Layer) are answered
//! from the same projects by `platform`; [`Platform`] is what they know beside them.
//!
//! ```
//! # use lineaged::demo::{Project, Server};
//! # use lineaged::time::Timestamp;
//! let server = Server::start(vec![(1, Project::bundled(Timestamp::now()))])?;
//! server.change(1, |project| project.describe("model.mini_shop.orders", "one row per order"));
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), lineaged::demo::Error>(())
//! ```

mod changes;
mod connection;
mod engine;
mod evolve;
mod faults;
mod grow;
mod http;
mod load;
mod node_object;
mod object;
mod objects;
mod platform;
mod project;
mod server;

use std::path::PathBuf;

use crate::origin::artifacts;

pub use evolve::Evolution;
pub use faults::{Action, Fault, Length, Page};
pub use grow::Growth;
pub use platform::{
    ACTIVE, Account, DELETED, Job, Platform, PlatformEnvironment, PlatformProject, Run, RunStatus, Subscription,
};
pub use project::{Project, Side};
pub use server::{Request, Server};

/// Why a project could not be loaded or a server not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files of the project could not be read.
    #[error(transparent)]
    Artifacts(#[from] artifacts::Error),
    /// A folder could not be used.
    #[error("cannot use the folder `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server could not listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where it should have.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
