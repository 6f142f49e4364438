//! The whole loading, with files and variables of its own.

#![allow(clippy::result_large_err)] // figment's error, in its own signature.

use figment::Jail;
use secrecy::ExposeSecret;

use super::*;

const ENVIRONMENTS: &str = "[[environments]]\nid = 834\nname = \"prod\"\n";

fn load_here(need: Need) -> Result<Config, Problems> {
    load(&Source::default(), need)
}

fn in_jail(check: impl FnOnce(&mut Jail) -> figment::error::Result<()>) {
    Jail::expect_with(|jail| {
        jail.clear_env();
        check(jail)
    });
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    in_jail(|jail| {
        jail.create_file(DEFAULT_FILE, EXAMPLE)?;
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        let config = load_here(Need::Platform).expect("valid");
        let defaults = load::defaults().expect("valid");
        let shown =
            |config: &Config| format!("{:?} {:?} {:?} {:?}", config.catalog, config.sync, config.http, config.coverage);
        assert_eq!(shown(&config), shown(&defaults));
        assert_eq!(config.environments[0].name, "prod");
        let (discovery, schedule) = load::shared_defaults().expect("valid");
        let found = &config.environments[0];
        assert_eq!(
            format!("{:?}", DiscoveryConfig { token: None, ..found.discovery.clone() }),
            format!("{discovery:?}")
        );
        assert_eq!(format!("{:?}", found.schedule), format!("{schedule:?}"));
        let mut section = "";
        let said: Vec<String> = EXAMPLE
            .lines()
            .filter_map(|line| {
                if let Some(name) = line.strip_prefix('[') {
                    section = name.trim_matches(['[', ']']);
                    return None;
                }
                let key = line.trim_start_matches("# ").split_once(" = ")?.0;
                Some(format!("{section}.{key}"))
            })
            .collect();
        for (key, _) in keys::KEYS {
            assert!(said.iter().any(|name| name == key), "{key} is not in the example");
        }
        Ok(())
    });
}

#[test]
fn flags_beat_variables_beat_the_file_beat_the_defaults() {
    in_jail(|jail| {
        jail.create_file(DEFAULT_FILE, "[catalog]\npath = \"file.db\"\n[discovery]\npage_size = 7\n")?;
        assert_eq!(load_here(Need::Reading).expect("valid").catalog.path, PathBuf::from("file.db"));
        jail.set_env("LINEAGED_CATALOG__PATH", "1.50");
        assert_eq!(
            load_here(Need::Reading).expect("valid").catalog.path,
            PathBuf::from("1.50"),
            "taken as it was written"
        );
        let source = Source { catalog: Some("flag.db".into()), ..Source::default() };
        assert_eq!(load(&source, Need::Reading).expect("valid").catalog.path, PathBuf::from("flag.db"));
        Ok(())
    });
}

#[test]
fn secrets_are_taken_literally_and_shown_nowhere() {
    in_jail(|jail| {
        jail.create_file(DEFAULT_FILE, ENVIRONMENTS)?;
        for token in ["123456789", "true", "[1,2]", " blank ", "a\"b"] {
            jail.set_env("LINEAGED_DISCOVERY__TOKEN", token);
            let config = load_here(Need::Platform).expect(token);
            let found = config.environments[0].discovery.token.as_ref().expect("a token");
            assert_eq!(found.expose_secret(), token);
            assert!(!format!("{config:?}").contains(&format!("{token:?}")), "{token}");
        }
        Ok(())
    });
}

#[test]
fn a_token_file_is_read_without_its_line_break_and_warned_about_if_others_can_read_it() {
    in_jail(|jail| {
        jail.create_file("token", "dbtc_x\n")?;
        jail.create_file(DEFAULT_FILE, &format!("[discovery]\ntoken_file = \"token\"\n{ENVIRONMENTS}"))?;
        let config = load_here(Need::Platform).expect("valid");
        assert_eq!(config.environments[0].discovery.token.as_ref().expect("a token").expose_secret(), "dbtc_x");
        #[cfg(unix)]
        assert!(config.warnings.iter().any(|warning| warning.contains("chmod 600 token")), "{:?}", config.warnings);
        Ok(())
    });
}

#[test]
fn a_syntax_error_tells_the_place_and_never_the_line() {
    in_jail(|jail| {
        jail.create_file(DEFAULT_FILE, "[discovery]\ntoken = \"canary\" oops\n")?;
        let problems = load_here(Need::Reading).expect_err("invalid").to_string();
        assert!(problems.contains("line 2, column 18"), "{problems}");
        assert!(!problems.contains("canary") && !problems.contains("oops"), "{problems}");
        Ok(())
    });
}

#[test]
fn all_problems_are_told_at_once_each_with_key_source_and_help() {
    in_jail(|jail| {
        let file = "[discovery]\npage_size = 501\npace = 3\nurl = \"http://example.com/graphql\"\n[sync]\nfull_every = \"soon\"\n\
                    [http]\nlisten = \"0.0.0.0:80\"\n[schedule]\ncron = \"0 0 * * 1\"\n[nonsense]\na = 1\n";
        jail.create_file(DEFAULT_FILE, &format!("{file}{ENVIRONMENTS}{ENVIRONMENTS}"))?;
        jail.set_env("LINEAGED_SYNC__MAX_REMOVED_PERCENT", "101");
        jail.set_env("LINEAGED_TYPO", "1");
        let problems = load_here(Need::Platform).expect_err("invalid");
        let text = problems.to_string();
        for part in [
            "discovery.page_size (lineaged.toml)",
            "discovery.pace (lineaged.toml): there is no such key",
            "discovery.url",
            "sync.full_every",
            "sync.max_removed_percent (LINEAGED_SYNC__MAX_REMOVED_PERCENT)",
            "http.listen",
            "name the weekday",
            "nonsense.a",
            "typo (LINEAGED_TYPO)",
            "id 834 is there twice",
            "there is no token for `prod`",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        Ok(())
    });
}

#[test]
fn reading_needs_neither_token_nor_environments() {
    in_jail(|_| {
        assert!(load_here(Need::Reading).is_ok());
        let text = load_here(Need::Platform).expect_err("nothing to read").to_string();
        assert!(text.contains("environments (not set)"), "{text}");
        Ok(())
    });
}
