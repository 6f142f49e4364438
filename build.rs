//! Rebuilds when a document or the schema changes: the derive reads both, and cargo would notice only the documents.

fn main() {
    println!("cargo::rerun-if-changed=queries");
}
