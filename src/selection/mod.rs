//! dbt's node selection grammar, computed from plain data: no SQL, no printing.
//!
//! A selector is a union (blanks) of intersections (commas) of criteria. A criterion is a method and a value (`tag:nightly`; without a
//! method a path, a file or a qualified name), with operators for what stands around it: `+x`, `2+x`, `x+`, `x+1`, `@x`. As in
//! dbt, tests ride along: whatever has a selected parent and is a test is selected with each criterion.
//!
//! What dbt-core's `dbt ls` answers is the definition; the tests compare with its recorded answers.

mod budget;
mod evaluate;
mod methods;
mod parse;
mod pattern;

use std::fmt;

use serde_json::Value;

use crate::inventory::ResourceType;

pub(crate) use budget::{Budget, Over};
pub(crate) use evaluate::select;
pub(crate) use parse::{Needs, Selector, parse};

/// What selection knows of a node. Whatever is unknown matches nothing.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // The fields are dbt's own words.
pub struct Candidate {
    pub resource_type: ResourceType,
    pub name: String,
    pub package_name: String,
    pub file_path: String,
    /// Where its properties are written, without the package.
    pub patch_path: Option<String>,
    pub fqn: Vec<String>,
    pub tags: Vec<String>,
    pub access: Option<String>,
    pub group: Option<String>,
    pub version: Option<String>,
    pub latest_version: Option<String>,
    pub source_name: Option<String>,
    /// Of a generic test: the name of the test, e.g. `not_null`.
    pub test_name: Option<String>,
    /// generic, singular or unit.
    pub test_type: Option<String>,
    /// Null where the type has none.
    pub config: Value,
    /// How its last run ended.
    pub last_run_status: Option<String>,
    /// Of a source: whether its last check saw newer data than the one before.
    pub is_fresher: bool,
}

/// The nodes of one environment that can be selected, and who reads whom.
#[derive(Debug, Default)]
pub struct Project {
    /// The root project's name, which `package:this` means.
    pub name: Option<String>,
    /// The nodes.
    pub nodes: Vec<Candidate>,
    /// The places in `nodes` of each node's parents.
    pub parents: Vec<Vec<usize>>,
    /// The places in `nodes` of each node's children.
    pub children: Vec<Vec<usize>>,
}

/// So many characters of a selector are shown in an error.
const SHOWN: usize = 200;

/// What is wrong with a selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct SelectorError {
    /// The selector.
    pub selector: String,
    /// The place in it, in characters.
    pub at: usize,
    /// What is wrong, and the way out.
    pub text: String,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was typed goes into one line, so that the mark stands below its place; of a long one only what is around it.
        let first = self.at.saturating_sub(SHOWN / 2);
        let shown = self.selector.chars().skip(first).take(SHOWN);
        let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "{}\n  {shown}\n  {:>width$}", self.text, "^", width = self.at - first + 1)
    }
}
