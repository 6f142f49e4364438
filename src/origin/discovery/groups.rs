//! Groups, which only the definition state has.

use crate::inventory::ResourceType;
use crate::origin::discovery::read::fields::begin;
use crate::origin::discovery::read::page::document;
use crate::origin::draft::{Draft, prose, text};

document!(DefinitionGroups, "queries/groups.graphql", definition_groups, "groups", definition.groups(), draft);

fn draft(item: definition_groups::Item) -> Draft {
    let mut draft = begin!(item, ResourceType::Group, None);
    draft.node.package_name = text(item.package_name);
    draft.node.owner_name = prose(item.owner_name);
    draft.node.owner_email = prose(item.owner_email);
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_group_is_its_owner() {
        let item = json!({
            "uniqueId": "group.shop.g", "name": "g", "description": null, "filePath": "g.yml", "packageName": "shop",
            "ownerName": "", "ownerEmail": "g@example.com", "tags": [], "meta": null
        });
        let node = draft(from_value(item).expect("a group")).node;
        assert_eq!((node.owner_name.as_deref(), node.owner_email.as_deref()), (None, Some("g@example.com")));
        assert_eq!((node.is_applied, node.fqn), (None, None));
    }
}
