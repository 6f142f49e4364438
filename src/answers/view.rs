//! What a public view is: its columns with what they hold, the key that identifies its rows, and what can be asked of it. The list of all
//! of them is in `views`; what nests in JSON, what OpenAPI says, and which filters there are follow from it.

use super::views::SHAPES;

/// What stands in a column, where it is not NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A time, RFC 3339 in UTC.
    Time,
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// 0 or 1.
    Flag,
    /// A list, as JSON.
    List,
    /// A map, as JSON.
    Map,
    /// Any JSON.
    Json,
}

impl Kind {
    /// True for JSON text.
    pub fn is_json(self) -> bool {
        matches!(self, Self::List | Self::Map | Self::Json)
    }

    /// True for whole numbers.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Integer | Self::Flag)
    }

    /// The type in SQL.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Integer | Self::Flag => "INTEGER",
            Self::Real => "REAL",
            _ => "TEXT",
        }
    }
}

/// A column of a view.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub kind: Kind,
    /// What that means, in a few words.
    pub about: &'static str,
    /// True if a question may ask it to be equal to something.
    pub is_filter: bool,
}

/// A public view.
#[derive(Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What its rows are.
    pub about: &'static str,
    /// Its columns, in their order.
    pub columns: &'static [Column],
    /// The columns that identify a row, in the order of the pages; none for a view of one row.
    pub key: &'static [&'static str],
    /// Those of `key` that may be NULL.
    pub may_be_null: &'static [&'static str],
    /// The order in which people want the rows, in SQL; that of the key if it is empty.
    pub listed: &'static str,
}

/// The view of this name.
pub fn view(name: &str) -> Option<&'static View> {
    SHAPES.iter().find(|view| view.name == name)
}

impl View {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that a question may ask to be equal to something, besides the environment.
    pub fn filters(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| column.is_filter)
    }

    /// True if the rows are of one environment each.
    pub fn has_environment(&self) -> bool {
        self.column("environment_id").is_some()
    }

    /// True if the rows are of one node each that is there, so that they can be selected by dbt's grammar.
    pub fn has_nodes(&self) -> bool {
        !matches!(self.name, "removed_nodes" | "held_losses") && self.column("unique_id").is_some()
    }

    /// True if what the view says depends on the time of day.
    pub fn moves_with_the_clock(&self) -> bool {
        matches!(self.name, "freshness" | "health" | "owners")
    }

    /// True if the rows are told of a time, which can be bounded.
    pub fn has_span(&self) -> bool {
        self.name == "changes"
    }

    /// The column of the nodes whose column lineage the rows are, if they are that: each has a revision.
    pub fn resolved_node(&self) -> Option<&'static str> {
        match self.name {
            "column_lineage" | "column_uses" => Some("child_id"),
            "column_lineage_status" => Some("unique_id"),
            _ => None,
        }
    }

    /// True if only a sync that was applied changes what it says.
    pub(super) fn is_part_of_nodes(&self) -> bool {
        !matches!(
            self.name,
            "environments"
                | "freshness"
                | "health"
                | "health_history"
                | "owners"
                | "syncs"
                | "jobs"
                | "metric_dimensions"
                | "runs"
                | "held_losses"
                | "removed_nodes"
                | "catalog_info"
        )
    }
}
