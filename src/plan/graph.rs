//! Who reads whom, as a graph. The only file that knows `petgraph`. Edges point parent → child, the way data flows. Nothing
//! here recurses: a chain may be as long as the data says.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::inventory::{Inventory, UniqueId};

/// Against the flow of the data, or with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Upstream,
    Downstream,
}

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

    /// Whether a node is one of those that `is_start` says, or stands on one; by their places in the inventory.
    pub(crate) fn with_descendants(&self, is_start: impl Fn(&UniqueId) -> bool) -> Vec<bool> {
        let mut found: Vec<bool> = self.graph.node_weights().map(|id| is_start(id)).collect();
        let mut open: Vec<NodeIndex> = self.graph.node_indices().filter(|node| found[node.index()]).collect();
        while let Some(node) = open.pop() {
            for child in self.graph.neighbors(node) {
                if !std::mem::replace(&mut found[child.index()], true) {
                    open.push(child);
                }
            }
        }
        found
    }

    /// Tells `each` every node of `whose` that is `kept`, with all that is connected with it in one direction over such nodes: each once,
    /// with the shortest number of hops (1: a parent, or a child). Nodes are told by their places in the inventory. A node in a cycle
    /// is connected with itself. Nothing larger than what one node is connected with is held at a time.
    ///
    /// # Errors
    /// The first of `each`.
    pub(crate) fn each_connected<E>(
        &self,
        direction: Direction,
        kept: &[bool],
        whose: &[bool],
        mut each: impl FnMut(usize, &[(usize, u32)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let neighbors = self.neighbors(direction, kept);
        // In which round a node was seen last; so nothing needs to be cleared between rounds.
        let mut seen = vec![0_u32; kept.len()];
        let mut found: Vec<(usize, u32)> = Vec::new();
        for (round, start) in (1..).zip(0..kept.len()) {
            if !kept[start] || !whose[start] {
                continue;
            }
            found.clear();
            let (mut node, mut depth) = (start, 0);
            for next in 0.. {
                for neighbor in &neighbors[node] {
                    if std::mem::replace(&mut seen[*neighbor], round) != round {
                        found.push((*neighbor, depth + 1));
                    }
                }
                let Some(queued) = found.get(next) else { break };
                (node, depth) = *queued;
            }
            each(start, &found)?;
        }
        Ok(())
    }

    /// For each node the first of `starts`, in their order, that it stands on.
    pub(crate) fn first_above(&self, kept: &[bool], starts: impl Iterator<Item = usize>) -> Vec<Option<usize>> {
        let children = self.neighbors(Direction::Downstream, kept);
        let mut first: Vec<Option<usize>> = vec![None; kept.len()];
        let mut open = Vec::new();
        for start in starts.filter(|start| kept[*start]) {
            open.push(start);
            while let Some(node) = open.pop() {
                for child in &children[node] {
                    // What stands on this child was told when the child was.
                    if first[*child].is_none() {
                        first[*child] = Some(start);
                        open.push(*child);
                    }
                }
            }
        }
        first
    }

    /// How many edges lie at most between two connected nodes, on the shortest way: no more than this.
    pub(crate) fn longest_way(&self) -> usize {
        let mut ways = vec![0; self.graph.node_count()];
        // What a knot leads to comes before it.
        for knot in kosaraju_scc(&self.graph) {
            let below = knot.iter().flat_map(|node| self.graph.neighbors(*node)).map(|child| ways[child.index()] + 1);
            let longest = below.max().unwrap_or_default() + knot.len() - 1;
            knot.iter().for_each(|node| ways[node.index()] = longest);
        }
        // The way around a knot, back to its beginning, is as long as the knot.
        ways.into_iter().max().unwrap_or_default() + 1
    }

    fn neighbors(&self, direction: Direction, kept: &[bool]) -> Vec<Vec<usize>> {
        let direction = match direction {
            Direction::Upstream => petgraph::Incoming,
            Direction::Downstream => petgraph::Outgoing,
        };
        let of = |node| {
            let all = self.graph.neighbors_directed(node, direction).map(NodeIndex::index);
            all.filter(|neighbor| kept[*neighbor]).collect()
        };
        self.graph.node_indices().map(of).collect()
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
            inventory.nodes.insert(node.unique_id.clone(), node.into());
        }
        for (parent, child) in edges {
            let parent = UniqueId::from(format!("n{parent:06}"));
            let child =
                inventory.nodes.get_mut(format!("n{child:06}").as_str()).map(std::sync::Arc::make_mut).expect("a node");
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
        let last: Vec<bool> = (0..300_000).map(|place| place >= 299_990).collect();
        let mut deepest = 0;
        let each = |_: usize, ancestry: &[(usize, u32)]| {
            deepest = deepest.max(ancestry.len());
            Ok::<(), ()>(())
        };
        graph.each_connected(Direction::Upstream, &last, &last, each).expect("walked");
        assert_eq!(deepest, 9);
        let below = graph.with_descendants(|id| id.as_str() == "n000001");
        assert_eq!(below.iter().filter(|found| **found).count(), 299_999);
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
        fn what_is_connected_equals_a_naive_search_that_goes_around_what_is_left_out(
            edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..40),
        ) {
            let inventory = inventory(&edges, 12);
            let kept: Vec<bool> = (0..12).map(|place| place != 5).collect();
            let reversed: Vec<(usize, usize)> =
                edges.iter().filter(|(a, b)| *a != 5 && *b != 5).map(|(a, b)| (*b, *a)).collect();
            let mut visited = 0;
            let mut wrong = Vec::new();
            let each = |start: usize, ancestry: &[(usize, u32)]| {
                let found: BTreeMap<usize, i32> = ancestry.iter().map(|(of, depth)| (*of, *depth as i32)).collect();
                if found != naive_descendants(&reversed, start) || found.len() != ancestry.len() {
                    wrong.push(start);
                }
                visited += 1;
                Ok::<(), ()>(())
            };
            let graph = Graph::build(&inventory);
            graph.each_connected(Direction::Upstream, &kept, &[true; 12], each).expect("walked");
            let first = graph.first_above(&[true; 12], 3..12);
            let mut longest = 0;
            for (start, first) in first.into_iter().enumerate() {
                let below = naive_descendants(&edges, start);
                longest = longest.max(below.values().copied().max().unwrap_or_default());
                let above = naive_descendants(&edges.iter().map(|(a, b)| (*b, *a)).collect::<Vec<_>>(), start);
                prop_assert_eq!(first, above.into_keys().find(|above| *above >= 3));
            }
            prop_assert!(longest as usize <= graph.longest_way());
            for start in 0..12 {
                let mut below: BTreeSet<usize> = naive_descendants(&edges, start).into_keys().collect();
                below.insert(start);
                let found = graph.with_descendants(|id| id.as_str() == format!("n{start:06}"));
                let found: BTreeSet<usize> = (0..12).filter(|place| found[*place]).collect();
                prop_assert_eq!(found, below);
            }
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
            let each = |start: usize, ancestry: &[(usize, u32)]| {
                stands_on_itself |= ancestry.iter().any(|(of, _)| *of == start);
                Ok::<(), ()>(())
            };
            graph.each_connected(Direction::Upstream, &[true; 9], &[true; 9], each).expect("walked");
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
