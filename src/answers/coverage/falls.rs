//! Which percentages fell, and in which groups.

use std::collections::BTreeMap;

use super::{Figures, Share};

/// The figures at one moment, in all and by group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment {
    /// Of all groups together.
    pub total: Figures,
    /// Of each, by its name.
    pub groups: BTreeMap<String, Figures>,
}

/// A percentage that fell.
#[derive(Debug, PartialEq, Eq)]
pub struct Fall {
    /// Which one, as [`Figures::shares`] calls it.
    pub name: &'static str,
    /// What it was.
    pub before: Share,
    /// What it is.
    pub after: Share,
    /// The groups that it fell for: more is missing in them than was, or less is there.
    pub groups: Vec<(String, Share, Share)>,
}

/// The total percentages that are lower `after` than `before`.
pub fn falls(before: &Moment, after: &Moment) -> Vec<Fall> {
    let pairs = before.total.shares().into_iter().zip(after.total.shares()).enumerate();
    pairs
        .filter(|(_, ((_, was), (_, is)))| is.is_below(*was))
        .map(|(place, ((name, was), (_, is)))| Fall {
            name,
            before: was,
            after: is,
            groups: culprits(before, after, place),
        })
        .collect()
}

fn culprits(before: &Moment, after: &Moment, place: usize) -> Vec<(String, Share, Share)> {
    let share = |moment: &Moment, name: &String| {
        moment.groups.get(name).map_or(Share::default(), |figures| figures.shares()[place].1)
    };
    let names: std::collections::BTreeSet<&String> = before.groups.keys().chain(after.groups.keys()).collect();
    let pairs = names.into_iter().map(|name| (name.clone(), share(before, name), share(after, name)));
    pairs.filter(|(_, was, is)| is.part < was.part || is.whole - is.part > was.whole - was.part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(groups: &[(&str, u64, u64)]) -> Moment {
        let mut moment = Moment::default();
        for (name, part, whole) in groups {
            let documented = Share { part: *part, whole: *whole };
            moment.groups.insert((*name).to_owned(), Figures { documented, ..Figures::default() });
            moment.total.documented.part += part;
            moment.total.documented.whole += whole;
        }
        moment
    }

    #[test]
    fn a_fall_names_the_groups_that_lost_or_that_brought_new_gaps() {
        let before = moment(&[("lost", 5, 5), ("same", 1, 2), ("better", 1, 3)]);
        let after = moment(&[("lost", 3, 5), ("same", 1, 2), ("better", 2, 3), ("new", 0, 2)]);
        let falls = falls(&before, &after);
        assert_eq!(falls.len(), 1);
        assert_eq!((falls[0].name, falls[0].before.whole, falls[0].after.part), ("documented", 10, 6));
        let names: Vec<&str> = falls[0].groups.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(names, ["lost", "new"]);
    }

    #[test]
    fn removing_what_was_documented_is_a_fall_and_growing_evenly_is_none() {
        assert_eq!(falls(&moment(&[("a", 2, 4)]), &moment(&[("a", 1, 3)]))[0].groups.len(), 1);
        assert_eq!(falls(&moment(&[("a", 2, 4)]), &moment(&[("a", 3, 6)])), []);
        assert_eq!(falls(&moment(&[("a", 2, 4)]), &moment(&[])), [], "nothing is left to be judged");
    }
}
