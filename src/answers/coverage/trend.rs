//! How the figures came to be what they are, from the view `coverage_history`.

use rusqlite::Row;
use serde::Serialize;

use super::{By, Figures, Moment, Share, is_relation};
use crate::answers::{Environment, Error, Reader};

/// The figures of an environment from some moment on. The history has no number of unknown columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Since when.
    pub changed_at: String,
    /// What they were; a group is a resource type with its package and owner.
    pub moment: Moment,
}

/// The totals of an environment from some moment on, as programs take them. What is unknown is not 0.
#[derive(Debug, Serialize)]
pub struct TrendRow {
    environment_id: i64,
    environment: String,
    changed_at: String,
    node_count: u64,
    documented: u64,
    documented_percent: Option<f64>,
    placeholders: u64,
    column_count: Option<u64>,
    documented_columns: Option<u64>,
    documented_columns_percent: Option<f64>,
    tested_columns: Option<u64>,
    tested_columns_percent: Option<f64>,
    testable: u64,
    tested: u64,
    tested_percent: Option<f64>,
}

impl TrendRow {
    fn of(environment: &Environment, Point { changed_at, moment }: Point) -> Self {
        let Figures { documented, placeholders, documented_columns: docs, tested_columns: tests, tested, .. } =
            moment.total;
        Self {
            environment_id: environment.id,
            environment: environment.name.clone(),
            changed_at,
            node_count: documented.whole,
            documented: documented.part,
            documented_percent: documented.percent(),
            placeholders,
            column_count: docs.known().map(|share| share.whole),
            documented_columns: docs.known().map(|share| share.part),
            documented_columns_percent: docs.percent(),
            tested_columns: tests.known().map(|share| share.part),
            tested_columns_percent: tests.percent(),
            testable: tested.whole,
            tested: tested.part,
            tested_percent: tested.percent(),
        }
    }
}

/// As for nodes: where it is unknown which package is the project's own, each may be.
const HISTORY: &str = "
    SELECT h.sync_id, h.changed_at, h.resource_type, h.package_name, h.owner_name, h.node_count, h.documented,
        h.placeholders, h.tested, coalesce(h.column_count, 0), coalesce(h.documented_columns, 0),
        coalesce(h.tested_columns, 0)
    FROM coverage_history h JOIN environments e ON e.environment_id = h.environment_id
    WHERE h.environment_id = ?1
    AND (?2 OR coalesce(h.package_name = e.project_name, 1) OR NOT EXISTS (
        SELECT 1 FROM coverage c WHERE c.environment_id = ?1 AND c.is_own_package IS NOT NULL))
    ORDER BY h.sync_id";

impl Reader {
    /// The totals of each environment, or of one, whenever they changed.
    pub fn coverage_trends(&self, environment_id: Option<i64>, all_packages: bool) -> Result<Vec<TrendRow>, Error> {
        let mut rows = Vec::new();
        for environment in self.environments()?.iter().filter(|it| environment_id.is_none_or(|id| id == it.id)) {
            let points = self.coverage_trend(environment.id, all_packages)?;
            rows.extend(points.into_iter().map(|point| TrendRow::of(environment, point)));
        }
        Ok(rows)
    }

    /// The moments at which the total figures of an environment changed, oldest first: of the root project's own packages, or of all.
    pub fn coverage_trend(&self, environment_id: i64, all_packages: bool) -> Result<Vec<Point>, Error> {
        let mut statement = self.connection.prepare(HISTORY)?;
        let mut rows = statement.query((environment_id, all_packages))?;
        let mut points: Vec<(i64, Point)> = Vec::new();
        while let Some(row) = rows.next()? {
            let sync: i64 = row.get(0)?;
            if points.last().is_none_or(|(last, _)| *last != sync) {
                let moment = points.last().map(|(_, point)| point.moment.clone()).unwrap_or_default();
                points.push((sync, Point { changed_at: row.get(1)?, moment }));
            }
            if let Some((_, point)) = points.last_mut() {
                point.moment.groups.insert(group(row)?, figures(row)?);
            }
        }
        let mut points: Vec<Point> = points.into_iter().map(|(_, point)| point).collect();
        points.iter_mut().for_each(|point| add_up(&mut point.moment));
        points.dedup_by(|next, kept| next.moment.total == kept.moment.total);
        Ok(points)
    }
}

fn group(row: &Row<'_>) -> rusqlite::Result<String> {
    let resource_type: String = row.get(2)?;
    let (package, owner): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    let (package, owner) = (By::Package.label(package.as_deref()), By::Owner.label(owner.as_deref()));
    Ok(format!("{resource_type}, {package}, {owner}"))
}

fn figures(row: &Row<'_>) -> rusqlite::Result<Figures> {
    let count = |place: usize| row.get::<_, i64>(place).map(i64::unsigned_abs);
    let share = |part: u64, whole: u64| Share { part, whole };
    let resource_type: String = row.get(2)?;
    let tested = if is_relation(&resource_type) { share(count(8)?, count(5)?) } else { Share::default() };
    Ok(Figures {
        documented: share(count(6)?, count(5)?),
        placeholders: count(7)?,
        documented_columns: share(count(10)?, count(9)?),
        tested_columns: share(count(11)?, count(9)?),
        tested,
        ..Figures::default()
    })
}

/// A group that has no nodes any more is noted with none.
fn add_up(moment: &mut Moment) {
    moment.groups.retain(|_, figures| figures.documented.whole > 0);
    let total = &mut moment.total;
    for figures in moment.groups.values() {
        total.placeholders += figures.placeholders;
        for (sum, share) in [
            (&mut total.documented, figures.documented),
            (&mut total.documented_columns, figures.documented_columns),
            (&mut total.tested_columns, figures.tested_columns),
            (&mut total.tested, figures.tested),
        ] {
            sum.add(share.part, share.whole);
        }
    }
}
