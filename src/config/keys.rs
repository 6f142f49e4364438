//! Every key there is, with its default.

/// The keys of the sections. Secrets have no default and are read apart; what has none is empty.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("catalog.path", "lineaged.db"),
    ("catalog.history", ""),
    ("discovery.url", "https://metadata.cloud.getdbt.com/graphql"),
    ("discovery.token", ""),
    ("discovery.token_file", ""),
    ("discovery.page_size", "500"),
    ("discovery.concurrency", "4"),
    ("discovery.requests_per_minute", "400"),
    ("discovery.timeout", "120s"),
    ("discovery.give_up_after", "10m"),
    ("discovery.read_deadline", "1h"),
    ("discovery.cooldown", "5m"),
    ("discovery.ca_file", ""),
    ("discovery.partner_source", ""),
    ("sync.max_removed_percent", "20"),
    ("sync.min_removed_floor", "10"),
    ("sync.full_every", "24h"),
    ("schedule.cron", "*/15 * * * *"),
    ("schedule.interval", ""),
    ("schedule.timezone", "UTC"),
    ("http.listen", "127.0.0.1:8585"),
    ("http.allowed_hosts", ""),
    ("http.api_token", ""),
    ("http.api_token_file", ""),
    ("webhook.secret", ""),
    ("webhook.secret_file", ""),
    ("webhook.public_url", ""),
    ("coverage.placeholders", "todo, tbd, n/a, -, none, description"),
    ("coverage.owner_meta_keys", "owner"),
    ("coverage.exclude", ""),
    ("coverage.targets.nodes", ""),
    ("coverage.targets.columns", ""),
    ("coverage.targets.tests", ""),
    ("health.stale_after_days", "30"),
    ("platform.url", ""),
    ("platform.account_id", ""),
    ("platform.token", ""),
    ("platform.token_file", ""),
    ("platform.environments", ""),
    ("platform.semantic_layer", "false"),
    ("platform.semantic_layer_url", ""),
];

/// The keys of one of the `[[environments]]`.
pub(super) const ENVIRONMENT_KEYS: &[&str] = &[
    "id",
    "name",
    "origin",
    "platform_id",
    "account_id",
    "url",
    "token",
    "token_file",
    "paths",
    "project",
    "env_keys",
    "namespace",
    "repository",
    "cron",
    "interval",
    "max_removed_percent",
    "min_removed_floor",
];

/// The keys of one of the `[[receivers]]`.
pub(super) const RECEIVER_KEYS: &[&str] = &["name", "url", "token", "token_file", "format", "events", "environments"];

/// The keys of each entry of a list.
pub(super) fn of_list(section: &str) -> Option<&'static [&'static str]> {
    match section {
        "environments" => Some(ENVIRONMENT_KEYS),
        "receivers" => Some(RECEIVER_KEYS),
        _ => None,
    }
}

/// The keys whose values are never printed, and never go through a parser that might.
pub(super) const SECRETS: &[&str] = &["discovery.token", "platform.token", "webhook.secret", "http.api_token"];

/// The default of a key; empty if it has none.
pub(super) fn default_of(key: &str) -> &'static str {
    KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, default)| default)
}

/// The known key that is most like an unknown one, if any is.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .map(|key| (strsim::jaro(&last(unknown), &last(key)).max(strsim::jaro(unknown, key)), key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}
