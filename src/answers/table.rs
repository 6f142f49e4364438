//! Rows under a header: what every view is when it is read, and what every answer is when it is printed in columns.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Column, Error};

/// The name of a column, and whether its texts are JSON: those are values of their own where the table is written as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name, as the view has it.
    pub name: Cow<'static, str>,
    /// True for lists and maps.
    pub is_json: bool,
}

impl From<&'static str> for Head {
    fn from(name: &'static str) -> Self {
        Self { name: name.into(), is_json: false }
    }
}

impl From<&Column> for Head {
    fn from(column: &Column) -> Self {
        Self { name: column.name.into(), is_json: column.kind.is_json() }
    }
}

/// Rows under a header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Head>,
    /// The cells of each row, as many as there are columns. Lists and maps are JSON text, as in the view.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table without JSON in it.
    pub fn new(columns: impl IntoIterator<Item = &'static str>, rows: Vec<Vec<Value>>) -> Self {
        Self { columns: columns.into_iter().map(Head::from).collect(), rows }
    }

    /// An answer whose rows are structs without lists and maps, in columns.
    pub fn of<T: Serialize + Default>(answer: &[T]) -> serde_json::Result<Self> {
        let cells = |row: &T| serde_json::from_str::<Cells>(&serde_json::to_string(row)?);
        let rows: Vec<Cells> = answer.iter().map(cells).collect::<Result<_, _>>()?;
        let Cells(named) = cells(&T::default())?;
        let head = |(name, _): (String, Value)| Head { name: name.into(), is_json: false };
        let row = |Cells(cells): Cells| cells.into_iter().map(|(_, cell)| cell).collect();
        Ok(Self { columns: named.into_iter().map(head).collect(), rows: rows.into_iter().map(row).collect() })
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// Where a column stands, if it is there.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The rows, whose cells can be asked for by name.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    /// The same without columns in which no row has a value, for people.
    pub fn without_empty(self) -> Self {
        let is_used = |place: &usize| self.rows.is_empty() || self.rows.iter().any(|row| !row[*place].is_null());
        let places: Vec<usize> = (0..self.columns.len()).filter(is_used).collect();
        self.pick(&places)
    }

    /// The same rows with only `columns`, in that order; names that are not there are left out.
    pub fn only(self, columns: &[&str]) -> Self {
        let places: Vec<usize> = columns.iter().filter_map(|name| self.place(name)).collect();
        self.pick(&places)
    }

    /// The same with only the rows that are wanted.
    pub fn filter(self, is_wanted: impl Fn(Row<'_>) -> bool) -> Self {
        let Self { columns, mut rows } = self;
        rows.retain(|cells| is_wanted(Row { columns: &columns, cells }));
        Self { columns, rows }
    }

    /// Adds a column of lists or maps, as JSON, one for each row.
    pub fn add_json(&mut self, name: &'static str, cells: Vec<String>) {
        self.columns.push(Head { name: name.into(), is_json: true });
        self.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell.into()));
    }

    /// The same with a column before all others, one cell for each row.
    pub fn led_by(mut self, name: &'static str, cells: Vec<Value>) -> Self {
        self.columns.insert(0, Head::from(name));
        self.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.insert(0, cell));
        self
    }

    fn pick(self, places: &[usize]) -> Self {
        let columns = places.iter().map(|place| self.columns[*place].clone()).collect();
        let pick = |mut row: Vec<Value>| places.iter().map(|place| row[*place].take()).collect();
        Self { columns, rows: self.rows.into_iter().map(pick).collect() }
    }

    /// Leaves the first `limit` rows; how many more there were.
    pub fn cut(&mut self, limit: Option<usize>) -> usize {
        let left_out = limit.map_or(0, |limit| self.rows.len().saturating_sub(limit));
        self.rows.truncate(self.rows.len() - left_out);
        left_out
    }
}

/// A row of a table, by the names of its columns.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [Head],
    cells: &'a [Value],
}

impl<'a> Row<'a> {
    /// What stands in a column; NULL where there is no such column.
    pub fn get(&self, name: &str) -> &'a Value {
        let place = self.columns.iter().position(|column| column.name == name);
        place.map_or(&Value::Null, |place| &self.cells[place])
    }

    /// The text in a column.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).as_str()
    }

    /// The same, empty where there is none.
    pub fn str(&self, name: &str) -> &'a str {
        self.text(name).unwrap_or_default()
    }

    /// The whole number in a column.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).as_i64()
    }

    /// The number in a column.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).as_f64()
    }

    /// True where the column says so.
    pub fn is(&self, name: &str) -> bool {
        self.int(name) == Some(1)
    }

    /// The list, map or other JSON in a column.
    pub fn json<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        self.text(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Writes the cells into an object, lists and maps as values of their own.
    pub(super) fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (column, cell) in self.columns.iter().zip(self.cells) {
            match cell {
                Value::String(text) if column.is_json => match nested(text) {
                    Ok(value) => map.serialize_entry(&column.name, &value)?,
                    // No writer of ours leaves such a text; whoever did, the rest is still true.
                    Err(_) => map.serialize_entry(&column.name, text)?,
                },
                cell => map.serialize_entry(&column.name, cell)?,
            }
        }
        Ok(())
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// An object whose keys are the names of the columns, in their order.
impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        self.entries(&mut map)?;
        map.end()
    }
}

/// JSON text as the value that it is, without being taken apart. Within a value lines break only between its parts.
fn nested(text: &str) -> serde_json::Result<Box<RawValue>> {
    match text.contains(['\n', '\r', '\t']) {
        true => serde_json::value::to_raw_value(&serde_json::from_str::<Value>(text)?),
        false => serde_json::from_str(text),
    }
}

/// The fields of a struct in their order.
struct Cells(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Cells;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cells, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = map.next_entry()? {
                    cells.push(cell);
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Runs a query and takes its rows as they are.
pub(super) fn table(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Table, Error> {
    let mut statement = connection.prepare(sql)?;
    let head = |name: &str| Head { name: name.to_owned().into(), is_json: false };
    let columns: Vec<Head> = statement.column_names().map(head).collect();
    let rows = statement.query_map(values, |row| cells(row, columns.len()))?.collect::<Result<_, _>>()?;
    Ok(Table { columns, rows })
}

/// The first cells of a row.
pub(super) fn cells(row: &rusqlite::Row<'_>, width: usize) -> rusqlite::Result<Vec<Value>> {
    (0..width).map(|place| row.get_ref(place).map(cell)).collect()
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_maps_are_values_of_their_own_and_columns_keep_their_order() {
        let json = |name: &'static str| Head { name: name.into(), is_json: true };
        let columns = vec!["z".into(), json("tags"), json("meta")];
        let rows = vec![
            vec![json!("[1]"), json!("[\"a\"]"), json!("{\"k\": 1.10,\n\"b\": []}")],
            vec![Value::Null, json!("[1"), json!("null")],
        ];
        let text = serde_json::to_string(&Table { columns, rows }).expect("JSON");
        let first = r#"{"z":"[1]","tags":["a"],"meta":{"b":[],"k":1.1}}"#;
        assert_eq!(text, format!(r#"[{first},{{"z":null,"tags":"[1","meta":null}}]"#));
    }

    #[test]
    fn a_struct_is_a_row_whose_columns_are_its_fields() {
        #[derive(Default, Serialize)]
        struct Answer {
            z: i64,
            a: Option<&'static str>,
        }
        let table = Table::of(&[Answer { z: 1, a: None }, Answer { z: 2, a: Some("x") }]).expect("a table");
        assert_eq!(table, Table::new(["z", "a"], vec![vec![json!(1), Value::Null], vec![json!(2), json!("x")]]));
        assert_eq!(Table::of::<Answer>(&[]).expect("a table"), Table::new(["z", "a"], vec![]), "also without a row");
    }

    #[test]
    fn a_table_is_cut_to_columns_and_rows_that_are_wanted() {
        let row = |number: i64| vec![json!(number), Value::Null, json!("x")];
        let mut table = Table::new(["a", "b", "c"], vec![row(1), row(2), row(3)]);
        assert_eq!(table.clone().without_empty().names().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(table.clone().only(&["c", "none", "a"]).rows[1], [json!("x"), json!(2)]);
        assert_eq!((table.cut(Some(2)), table.rows.len(), table.cut(None)), (1, 2, 0));
    }
}
