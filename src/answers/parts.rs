//! A whole view of one moment, some rows at a time, so that however many they are, few are in memory.

use rusqlite::params_from_iter;

use super::page::{Pairs, bytes_of, columns, conditions, sql};
use super::table::cells;
use super::{Error, Head, Question, Reader, Table, View};

/// A part ends with the row that makes its text longer than this …
const BYTES: usize = 1 << 18;

/// … or with this one.
const ROWS: usize = 2000;

impl Reader {
    /// Gives all rows that `question` asks for, in the order of the view's key, to `take`, part by part, until that fails.
    pub fn parts(
        &self,
        view: &View,
        question: Question,
        take: impl FnMut(Table) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match Pairs::of(view) {
            // In one statement SQLite would sort all of them before the first.
            Some(_) => self.pages(view, question, take),
            None => self.one_by_one(view, &question, take),
        }
    }

    fn pages(
        &self,
        view: &View,
        mut question: Question,
        mut take: impl FnMut(Table) -> Result<(), Error>,
    ) -> Result<(), Error> {
        question.limit = Some(ROWS);
        loop {
            let page = self.page(view, &question)?;
            question.after = page.next;
            take(page.table)?;
            if question.after.is_none() {
                return Ok(());
            }
        }
    }

    fn one_by_one(
        &self,
        view: &View,
        question: &Question,
        mut take: impl FnMut(Table) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (conditions, values) = conditions(view, question);
        let mut statement = self.connection.prepare(&sql(view, question, &conditions))?;
        let heads: Vec<Head> = columns(view, question).map(Head::from).collect();
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut part, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let cells = cells(row, heads.len())?;
            bytes += bytes_of(&cells);
            part.push(cells);
            if bytes > BYTES || part.len() == ROWS {
                bytes = 0;
                take(Table { columns: heads.clone(), rows: std::mem::take(&mut part) })?;
            }
        }
        take(Table { columns: heads, rows: part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::view;

    /// The ids of all parts, and how many parts there were.
    fn ids(reader: &Reader, name: &str, most: usize) -> (Vec<String>, usize) {
        let view = view(name).expect("a view");
        let (mut ids, mut parts) = (Vec::new(), 0);
        let take = |part: Table| {
            parts += 1;
            ids.extend(part.iter().map(|row| row.str(view.key[1]).to_owned()));
            if parts < most { Ok(()) } else { Err(Error::TookTooLong("enough".to_owned())) }
        };
        assert_eq!(reader.parts(view, Question::default(), take).is_ok(), parts < most);
        (ids, parts)
    }

    #[test]
    fn a_view_comes_in_parts_with_each_row_once_and_no_further_than_it_is_taken() {
        let reader = Reader::over(
            "INSERT INTO environment (environment_id, name) VALUES (1, 'prod');
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5001)
             INSERT INTO node (node_key, environment_id, unique_id, resource_type, name, properties, first_seen_at, last_changed_at)
             SELECT i, 1, printf('model.shop.m%05d', i), 'model', 'm' || i, '{}', '', '' FROM n;
             INSERT INTO edge (parent_key, child_key) SELECT node_key, node_key + 1 FROM node WHERE node_key < 5001;",
        );
        let (nodes, parts) = ids(&reader, "nodes", usize::MAX);
        assert!(nodes.len() == 5001 && parts > 2, "{parts}");
        assert!(nodes.is_sorted(), "in the order of the key");
        let (edges, parts) = ids(&reader, "edges", usize::MAX);
        assert!(edges.len() == 5000 && parts > 2, "{parts}");
        assert_eq!(ids(&reader, "nodes", 2).1, 2);
        assert_eq!(ids(&reader, "tests", usize::MAX), (Vec::new(), 1));
    }
}
