//! What selectors mean in a project: set operations, and walks along its edges. No recursion: the data say how deep it goes.

use std::collections::BTreeSet;

use super::budget::{Budget, Over};
use super::parse::{Criterion, Intersection, Reach, Selector};
use super::{Candidate, Project};
use crate::inventory::ResourceType;

/// What was selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Places in the project's nodes.
    pub nodes: BTreeSet<usize>,
    /// The parts of the selectors that match nothing, as they were written.
    pub unmatched: Vec<String>,
}

/// For each node of the project, whether it is meant.
type Marks = Vec<bool>;

/// The nodes that `select` means (all, if it is `None`) without those that `exclude` means.
///
/// # Errors
/// If that takes more than `budget`.
pub(crate) fn select(
    project: &Project,
    select: Option<&Selector>,
    exclude: &Selector,
    budget: &Budget,
) -> Result<Selected, Over> {
    let mut unmatched = Vec::new();
    let selected = match select {
        Some(selector) => union(project, selector, &mut unmatched, budget)?,
        None => project.nodes.iter().map(is_chosen).collect(),
    };
    let excluded = union(project, exclude, &mut unmatched, budget)?;
    let nodes = (0..project.nodes.len()).filter(|place| selected[*place] && !excluded[*place]).collect();
    Ok(Selected { nodes, unmatched })
}

/// What is external is only passed through.
fn is_chosen(node: &Candidate) -> bool {
    node.resource_type != ResourceType::External
}

fn union(project: &Project, selector: &Selector, unmatched: &mut Vec<String>, budget: &Budget) -> Result<Marks, Over> {
    let mut found = vec![false; project.nodes.len()];
    for part in &selector.0 {
        let nodes = intersection(project, part, budget)?;
        if !nodes.contains(&true) {
            unmatched.push(part.text.clone());
        }
        found.iter_mut().zip(nodes).for_each(|(found, here)| *found |= here);
    }
    Ok(found)
}

fn intersection(project: &Project, part: &Intersection, budget: &Budget) -> Result<Marks, Over> {
    let mut all: Option<Marks> = None;
    for criterion in &part.criteria {
        let mut nodes = found_by(project, criterion, budget)?;
        if let Some(others) = all {
            nodes.iter_mut().zip(others).for_each(|(here, other)| *here &= other);
        }
        all = Some(nodes);
    }
    Ok(all.unwrap_or_else(|| vec![false; project.nodes.len()]))
}

/// What a criterion finds, what its operators add, and the tests that ride along.
fn found_by(project: &Project, criterion: &Criterion, budget: &Budget) -> Result<Marks, Over> {
    let Criterion { method, value, parents, children, childrens_parents } = criterion;
    let mut found = Vec::with_capacity(project.nodes.len());
    for node in &project.nodes {
        found.push(is_chosen(node) && method.finds(node, value, project, budget));
        budget.spend(1);
        budget.check()?;
    }
    let mut selected = found.clone();
    if *childrens_parents {
        add(&mut selected, around(&project.children, &found, Reach::All, budget)?);
        let above = around(&project.parents, &selected, Reach::All, budget)?;
        add(&mut selected, above);
    }
    add(&mut selected, around(&project.parents, &found, *parents, budget)?);
    add(&mut selected, around(&project.children, &found, *children, budget)?);
    let is_test =
        |place: &usize| matches!(project.nodes[*place].resource_type, ResourceType::Test | ResourceType::UnitTest);
    let below = selected.iter().zip(&project.children).filter(|(is_selected, _)| **is_selected);
    let tests: Vec<usize> = below.flat_map(|(_, children)| children).copied().filter(is_test).collect();
    budget.spend(tests.len());
    add(&mut selected, tests);
    selected.iter_mut().zip(&project.nodes).for_each(|(is_selected, node)| *is_selected &= is_chosen(node));
    Ok(selected)
}

fn add(marks: &mut Marks, places: Vec<usize>) {
    places.into_iter().for_each(|place| marks[place] = true);
}

/// What is reached from the marked nodes along `edges`, level by level.
fn around(edges: &[Vec<usize>], start: &Marks, reach: Reach, budget: &Budget) -> Result<Vec<usize>, Over> {
    let steps = match reach {
        Reach::None => return Ok(Vec::new()),
        Reach::Steps(steps) => steps,
        Reach::All => usize::MAX,
    };
    let (mut found, mut is_found) = (Vec::new(), vec![false; start.len()]);
    let mut level: Vec<usize> = (0..start.len()).filter(|place| start[*place]).collect();
    for _ in 0..steps {
        let mut next = Vec::new();
        for place in level {
            budget.spend(1 + edges[place].len());
            budget.check()?;
            next.extend(edges[place].iter().copied().filter(|place| !std::mem::replace(&mut is_found[*place], true)));
        }
        if next.is_empty() {
            break;
        }
        found.extend(&next);
        level = next;
    }
    Ok(found)
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
            last_run_status: None,
            is_fresher: false,
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
            let found = select(&project, Some(&selector), &Selector(Vec::new()), &Budget::until(None));
            found.expect("within the budget").nodes.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(found("n0+"), [0, 2]);
        assert_eq!(found("+n2"), [0, 2]);
        assert!(found("n1+").is_empty());
        assert_eq!(found("*"), [0, 2]);
        let all = select(&project, None, &Selector(Vec::new()), &Budget::until(None));
        assert_eq!(all.expect("within the budget").nodes.into_iter().collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn what_runs_and_checks_left_is_a_beginning_like_any_other() {
        use ResourceType::{Model, Source, Test};
        let kinds = [Source, Source, Model, Model, Test, Model];
        let results = [None, None, Some("success"), Some("error"), Some("fail"), Some("skipped")];
        let edges = [(0, 2), (1, 3), (2, 4), (3, 5)];
        let mut project = Project { parents: vec![vec![]; 6], children: vec![vec![]; 6], ..Project::default() };
        for (number, (kind, result)) in kinds.into_iter().zip(results).enumerate() {
            let last_run_status = result.map(str::to_owned);
            // Only of sources it means anything.
            let is_fresher = [0, 5].contains(&number);
            project.nodes.push(Candidate { last_run_status, is_fresher, ..candidate(number, kind) });
        }
        for (parent, child) in edges {
            project.children[parent].push(child);
            project.parents[child].push(parent);
        }
        for (text, expected) in [
            ("result:error", vec![3]),
            ("result:error+", vec![3, 5]),
            ("1+result:fail", vec![2, 4]),
            ("result:success", vec![2, 4]),
            ("result:warn", vec![]),
            ("result:error result:skipped", vec![3, 5]),
            ("source_status:fresher", vec![0]),
            ("source_status:fresher+", vec![0, 2, 4]),
            ("source_status:fresher+,result:fail", vec![4]),
        ] {
            let selector = parse(&[text.to_owned()]).expect(text);
            let found = select(&project, Some(&selector), &Selector(Vec::new()), &Budget::until(None));
            assert_eq!(found.expect(text).nodes.into_iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn an_evaluation_ends_when_its_time_is_over_or_its_steps_are_taken() {
        let count = 20_000;
        let mut project = Project { children: vec![Vec::new(); count], ..Project::default() };
        for number in 0..count {
            let mut node = candidate(number, ResourceType::Model);
            node.name = "a".repeat(200);
            node.fqn = vec!["p".to_owned(), node.name.clone()];
            project.nodes.push(node);
            project.parents.push(if number > 0 { vec![number - 1] } else { Vec::new() });
        }
        let run = |text: String, deadline| {
            let selector = parse(&[text]).expect("a selector");
            select(&project, Some(&selector), &Selector(Vec::new()), &Budget::until(deadline))
        };
        let slow = format!("*{}b ", "a".repeat(100));
        assert_eq!(run(slow.clone(), Some(std::time::Instant::now())), Err(Over::Time));
        assert_eq!(run("+p.*".to_owned(), Some(std::time::Instant::now())), Err(Over::Time));
        assert!(run("+n1".to_owned(), None).is_ok());
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
                &Budget::until(None),
            );
            let found = found.expect("within the budget");
            let is_selected = |node: &usize| {
                union.iter().any(|parts| parts.iter().all(|part| naive(&project, part, *node)))
                    && !exclude.iter().any(|part| naive(&project, part, *node))
            };
            let expected: BTreeSet<usize> = (0..project.nodes.len()).filter(is_selected).collect();
            prop_assert_eq!(found.nodes, expected, "{:?} without {:?}", selector, excluded);
        }
    }
}
