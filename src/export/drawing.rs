//! Nodes and the dependencies between them, for Graphviz and for Mermaid. Names from outside are inert in both.

use std::collections::HashMap;
use std::io::{self, Write};

use super::Error;
use super::scope::{PARENTS, Scope};
use crate::answers::RESOURCE_TYPES;
use crate::output::sanitize;

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For Graphviz.
    Dot,
    /// For Mermaid, e.g. in Markdown.
    Mermaid,
}

/// Nodes and dependencies, by the places of the nodes.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    nodes: Vec<String>,
    places: HashMap<String, usize>,
    edges: Vec<(usize, usize)>,
    /// The node that it is about.
    pub(crate) root: Option<usize>,
}

impl Drawing {
    pub(crate) fn node(&mut self, id: &str) {
        self.places.insert(id.to_owned(), self.nodes.len());
        self.nodes.push(id.to_owned());
    }

    /// Draws a dependency between two nodes that are drawn already.
    pub(crate) fn edge(&mut self, parent: &str, child: &str) {
        self.edges.extend(self.places.get(parent).copied().zip(self.places.get(child).copied()));
    }

    /// The nodes of an environment that are wanted, without those that have no lineage: tests and groups.
    pub(crate) fn of(scope: &Scope<'_>) -> Result<Self, Error> {
        let is_drawn = |kind: &&str| !["test", "unit_test", "group"].contains(kind);
        let types: Vec<&'static str> = RESOURCE_TYPES.into_iter().filter(is_drawn).collect();
        let (mut drawing, mut edges) = (Self::default(), Vec::new());
        scope.each(&types, &[PARENTS], &mut |part| {
            drawing.node(part.id);
            edges.extend(part.parents().map(|parent| (parent.to_owned(), part.id.to_owned())));
            Ok(())
        })?;
        for (parent, child) in &edges {
            drawing.edge(parent, child);
        }
        Ok(drawing)
    }

    /// # Errors
    /// If `out` can't be written to.
    pub(crate) fn write(&self, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
        match shape {
            Shape::Dot => self.dot(out),
            Shape::Mermaid => self.mermaid(out),
        }
    }

    fn dot(&self, out: &mut dyn Write) -> io::Result<()> {
        let quoted = |text: &str| format!("\"{}\"", sanitize(text).replace('\\', "\\\\").replace('"', "\\\""));
        writeln!(out, "digraph lineage {{\n  rankdir = LR;\n  node [shape = box];")?;
        for (place, node) in self.nodes.iter().enumerate() {
            let bold = if self.root == Some(place) { " [style = bold]" } else { "" };
            writeln!(out, "  {}{bold};", quoted(node))?;
        }
        for (parent, child) in &self.edges {
            writeln!(out, "  {} -> {};", quoted(&self.nodes[*parent]), quoted(&self.nodes[*child]))?;
        }
        writeln!(out, "}}")
    }

    fn mermaid(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "flowchart LR")?;
        for (place, node) in self.nodes.iter().enumerate() {
            // Else a label may be Markdown or HTML.
            let signs = [("#", "#35;"), ("\"", "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("&", "#amp;"), ("`", "#96;")];
            let text = signs.iter().fold(sanitize(node).into_owned(), |text, (sign, code)| text.replace(sign, code));
            writeln!(out, "  n{place}[\"{text}\"]")?;
        }
        self.edges.iter().try_for_each(|(parent, child)| writeln!(out, "  n{parent} --> n{child}"))
    }
}
