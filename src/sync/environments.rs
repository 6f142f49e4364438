//! Which environments there are: those of the configuration, each with its number in the catalog.

use crate::catalog::{self, Configured};
use crate::config::{Config, EnvironmentConfig};

/// A configured environment and its number in the catalog.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The number.
    pub id: i64,
    /// What the configuration says of it.
    pub config: EnvironmentConfig,
}

/// The environments of the configuration, in its order.
///
/// # Errors
/// If the catalog is needed for a number and can't be read, or two would have one number.
pub fn environments(config: &Config) -> Result<Vec<Environment>, catalog::Error> {
    let configured = configured(config);
    // One with an account may have been found before, under another number.
    let is_given = |environment: &Configured| environment.id.is_some() && environment.account_id.is_none();
    let numbers = match configured.iter().all(is_given) {
        true => catalog::numbers(None, &configured),
        false => catalog::numbers(catalog::open_if_there(&config.catalog.path)?.as_ref(), &configured),
    };
    let environment = |(id, config): (i64, &EnvironmentConfig)| Environment { id, config: config.clone() };
    Ok(numbers?.into_iter().zip(&config.environments).map(environment).collect())
}

/// What the catalog keeps of the configured environments.
pub fn configured(config: &Config) -> Vec<Configured> {
    let configured = |environment: &EnvironmentConfig| {
        let platform = environment.origin.platform();
        Configured {
            id: environment.id,
            name: environment.name.clone(),
            origin: environment.origin.as_str(),
            platform_id: platform.map(|platform| platform.platform_id),
            account_id: platform.and_then(|platform| platform.account_id),
        }
    };
    config.environments.iter().map(configured).collect()
}
