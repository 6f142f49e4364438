//! Which files there are, and reading one whole: its text goes through a parser as it comes, and its hash is of exactly those bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use serde::Deserializer;
use sha2::{Digest, Sha256};

use super::Error;
use super::stamps::{FileStamp, Stat};
use super::surrogates::without_lone_surrogates;
use crate::config::ArtifactsConfig;
use crate::inventory::shape;

/// A file that is not whole is read so often, with a pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);

/// As much is read at once.
const BUFFER: usize = 256 * 1024;

/// What dbt leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// manifest.json
    Manifest,
    /// catalog.json
    Catalog,
    /// run_results.json
    RunResults,
    /// sources.json
    Sources,
}

impl FileKind {
    const ALL: [Self; 4] = [Self::Manifest, Self::Catalog, Self::RunResults, Self::Sources];

    /// The name of the file, without its ending.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Catalog => "catalog",
            Self::RunResults => "run_results",
            Self::Sources => "sources",
        }
    }

    /// What stands in the address of its schema.
    pub(super) fn schema(self) -> &'static str {
        match self {
            Self::Manifest => "/manifest/",
            Self::Catalog => "/catalog/",
            Self::RunResults => "/run-results/",
            Self::Sources => "/sources/",
        }
    }

    /// By the name of a file: dbt's own, or one with more before or after it.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let stem = name.strip_suffix(".json.gz").or_else(|| name.strip_suffix(".json"))?;
        let is_apart = |rest: &str, end: Option<char>| rest.is_empty() || end.is_some_and(|c| !c.is_alphanumeric());
        let is_it = |kind: &Self| {
            let before = stem.strip_prefix(kind.as_str()).is_some_and(|rest| is_apart(rest, rest.chars().next()));
            let after = stem.strip_suffix(kind.as_str()).is_some_and(|rest| is_apart(rest, rest.chars().last()));
            before || after
        };
        Self::ALL.into_iter().find(is_it).filter(|_| stem != "semantic_manifest")
    }
}

/// A file of dbt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub kind: FileKind,
    pub path: PathBuf,
}

/// The files of an environment, each once. A path that is no pattern has to hold some, and one of all has to be a manifest.
pub(super) fn find(place: &ArtifactsConfig) -> Result<Vec<Found>, Error> {
    let mut found = BTreeSet::new();
    for path in &place.paths {
        if path.exists() {
            let here = within(path)?;
            if here.is_empty() {
                return Err(Error::Nothing { path: path.clone() });
            }
            found.extend(here);
            continue;
        }
        let pattern = path.to_string_lossy();
        if !pattern.contains(['*', '?', '[']) {
            return Err(Error::Nothing { path: path.clone() });
        }
        let matches = glob::glob(&pattern).map_err(|source| Error::Pattern { pattern: pattern.to_string(), source })?;
        for entry in matches {
            let entry = entry.map_err(|error| Error::Read { file: error.path().to_owned(), source: error.into() })?;
            found.extend(within(&entry)?);
        }
    }
    if !found.iter().any(|file| file.kind == FileKind::Manifest) {
        let paths: Vec<String> = place.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(Error::NoManifest { paths: paths.join(", ") });
    }
    found.iter().try_for_each(|file| is_file(&file.path))?;
    Ok(found.into_iter().collect())
}

/// Refuses what has the name of a file and is none: to open a pipe is to wait until somebody writes to it.
fn is_file(path: &Path) -> Result<(), Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::Read { file: path.to_owned(), source })?;
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
    Err(Error::NoFile { file: path.to_owned(), what })
}

/// The files of dbt that a path holds: itself, or of a folder those that have dbt's own names.
fn within(path: &Path) -> Result<Vec<Found>, Error> {
    if !path.is_dir() {
        return Ok(FileKind::of(path).map(|kind| Found { kind, path: path.to_owned() }).into_iter().collect());
    }
    let mut found = Vec::new();
    for kind in FileKind::ALL {
        for ending in ["json", "json.gz"] {
            let file = path.join(format!("{}.{ending}", kind.as_str()));
            let is_there = file.try_exists().map_err(|source| Error::Read { file: file.clone(), source })?;
            if is_there {
                found.push(Found { kind, path: file });
            }
        }
    }
    Ok(found)
}

/// Takes what it wants from a file's JSON. It may be asked again, from the beginning.
pub(super) trait Parse {
    /// What it comes to.
    type Out;

    /// Reads the whole value.
    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<Self::Out, D::Error>;

    /// What it has, where it failed because it had read enough.
    fn enough(&mut self) -> Option<Self::Out> {
        None
    }
}

/// Reads files, and notes which bytes they were.
pub(super) struct Reader<'a> {
    pub stamps: BTreeMap<PathBuf, FileStamp>,
    pub bytes: u64,
    pub warnings: Vec<String>,
    pub progress: &'a dyn Fn(&'static str, u64, u64),
    /// Some file is of the future: what it comes to will be another when that has come.
    pub saw_future: bool,
}

/// Why one try came to nothing.
enum Failure {
    Read(std::io::Error),
    Mark,
    Utf16,
    Packed,
    Json(serde_json::Error),
    Moved,
}

impl<'a> Reader<'a> {
    pub(super) fn new(progress: &'a dyn Fn(&'static str, u64, u64)) -> Self {
        Self { stamps: BTreeMap::new(), bytes: 0, warnings: Vec::new(), progress, saw_future: false }
    }

    /// Reads a file whole, again where it is not whole or moves meanwhile.
    pub(super) fn read<P: Parse>(&mut self, file: &Path, parser: &mut P) -> Result<P::Out, Error> {
        self.try_often(file, parser, Self::attempt)
    }

    /// Reads no further than the parser wants, so notes nothing of the file.
    pub(super) fn head<P: Parse>(&mut self, file: &Path, parser: &mut P) -> Result<P::Out, Error> {
        self.try_often(file, parser, |reader, file, parser| {
            let mut opened = File::open(file).map_err(Failure::Read)?;
            match parse(&mut opened, is_packed(file), parser) {
                Err(Failure::Json(broken)) if broken.is_syntax() => {
                    reader.mended(file, parser).ok_or(Failure::Json(broken))
                }
                parsed => parsed,
            }
        })
    }

    /// Notes a file that says nothing here.
    pub(super) fn skip(&mut self, file: &Path) -> Result<(), Error> {
        let unread = |source| Error::Read { file: file.to_owned(), source };
        let stat = Stat::of(&std::fs::metadata(file).map_err(unread)?);
        let (sha256, bytes) = hash(file)?;
        self.bytes += bytes;
        self.stamps.insert(file.to_owned(), FileStamp { stat, sha256 });
        Ok(())
    }

    fn try_often<P: Parse>(
        &mut self,
        file: &Path,
        parser: &mut P,
        attempt: fn(&mut Self, &Path, &mut P) -> Result<P::Out, Failure>,
    ) -> Result<P::Out, Error> {
        let mut tries = 1;
        loop {
            let failure = match attempt(self, file, parser) {
                Ok(out) => return Ok(out),
                Err(failure) => failure,
            };
            if tries == TRIES || matches!(failure, Failure::Mark | Failure::Utf16 | Failure::Packed) {
                let file = file.to_owned();
                return Err(match failure {
                    Failure::Read(source) => Error::Read { file, source },
                    Failure::Mark => Error::ByteOrderMark { file },
                    Failure::Utf16 => Error::Utf16 { file },
                    Failure::Packed => Error::Packed { file },
                    Failure::Json(source) => Error::Json { file, line: source.line(), source },
                    Failure::Moved => Error::Moved { file, tries },
                });
            }
            tries += 1;
            std::thread::sleep(PAUSE);
        }
    }

    fn attempt<P: Parse>(&mut self, file: &Path, parser: &mut P) -> Result<P::Out, Failure> {
        let opened = File::open(file).map_err(Failure::Read)?;
        let before = opened.metadata().map_err(Failure::Read)?;
        let mut hashed = Hashed { from: opened, hash: Sha256::new(), bytes: 0 };
        let parsed = match parse(&mut hashed, is_packed(file), parser) {
            Err(Failure::Json(broken)) if broken.is_syntax() => self.mended(file, parser).ok_or(Failure::Json(broken)),
            parsed => parsed,
        };
        // The hash is of the whole file, also where less of it was enough.
        std::io::copy(&mut hashed, &mut std::io::sink()).map_err(Failure::Read)?;
        let after = std::fs::metadata(file).map_err(Failure::Read)?;
        let stat = Stat::of(&before);
        if !is_same(&before, &after) || stat.size != hashed.bytes {
            return Err(Failure::Moved);
        }
        let out = parsed?;
        self.bytes += hashed.bytes;
        let sha256 = hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.stamps.insert(file.to_owned(), FileStamp { stat, sha256 });
        Ok(out)
    }

    /// The same JSON with null for bare `NaN` and `Infinity`, and without halves of characters, where it can't be read because of them.
    fn mended<P: Parse>(&mut self, file: &Path, parser: &mut P) -> Option<P::Out> {
        let mut bytes = Vec::new();
        let mut opened = File::open(file).ok()?;
        match is_packed(file) {
            true => MultiGzDecoder::new(opened).read_to_end(&mut bytes).ok()?,
            false => opened.read_to_end(&mut bytes).ok()?,
        };
        let mut said = Vec::new();
        if let Some(mended) = shape::without_bare_numbers(&bytes) {
            bytes = mended;
            said.push("holds `NaN` or `Infinity`, which JSON does not have: taken as unknown");
        }
        if let Some(mended) = without_lone_surrogates(&bytes) {
            bytes = mended;
            said.push("holds half a character (a lone surrogate): replaced by `\u{FFFD}`");
        }
        if said.is_empty() {
            return None;
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let out = parser.parse(&mut json).ok().or_else(|| parser.enough())?;
        for what in said {
            let warning = format!("`{}` {what}", file.display());
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Some(out)
    }
}

fn is_packed(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "gz")
}

fn is_same(before: &Metadata, after: &Metadata) -> bool {
    let exact = |metadata: &Metadata| metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let (one, other) = (Stat::of(before), Stat::of(after));
    one.size == other.size && one.inode == other.inode && exact(before) == exact(after)
}

fn parse<P: Parse>(from: &mut impl Read, is_packed: bool, parser: &mut P) -> Result<P::Out, Failure> {
    let from: Box<dyn Read + '_> = if is_packed { Box::new(MultiGzDecoder::new(from)) } else { Box::new(from) };
    let mut text = BufReader::with_capacity(BUFFER, from);
    let beginning = text.fill_buf().map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            Failure::Json(serde_json::Error::io(error))
        }
        _ => Failure::Read(error),
    })?;
    if [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| beginning.starts_with(mark)) {
        return Err(Failure::Mark);
    }
    match beginning {
        [0, b'{', ..] | [b'{', 0, ..] => return Err(Failure::Utf16),
        [0x1F, 0x8B, ..] => return Err(Failure::Packed),
        _ => {}
    }
    let mut json = serde_json::Deserializer::from_reader(text);
    match parser.parse(&mut json) {
        Ok(out) => json.end().map(|()| out).map_err(Failure::Json),
        Err(error) => parser.enough().ok_or(Failure::Json(error)),
    }
}

/// Bytes on their way, and their hash.
struct Hashed {
    from: File,
    hash: Sha256,
    bytes: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// The hash of a file as it is, and how many bytes it has.
pub(super) fn hash(file: &Path) -> Result<(String, u64), Error> {
    let read = || -> std::io::Result<(String, u64)> {
        let mut hashed = Hashed { from: File::open(file)?, hash: Sha256::new(), bytes: 0 };
        let mut buffer = vec![0; BUFFER];
        while hashed.read(&mut buffer)? > 0 {}
        Ok((hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), hashed.bytes))
    };
    read().map_err(|source| Error::Read { file: file.to_owned(), source })
}
