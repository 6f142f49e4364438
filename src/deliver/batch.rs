//! Events on their way, packed in memory until they are taken: so the catalog is let go of before anybody waits for the network.

use std::io::{self, BufRead, BufReader, Cursor, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::Tries;
use super::post::{Failure, Target};
use crate::export;

/// The events of one moment, in their order.
pub(crate) struct Batch {
    events: BufReader<GzDecoder<Cursor<Vec<u8>>>>,
    /// The first that was not taken.
    next: String,
    taken: u64,
    /// How many there are.
    pub(crate) count: u64,
}

impl Batch {
    /// What `write` writes: an event in each line.
    ///
    /// # Errors
    /// If it can't.
    pub(crate) fn pack(write: impl FnOnce(&mut dyn Write) -> Result<(), export::Error>) -> Result<Self, export::Error> {
        let mut lines = Lines { packed: GzEncoder::new(Vec::new(), Compression::fast()), count: 0 };
        write(&mut lines)?;
        let packed = Cursor::new(lines.packed.finish()?);
        let events = BufReader::new(GzDecoder::new(packed));
        let mut batch = Self { events, next: String::new(), taken: 0, count: lines.count };
        batch.advance()?;
        Ok(batch)
    }

    /// Posts what was not taken yet, one event after the other; `taken` is told of each. It goes on where it was left.
    ///
    /// # Errors
    /// With the first event that is not taken, and why.
    pub(super) async fn send(&mut self, target: &Target, taken: &(dyn Fn() + Sync)) -> Result<(), Failure> {
        let before = self.taken;
        while !self.next.is_empty() {
            if let Err(failure) = target.post(self.next.clone()).await {
                let (place, count, what) = (self.taken + 1, self.count, what(&self.next));
                let text = format!("event {place} of {count}, {what}: {}", failure.text);
                return Err(Failure { text, has_moved: self.taken > before, ..failure });
            }
            self.taken += 1;
            self.advance().map_err(|error| Failure::of(format!("the packed events can't be read: {error}")))?;
            taken();
        }
        Ok(())
    }

    /// The same, also after failures, as long as there is `patience`.
    ///
    /// # Errors
    /// If an event is refused, or none was taken for so long.
    pub(crate) async fn deliver(
        &mut self,
        target: &Target,
        patience: Duration,
        taken: &(dyn Fn() + Sync),
    ) -> Result<(), Failure> {
        let mut tries = Tries::default();
        while let Err(failure) = self.send(target, taken).await {
            tries.pause(failure, patience).await?;
        }
        Ok(())
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next.clear();
        self.events.read_line(&mut self.next).map(drop)
    }
}

/// Packs lines, and counts them.
struct Lines {
    packed: GzEncoder<Vec<u8>>,
    count: u64,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.packed.write(bytes)?;
        self.count += bytes[..written].iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.packed.flush()
    }
}

/// What an event is about, for people.
fn what(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let kind = event["schemaURL"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or("event");
    let name = event["dataset"]["name"].as_str().or(event["job"]["name"].as_str()).unwrap_or("?");
    format!("the {kind} of `{name}`")
}
