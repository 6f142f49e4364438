//! Which environments of the platform are meant, and what each is called and numbered here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::catalog::{self, Kept};
use crate::config::{Config, EnvironmentConfig, Which};
use crate::origin::platform::PlatformEnvironment;
use crate::time::Timestamp;

/// An environment of the platform with its place in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its number in the catalog.
    pub id: i64,
    /// Its name on the command line.
    pub name: String,
    /// True if the configuration names it.
    pub is_configured: bool,
    /// True if the catalog holds it.
    pub is_kept: bool,
    /// What the platform tells of it.
    pub environment: PlatformEnvironment,
}

/// Those that are meant, by their platform's id, with their names and numbers: the configuration's and the catalog's, where these know them; else
/// the name is the project's, with the environment's where several would have it, then with the id; and the number is the platform's id
/// where it is free, else the next free one.
///
/// # Errors
/// If the catalog can't be read.
pub fn name(
    config: &Config,
    which: &Which,
    mut listed: Vec<PlatformEnvironment>,
) -> Result<Vec<Named>, catalog::Error> {
    listed.retain(|environment| is_meant(environment, which));
    listed.sort_by_key(|environment| (environment.platform_id, environment.account_id));
    let kept = kept(&config.catalog.path)?;
    let numbers = super::environments(config)?;
    let mut taken = match catalog::open_if_there(&config.catalog.path)? {
        Some(connection) => catalog::taken_numbers(&connection)?,
        None => BTreeSet::new(),
    };
    taken.extend(numbers.iter().map(|environment| environment.id));
    let is_alone =
        |it: &PlatformEnvironment| listed.iter().filter(|other| other.platform_id == it.platform_id).count() == 1;
    let configured = |environment: &PlatformEnvironment| {
        let ids = (environment.platform_id, Some(environment.account_id));
        numbers.iter().find(|own| is_it(&own.config, ids, is_alone(environment)))
    };
    let others = listed.iter().filter(|environment| configured(environment).is_none()).cloned().collect::<Vec<_>>();
    let used: BTreeSet<&str> = config.environments.iter().map(|environment| environment.name.as_str()).collect();
    let mut names = names(&others, &used).into_iter();
    let mut named = Vec::new();
    for environment in listed.iter().cloned() {
        let ids = (environment.platform_id, environment.account_id);
        let known = kept.iter().find(|kept| kept.is(ids, is_alone(&environment)));
        let is_kept = known.is_some();
        let (id, name, is_configured) = match configured(&environment) {
            Some(own) => (own.id, own.config.name.clone(), true),
            None => {
                let id = known.map_or_else(|| free(environment.platform_id, &taken), |kept| kept.id);
                (id, names.next().unwrap_or_default(), false)
            }
        };
        taken.insert(id);
        named.push(Named { id, name, is_configured, is_kept, environment });
    }
    Ok(named)
}

impl Named {
    pub(super) fn kept(self, now: Timestamp) -> Kept {
        let Self { id, name, environment, .. } = self;
        let PlatformEnvironment { platform_id, account_id, .. } = environment;
        Kept { id, name, platform_id, account_id: Some(account_id), found_at: Some(now) }
    }
}

fn is_meant(environment: &PlatformEnvironment, which: &Which) -> bool {
    !environment.is_development
        && match which {
            Which::Production => environment.deployment_type.as_deref() == Some("production"),
            Which::All => true,
            Which::Projects(names) => names.contains(&environment.project),
        }
}

fn free(wanted: i64, taken: &BTreeSet<i64>) -> i64 {
    std::iter::once(wanted).chain(1..).find(|number| !taken.contains(number)).unwrap_or_default()
}

/// A name for each, in their order, which no other one has.
fn names(environments: &[PlatformEnvironment], used: &BTreeSet<&str>) -> Vec<String> {
    let forms: [fn(&PlatformEnvironment) -> String; 4] = [
        |it| it.project.clone(),
        |it| format!("{}-{}", it.project, it.name),
        |it| format!("{}-{}-{}", it.project, it.name, it.platform_id),
        |it| format!("{}-{}-{}-{}", it.project, it.name, it.platform_id, it.account_id),
    ];
    let mut names: Vec<String> = environments.iter().map(forms[0]).collect();
    for form in &forms[1..] {
        let mut counts: BTreeMap<String, usize> = used.iter().map(|name| ((*name).to_owned(), 1)).collect();
        names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        for (name, environment) in names.iter_mut().zip(environments) {
            if counts.get(name).is_some_and(|count| *count > 1) {
                *name = form(environment);
            }
        }
    }
    names
}

/// The environments of the platform that the catalog holds; none where there is no catalog yet.
pub(super) fn kept(path: &Path) -> Result<Vec<Kept>, catalog::Error> {
    catalog::open_if_there(path)?.map_or(Ok(Vec::new()), |connection| catalog::kept(&connection))
}

/// Whether a configured environment is the one with these ids of the platform's. One that names no account is, if no other account has the id.
pub(super) fn is_it(own: &EnvironmentConfig, (platform_id, account_id): (i64, Option<i64>), is_alone: bool) -> bool {
    let Some(platform) = own.origin.platform().filter(|own| own.platform_id == platform_id) else { return false };
    let default = platform.interfaces.as_ref().and_then(|interfaces| interfaces.account_id);
    match (platform.account_id.or(default), account_id) {
        (Some(own), Some(other)) => own == other,
        _ => is_alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(platform_id: i64, project: &str, name: &str) -> PlatformEnvironment {
        PlatformEnvironment {
            platform_id,
            account_id: 1,
            project: project.to_owned(),
            name: name.to_owned(),
            deployment_type: Some("production".to_owned()),
            is_development: false,
            dbt_version: None,
        }
    }

    #[test]
    fn a_name_is_the_projects_then_with_the_environments_then_with_the_id() {
        let environments = [
            environment(1, "shop", "Production"),
            environment(2, "mart", "Production"),
            environment(3, "mart", "Staging"),
            environment(4, "lake", "Production"),
            environment(5, "lake", "Production"),
            environment(6, "core", "Production"),
        ];
        let expected =
            ["shop", "mart-Production", "mart-Staging", "lake-Production-4", "lake-Production-5", "core-Production"];
        assert_eq!(names(&environments, &BTreeSet::from(["core"])), expected);
    }

    #[test]
    fn a_number_is_the_platforms_where_it_is_free() {
        assert_eq!(free(834, &BTreeSet::from([1, 2])), 834);
        assert_eq!(free(834, &BTreeSet::from([1, 834])), 2);
    }

    #[test]
    fn development_is_never_meant() {
        let development = PlatformEnvironment { is_development: true, ..environment(1, "shop", "Development") };
        let general = PlatformEnvironment { deployment_type: None, ..environment(2, "shop", "Old") };
        let production = environment(3, "shop", "Production");
        for (which, expected) in [
            (Which::Production, [false, false, true]),
            (Which::All, [false, true, true]),
            (Which::Projects(vec!["shop".to_owned()]), [false, true, true]),
            (Which::Projects(vec!["mart".to_owned()]), [false, false, false]),
        ] {
            assert_eq!([&development, &general, &production].map(|it| is_meant(it, &which)), expected, "{which:?}");
        }
    }
}
