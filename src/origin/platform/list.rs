//! Lists of the Admin API, page by page, and the proof that nothing is missing: as many different items came as the platform counts, and
//! counted the same on every page, since where an item went meanwhile another one is skipped.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::value::text;

/// Items on a page: the platform gives no more.
const PAGE: usize = 100;

/// A list that changes while it is read, or is not whole for another reason, is read so often.
const READS: u32 = 2;

/// A list that is asked for.
pub(super) struct List<'a> {
    /// What is on it, for people.
    pub(super) what: &'static str,
    /// Where it is, below the access URL.
    pub(super) path: &'a str,
    /// What is asked of it.
    pub(super) query: Vec<(&'static str, String)>,
}

impl Client {
    /// All items of a list, by id.
    pub(super) async fn list(&self, list: List<'_>) -> Result<Vec<Value>, Error> {
        let mut read = 1;
        loop {
            match self.walk(&list).await {
                Err(Error::Incomplete { .. }) if read < READS => read += 1,
                walked => return walked,
            }
        }
    }

    async fn walk(&self, List { what, path, query }: &List<'_>) -> Result<Vec<Value>, Error> {
        let incomplete = |why: String| Error::Incomplete { what, why };
        let (mut items, mut offset, mut counted) = (BTreeMap::new(), 0, None);
        loop {
            let mut query = query.clone();
            query.extend([("limit", PAGE.to_string()), ("offset", offset.to_string())]);
            let mut answer = self.get(path, &query).await?;
            let total =
                answer["extra"]["pagination"]["total_count"].as_u64().and_then(|total| usize::try_from(total).ok());
            if *counted.get_or_insert(total) != total {
                return Err(incomplete("it changed while it was read".into()));
            }
            let page = match answer["data"].take() {
                Value::Array(page) => page,
                _ => return Err(incomplete("an answer holds no list".into())),
            };
            let came = page.len();
            for item in page {
                items.insert(id(&item).ok_or_else(|| incomplete("an item has no id".into()))?, item);
            }
            offset += came;
            if came > 0 && total.is_none_or(|total| offset < total) {
                continue;
            }
            return match total {
                Some(total) if total != items.len() => {
                    Err(incomplete(format!("{} came, and the platform counts {total}", items.len())))
                }
                _ => Ok(items.into_values().collect()),
            };
        }
    }
}

/// Numbers in their order; webhooks have texts.
fn id(item: &Value) -> Option<(i64, String)> {
    match &item["id"] {
        Value::Number(number) => Some((number.as_i64()?, String::new())),
        other => Some((i64::MAX, text(other)?)),
    }
}
