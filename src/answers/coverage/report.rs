//! Coverage in the JSON of `dbt-coverage`, for what reads that already: the warehouse's columns, table by table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{NodeCoverage, Share};
use crate::answers::{Error, Reader};

/// What a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Columns with a description.
    Doc,
    /// Columns with a test.
    Test,
}

/// The figures of a column, a table or all tables.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Hits {
    hits: u64,
    covered: u64,
    total: u64,
    coverage: Option<f64>,
}

impl Hits {
    fn of(parts: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let (hits, covered, total) =
            parts.fold((0, 0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1, sum.2 + part.2));
        Self { hits, covered, total, coverage: (total > 0).then(|| covered as f64 / total as f64) }
    }

    fn parts(&self) -> (u64, u64, u64) {
        (self.hits, self.covered, self.total)
    }
}

/// The report of one environment.
#[derive(Debug, Serialize)]
pub struct Report {
    cov_type: Measure,
    #[serde(flatten)]
    hits: Hits,
    tables: Vec<ReportTable>,
}

impl Report {
    /// How many columns are covered, of how many.
    pub fn share(&self) -> Share {
        Share { part: self.hits.covered, whole: self.hits.total }
    }
}

#[derive(Debug, Serialize)]
struct ReportTable {
    name: String,
    #[serde(flatten)]
    hits: Hits,
    columns: Vec<ReportColumn>,
}

#[derive(Debug, Serialize)]
struct ReportColumn {
    name: String,
    #[serde(flatten)]
    hits: Hits,
}

impl Reader {
    /// Reports on those of `nodes` whose columns are known. A table is called `schema.name`, as `dbt-coverage` calls it, but two that have
    /// the same name (the versions of a model, a source and the seed behind it) stay two, where it keeps only the last.
    pub fn coverage_report(&self, nodes: &[NodeCoverage], measure: Measure) -> Result<Report, Error> {
        let mut columns = columns(self, measure)?;
        let mut tables = Vec::new();
        // Its order, so that a reader that merges by name keeps the same ones.
        for resource_type in ["source", "model", "seed", "snapshot"] {
            for node in nodes.iter().filter(|node| node.resource_type == resource_type) {
                if let Some(columns) = columns.remove(&(node.environment_id, node.unique_id.clone())) {
                    tables.push(table(node, columns));
                }
            }
        }
        let hits = Hits::of(tables.iter().map(|table| table.hits.parts()));
        Ok(Report { cov_type: measure, hits, tables })
    }
}

fn table(node: &NodeCoverage, columns: Vec<(String, u64)>) -> ReportTable {
    let part = |name: &Option<String>| name.as_deref().unwrap_or_default().to_lowercase();
    let column = |(name, hits): (String, u64)| ReportColumn {
        name: name.to_lowercase(),
        hits: Hits::of(std::iter::once((hits, hits.min(1), 1))),
    };
    let columns: Vec<ReportColumn> = columns.into_iter().map(column).collect();
    let hits = Hits::of(columns.iter().map(|column| column.hits.parts()));
    ReportTable { name: format!("{}.{}", part(&node.schema_name), part(&node.name)), hits, columns }
}

type Columns = BTreeMap<(i64, String), Vec<(String, u64)>>;

/// The warehouse's columns of each node with their hits: 1 for a description (the tool knows no placeholders), or the number of tests.
fn columns(reader: &Reader, measure: Measure) -> Result<Columns, Error> {
    let hits = match measure {
        Measure::Doc => "c.description IS NOT NULL",
        Measure::Test => "coalesce(t.hits, 0)",
    };
    let sql = format!(
        "SELECT c.environment_id, c.unique_id, c.name, {hits} FROM columns c
         LEFT JOIN (SELECT environment_id, tested_id, tested_column, count(*) AS hits FROM node
                    WHERE resource_type IN ('test', 'unit_test') AND removed_at IS NULL GROUP BY 1, 2, 3) t
         ON t.environment_id = c.environment_id AND t.tested_id = c.unique_id AND t.tested_column = c.name
         WHERE c.in_warehouse ORDER BY c.environment_id, c.unique_id, c.position, c.name"
    );
    let mut statement = reader.connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut columns = Columns::new();
    while let Some(row) = rows.next()? {
        let hits: i64 = row.get(3)?;
        columns.entry((row.get(0)?, row.get(1)?)).or_default().push((row.get(2)?, hits.unsigned_abs()));
    }
    Ok(columns)
}
