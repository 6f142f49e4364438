//! What metrics can be grouped by, from the Semantic Layer's GraphQL.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::Client;
use super::error::Error;
use super::value::{number, shared, text};
use crate::inventory::Text;
use crate::inventory::platform::Dimension;
use crate::outbound::printable;

const PAGED: (&str, &str) = ("Metrics", include_str!("../../../queries/semantic_layer/metrics.graphql"));
const WHOLE: (&str, &str) = ("MetricsWhole", include_str!("../../../queries/semantic_layer/metrics_whole.graphql"));

/// Metrics on a page.
const PAGE: usize = 500;

/// Fields that a server may lack: the older and the newer name of one thing, and what tells the path.
const OPTIONAL: [&str; 3] = ["queryableGranularities", "queryableTimeGranularities", "qualifiedName"];

/// A list that changes while it is read is read so often.
const READS: u32 = 2;

type Metrics = Vec<(Text, Vec<Dimension>)>;

impl Client {
    /// The metrics of the environment with this id of the platform's, by name, and what each can be grouped by.
    ///
    /// # Errors
    /// If the Semantic Layer is not to be asked, does not answer, or gives no whole list.
    pub async fn metrics(&self, environment_id: i64) -> Result<Metrics, Error> {
        let mut asker = Asker { client: self, environment_id, is_paged: true, dropped: BTreeSet::new() };
        let mut read = 1;
        loop {
            match asker.all().await {
                Err(Error::Incomplete { .. }) if read < READS => read += 1,
                found => return found,
            }
        }
    }
}

/// Asks, and learns what the server does not know.
struct Asker<'a> {
    client: &'a Client,
    environment_id: i64,
    is_paged: bool,
    dropped: BTreeSet<&'static str>,
}

impl Asker<'_> {
    async fn all(&mut self) -> Result<Metrics, Error> {
        let (mut found, mut came, mut counted) = (BTreeMap::new(), 0, None);
        for page in 1.. {
            let data = self.answer(page).await?;
            let (items, total) = match &data["metricsPaginated"] {
                Value::Null => (&data["metrics"], None),
                paged => (&paged["items"], number(&paged["totalItems"])),
            };
            let Some(items) = items.as_array() else { return Err(incomplete("an answer holds no metrics".into())) };
            if *counted.get_or_insert(total) != total {
                return Err(incomplete("they changed while they were read".into()));
            }
            if let Some(metric) = items.iter().find(|item| !item["dimensions"].is_array()) {
                return Err(incomplete(format!("{} came without its dimensions", metric["name"])));
            }
            came += items.len();
            found.extend(items.iter().filter_map(metric));
            let is_more = self.is_paged && !items.is_empty() && total.is_none_or(|total| (came as i64) < total);
            if !is_more {
                return match total {
                    Some(total) if total != found.len() as i64 => {
                        Err(incomplete(format!("{} came, and the platform counts {total}", found.len())))
                    }
                    _ => Ok(found.into_iter().collect()),
                };
            }
        }
        Ok(Vec::new())
    }

    /// The data of one page. A field that the server does not know is left out from then on.
    async fn answer(&mut self, page: usize) -> Result<Value, Error> {
        loop {
            let mut answer = self.client.post(&self.question(page)).await?;
            let Some(message) = answer["errors"][0]["message"].as_str().map(|text| printable(text, 200)) else {
                return Ok(answer["data"].take());
            };
            if !self.learn(&message) {
                return Err(incomplete(format!("the Semantic Layer says `{message}`")));
            }
        }
    }

    fn question(&self, page: usize) -> Value {
        let (name, text) = if self.is_paged { PAGED } else { WHOLE };
        let is_asked = |line: &&str| !self.dropped.contains(line.trim());
        let query: Vec<&str> = text.lines().filter(is_asked).collect();
        let mut variables = json!({"environmentId": self.environment_id});
        if self.is_paged {
            variables["pageNum"] = page.into();
            variables["pageSize"] = PAGE.into();
        }
        json!({"query": query.join("\n"), "operationName": name, "variables": variables})
    }

    /// Whether the same question can be asked in other words.
    fn learn(&mut self, message: &str) -> bool {
        let Some((_, rest)) = message.split_once("Cannot query field ") else { return false };
        let field = rest.split(['"', '\'']).nth(1).unwrap_or_default();
        if field == "metricsPaginated" {
            return std::mem::replace(&mut self.is_paged, false);
        }
        OPTIONAL.iter().find(|known| **known == field).is_some_and(|known| self.dropped.insert(known))
    }
}

fn incomplete(why: String) -> Error {
    Error::Incomplete { what: "metrics", why }
}

fn metric(item: &Value) -> Option<(Text, Vec<Dimension>)> {
    let list = |name: &str| item[name].as_array().into_iter().flatten();
    let dimensions = list("dimensions").filter_map(dimension);
    let entity =
        |item: &Value| Some(Dimension { name: shared(&item["name"])?, kind: "entity".into(), ..Dimension::default() });
    let mut all: Vec<Dimension> = dimensions.chain(list("entities").filter_map(entity)).collect();
    all.sort();
    all.dedup();
    Some((shared(&item["name"])?, all))
}

/// The API's name may be qualified already: the name is what follows the last `__`, and what stands before it is the path.
fn dimension(item: &Value) -> Option<Dimension> {
    let qualified = text(&item["qualifiedName"]).or_else(|| text(&item["name"]))?;
    let (path, name) = match qualified.rsplit_once("__") {
        Some((path, name)) if !path.is_empty() && !name.is_empty() => (Some(path.into()), name),
        _ => (None, qualified.as_str()),
    };
    let kind = text(&item["type"]).unwrap_or_default().to_lowercase();
    let mut granularities: Vec<Text> = Vec::new();
    for list in [&item["queryableTimeGranularities"], &item["queryableGranularities"]] {
        for word in list.as_array().into_iter().flatten().filter_map(text).map(|word| Text::from(word.to_lowercase())) {
            if kind == "time" && !granularities.contains(&word) {
                granularities.push(word);
            }
        }
    }
    Some(Dimension { name: name.into(), kind: kind.into(), granularities, entity_path: path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimensions_path_is_what_stands_before_its_name() {
        let told = |name: &str, qualified: Option<&str>, kind: &str| {
            let item = json!({"name": name, "qualifiedName": qualified, "type": kind,
                "queryableGranularities": ["DAY", "WEEK"], "queryableTimeGranularities": ["day", "fiscal_year"]});
            let found = dimension(&item).expect("a dimension");
            let granularities: Vec<&str> = found.granularities.iter().map(|word| &**word).collect();
            (found.name.to_string(), found.entity_path.map(|path| path.to_string()), granularities.join(" "))
        };
        let path = |path: &str| Some(path.to_owned());
        let grains = "day fiscal_year week".to_owned();
        assert_eq!(
            told("region", Some("order__customer__region"), "CATEGORICAL"),
            ("region".into(), path("order__customer"), String::new())
        );
        assert_eq!(
            told("order__ordered_at", Some("order__ordered_at"), "TIME"),
            ("ordered_at".into(), path("order"), grains.clone())
        );
        assert_eq!(told("metric_time", Some("metric_time"), "TIME"), ("metric_time".into(), None, grains));
        assert_eq!(told("order__status", None, "CATEGORICAL"), ("status".into(), path("order"), String::new()));
        assert_eq!(told("__odd", None, "CATEGORICAL"), ("__odd".into(), None, String::new()));
    }

    #[test]
    fn entities_have_neither_path_nor_granularities() {
        let item = json!({"name": "revenue", "dimensions": [], "entities": [{"name": "customer", "type": "FOREIGN"}, {"name": "customer"}]});
        let (name, dimensions) = metric(&item).expect("a metric");
        assert_eq!((&*name, dimensions.len(), &*dimensions[0].kind), ("revenue", 1, "entity"));
        assert_eq!((&dimensions[0].entity_path, dimensions[0].granularities.len()), (&None, 0));
    }
}
