//! Who reads whom, as a graph. The only file that knows `petgraph`. Edges point parent → child, the way data flows. Nothing
//! here recurses: a chain may be as long as the data says.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::inventory::{Inventory, UniqueId};

/// The edges of one inventory. Edges to ids that the inventory lacks are left out.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    graph: DiGraph<&'a UniqueId, ()>,
}

impl<'a> Graph<'a> {
    /// Builds the graph of all nodes of `inventory`.
    pub(crate) fn build(inventory: &'a Inventory) -> Self {
        let mut graph = DiGraph::with_capacity(inventory.nodes.len(), inventory.edge_count());
        let index: HashMap<&str, NodeIndex> =
            inventory.nodes.keys().map(|id| (id.as_str(), graph.add_node(id))).collect();
        for node in inventory.nodes.values() {
            let Some(&child) = index.get(node.unique_id.as_str()) else { continue };
            for parent in node.parents.iter().filter_map(|parent| index.get(parent.as_str())) {
                graph.add_edge(*parent, child, ());
            }
        }
        Self { graph }
    }

    fn children(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut next: Vec<NodeIndex> = self.graph.neighbors(node).collect();
        next.sort_unstable_by_key(|node| self.graph[*node]);
        next
    }

    /// Tells `each` every node that `keep` lets through, with all that it stands on over such nodes: each ancestor once, with
    /// the shortest number of hops (1: a parent). A node in a cycle stands on itself. Nothing larger than one node's ancestors
    /// is held at a time.
    pub(crate) fn each_ancestry(
        &self,
        keep: impl Fn(&UniqueId) -> bool,
        mut each: impl FnMut(&'a UniqueId, &[(&'a UniqueId, u32)]),
    ) {
        let kept: Vec<bool> = self.graph.node_weights().map(|id| keep(id)).collect();
        let parents = |node: NodeIndex| self.graph.neighbors_directed(node, petgraph::Incoming);
        // In which round a node was seen last; so nothing needs to be cleared between rounds.
        let mut seen = vec![0_u32; kept.len()];
        let mut found: Vec<(NodeIndex, u32)> = Vec::new();
        let mut ancestry: Vec<(&UniqueId, u32)> = Vec::new();
        for (round, start) in (1..).zip(self.graph.node_indices()) {
            if !kept[start.index()] {
                continue;
            }
            found.clear();
            let mut next = 0;
            let (mut node, mut depth) = (start, 0);
            loop {
                for parent in parents(node).filter(|parent| kept[parent.index()]) {
                    if std::mem::replace(&mut seen[parent.index()], round) != round {
                        found.push((parent, depth + 1));
                    }
                }
                let Some(queued) = found.get(next) else { break };
                (node, depth) = *queued;
                next += 1;
            }
            ancestry.clear();
            ancestry.extend(found.iter().map(|(node, depth)| (self.graph[*node], *depth)));
            each(self.graph[start], &ancestry);
        }
    }

    /// One cycle for each knot of nodes that reach themselves, its members in the order in which data flows, from the
    /// smallest id on. Sorted.
    pub(crate) fn cycles(&self) -> Vec<Vec<&'a UniqueId>> {
        let mut cycles: Vec<Vec<&UniqueId>> = kosaraju_scc(&self.graph)
            .into_iter()
            .filter(|knot| knot.len() > 1 || self.graph.contains_edge(knot[0], knot[0]))
            .map(|knot| self.cycle_through(&knot))
            .collect();
        cycles.sort();
        cycles
    }

    /// The shortest cycle through the smallest member of a strongly connected set.
    fn cycle_through(&self, knot: &[NodeIndex]) -> Vec<&'a UniqueId> {
        let members: HashSet<NodeIndex> = knot.iter().copied().collect();
        let Some(start) = knot.iter().copied().min_by_key(|node| self.graph[*node]) else { return Vec::new() };
        let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in self.children(node) {
                if next == start {
                    return self.way_back(start, node, &came_from);
                }
                if members.contains(&next) && !came_from.contains_key(&next) {
                    came_from.insert(next, node);
                    queue.push_back(next);
                }
            }
        }
        vec![self.graph[start]]
    }

    fn way_back(
        &self,
        start: NodeIndex,
        last: NodeIndex,
        came_from: &HashMap<NodeIndex, NodeIndex>,
    ) -> Vec<&'a UniqueId> {
        let mut way = vec![self.graph[last]];
        let mut node = last;
        while node != start {
            let Some(before) = came_from.get(&node) else { break };
            node = *before;
            way.push(self.graph[node]);
        }
        way.reverse();
        way
    }
}

/// One warning for each cycle of `inventory`, naming its members in order.
pub fn cycle_warnings(inventory: &Inventory) -> Vec<String> {
    let graph = Graph::build(inventory);
    let warn = |cycle: Vec<&UniqueId>| {
        let mut names: Vec<String> = cycle.iter().map(|id| format!("`{id}`")).collect();
        names.extend(names.first().cloned());
        format!("the edges form a cycle, kept as it is: {}", names.join(" → "))
    };
    graph.cycles().into_iter().map(warn).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{Node, ResourceType};

    fn inventory(edges: &[(usize, usize)], nodes: usize) -> Inventory {
        let mut inventory = Inventory::default();
        for number in 0..nodes {
            let node = Node::new(format!("n{number:06}"), ResourceType::Model);
            inventory.nodes.insert(node.unique_id.clone(), node);
        }
        for (parent, child) in edges {
            let parent = UniqueId::from(format!("n{parent:06}"));
            let child = inventory.nodes.get_mut(format!("n{child:06}").as_str()).expect("a node");
            child.parents.push(parent);
            child.normalize();
        }
        inventory
    }

    #[test]
    fn a_cycle_is_named_in_the_order_of_its_edges() {
        let inventory = inventory(&[(2, 1), (1, 3), (3, 2), (0, 1), (5, 5)], 6);
        let warnings = cycle_warnings(&inventory);
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].ends_with("`n000001` → `n000003` → `n000002` → `n000001`"), "{}", warnings[0]);
        assert!(warnings[1].ends_with("`n000005` → `n000005`"), "{}", warnings[1]);
    }

    /// Recursive algorithms abort the process on such a chain.
    #[test]
    fn a_chain_of_300_000_nodes_is_walked() {
        let edges: Vec<(usize, usize)> = (1..300_000).map(|n| (n - 1, n)).collect();
        let inventory = inventory(&edges, 300_000);
        let graph = Graph::build(&inventory);
        assert!(graph.cycles().is_empty());
        let last = |id: &UniqueId| id.as_str() >= "n299990";
        let mut deepest = 0;
        graph.each_ancestry(last, |_, ancestry| deepest = deepest.max(ancestry.len()));
        assert_eq!(deepest, 9);
    }

    /// All that is reachable, by repeated joining until nothing is new.
    fn naive_descendants(edges: &[(usize, usize)], start: usize) -> BTreeMap<usize, i32> {
        let mut depths = BTreeMap::new();
        let mut frontier = BTreeSet::from([start]);
        for depth in 1.. {
            let next: BTreeSet<usize> = edges
                .iter()
                .filter(|(parent, child)| frontier.contains(parent) && !depths.contains_key(child))
                .map(|(_, child)| *child)
                .collect();
            if next.is_empty() {
                break;
            }
            depths.extend(next.iter().map(|node| (*node, depth)));
            frontier = next;
        }
        depths
    }

    proptest! {
        #[test]
        fn each_ancestry_equals_a_naive_search_that_goes_around_what_is_left_out(
            edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..40),
        ) {
            let inventory = inventory(&edges, 12);
            let kept = |id: &UniqueId| !id.as_str().ends_with('5');
            let reversed: Vec<(usize, usize)> =
                edges.iter().filter(|(a, b)| *a != 5 && *b != 5).map(|(a, b)| (*b, *a)).collect();
            let mut visited = 0;
            let mut wrong = Vec::new();
            Graph::build(&inventory).each_ancestry(kept, |id, ancestry| {
                let start: usize = id.as_str()[1..].parse().expect("a number");
                let found: BTreeMap<usize, i32> = ancestry
                    .iter()
                    .map(|(id, depth)| (id.as_str()[1..].parse().expect("a number"), *depth as i32))
                    .collect();
                if found != naive_descendants(&reversed, start) || found.len() != ancestry.len() {
                    wrong.push(id.clone());
                }
                visited += 1;
            });
            prop_assert_eq!(visited, 11);
            prop_assert!(wrong.is_empty(), "{:?}", wrong);
        }

        #[test]
        fn each_cycle_goes_along_edges_and_there_is_one_where_a_node_stands_on_itself(
            edges in prop::collection::vec((0_usize..9, 0_usize..9), 0..20),
        ) {
            let inventory = inventory(&edges, 9);
            let graph = Graph::build(&inventory);
            let mut stands_on_itself = false;
            graph.each_ancestry(|_| true, |id, ancestry| stands_on_itself |= ancestry.iter().any(|(of, _)| *of == id));
            prop_assert_eq!(stands_on_itself, !graph.cycles().is_empty());
            for cycle in graph.cycles() {
                for (n, id) in cycle.iter().enumerate() {
                    let next = cycle[(n + 1) % cycle.len()];
                    prop_assert!(inventory.nodes[next].parents.contains(id));
                }
            }
        }
    }
}
