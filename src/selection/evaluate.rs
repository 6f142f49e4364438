//! What selectors mean in a project: set operations, and walks along its edges. No recursion: the data say how deep it goes.

use std::collections::BTreeSet;

use super::Project;
use super::parse::{Criterion, Intersection, Reach, Selector};
use crate::inventory::ResourceType;

/// What was selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Places in the project's nodes.
    pub nodes: BTreeSet<usize>,
    /// The parts of the selectors that match nothing, as they were written.
    pub unmatched: Vec<String>,
}

/// The nodes that `select` means (all, if it is `None`) without those that `exclude` means.
pub fn select(project: &Project, select: Option<&Selector>, exclude: &Selector) -> Selected {
    let mut unmatched = Vec::new();
    let mut nodes = match select {
        Some(selector) => union(project, selector, &mut unmatched),
        None => (0..project.nodes.len()).filter(|place| is_chosen(project, place)).collect(),
    };
    for place in union(project, exclude, &mut unmatched) {
        nodes.remove(&place);
    }
    Selected { nodes, unmatched }
}

/// What is external is only passed through.
fn is_chosen(project: &Project, place: &usize) -> bool {
    project.nodes[*place].resource_type != ResourceType::External
}

fn union(project: &Project, selector: &Selector, unmatched: &mut Vec<String>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for part in &selector.0 {
        let nodes = intersection(project, part);
        if nodes.is_empty() {
            unmatched.push(part.text.clone());
        }
        found.extend(nodes);
    }
    found
}

fn intersection(project: &Project, part: &Intersection) -> BTreeSet<usize> {
    let all = part.criteria.iter().map(|criterion| found_by(project, criterion));
    all.reduce(|one, other| one.intersection(&other).copied().collect()).unwrap_or_default()
}

/// What a criterion finds, what its operators add, and the tests that ride along.
fn found_by(project: &Project, criterion: &Criterion) -> BTreeSet<usize> {
    let Criterion { method, value, parents, children, childrens_parents } = criterion;
    let is_found = |place: &usize| is_chosen(project, place) && method.finds(&project.nodes[*place], value, project);
    let found: BTreeSet<usize> = (0..project.nodes.len()).filter(is_found).collect();
    let mut selected = found.clone();
    if *childrens_parents {
        selected.extend(around(&project.children, &found, Reach::All));
        selected.extend(around(&project.parents, &selected.clone(), Reach::All));
    }
    selected.extend(around(&project.parents, &found, *parents));
    selected.extend(around(&project.children, &found, *children));
    let is_test =
        |place: &usize| matches!(project.nodes[*place].resource_type, ResourceType::Test | ResourceType::UnitTest);
    let tests: Vec<usize> =
        selected.iter().flat_map(|place| &project.children[*place]).copied().filter(is_test).collect();
    selected.extend(tests);
    selected.retain(|place| is_chosen(project, place));
    selected
}

/// What is reached from `start` along `edges`, level by level.
fn around(edges: &[Vec<usize>], start: &BTreeSet<usize>, reach: Reach) -> BTreeSet<usize> {
    let steps = match reach {
        Reach::None => 0,
        Reach::Steps(steps) => steps,
        Reach::All => usize::MAX,
    };
    let mut found = BTreeSet::new();
    let mut level: Vec<usize> = start.iter().copied().collect();
    for _ in 0..steps {
        let next = level.iter().flat_map(|place| &edges[*place]).copied();
        level = next.filter(|place| found.insert(*place)).collect();
        if level.is_empty() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{Candidate, parse};
    use super::*;

    fn candidate(number: usize, resource_type: ResourceType) -> Candidate {
        Candidate {
            resource_type,
            name: format!("n{number}"),
            package_name: "p".to_owned(),
            file_path: format!("models/n{number}.sql"),
            patch_path: None,
            fqn: vec!["p".to_owned(), format!("n{number}")],
            tags: vec![format!("t{}", number % 3)],
            access: None,
            group: None,
            version: None,
            latest_version: None,
            source_name: None,
            test_name: None,
            test_type: None,
            config: Value::Null,
        }
    }

    /// Nodes read only earlier ones; each third one is a test.
    fn arbitrary_project() -> impl Strategy<Value = Project> {
        prop::collection::vec(prop::collection::btree_set(0_usize..12, 0..3), 1..12).prop_map(|parents| {
            let count = parents.len();
            let mut project = Project { children: vec![Vec::new(); count], ..Project::default() };
            for (number, parents) in parents.into_iter().enumerate() {
                let kind = if number % 3 == 2 { ResourceType::Test } else { ResourceType::Model };
                project.nodes.push(candidate(number, kind));
                let parents: Vec<usize> = parents.into_iter().filter(|parent| *parent < number).collect();
                for parent in &parents {
                    project.children[*parent].push(number);
                }
                project.parents.push(parents);
            }
            project
        })
    }

    fn arbitrary_criterion() -> impl Strategy<Value = Part> {
        let steps = || prop::option::of(prop::option::of(0_usize..4).prop_map(|steps| steps.unwrap_or(99)));
        (0_usize..12, steps(), steps(), any::<bool>(), any::<bool>())
    }

    /// How many steps lie between two nodes, by trying longer and longer ways; `None` if there is no way.
    fn distance(project: &Project, from: usize, to: usize) -> Option<usize> {
        let mut reached: Vec<usize> = project.children[from].clone();
        for steps in 1..=project.nodes.len() {
            if reached.contains(&to) {
                return Some(steps);
            }
            reached = reached.iter().flat_map(|place| project.children[*place].clone()).collect();
            reached.sort_unstable();
            reached.dedup();
        }
        None
    }

    type Part = (usize, Option<usize>, Option<usize>, bool, bool);

    fn text_of((number, parents, children, at, by_tag): &Part) -> String {
        let value = if *by_tag { format!("tag:t{}", number % 3) } else { format!("n{number}") };
        let before = match (at, parents) {
            (true, _) => "@".to_owned(),
            (_, Some(99)) => "+".to_owned(),
            (_, Some(steps)) => format!("{steps}+"),
            (_, None) => String::new(),
        };
        let after = match children {
            _ if *at => String::new(),
            Some(99) => "+".to_owned(),
            Some(steps) => format!("+{steps}"),
            None => String::new(),
        };
        format!("{before}{value}{after}")
    }

    /// One node at a time: is it selected by this part?
    fn naive(project: &Project, (number, parents, children, at, by_tag): &Part, node: usize) -> bool {
        let is_start = |place: usize| if *by_tag { place % 3 == number % 3 } else { place == *number };
        let all = || 0..project.nodes.len();
        let within = |from: usize, to: usize, steps: &Option<usize>| {
            steps.is_some_and(|most| distance(project, from, to).is_some_and(|steps| steps <= most))
        };
        let direct = |node: usize| {
            is_start(node)
                || all().filter(|start| is_start(*start)).any(|start| {
                    let below = |place: usize| place == start || distance(project, start, place).is_some();
                    if *at {
                        all().any(|place| below(place) && (place == node || distance(project, node, place).is_some()))
                    } else {
                        within(node, start, parents) || within(start, node, children)
                    }
                })
        };
        let is_test = project.nodes[node].resource_type == ResourceType::Test;
        direct(node) || (is_test && project.parents[node].iter().any(|parent| direct(*parent)))
    }

    #[test]
    fn an_external_node_is_passed_through_and_never_chosen() {
        let kinds = [ResourceType::Model, ResourceType::External, ResourceType::Model];
        let nodes = kinds.into_iter().enumerate().map(|(number, kind)| candidate(number, kind)).collect();
        let (parents, children) = (vec![vec![], vec![0], vec![1]], vec![vec![1], vec![2], vec![]]);
        let project = Project { nodes, parents, children, ..Project::default() };
        let found = |text: &str| {
            let selector = parse(&[text.to_owned()]).expect("a selector");
            select(&project, Some(&selector), &parse(&[]).expect("nothing")).nodes.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(found("n0+"), [0, 2]);
        assert_eq!(found("+n2"), [0, 2]);
        assert!(found("n1+").is_empty());
        assert_eq!(found("*"), [0, 2]);
        let all = select(&project, None, &parse(&[]).expect("nothing"));
        assert_eq!(all.nodes.into_iter().collect::<Vec<_>>(), [0, 2]);
    }

    proptest! {
        #[test]
        fn selection_equals_a_naive_evaluator(
            project in arbitrary_project(),
            union in prop::collection::vec(prop::collection::vec(arbitrary_criterion(), 1..3), 1..3),
            exclude in prop::option::of(arbitrary_criterion()),
        ) {
            let text = |parts: &Vec<Part>| parts.iter().map(text_of).collect::<Vec<_>>().join(",");
            let selector: Vec<String> = union.iter().map(text).collect();
            let excluded: Vec<String> = exclude.iter().map(text_of).collect();
            let found = select(
                &project,
                Some(&parse(&[selector.join(" ")]).expect("a selector")),
                &parse(&excluded).expect("a selector"),
            );
            let is_selected = |node: &usize| {
                union.iter().any(|parts| parts.iter().all(|part| naive(&project, part, *node)))
                    && !exclude.iter().any(|part| naive(&project, part, *node))
            };
            let expected: BTreeSet<usize> = (0..project.nodes.len()).filter(is_selected).collect();
            prop_assert_eq!(found.nodes, expected, "{:?} without {:?}", selector, excluded);
        }
    }
}
