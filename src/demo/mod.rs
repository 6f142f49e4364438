//! A Discovery server on loopback that is real enough to trust, for `lineaged demo` and for tests.
//!
//! It executes real GraphQL against the public schema, on data that come from the artifacts of a dbt project. [`Project`] is the
//! plain, mutable state of one environment; [`Server`] answers for any number of them; [`Fault`] makes it misbehave. Of the
//! rest of the program only the inventory's `Timestamp` is used here: this is the other side.
//!
//! ```
//! # use lineaged::demo::{Project, Server};
//! # use lineaged::inventory::Timestamp;
//! let server = Server::start(vec![(1, Project::bundled(Timestamp::now()))])?;
//! server.change(1, |project| project.describe("model.mini_shop.orders", "one row per order"));
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), lineaged::demo::Error>(())
//! ```

mod artifacts;
mod changes;
mod connection;
mod engine;
mod evolve;
mod faults;
mod http;
mod node_object;
mod nodes;
mod objects;
mod project;
mod results;
mod server;

use std::path::PathBuf;

pub use evolve::Evolution;
pub use faults::{Action, Fault, Length, Page};
pub use project::{Kind, Node, Project, Side};
pub use server::{Request, Server};

/// Why a project could not be loaded or a server not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`: is it in a dbt `target` folder that holds a manifest.json?", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not the JSON it should be.
    #[error("`{}` is not valid, line {line}: run dbt again to write it anew", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// The line that could not be read.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file that was written anew by something else than dbt.
    #[error(
        "`{}` is not the UTF-8 text that dbt writes, but begins with a byte order mark: copy dbt's own file, without an editor or a shell's `>` between",
        file.display()
    )]
    ByteOrderMark {
        /// The file.
        file: PathBuf,
    },
    /// A file that does not say what it is.
    #[error(
        "`{}` does not say that it is a manifest of dbt (`metadata.dbt_schema_version`): name the `target` folder of a dbt project",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// A manifest that is too old.
    #[error("`{}` is a manifest of version {found}: versions from 4 on (dbt 1.0 and later) are understood", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// The version it states.
        found: String,
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
