//! `lineaged lineage`: what a node stands on and what stands on it, as a tree, a list or a drawing.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use clap::ValueEnum;

use super::reading::named;
use super::{Exit, Files, Misuse, Reading, note};
use crate::answers::{Lineage as Around, LineageNode, RESOURCE_TYPES, Reach, Target, Unresolved};
use crate::export::{Drawing, Shape};
use crate::output::{self, sanitize};

/// How lineage is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Tree,
    /// A row for each node, by depth.
    Table,
    /// The rows of the view `lineage`, or `column_lineage` of a column.
    Json,
    /// The same, one in each line.
    Ndjson,
    /// The same.
    Csv,
    /// For Graphviz.
    Dot,
    /// For Mermaid, e.g. in Markdown.
    Mermaid,
}

#[derive(Debug, clap::Args)]
pub(super) struct Lineage {
    /// The node: its unique_id, or a name that is unique; with `.COLUMN` after it that column
    #[arg(value_name = "NODE[.COLUMN]")]
    node: String,
    /// So many hops upstream [default: all, or none if --downstream is given]
    #[arg(long, value_name = "N")]
    upstream: Option<u32>,
    /// So many hops downstream [default: all, or none if --upstream is given]
    #[arg(long, value_name = "N")]
    downstream: Option<u32>,
    /// Only these resource types, e.g. model,source
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = RESOURCE_TYPES)]
    types: Vec<String>,
    /// At most so many nodes, the nearest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
    #[command(flatten)]
    reading: Reading,
}

impl Lineage {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let Target { node, column_name } = reader.find_target(environment_id, &self.node)?;
        // What was removed has no lineage any more, and that is said.
        let node = reader.find_by_id(Some(node.environment_id), &node.unique_id)?;
        if column_name.is_some() && !self.types.is_empty() {
            let text =
                "`--types` is of nodes: leave it out for a column; `lineaged impact` names the exposures behind one";
            return Err(Misuse(text.to_owned()).into());
        }
        let reach = match (self.upstream, self.downstream) {
            (None, None) => Reach::default(),
            (upstream, downstream) => {
                Reach { upstream: Some(upstream.unwrap_or(0)), downstream: Some(downstream.unwrap_or(0)) }
            }
        };
        let mut unresolved = Vec::new();
        let (mut around, rows) = match &column_name {
            None => (reader.lineage(&node, reach, &self.types, usize::MAX)?, None),
            Some(column) => {
                let of_column = reader.column_lineage(&node, column, reach)?;
                let drawn = of_column.drawn();
                unresolved = of_column.unresolved;
                (drawn, Some(of_column.rows))
            }
        };
        drop(reader);
        if let Some(limit) = self.limit {
            around.nearest(limit);
        }
        let rows = || match &rows {
            Some(rows) => around.rows_among(rows),
            None => around.pairs(node.environment_id),
        };
        match self.format {
            Format::Tree => tree(&around, out)?,
            Format::Table => output::write(&around.table(), output::Format::Table, out)?,
            Format::Json => output::write(&rows(), output::Format::Json, out)?,
            Format::Ndjson => output::write(&rows(), output::Format::Ndjson, out)?,
            Format::Csv => output::write(&rows(), output::Format::Csv, out)?,
            Format::Dot => drawing(&around).write(Shape::Dot, out)?,
            Format::Mermaid => drawing(&around).write(Shape::Mermaid, out)?,
        }
        tell_unresolved(&unresolved);
        if around.left_out > 0 {
            note(&format!(
                "{} more {} are further away: raise --upstream, --downstream and --limit",
                around.left_out,
                if column_name.is_some() { "columns" } else { "nodes" }
            ));
        }
        Ok(Exit::Done)
    }
}

/// What may be missing, in one line.
fn tell_unresolved(nodes: &[Unresolved]) {
    let names: Vec<String> = nodes.iter().map(|node| format!("{} ({})", node.unique_id, node.status)).collect();
    if !names.is_empty() {
        let names = named(&names, 3, |name| sanitize(name).into_owned());
        note(&format!("there may be more: not all columns are known of {names}; `lineaged show NODE` tells why"));
    }
}

fn tree(around: &Around, out: &mut dyn Write) -> std::io::Result<()> {
    let Some(root) = around.nodes.first() else { return Ok(()) };
    writeln!(out, "{}", label(root))?;
    let nodes: BTreeMap<&str, &LineageNode> = around.nodes.iter().map(|node| (node.unique_id.as_str(), node)).collect();
    for (upstream, title) in [(true, "upstream"), (false, "downstream")] {
        let count = around.nodes.iter().filter(|node| if upstream { node.depth < 0 } else { node.depth > 0 }).count();
        writeln!(out, "\n{title}: {count}")?;
        branches(around, &nodes, upstream, out)?;
    }
    Ok(())
}

/// Each node is unfolded once; where it comes again, it is marked. No recursion: the data say how deep it goes.
fn branches<'a>(
    around: &'a Around,
    nodes: &BTreeMap<&'a str, &'a LineageNode>,
    upstream: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let next = around.next(upstream);
    let side = |id: &&str| nodes.get(*id).is_some_and(|node| if upstream { node.depth < 0 } else { node.depth > 0 });
    let mut seen: HashSet<&str> = HashSet::new();
    let mut stack: Vec<Branch<'a>> = Vec::new();
    let unfold = |from: &'a str, indent: &str, stack: &mut Vec<Branch<'a>>| {
        let below: Vec<&'a str> = next.get(from).into_iter().flatten().copied().filter(side).collect();
        let last = below.len().saturating_sub(1);
        for (number, id) in below.into_iter().enumerate().rev() {
            stack.push(Branch { id, from: Some(from), indent: indent.to_owned(), is_last: number == last });
        }
    };
    if let Some(root) = around.nodes.first() {
        unfold(&root.unique_id, "", &mut stack);
    }
    // Where a filter left out what connects them, nodes stand at the first level.
    let connected = reachable(around, &next);
    for node in around.nodes.iter().skip(1).rev() {
        let id = node.unique_id.as_str();
        if side(&id) && !connected.contains(id) {
            stack.insert(0, Branch { id, from: None, indent: String::new(), is_last: false });
        }
    }
    while let Some(Branch { id, from, indent, is_last }) = stack.pop() {
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let Some(node) = nodes.get(id) else { continue };
        let again = !seen.insert(id);
        let folded = if again && next.get(id).is_some_and(|below| below.iter().any(&side)) { " (above)" } else { "" };
        let kind = from.and_then(|from| around.kind(from, id, upstream)).map(|kind| format!(" ({kind})"));
        writeln!(out, "{indent}{branch}{}{}{folded}", label(node), kind.unwrap_or_default())?;
        if !again {
            unfold(id, &format!("{indent}{below}"), &mut stack);
        }
    }
    Ok(())
}

/// A node where it is to be printed, and whence the tree comes to it.
struct Branch<'a> {
    id: &'a str,
    from: Option<&'a str>,
    indent: String,
    is_last: bool,
}

/// What the node's own edges lead to, over nodes that are shown.
fn reachable<'a>(around: &'a Around, next: &BTreeMap<&'a str, Vec<&'a str>>) -> HashSet<&'a str> {
    let mut found: HashSet<&str> = HashSet::new();
    let mut queue: Vec<&str> = around.nodes.first().map(|root| root.unique_id.as_str()).into_iter().collect();
    while let Some(id) = queue.pop() {
        for id in next.get(id).into_iter().flatten() {
            if found.insert(id) {
                queue.push(id);
            }
        }
    }
    found
}

fn label(node: &LineageNode) -> String {
    let trouble = match node.last_run_status.as_deref() {
        None | Some("success" | "pass") => String::new(),
        Some(status) => format!(" [{}]", sanitize(status)),
    };
    format!("{}{trouble}", sanitize(&node.unique_id))
}

fn drawing(around: &Around) -> Drawing {
    let mut drawing = Drawing::default();
    drawing.root = Some(0);
    around.nodes.iter().for_each(|node| drawing.node(&node.unique_id));
    around.edges.iter().for_each(|(parent, child)| drawing.edge(parent, child));
    drawing
}
