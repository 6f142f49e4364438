//! What a bench of reading needs, and nobody else.

use crate::origin::discovery::models::AppliedModels;
use crate::origin::discovery::read::page::Document;
use crate::origin::discovery::wire::envelope::{Origin, decode};
use crate::origin::discovery::wire::fit::Misfits;

/// How many models a page of applied models holds, each made a node of as a read does it; `None` if it is no such page.
pub fn decode_models(body: &[u8]) -> Option<usize> {
    let origin = Origin { host: String::new(), status: 200, content_type: String::new() };
    let page = AppliedModels::page(decode(&origin, body, &mut Misfits::default()).ok()?);
    Some(page.list?.nodes.into_iter().map(AppliedModels::draft).count())
}
