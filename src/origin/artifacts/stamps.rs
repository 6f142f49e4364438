//! What is remembered of files, so that those that have not moved are not read again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Error;
use super::files::{find, hash};
use crate::config::{ArtifactsConfig, EnvKeys};

/// A time as young as this may stay the same while the file is written again.
const SETTLED: Duration = Duration::from_secs(2);

/// How a file looks from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stat {
    pub size: u64,
    /// In nanoseconds since 1970 began; `None` where it is too young to tell anything.
    pub mtime: Option<i64>,
    pub inode: u64,
}

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let is_settled = |time: &SystemTime| SystemTime::now().duration_since(*time).is_ok_and(|age| age > SETTLED);
        let since = modified.filter(is_settled).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mtime = since.and_then(|since| i64::try_from(since.as_nanos()).ok());
        Self { size: metadata.len(), mtime, inode: inode(metadata) }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// A file, and the hash of what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileStamp {
    #[serde(flatten)]
    pub stat: Stat,
    pub sha256: String,
}

/// What is remembered: the files, and whatever else a read depends on.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// Another version of this program may read more of the same files.
    lineaged: String,
    project: Option<String>,
    env_keys: EnvKeys,
    /// By path, as text: one that is no Unicode has to be remembered, too.
    files: BTreeMap<String, FileStamp>,
}

impl Remembered {
    fn of(place: &ArtifactsConfig, files: BTreeMap<PathBuf, FileStamp>) -> Self {
        let files = files.into_iter().map(|(path, stamp)| (name(&path), stamp)).collect();
        let lineaged = env!("CARGO_PKG_VERSION").to_owned();
        Self { lineaged, project: place.project.clone(), env_keys: place.env_keys.clone(), files }
    }

    /// Whether the content is the same, whatever became of the files that hold it.
    fn is_same(&self, other: &Self) -> bool {
        let Self { lineaged, project, env_keys, files } = self;
        let contents = |files: &BTreeMap<String, FileStamp>| {
            files.iter().map(|(path, stamp)| (path.clone(), stamp.sha256.clone())).collect::<Vec<_>>()
        };
        *lineaged == other.lineaged
            && *project == other.project
            && *env_keys == other.env_keys
            && contents(files) == contents(&other.files)
    }
}

/// How the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps {
    /// The text to remember of them.
    pub text: String,
    /// As many bytes were read for it.
    pub bytes: u64,
    /// They hold what they held when the text last remembered was made, though some may have been touched since.
    pub is_same: bool,
}

/// Looks at the files. `before` is the text last remembered: a file whose size, time and inode have not moved since is not read again, and
/// one that was only touched is found equal by its hash. Where the sizes alone show that something is new, nothing is hashed: whoever
/// reads the files then does that, and nothing that was remembered equals the text.
///
/// # Errors
/// If there is no manifest, or a file can't be read.
pub fn probe(place: &ArtifactsConfig, before: Option<&str>) -> Result<Stamps, Error> {
    let before: Option<Remembered> = before.and_then(|text| serde_json::from_str(text).ok());
    let mut files = BTreeMap::new();
    for found in find(place)? {
        let metadata = std::fs::metadata(&found.path);
        let metadata = metadata.map_err(|source| Error::Read { file: found.path.clone(), source })?;
        files.insert(found.path, FileStamp { stat: Stat::of(&metadata), sha256: String::new() });
    }
    let may_be_same = before.as_ref().is_some_and(|before| {
        let size = |path: &Path| before.files.get(&name(path)).map(|known| known.stat.size);
        before.files.len() == files.len() && files.iter().all(|(path, file)| size(path) == Some(file.stat.size))
    });
    let mut bytes = 0;
    if let Some(before) = before.as_ref().filter(|_| may_be_same) {
        for (path, file) in &mut files {
            file.sha256 = known_or_hashed(path, file, before, &mut bytes)?;
        }
    }
    let now = Remembered::of(place, files);
    let is_same = may_be_same && before.is_some_and(|before| before.is_same(&now));
    Ok(Stamps { text: text(&now), bytes, is_same })
}

fn known_or_hashed(path: &Path, file: &FileStamp, before: &Remembered, bytes: &mut u64) -> Result<String, Error> {
    let known = before.files.get(&name(path));
    if let Some(known) = known.filter(|known| known.stat == file.stat && file.stat.mtime.is_some()) {
        return Ok(known.sha256.clone());
    }
    let (sha256, read) = hash(path)?;
    *bytes += read;
    Ok(sha256)
}

/// The text to remember of files that were read.
pub(super) fn text_of(place: &ArtifactsConfig, files: BTreeMap<PathBuf, FileStamp>) -> String {
    text(&Remembered::of(place, files))
}

fn text(remembered: &Remembered) -> String {
    // Numbers and texts alone: this can't fail.
    serde_json::to_string(remembered).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
