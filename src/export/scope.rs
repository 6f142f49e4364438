//! What is exported: one environment at one moment, node by node, each with what other views say of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::Error;
use super::between::Between;
use crate::answers::{self, Chosen, Environment, Order, Question, Reader, Row, Table, view};
use crate::config::Elsewhere;

/// So many nodes are held at once, with all that belongs to them.
const PAGE: usize = 200;

/// The types that are relations of the warehouse, once they are built.
pub(super) const RELATIONS: [&str; 4] = ["model", "seed", "snapshot", "source"];

/// The types that say something of relations, and are none.
const MEANINGS: [&str; 3] = ["metric", "saved_query", "semantic_model"];

/// A view whose rows stand beside nodes, and its column that names the node.
pub(super) type Beside = (&'static str, &'static str);
pub(super) const COLUMNS: Beside = ("columns", "unique_id");
pub(super) const CODE: Beside = ("code", "unique_id");
pub(super) const PARENTS: Beside = ("edges", "child_id");
pub(super) const LINEAGE: Beside = ("column_lineage", "child_id");
pub(super) const USES: Beside = ("column_uses", "child_id");

/// What was told already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Told {
    /// Changes up to this one.
    pub(crate) seq: i64,
    /// Changes of column lineage up to this one; without it nothing is told for those alone.
    pub(crate) revision: Option<i64>,
    /// Runs that syncs up to this one have seen; without it nothing is told for those alone.
    pub(crate) sync_id: Option<i64>,
}

/// What of an environment is wanted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    /// Only these nodes.
    pub(crate) chosen: Option<Chosen>,
    /// Only what moved since this was told, and what reads it.
    pub(crate) since: Option<Told>,
    /// How others name what is in the environment.
    pub(crate) elsewhere: Elsewhere,
}

/// One environment at one moment, and what of it is wanted.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(super) reader: &'a Reader,
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) adapter: String,
    pub(super) project: Option<String>,
    pub(super) git_sha: Option<String>,
    /// When the newest sync ended that changed something: the moment of all that is told.
    pub(super) moment: String,
    pub(super) elsewhere: Elsewhere,
    pub(super) between: Between,
    /// The nodes that are wanted and were removed, by id: their type and the name of their relation. Only of a scope since some `seq`.
    pub(super) gone: BTreeMap<String, (String, String)>,
    chosen: Option<Chosen>,
    moved: Option<HashSet<String>>,
    relations: HashMap<String, String>,
    built: HashSet<String>,
}

/// A node, and the rows that stand beside it.
pub(super) struct Part<'a> {
    pub(super) row: Row<'a>,
    pub(super) id: &'a str,
    beside: &'a HashMap<(&'static str, &'a str), Vec<Row<'a>>>,
}

impl<'a> Part<'a> {
    pub(super) fn all(&self, (view, _): Beside) -> &'a [Row<'a>] {
        self.beside.get(&(view, self.id)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn code(&self, which: &str) -> Option<&'a str> {
        self.all(CODE).first().and_then(|row| row.text(which))
    }

    pub(super) fn parents(&self) -> impl Iterator<Item = &'a str> {
        self.all(PARENTS).iter().map(|row| row.str("parent_id"))
    }
}

impl<'a> Scope<'a> {
    /// # Errors
    /// If the catalog can't answer, or its history does not reach back to `wanted.since`.
    pub(crate) fn open(reader: &'a Reader, environment: &Environment, wanted: Wanted) -> Result<Self, Error> {
        let Wanted { chosen, since, elsewhere } = wanted;
        let id = environment.id;
        let facts = reader.rows("environments", &Question::of(Some(id)))?;
        let said = |name: &str| facts.iter().next().and_then(|row| row.text(name)).map(str::to_owned);
        let adapter = said("adapter_type").unwrap_or_default();
        let last = Question { limit: Some(1), order: Order::Last, ..Question::of(Some(id)) };
        let applied = reader.rows("syncs", &last.only("outcome", &["applied"]))?;
        let moment = applied.iter().next().map_or("1970-01-01T00:00:00.000Z", |row| row.str("finished_at"));
        let mut scope = Self {
            reader,
            id,
            name: environment.name.clone(),
            project: said("project_name"),
            git_sha: said("git_sha"),
            moment: moment.to_owned(),
            elsewhere,
            between: Between::default(),
            gone: BTreeMap::new(),
            chosen,
            moved: None,
            relations: HashMap::new(),
            built: HashSet::new(),
            adapter,
        };
        scope.relations()?;
        if let Some(told) = since {
            scope.since(told)?;
        }
        Ok(scope)
    }

    /// Which nodes are relations, under which names, and which only stand between others.
    fn relations(&mut self) -> Result<(), Error> {
        let columns = &[
            "unique_id",
            "resource_type",
            "is_applied",
            "name",
            "database_name",
            "schema_name",
            "identifier",
            "relation_name",
            "materialization",
        ];
        let question = Question { columns, ..Question::of(Some(self.id)) }
            .only("resource_type", &[&RELATIONS[..], &MEANINGS].concat());
        let nodes = self.reader.rows("nodes", &question)?;
        let between: Vec<&str> = nodes.iter().filter(is_between).map(|row| row.str("unique_id")).collect();
        self.between = Between::load(self, &between)?;
        for row in nodes.iter().filter(|row| row.is("is_applied") && !is_between(row)) {
            if let Some(name) = relation(&self.adapter, |column| row.text(column)) {
                if row.str("resource_type") != "source" {
                    self.built.insert(name.clone());
                }
                self.relations.insert(row.str("unique_id").to_owned(), name);
            }
        }
        Ok(())
    }

    fn since(&mut self, told: Told) -> Result<(), Error> {
        let Told { seq, revision, sync_id } = told;
        let (oldest, last) = (self.reader.oldest_seq, self.reader.last_seq);
        if seq < oldest - 1 || seq > last {
            let range =
                format!("the changes of this catalog are {oldest} to {last}, and `--since {seq}` is not among them");
            return Err(answers::Error::Question(format!("{range}: export everything, without `--since`")).into());
        }
        let mut moved = HashSet::new();
        let mut question = Question { after: Some(vec![seq.into()]), limit: Some(PAGE), ..Question::default() };
        question.environment_id = Some(self.id);
        let Some(changes) = view("changes") else { return Ok(()) };
        loop {
            let page = self.reader.page(changes, &question)?;
            for row in page.table.iter() {
                self.note(row, &mut moved);
            }
            question.after = page.next;
            if question.after.is_none() {
                break;
            }
        }
        // Another node may have the relation now; and selectors choose none that is gone.
        let held: HashSet<&String> = self.relations.values().collect();
        self.gone.retain(|_, (_, name)| !held.contains(name) && self.chosen.is_none());
        moved.extend(self.resolved_after(revision)?);
        self.follow(&mut moved)?;
        if let Some(sync_id) = sync_id {
            moved.extend(self.reader.built_after(self.id, sync_id)?);
        }
        self.moved = Some(moved);
        Ok(())
    }

    /// The nodes whose column lineage moved.
    fn resolved_after(&self, revision: Option<i64>) -> Result<Vec<String>, Error> {
        if revision.is_none() {
            return Ok(Vec::new());
        }
        let question = Question { after_revision: revision, columns: &["unique_id"], ..Question::of(Some(self.id)) };
        let nodes = self.reader.rows("column_lineage_status", &question)?;
        Ok(nodes.iter().map(|row| row.str("unique_id").to_owned()).collect())
    }

    fn note(&mut self, row: Row<'_>, moved: &mut HashSet<String>) {
        let id = row.str("unique_id").to_owned();
        self.gone.remove(&id);
        if row.str("kind") == "removed" {
            let before: Value = row.json("before");
            let is_there = before["is_applied"] == 1 && before["materialization"] != "ephemeral";
            let name = relation(&self.adapter, |column| before[column].as_str()).filter(|_| is_there);
            if let Some(name) = name.filter(|_| RELATIONS.contains(&row.str("resource_type"))) {
                self.gone.insert(id.clone(), (row.str("resource_type").to_owned(), name));
            }
        }
        moved.insert(id);
    }

    /// Adds those that read what moved: what they read has other names or columns now.
    fn follow(&self, moved: &mut HashSet<String>) -> Result<(), Error> {
        let mut open: Vec<String> = moved.iter().cloned().collect();
        while !open.is_empty() {
            let ids: Vec<&str> = open.iter().map(String::as_str).collect();
            let mut next = Vec::new();
            for table in self.of("edges", "parent_id", &ids)? {
                for child in table.iter().map(|row| row.str("child_id")) {
                    if moved.insert(child.to_owned()) && self.between.has(child) {
                        next.push(child.to_owned());
                    }
                }
            }
            open = next;
        }
        Ok(())
    }

    /// The rows of a view that name one of these nodes.
    pub(super) fn of(&self, view: &str, column: &'static str, ids: &[&str]) -> Result<Vec<Table>, Error> {
        let question = |ids: &[&str]| Question::of(Some(self.id)).only(column, ids);
        Ok(ids.chunks(PAGE).map(|ids| self.reader.rows(view, &question(ids))).collect::<Result<_, _>>()?)
    }

    /// Tells of each node of these types that is wanted, by id.
    pub(super) fn each(
        &self,
        types: &[&'static str],
        beside: &[Beside],
        tell: &mut dyn FnMut(&Part<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(nodes) = view("nodes") else { return Ok(()) };
        let mut question = Question {
            environment_id: Some(self.id),
            chosen: self.chosen.clone(),
            limit: Some(PAGE),
            ..Question::default()
        }
        .only("resource_type", types);
        loop {
            let page = self.reader.page(nodes, &question)?;
            let is_moved = |row: Row<'_>| self.moved.as_ref().is_none_or(|moved| moved.contains(row.str("unique_id")));
            self.tell(&page.table.filter(is_moved), beside, tell)?;
            question.after = page.next;
            if question.after.is_none() {
                return Ok(());
            }
        }
    }

    fn tell(
        &self,
        nodes: &Table,
        beside: &[Beside],
        tell: &mut dyn FnMut(&Part<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let ids: Vec<&str> = nodes.iter().map(|row| row.str("unique_id")).collect();
        let mut tables = Vec::new();
        for (view, column) in beside {
            tables.extend(self.of(view, column, &ids)?.into_iter().map(|table| (*view, *column, table)));
        }
        let mut rows: HashMap<(&'static str, &str), Vec<Row<'_>>> = HashMap::new();
        for (view, column, table) in &tables {
            for row in table.iter() {
                rows.entry((*view, row.str(column))).or_default().push(row);
            }
        }
        for row in nodes.iter() {
            tell(&Part { row, id: row.str("unique_id"), beside: &rows })?;
        }
        Ok(())
    }

    /// The name of a node's relation, if it is built.
    pub(super) fn relation(&self, id: &str) -> Option<&str> {
        self.relations.get(id).map(String::as_str)
    }

    /// The same where the node is who tells of it: what a node builds is not told again of a source that means it.
    pub(super) fn own_relation(&self, part: &Part<'_>) -> Option<&str> {
        let is_told = |name: &&str| part.row.str("resource_type") != "source" || !self.built.contains(*name);
        self.relation(part.id).filter(is_told)
    }

    /// The nodes whose relations a node reads, also over what only stands between.
    pub(super) fn inputs(&self, part: &Part<'_>) -> Vec<String> {
        let inputs = self.between.inputs(part.parents());
        inputs.into_iter().filter(|id| self.relation(id).is_some()).collect()
    }

    /// What to do where the address of files needs a commit that is not known.
    pub(crate) fn without_commit(&self) -> Option<String> {
        let needs_one = self.elsewhere.repository.as_ref().is_some_and(|it| it.contains("{git_sha}"));
        (needs_one && self.git_sha.is_none()).then(|| {
            format!(
                "the commit of `{}` is not known, so `repository` points to no file: write a branch in place of {{git_sha}}, or say with \
                 `env_keys` where dbt's files name it",
                self.name
            )
        })
    }

    /// Where the file of a node can be read.
    pub(super) fn address(&self, row: Row<'_>) -> Option<String> {
        let template = self.elsewhere.repository.as_deref()?;
        let is_own = self.project.as_deref().is_none_or(|project| row.text("package_name") == Some(project));
        let path = row.text("file_path").filter(|_| is_own)?;
        let sha = match template.contains("{git_sha}") {
            true => self.git_sha.as_deref()?,
            false => "",
        };
        let address = template.replace("{git_sha}", sha).replace("{path}", path);
        url::Url::parse(&address).ok().map(String::from)
    }
}

fn is_between(row: &Row<'_>) -> bool {
    row.text("materialization") == Some("ephemeral") || MEANINGS.contains(&row.str("resource_type"))
}

/// Who owns a node: a name, else the addresses.
pub(super) fn owners<'r>(row: Row<'r>) -> Vec<&'r str> {
    match row.text("owner_name") {
        Some(name) => vec![name],
        None => row.text("owner_email").into_iter().flat_map(|all| all.split(", ")).collect(),
    }
}

/// The name of a relation: its parts with points between them, each in the letters that the warehouse keeps. What dbt writes without quotes
/// Snowflake turns into capitals, Postgres and Redshift into small letters; where nobody tells how it is written, Snowflake's is not quoted.
fn relation<'r>(adapter: &str, said: impl Fn(&str) -> Option<&'r str>) -> Option<String> {
    let written = said("relation_name").unwrap_or_default();
    let identifier = said("identifier").or_else(|| said("name"))?;
    let parts = [said("database_name"), said("schema_name"), Some(identifier)].into_iter().flatten();
    let is_quoted = |part: &str| written.contains(&format!("\"{part}\""));
    let fold = |part: &str| match adapter {
        "snowflake" if !is_quoted(part) => part.to_uppercase(),
        "postgres" | "redshift" if !written.is_empty() && !is_quoted(part) => part.to_lowercase(),
        _ => part.to_owned(),
    };
    Some(parts.map(fold).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_is_named_in_the_letters_that_the_warehouse_keeps() {
        let named = |adapter, written: Option<&'static str>| {
            let said = |column: &str| match column {
                "database_name" => Some("Shop"),
                "schema_name" => Some("mart"),
                "identifier" => Some("Orders"),
                "relation_name" => written,
                _ => None,
            };
            relation(adapter, said)
        };
        for (adapter, written, name) in [
            ("snowflake", None, "SHOP.MART.ORDERS"),
            ("snowflake", Some("Shop.mart.Orders"), "SHOP.MART.ORDERS"),
            ("snowflake", Some("Shop.mart.\"Orders\""), "SHOP.MART.Orders"),
            ("postgres", Some("\"Shop\".\"mart\".\"Orders\""), "Shop.mart.Orders"),
            ("postgres", Some("Shop.mart.Orders"), "shop.mart.orders"),
            ("postgres", None, "Shop.mart.Orders"),
            ("bigquery", Some("`Shop`.`mart`.`Orders`"), "Shop.mart.Orders"),
        ] {
            assert_eq!(named(adapter, written).as_deref(), Some(name), "{adapter} {written:?}");
        }
        let alone = |column: &str| (column == "name").then_some("x");
        assert_eq!(relation("spark", alone).as_deref(), Some("x"), "not every warehouse has databases");
    }
}
