//! Parents that are not among a manifest's own nodes: another project's models, and nodes of a type that has no name here. Those that are
//! disabled, and macros, are no parents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::json::{Fit, Misfits, Raw};
use super::node::parents;
use crate::inventory::{ResourceType, UniqueId};
use crate::origin::draft::{Draft, clean, text};

/// What is known of nodes that are not this project's own.
#[derive(Default)]
pub(super) struct Others {
    /// What the manifest holds of them, and whether it is of another project.
    injected: BTreeMap<UniqueId, (Raw, bool)>,
    /// By id without its type, the package and the name under which some node refers to it.
    names: HashMap<String, (String, String)>,
    /// What is disabled.
    outside: BTreeSet<UniqueId>,
}

impl Others {
    pub(super) fn inject(&mut self, id: String, raw: Raw, is_foreign: bool) {
        self.injected.insert(id.into(), (raw, is_foreign));
    }

    pub(super) fn disable(&mut self, ids: impl IntoIterator<Item = String>) {
        self.outside.extend(ids.into_iter().map(|id| UniqueId::from(clean(id))));
    }

    pub(super) fn note_names(&mut self, refs: &Value) {
        for reference in refs.as_array().into_iter().flatten() {
            let (package, name) = match reference {
                Value::Array(parts) => match parts.as_slice() {
                    [package, name] => (package, name),
                    _ => continue,
                },
                reference => (&reference["package"], &reference["name"]),
            };
            if let (Some(package), Some(name)) = (package.as_str(), name.as_str()) {
                let key = format!("{package}.{name}");
                self.names.entry(key).or_insert_with(|| (package.to_owned(), name.to_owned()));
            }
        }
    }

    /// Leaves out parents that are not there at all, and adds those that are not the project's own, with their parents where they are known:
    /// whatever stands between two nodes is there, and of another project's nodes those that are named.
    pub(super) fn resolve(mut self, drafts: &mut BTreeMap<UniqueId, Draft>, misfits: &mut Misfits) {
        let known: BTreeSet<UniqueId> = drafts.keys().cloned().collect();
        let mut needed = BTreeSet::new();
        let mut between = Vec::new();
        for draft in drafts.values_mut() {
            draft.node.parents.retain(|id| known.contains(id) || !self.outside.contains(id));
            between.extend(draft.node.parents.iter().filter(|id| !known.contains(*id)).cloned());
        }
        while let Some(id) = between.pop() {
            if !needed.insert(id.clone()) {
                continue;
            }
            if let Some((raw, false)) = self.injected.get(&id) {
                let above = parents(raw).into_iter().filter(|id| !known.contains(id) && !self.outside.contains(id));
                between.extend(above);
            }
        }
        for id in &needed {
            let mut draft = self.draft(id, misfits);
            draft.node.parents.retain(|id| known.contains(id) || needed.contains(id));
            drafts.insert(id.clone(), draft);
        }
    }

    fn draft(&mut self, id: &UniqueId, misfits: &mut Misfits) -> Draft {
        let (mut raw, _) = self.injected.remove(id).unwrap_or_default();
        let without_type = id.as_str().split_once('.').map_or(id.as_str(), |(_, rest)| rest);
        let unversioned = without_type.rsplit_once(".v").map_or(without_type, |(rest, _)| rest);
        let known = self.names.get(without_type).or_else(|| self.names.get(unversioned));
        let (package, name) = known.cloned().unwrap_or_else(|| named_by_id(without_type));
        let mut draft = Draft::new(id.as_str().to_owned(), ResourceType::External, None);
        draft.node.parents = parents(&raw);
        let mut fit = Fit { id: id.as_str(), misfits };
        let mut said = |key: &'static str| text(fit.text(key, raw.take(key)));
        let (own_name, own_package, description) = (said("name"), said("package_name"), said("description"));
        draft.node.name = own_name.or_else(|| text(Some(name)));
        draft.node.package_name = own_package.or_else(|| text(Some(package)));
        draft.node.description = description;
        draft
    }
}

/// The package and the name that an id without its type is made of. Packages have no dots, but names do, and a version is behind them.
fn named_by_id(id: &str) -> (String, String) {
    let (package, name) = id.split_once('.').unwrap_or(("", id));
    let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok();
    let unversioned = name.rsplit_once(".v").filter(|(rest, version)| !rest.is_empty() && is_version(version));
    (package.to_owned(), unversioned.map_or(name, |(rest, _)| rest).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_taken_apart_without_its_version() {
        for (id, package, name) in [
            ("upstream.dim.v2", "upstream", "dim"),
            ("upstream.my.orders.v2", "upstream", "my.orders"),
            ("upstream.my.orders", "upstream", "my.orders"),
            ("upstream.dim.v1.5", "upstream", "dim"),
            ("upstream.a.very.good", "upstream", "a.very.good"),
            ("dim", "", "dim"),
        ] {
            assert_eq!(named_by_id(id), (package.to_owned(), name.to_owned()), "{id}");
        }
    }
}
