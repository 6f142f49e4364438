//! What differs from warehouse to warehouse: which SQL it is, and how it folds names that are not quoted.

use std::borrow::Cow;

use sqlparser::dialect::{
    BigQueryDialect, ClickHouseDialect, DatabricksDialect, Dialect as Parsing, GenericDialect, HiveDialect,
    MsSqlDialect, MySqlDialect, OracleDialect, PostgreSqlDialect, RedshiftSqlDialect, SQLiteDialect, SnowflakeDialect,
    TeradataDialect,
};

/// What the parser's own dialects lack of those that they are for.
mod derived {
    #![allow(unreachable_pub, dead_code, missing_docs)] // The macro's.

    use sqlparser::dialect::{DuckDbDialect, GenericDialect, derive_dialect};

    derive_dialect!(Trino, GenericDialect, preserve_type_id = true, overrides = { supports_lambda_functions = true });
    derive_dialect!(
        DuckDb,
        DuckDbDialect,
        preserve_type_id = true,
        overrides = { supports_select_wildcard_rename = true }
    );

    pub(super) static TRINO: Trino = Trino { dialect: GenericDialect {} };
    pub(super) static DUCK_DB: DuckDb = DuckDb { dialect: DuckDbDialect {} };
}

/// The SQL of a warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The variants are the warehouses' names.
pub(crate) enum Dialect {
    BigQuery,
    ClickHouse,
    Databricks,
    DuckDb,
    Generic,
    Hive,
    MySql,
    Oracle,
    Postgres,
    Redshift,
    Snowflake,
    Sqlite,
    Teradata,
    Trino,
    TSql,
}

/// What happens to a name that is not quoted, and whether two names that differ in case alone are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    /// It stays as written, and case says nothing, quoted or not.
    Alike,
    /// It stays as written, and case counts.
    Exact,
}

impl Dialect {
    /// That of dbt's adapter of this name.
    pub(crate) fn of(adapter: Option<&str>) -> Self {
        match adapter.unwrap_or_default().to_ascii_lowercase().as_str() {
            "bigquery" => Self::BigQuery,
            "clickhouse" => Self::ClickHouse,
            "databricks" | "spark" | "glue" | "fabricspark" => Self::Databricks,
            "duckdb" => Self::DuckDb,
            "hive" | "impala" => Self::Hive,
            "mysql" | "mariadb" | "singlestore" | "doris" | "starrocks" | "tidb" => Self::MySql,
            "oracle" => Self::Oracle,
            "postgres" | "greenplum" | "materialize" | "risingwave" | "alloydb" => Self::Postgres,
            "redshift" => Self::Redshift,
            "snowflake" => Self::Snowflake,
            "sqlite" => Self::Sqlite,
            "teradata" => Self::Teradata,
            "trino" | "athena" | "presto" => Self::Trino,
            "sqlserver" | "synapse" | "fabric" | "tsql" => Self::TSql,
            _ => Self::Generic,
        }
    }

    pub(super) fn parsing(self) -> &'static dyn Parsing {
        match self {
            Self::BigQuery => &BigQueryDialect {},
            Self::ClickHouse => &ClickHouseDialect {},
            Self::Databricks => &DatabricksDialect {},
            Self::DuckDb => &derived::DUCK_DB,
            Self::Generic => &GenericDialect {},
            Self::Hive => &HiveDialect {},
            Self::MySql => &MySqlDialect {},
            Self::Oracle => &OracleDialect {},
            Self::Postgres => &PostgreSqlDialect {},
            Self::Redshift => &RedshiftSqlDialect {},
            Self::Snowflake => &SnowflakeDialect,
            Self::Sqlite => &SQLiteDialect {},
            Self::Teradata => &TeradataDialect {},
            Self::Trino => &derived::TRINO,
            Self::TSql => &MsSqlDialect {},
        }
    }

    fn case(self) -> Case {
        match self {
            Self::Oracle | Self::Snowflake => Case::Upper,
            Self::Postgres | Self::Redshift => Case::Lower,
            Self::ClickHouse => Case::Exact,
            _ => Case::Alike,
        }
    }

    /// The name that the warehouse takes this one for.
    pub(super) fn fold(self, name: &str, is_quoted: bool) -> Cow<'_, str> {
        match self.case() {
            _ if is_quoted => Cow::Borrowed(name),
            Case::Upper => Cow::Owned(name.to_uppercase()),
            Case::Lower => Cow::Owned(name.to_lowercase()),
            Case::Alike | Case::Exact => Cow::Borrowed(name),
        }
    }

    /// Whether names that differ in case alone are two names.
    pub(super) fn is_exact(self) -> bool {
        self.case() != Case::Alike
    }

    /// Whether a list of the warehouse's names is spelled as it would fold them. One in the other case was folded on its way here,
    /// and tells no name from another by case.
    pub(super) fn is_spelled<'n>(self, mut names: impl Iterator<Item = &'n str>) -> bool {
        match self.case() {
            // It folds quoted names, too, unless told otherwise.
            _ if self == Self::Redshift => false,
            Case::Upper => names.any(|name| name.contains(char::is_uppercase)),
            Case::Lower => names.any(|name| name.contains(char::is_lowercase)),
            Case::Exact => true,
            Case::Alike => false,
        }
    }

    /// Whether an expression of a select list, and WHERE, may name what stands before it in the list.
    pub(super) fn reads_own_list(self) -> bool {
        use Dialect::{ClickHouse, Databricks, DuckDb, Redshift, Snowflake, Teradata};
        matches!(self, ClickHouse | Databricks | DuckDb | Redshift | Snowflake | Teradata)
    }

    /// Whether a common table expression may read itself without `RECURSIVE`.
    pub(super) fn recurses_unasked(self) -> bool {
        matches!(self, Self::TSql | Self::Snowflake | Self::Oracle)
    }
}
