//! Why files could not be read: each error names the file, and what to do about it.

use std::path::PathBuf;

/// Why the files of an environment could not be read. What is known of it stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path has glob characters that make no pattern.
    #[error("`{pattern}` is no pattern that paths can be matched with: write `[[]` for a bracket that is meant")]
    Pattern {
        /// The path.
        pattern: String,
        /// What is wrong with it.
        source: glob::PatternError,
    },
    /// A path is not there, or holds nothing that dbt leaves.
    #[error("`{}` holds no files of dbt: name a `target` folder, and run dbt before", path.display())]
    Nothing {
        /// The path.
        path: PathBuf,
    },
    /// None of the paths has a manifest.
    #[error("no manifest.json in {paths}: name a folder in which dbt has left one; what was known stays")]
    NoManifest {
        /// The paths.
        paths: String,
    },
    /// The files are of several projects, or of another than the one that is wanted.
    #[error("the files are of {found}: set `project` to one of them, in the environment's configuration")]
    Projects {
        /// The projects.
        found: String,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What has the name of a file of dbt is a folder, a pipe or a device.
    #[error("`{}` is {what} and no file: move it away, or name a `target` folder in which dbt has left its own", file.display())]
    NoFile {
        /// Where it is.
        file: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file that moved each time that it was read.
    #[error("`{}` moved while it was read, {tries} times: is dbt still writing it?", file.display())]
    Moved {
        /// The file.
        file: PathBuf,
        /// How often it was read.
        tries: u32,
    },
    /// A file is not the JSON it should be.
    #[error("`{}` is not whole, line {line}: run dbt again to write it anew", file.display())]
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
    /// A file that is text of another encoding.
    #[error("`{}` is UTF-16 text, and dbt writes UTF-8: copy dbt's own file, without an editor or a shell's `>` between", file.display())]
    Utf16 {
        /// The file.
        file: PathBuf,
    },
    /// A packed file whose name does not say so.
    #[error("`{}` is packed with gzip: let its name end in `.json.gz`, or unpack it", file.display())]
    Packed {
        /// The file.
        file: PathBuf,
    },
    /// A manifest without its main section.
    #[error("`{}` is a manifest without `nodes`, so nothing can be known of it: run dbt again to write it anew", file.display())]
    NoNodes {
        /// The file.
        file: PathBuf,
    },
    /// A file that does not say that it is what its name says.
    #[error(
        "`{}` does not say that it is a {wanted} of dbt (`metadata.dbt_schema_version`): name the `target` folder of a dbt project",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// A manifest that is too old.
    #[error("`{}` is a manifest of version {found}: versions from 4 on (dbt 1.0 and later) are understood", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// The version it states.
        found: u32,
    },
}
