//! The whole loading, with files and variables of its own.

#![allow(clippy::result_large_err)] // figment's error, in its own signature.

mod platform;

use figment::providers::{Format, Toml};
use figment::{Figment, Jail};
use secrecy::ExposeSecret;

use super::reader::Reader;
use super::*;

const ENVIRONMENTS: &str = "[[environments]]\nid = 834\nname = \"prod\"\n";

fn load_here(need: Need) -> Result<Config, Problems> {
    load(&Source::default(), need)
}

fn access(environment: &EnvironmentConfig) -> &DiscoveryConfig {
    &environment.origin.platform().expect("of the platform").access
}

fn interfaces(environment: &EnvironmentConfig) -> Option<InterfacesConfig> {
    environment.origin.platform().expect("of the platform").interfaces.clone()
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
        // Nobody's environment is in it: they are appended.
        let environments =
            EXAMPLE.replacen("# [[environments]]\n# id = 834\n# name", "[[environments]]\nid = 834\nname", 1);
        jail.create_file(DEFAULT_FILE, &environments)?;
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        let config = load_here(Need::Origins).expect("valid");
        let defaults = load::defaults().expect("valid");
        let shown =
            |config: &Config| format!("{:?} {:?} {:?} {:?}", config.catalog, config.sync, config.http, config.coverage);
        assert_eq!(shown(&config), shown(&defaults));
        assert_eq!(config.environments[0].name, "prod");
        let (discovery, schedule) = load::shared_defaults().expect("valid");
        let found = &config.environments[0];
        assert_eq!(format!("{:?}", DiscoveryConfig { token: None, ..access(found).clone() }), format!("{discovery:?}"));
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
            let is_said = |name: &String| name == key || key.starts_with(&format!("{name}."));
            assert!(said.iter().any(is_said), "{key} is not in the example");
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
            let config = load_here(Need::Origins).expect(token);
            let found = access(&config.environments[0]).token.as_ref().expect("a token");
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
        let config = load_here(Need::Origins).expect("valid");
        assert_eq!(access(&config.environments[0]).token.as_ref().expect("a token").expose_secret(), "dbtc_x");
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
        let problems = load_here(Need::Origins).expect_err("invalid");
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
        let text = load_here(Need::Origins).expect_err("nothing to read").to_string();
        assert!(text.contains("environments (not set)"), "{text}");
        Ok(())
    });
}

#[test]
fn the_nearest_file_is_read_where_none_is_named() {
    in_jail(|jail| {
        let file = |name: &str| format!("[catalog]\npath = \"{name}.db\"\n");
        for folder in ["home/.config/lineaged", "xdg/lineaged", "elsewhere"] {
            std::fs::create_dir_all(jail.directory().join(folder)).expect("made");
        }
        let here = jail.directory().to_owned();
        let path = || load_here(Need::Reading).expect("valid").catalog.path;
        jail.set_env("HOME", here.join("home").display());
        assert_eq!(path(), PathBuf::from("lineaged.db"), "no file, so the working directory");
        jail.create_file("home/.config/lineaged/lineaged.toml", &file("of_home"))?;
        assert_eq!(path(), here.join("home/.config/lineaged/of_home.db"));
        jail.set_env("XDG_CONFIG_HOME", here.join("xdg").display());
        jail.create_file("xdg/lineaged/lineaged.toml", &file("of_xdg"))?;
        assert_eq!(path(), here.join("xdg/lineaged/of_xdg.db"));
        jail.create_file(DEFAULT_FILE, &file("of_here"))?;
        assert_eq!(path(), PathBuf::from("of_here.db"));
        jail.create_file("elsewhere/named.toml", &file("named"))?;
        jail.set_env("LINEAGED_CONFIG", "elsewhere/named.toml");
        assert_eq!(path(), PathBuf::from("elsewhere/named.db"));
        let source = Source { config: Some("xdg/lineaged/lineaged.toml".into()), ..Source::default() };
        let named = load(&source, Need::Reading).expect("valid").catalog.path;
        assert_eq!(named, PathBuf::from("xdg/lineaged/of_xdg.db"));
        let last = load::places().pop().expect("a place");
        assert_eq!(last, PathBuf::from("/etc/lineaged/lineaged.toml"));
        Ok(())
    });
}

#[test]
fn relative_paths_start_at_the_file_that_says_them_and_those_of_variables_at_the_working_directory() {
    in_jail(|jail| {
        std::fs::create_dir(jail.directory().join("etc")).expect("made");
        jail.create_file("etc/token", "dbtc_file")?;
        jail.create_file("etc/ca.pem", "")?;
        jail.create_file("etc/own", "dbtc_own")?;
        let file = "[discovery]\ntoken_file = \"token\"\nca_file = \"ca.pem\"\n[http]\napi_token_file = \"token\"\n";
        let own = "[[environments]]\nid = 2\nname = \"own\"\ntoken_file = \"own\"\n";
        jail.create_file("etc/lineaged.toml", &format!("{file}{ENVIRONMENTS}{own}"))?;
        jail.set_env("LINEAGED_CONFIG", "etc/lineaged.toml");
        let config = load_here(Need::Origins).expect("valid");
        let tokens = |config: &Config| -> Vec<String> {
            let token = |it: &EnvironmentConfig| access(it).token.as_ref().expect("one").expose_secret().to_owned();
            config.environments.iter().map(token).collect()
        };
        assert_eq!(tokens(&config), ["dbtc_file", "dbtc_own"]);
        assert_eq!(access(&config.environments[0]).ca_file, Some(PathBuf::from("etc/ca.pem")));
        assert_eq!(config.catalog.path, PathBuf::from("etc/lineaged.db"), "also what the file leaves to its default");
        jail.create_file("here", "dbtc_here")?;
        jail.set_env("LINEAGED_DISCOVERY__TOKEN_FILE", "here");
        jail.set_env("LINEAGED_CATALOG__PATH", "here.db");
        jail.set_env("LINEAGED_ENVIRONMENTS", "[{id=834,name=\"prod\"},{id=2,name=\"own\",token_file=\"here\"}]");
        let config = load_here(Need::Origins).expect("valid");
        assert_eq!(config.catalog.path, PathBuf::from("here.db"));
        assert_eq!(tokens(&config), ["dbtc_here", "dbtc_here"]);
        assert_eq!((config.environments[0].id, config.environments[0].name.as_str()), (Some(834), "prod"));
        Ok(())
    });
}

#[test]
fn a_file_of_the_whole_machine_needs_an_absolute_path() {
    let problems = |file: &str, text: &str| {
        let mut found = String::new();
        in_jail(|jail| {
            jail.create_file("it.toml", text)?;
            let figment = Figment::from(Toml::file_exact("it.toml"));
            let mut reader = Reader { figment, file: Some(file.into()), problems: Problems::default() };
            load::demand_absolute_path(&mut reader);
            found = reader.problems.0.into_iter().map(|problem| problem.message).collect();
            Ok(())
        });
        found
    };
    for (text, wrong) in [
        ("", true),
        ("[catalog]\npath = \"lineaged.db\"", true),
        ("[catalog]\npath = \"/var/lib/lineaged/lineaged.db\"", false),
    ] {
        assert_eq!(problems("/etc/lineaged/lineaged.toml", text).contains("absolute path"), wrong, "{text}");
        assert_eq!(problems("/etc/lineaged.toml", text), "", "{text}");
    }
}

#[test]
fn a_variable_that_means_nothing_is_a_problem_and_reserved_ones_are_none() {
    for name in
        ["LINEAGED_TOKEN", "LINEAGED_DISCOVERY__TOKENS", "LINEAGED_DISCOVERY__TOKEN__X", "LINEAGED_CATALOG_PATH"]
    {
        in_jail(|jail| {
            jail.set_env("LINEAGED_LOG", "debug");
            assert!(load_here(Need::Reading).is_ok());
            jail.set_env(name, "canary");
            let problems = load_here(Need::Reading).expect_err(name).to_string();
            assert!(problems.contains("there is no such key") && !problems.contains("canary"), "{name}: {problems}");
            Ok(())
        });
    }
}

#[test]
fn what_coverage_leaves_out_and_is_to_reach_is_checked() {
    in_jail(|jail| {
        let coverage = |text: &str| format!("[coverage]\n{text}\n{ENVIRONMENTS}");
        jail.create_file(DEFAULT_FILE, &coverage("targets = 90"))?;
        let problems = load_here(Need::Reading).expect_err("wrong").to_string();
        assert!(problems.contains("coverage.targets"), "{problems}");
        jail.create_file(
            DEFAULT_FILE,
            &coverage("exclude = [\"path:models/scratch\", \"tag:wip+\"]\ntargets = { nodes = 90, tests = 12.5 }"),
        )?;
        let found = load_here(Need::Reading).expect("valid").coverage;
        assert_eq!(found.exclude, ["path:models/scratch", "tag:wip+"]);
        assert_eq!(found.targets, CoverageTargets { nodes: Some(90.0), columns: None, tests: Some(12.5) });
        jail.set_env("LINEAGED_COVERAGE__TARGETS__COLUMNS", "70");
        assert_eq!(load_here(Need::Reading).expect("valid").coverage.targets.columns, Some(70.0));
        let wrong = "exclude = [\"@orders+\"]\ntargets = { nodes = 101, test = 5 }";
        jail.create_file(DEFAULT_FILE, &coverage(wrong))?;
        let problems = load_here(Need::Reading).expect_err("wrong").to_string();
        for part in [
            "coverage.exclude",
            "@orders+",
            "coverage.targets.nodes",
            "0 to 100",
            "coverage.targets.test",
            "`coverage.targets.tests`",
        ] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
        Ok(())
    });
}

#[test]
fn files_need_a_name_and_paths_and_neither_an_id_nor_a_token() {
    in_jail(|jail| {
        jail.create_file(
            DEFAULT_FILE,
            "[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [\"target\", \"/var/nightly/*/\"]\n\
             env_keys = { git_sha = \"GITHUB_SHA\" }\n",
        )?;
        let config = load_here(Need::Origins).expect("valid");
        let environment = &config.environments[0];
        assert_eq!((environment.id, environment.origin.as_str()), (None, "artifacts"));
        let OriginConfig::Artifacts(files) = &environment.origin else { panic!("{environment:?}") };
        assert!(files.paths[0].is_absolute() && files.paths[0].ends_with("target"), "{files:?}");
        assert_eq!(files.paths[1], PathBuf::from("/var/nightly/*/"));
        assert_eq!(files.env_keys.git_sha.as_deref(), Some("GITHUB_SHA"));
        jail.create_dir("br[ab]d")?;
        jail.create_file(
            "br[ab]d/x.toml",
            "[[environments]]\nname = \"core\"\norigin = \"artifacts\"\npaths = [\"target\", \"targ*\"]\n",
        )?;
        let source = Source { config: Some("br[ab]d/x.toml".into()), ..Source::default() };
        let config = load(&source, Need::Origins).expect("valid");
        let OriginConfig::Artifacts(files) = &config.environments[0].origin else { panic!("files") };
        assert!(files.paths[0].ends_with("br[ab]d/target") && files.paths[1].ends_with("br[[]ab]d/targ*"), "{files:?}");
        Ok(())
    });
}

#[test]
fn what_only_the_other_origin_has_is_a_problem_and_a_bucket_has_to_be_copied_first() {
    let problems = |text: &str| {
        let mut told = String::new();
        in_jail(|jail| {
            jail.create_file(DEFAULT_FILE, &format!("[[environments]]\nname = \"core\"\n{text}"))?;
            jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
            told = load_here(Need::Origins).expect_err("invalid").to_string();
            Ok(())
        });
        told
    };
    let files = "origin = \"artifacts\"\n";
    assert!(problems(files).contains("environments[0].paths"));
    assert!(problems(&format!("{files}paths = []")).contains("is no list of texts"));
    assert!(problems(&format!("{files}paths = [\"s3://bucket/x\"]")).contains("copy it first"));
    assert!(
        problems(&format!("{files}paths = [\"x\"]\nurl = \"https://a.example\"")).contains("files have no such key")
    );
    assert!(problems("id = 1\npaths = [\"x\"]").contains("only files have this key"));
    assert!(problems("").contains("environments[0].id"));
    assert!(problems("id = 1\norigin = \"cloud\"").contains("discovery, or artifacts"));
    assert!(
        problems(&format!("{files}paths = [\"x\"]\nenv_keys = {{ sha = \"X\" }}"))
            .contains("git_sha, job_name or cause")
    );
}

#[test]
fn how_others_name_an_environment_is_checked() {
    in_jail(|jail| {
        let entry = |extra: &str| format!("[[environments]]\nid = 1\nname = \"prod\"\n{extra}");
        let good = "namespace = \"bigquery\"\nrepository = \"https://e.com/{git_sha}/{path}\"\n";
        jail.create_file(DEFAULT_FILE, &entry(good))?;
        let found = load_here(Need::Reading).expect("valid").environments.swap_remove(0).elsewhere;
        assert_eq!(found.namespace.as_deref(), Some("bigquery"));
        assert_eq!(found.repository.as_deref(), Some("https://e.com/{git_sha}/{path}"));
        let bad = "namespace = \"a b\"\nrepository = \"https://e.com/\"\n";
        jail.create_file(DEFAULT_FILE, &entry(bad))?;
        let problems = load_here(Need::Reading).expect_err("both are wrong").to_string();
        for part in ["environments[0].namespace", "snowflake://org-account", "environments[0].repository", "{path}"] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
        Ok(())
    });
}

#[test]
fn receivers_are_read_and_what_is_wrong_with_them_is_told_at_once() {
    in_jail(|jail| {
        let receiver = |text: &str| format!("{ENVIRONMENTS}[[receivers]]\n{text}\n");
        jail.create_file(DEFAULT_FILE, &receiver("name = \"marquez\"\nurl = \"http://marquez:5000\""))?;
        let config = load_here(Need::Reading).expect("valid");
        let found = &config.receivers[0];
        assert_eq!((found.name.as_str(), found.url.as_str(), found.runs), ("marquez", "http://marquez:5000/", false));
        assert!(found.token.is_none() && found.takes("prod") && found.takes("dev"));
        jail.create_file("token", "a_secret")?;
        let full = "name = \"x\"\nurl = \"https://h.example/p\"\ntoken_file = \"token\"\nformat = \"openlineage\"\nevents = \"run\"\n\
                    environments = [\"prod\"]";
        jail.create_file(DEFAULT_FILE, &receiver(full))?;
        let config = load_here(Need::Reading).expect("valid");
        let found = &config.receivers[0];
        assert_eq!(found.token.as_ref().expect("a token").expose_secret(), "a_secret");
        assert!(found.runs && found.takes("prod") && !found.takes("dev"));
        assert!(!format!("{config:?}").contains("a_secret"));
        let wrong = "url = \"ftp://h.example\"\nformat = \"csv\"\nevents = \"all\"\nenvironments = [\"nowhere\"]\ntokn = \"x\"\n\
                     [[receivers]]\nname = \"a\"\nurl = \"http://h.example\"\ntoken = \"canary\"\n\
                     [[receivers]]\nname = \"b\"\nurl = \"http://localhost\"\ntoken = \"canary\"\n\
                     [[receivers]]\nname = \"b\"\nurl = \"https://u:pa55word@h.example\"\n\
                     [[receivers]]\nname = \"b\"\nurl = \"https://h.example\"";
        jail.create_file(DEFAULT_FILE, &receiver(wrong))?;
        let problems = load_here(Need::Reading).expect_err("wrong").to_string();
        for part in [
            "receivers[0].name (not set)",
            "receivers[0].url",
            "receivers[0].format",
            "static, or run",
            "receivers[0].environments",
            "receivers[0].tokn",
            "receivers[1].url (with token): the token would travel in clear",
            "receivers[3].url",
            "name `b` is there twice",
        ] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
        assert!(!problems.contains("canary") && !problems.contains("receivers[2].url"), "{problems}");
        Ok(())
    });
}
