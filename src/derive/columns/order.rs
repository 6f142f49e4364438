//! The nodes in an order in which all parents of a node stand before it.

use std::collections::HashMap;

use crate::inventory::{Inventory, Node};

/// The nodes by their places, and how they are connected.
pub(super) struct Order<'a> {
    pub(super) nodes: Vec<&'a Node>,
    children: Vec<Vec<usize>>,
    pub(super) places: HashMap<&'a str, usize>,
}

impl<'a> Order<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> Self {
        let nodes: Vec<&Node> = inventory.nodes.values().collect();
        let places: HashMap<&str, usize> =
            nodes.iter().enumerate().map(|(place, node)| (node.unique_id.as_str(), place)).collect();
        let mut children = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            for parent in node.parents.iter().filter_map(|parent| places.get(parent.as_str())) {
                children[*parent].push(place);
            }
        }
        Self { nodes, children, places }
    }

    pub(super) fn children(&self, place: usize) -> &[usize] {
        &self.children[place]
    }

    /// All places, parents first; those on a cycle, and below one, last.
    pub(super) fn parents_first(&self) -> Vec<usize> {
        let mut left = vec![0_usize; self.nodes.len()];
        self.children.iter().flatten().for_each(|child| left[*child] += 1);
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|place| left[*place] == 0).collect();
        let mut next = 0;
        while let Some(place) = order.get(next).copied() {
            next += 1;
            for child in &self.children[place] {
                left[*child] -= 1;
                if left[*child] == 0 {
                    order.push(*child);
                }
            }
        }
        order.extend((0..self.nodes.len()).filter(|place| left[*place] > 0));
        order
    }
}
