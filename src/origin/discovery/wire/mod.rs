//! One question to the API and its answer: pace, retries, HTTP, the envelope that GraphQL wraps answers in, and what does not fit.

mod bounds;
pub(crate) mod client;
pub(crate) mod envelope;
pub(crate) mod fit;
mod pace;
pub(crate) mod retry;
pub(crate) mod transport;
