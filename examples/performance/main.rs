//! What `benches/performance.py` measures against: a Discovery API that answers from memory, and the least that a sync could cost.
//!
//! `performance serve [--sample TARGET_FOLDER] [--models N] [--sources PER_MODEL] [--deep]` grows a project, prints where it serves it, and
//! does so until its standard input ends.
//!
//! `performance floor URL CATALOG NEW_CATALOG` asks for what a sync asked for and inserts the rows that it left in `CATALOG`.
#![allow(clippy::print_stdout)]

mod answers;
mod floor;
mod serve;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // No address is asked over TLS; the client wants to know by what it would be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", options @ ..] => serve::run(options),
        ["floor", url, catalog, new] => floor::run(url, catalog.as_ref(), new.as_ref()),
        _ => Err("`performance serve [OPTIONS]` or `performance floor URL CATALOG NEW_CATALOG`".into()),
    }
}
