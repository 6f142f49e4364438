//! The least that a first sync could cost: the same requests in the same chains, their answers parsed into plain structs, and then the
//! same rows inserted in the order of their keys, in one transaction that is as durable, with the indexes made after. No foreign key is
//! checked, nothing is compared, proved, derived or analyzed.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, ToSql, Transaction, params_from_iter};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::answers::Answer;

/// Requests in flight, as by default in lineaged.
const CONCURRENCY: usize = 4;
/// Memory for pages, in KiB.
const CACHE: i64 = -64 * 1024;

pub(crate) fn run(url: &str, catalog: &Path, new: &Path) -> Result<(), Box<dyn Error>> {
    let (tables, after) = read(catalog)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let chains = runtime.block_on(chains(&client, url))?;
    let (began, before, wrote) = (Instant::now(), cpu_seconds()?, written()?);
    let (requests, nodes) = runtime.block_on(fetch(client, url, chains))?;
    let fetched = cpu_seconds()?;
    insert(&tables, &after, new)?;
    let (done, wrote) = (cpu_seconds()?, written()? - wrote);
    let rows: usize = tables.iter().map(Table::len).sum();
    println!(
        "{}",
        json!({
            "cpu": done - before, "fetch_cpu": fetched - before, "insert_cpu": done - fetched, "wall": began.elapsed().as_secs_f64(),
            "requests": requests, "nodes": nodes, "rows": rows, "written": wrote,
        })
    );
    Ok(())
}

/// The bodies that a sync sent, by what they list, each list in its order.
async fn chains(client: &reqwest::Client, url: &str) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let asked: Vec<String> = serde_json::from_slice(&client.get(format!("{url}/asked")).send().await?.bytes().await?)?;
    let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in asked {
        let mut list: serde_json::Value = serde_json::from_str(&body)?;
        list["variables"]["after"].take();
        chains.entry(list.to_string()).or_default().push(body);
    }
    Ok(chains.into_values().collect())
}

async fn fetch(client: reqwest::Client, url: &str, chains: Vec<Vec<String>>) -> Result<(usize, usize), Box<dyn Error>> {
    let (url, permits) = (format!("{url}/graphql"), Arc::new(Semaphore::new(CONCURRENCY)));
    let requests = chains.iter().map(Vec::len).sum();
    let mut tasks = tokio::task::JoinSet::new();
    for chain in chains {
        let (client, url, permits) = (client.clone(), url.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let mut nodes = 0;
            for body in chain {
                let permit = permits.acquire().await;
                let answer = client.post(&url).body(body).send().await.map_err(|error| error.to_string())?;
                let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
                drop(permit);
                let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
                nodes += answer.data.environment.applied.nodes() + answer.data.environment.definition.nodes();
            }
            Ok::<usize, String>(nodes)
        });
    }
    let mut nodes = 0;
    while let Some(done) = tasks.join_next().await {
        nodes += done??;
    }
    Ok((requests, nodes))
}

/// A table and its rows. Those of numbers alone, which are the most, are kept as such.
struct Table {
    sql: String,
    name: String,
    columns: Vec<String>,
    integers: Vec<i64>,
    values: Vec<Value>,
}

impl Table {
    fn len(&self) -> usize {
        (self.integers.len() + self.values.len()) / self.columns.len().max(1)
    }

    fn insert(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let holes = vec!["?"; self.columns.len()].join(", ");
        let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({holes})", self.name, self.columns.join(", "));
        let mut statement = transaction.prepare(&sql)?;
        let width = self.columns.len();
        for row in self.integers.chunks_exact(width) {
            statement.execute(params_from_iter(row))?;
        }
        for row in self.values.chunks_exact(width) {
            statement.execute(params_from_iter(row.iter().map(|value| value as &dyn ToSql)))?;
        }
        Ok(())
    }
}

/// Every table of the catalog with its rows in the order of their keys, and what makes its indexes.
fn read(catalog: &Path) -> Result<(Vec<Table>, Vec<String>), Box<dyn Error>> {
    let connection = Connection::open_with_flags(catalog, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let list = |sql: &str| -> rusqlite::Result<Vec<(String, String)>> {
        connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let all =
        list("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let is_virtual = |sql: &str| sql.starts_with("CREATE VIRTUAL");
    let (words, tables): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, sql)| is_virtual(sql));
    let is_shadow = |name: &str| words.iter().any(|(of, _)| name.starts_with(&format!("{of}_")));
    let mut read = Vec::new();
    for (name, sql) in tables.into_iter().filter(|(name, _)| !is_shadow(name)) {
        read.push(read_table(&connection, &name, sql, &format!("SELECT * FROM \"{name}\""))?);
    }
    for (name, sql) in words {
        let columns = list(&format!("SELECT name, name FROM pragma_table_info('{name}')"))?;
        let columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        let texts = format!("SELECT node_key AS rowid, {} FROM _search_text ORDER BY node_key", columns.join(", "));
        read.push(read_table(&connection, &name, sql, &texts)?);
    }
    let indexes = list("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?;
    Ok((read, indexes.into_iter().map(|(_, sql)| sql).collect()))
}

fn read_table(connection: &Connection, name: &str, sql: String, query: &str) -> rusqlite::Result<Table> {
    let mut statement = connection.prepare(query)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut table = Table { sql, name: name.to_owned(), columns, integers: Vec::new(), values: Vec::new() };
    let has_numbers_alone = table.sql.matches("INTEGER NOT NULL").count() == table.columns.len();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for place in 0..table.columns.len() {
            match has_numbers_alone {
                true => table.integers.push(row.get(place)?),
                false => table.values.push(row.get(place)?),
            }
        }
    }
    Ok(table)
}

fn insert(tables: &[Table], indexes: &[String], new: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(new)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction()?;
    for table in tables {
        transaction.execute_batch(&table.sql)?;
        table.insert(&transaction)?;
    }
    indexes.iter().try_for_each(|sql| transaction.execute_batch(sql))?;
    transaction.commit()
}

/// CPU seconds of this process so far, of which the system tells hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no name")?.1;
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Bytes that this process has written so far.
fn written() -> Result<u64, Box<dyn Error>> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar")?;
    Ok(line.parse()?)
}
