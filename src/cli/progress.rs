//! Progress of long work, on a terminal only.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::note;
use crate::sync::Watch;

/// A bar for one sync; it goes when the last part of it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    resources: Mutex<BTreeMap<&'static str, (u64, u64)>>,
}

impl Progress {
    pub(super) fn start(name: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        Self { bar, resources: Mutex::default() }
    }

    /// What a sync tells this bar.
    pub(super) fn watch(self) -> Watch {
        let page = Arc::new(self);
        let waiting = Arc::clone(&page);
        Watch {
            page: Arc::new(move |resource, seen, total| page.page(resource, seen, total)),
            waiting: Arc::new(move |holder| waiting.bar.suspend(|| note(&format!("waiting for {holder}")))),
        }
    }

    fn page(&self, resource: &'static str, seen: u64, total: u64) {
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        resources.insert(resource, (seen, total));
        let (seen, total) = resources.values().fold((0, 0), |(a, b), (seen, total)| (a + seen, b + total));
        self.bar.set_length(total);
        self.bar.set_position(seen);
        self.bar.set_message(resource);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
