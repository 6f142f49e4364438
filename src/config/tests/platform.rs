//! `[platform]`, and what follows from it.

use super::*;

#[test]
fn discoverys_address_follows_from_the_access_url_alone() {
    in_jail(|jail| {
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "dbtc_read");
        jail.set_env("LINEAGED_PLATFORM__URL", "https://ab123.eu1.dbt.com/deploy/7");
        jail.create_file(DEFAULT_FILE, ENVIRONMENTS)?;
        let config = load_here(Need::Origins).expect("valid");
        assert_eq!(access(&config.environments[0]).url, "https://ab123.metadata.eu1.dbt.com/graphql");
        let interfaces = interfaces(&config.environments[0]).expect("asked");
        assert_eq!(interfaces.access.as_str(), "https://ab123.eu1.dbt.com/");
        assert_eq!(interfaces.token.expect("discovery's").expose_secret(), "dbtc_read");
        assert!(interfaces.semantic_layer.is_none());
        jail.set_env("LINEAGED_DISCOVERY__URL", "https://metadata.emea.dbt.com/graphql");
        let config = load_here(Need::Origins).expect("valid");
        assert_eq!(access(&config.environments[0]).url, "https://metadata.emea.dbt.com/graphql", "its own wins");
        Ok(())
    });
}

#[test]
fn the_other_interfaces_are_asked_only_where_something_is_said_of_them() {
    in_jail(|jail| {
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        jail.create_file(DEFAULT_FILE, &format!("[platform]\nsemantic_layer = false\n{ENVIRONMENTS}"))?;
        let config = load_here(Need::Origins).expect("valid");
        assert!(interfaces(&config.environments[0]).is_none());
        assert_eq!(config.interfaces.expect("for `discover`").access.as_str(), "https://cloud.getdbt.com/");
        jail.set_env("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true");
        let config = load_here(Need::Origins).expect("valid");
        let found = interfaces(&config.environments[0]).and_then(|found| found.semantic_layer).expect("asked");
        assert_eq!(found.as_str(), "https://semantic-layer.cloud.getdbt.com/api/graphql");
        Ok(())
    });
}

#[test]
fn no_token_goes_to_the_interfaces_of_another_region() {
    in_jail(|jail| {
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        jail.set_env("LINEAGED_PLATFORM__TOKEN", "p");
        let elsewhere = "url = \"https://metadata.emea.dbt.com/graphql\"\n";
        jail.create_file(DEFAULT_FILE, &format!("{ENVIRONMENTS}{elsewhere}"))?;
        let config = load_here(Need::Origins).expect("valid");
        assert!(interfaces(&config.environments[0]).is_none());
        jail.create_file(DEFAULT_FILE, &format!("{ENVIRONMENTS}{elsewhere}token = \"own\"\naccount_id = 9\n"))?;
        let config = load_here(Need::Origins).expect("valid");
        let found = interfaces(&config.environments[0]).expect("asked");
        assert_eq!((found.access.as_str(), found.account_id), ("https://emea.dbt.com/", Some(9)));
        assert_eq!(found.token.expect("its own").expose_secret(), "own");
        Ok(())
    });
}

#[test]
fn environments_that_are_found_by_themselves_count_as_environments() {
    in_jail(|jail| {
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        for (said, expected) in [
            ("\"production\"", Some(Which::Production)),
            ("\"all\"", Some(Which::All)),
            ("[\"shop\"]", Some(Which::Projects(vec!["shop".to_owned()]))),
            ("[]", None),
            ("\"prod\"", None),
        ] {
            jail.create_file(DEFAULT_FILE, &format!("[platform]\nenvironments = {said}\n"))?;
            match (load_here(Need::Origins), expected) {
                (Ok(config), Some(expected)) => assert_eq!(config.find.expect("some").which, expected),
                (Err(problems), None) => assert!(problems.to_string().contains("platform.environments"), "{problems}"),
                (found, _) => panic!("{said}: {found:?}"),
            }
        }
        Ok(())
    });
}

#[test]
fn the_interfaces_addresses_are_refused_where_they_can_not_be() {
    in_jail(|jail| {
        jail.set_env("LINEAGED_DISCOVERY__TOKEN", "t");
        for (said, key) in [
            ("url = \"https://metadata.cloud.getdbt.com/\"", "platform.url"),
            ("url = \"cloud.getdbt.com\"", "platform.url"),
            ("url = \"http://cloud.getdbt.com\"", "platform.url"),
            ("account_id = \"shop\"", "platform.account_id"),
            ("semantic_layer = \"yes\"", "platform.semantic_layer"),
            ("token = \"\"", "platform.token"),
        ] {
            jail.create_file(DEFAULT_FILE, &format!("[platform]\n{said}\n{ENVIRONMENTS}"))?;
            let problems = load_here(Need::Origins).expect_err(said).to_string();
            assert!(problems.contains(&format!("{key} ({DEFAULT_FILE})")), "{said}: {problems}");
        }
        let proxy = "[discovery]\nurl = \"https://dbt-proxy.example.com/graphql\"\n";
        jail.create_file(DEFAULT_FILE, &format!("{proxy}[platform]\ntoken = \"p\"\n{ENVIRONMENTS}"))?;
        let problems = load_here(Need::Origins).expect_err("unknown").to_string();
        assert!(problems.contains("platform.url (not set): does not follow from `discovery.url`"), "{problems}");
        Ok(())
    });
}
