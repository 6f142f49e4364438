//! A planted token is found in nothing that is printed or written, at the most talkative log level.

use std::path::Path;

use lineaged::demo::{Action, Fault};

use crate::support::{World, run};

const CANARY: &str = "dbtc_canary0a1b2c3d4e5f";

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.display().to_string(), std::fs::read(&path).expect("read"))).collect()
}

#[test]
fn the_token_is_in_no_output_and_in_no_file() {
    let world = World::bundled();
    let commands: [&[&str]; 8] = [
        &["check"],
        &["sync"],
        &["sync", "--dry-run"],
        &["status"],
        &["ls"],
        &["show", "stg_orders"],
        &["--help"],
        &["sync", "--environment", "nowhere"],
    ];
    for (token, refused) in [(world.server.token().to_owned(), false), (CANARY.to_owned(), true)] {
        for arguments in commands {
            let mut command = world.command(arguments);
            command.env("LINEAGED_DISCOVERY__TOKEN", &token).env("LINEAGED_LOG", "trace").env("RUST_BACKTRACE", "1");
            let ran = run(&mut command);
            if refused && arguments == ["sync"] {
                assert_eq!(ran.code, Some(1), "{ran:?}");
                assert!(ran.stderr.contains("401"), "{ran:?}");
            }
            for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
                assert!(!text.contains(&token), "{arguments:?} printed the token on {what}");
            }
        }
        for (path, bytes) in files(world.folder.path()) {
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found, "{path} holds the token");
        }
    }
}

#[test]
fn a_token_in_the_configuration_is_in_no_error_about_it() {
    let world = World::bundled();
    let config = world.folder.path().join("lineaged.toml");
    let good = std::fs::read_to_string(&config).expect("read");
    for broken in [
        good.replace("[discovery]", &format!("[discovery]\ntoken = \"{CANARY}\" oops")),
        good.replace("[discovery]", &format!("[discovery]\ntoken = [\"{CANARY}\"]")),
        good.replace("[discovery]", &format!("[discovery]\ntokn = \"{CANARY}\"")),
        good.replace("page_size = 10", &format!("token = \"{CANARY}\"\npage_size = \"many\"")),
    ] {
        std::fs::write(&config, broken).expect("written");
        let mut command = world.command(&["check"]);
        let ran = run(command.env_remove("LINEAGED_DISCOVERY__TOKEN"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!format!("{ran:?}").contains(CANARY), "{ran:?}");
    }
}

type Headers = Vec<(String, String)>;

/// Every way in which a server may repeat what it was sent.
fn spellings(token: &str) -> Vec<String> {
    let each = |write: fn(char) -> String| token.chars().map(write).collect::<String>();
    vec![
        token.to_owned(),
        token.to_uppercase(),
        each(|c| format!("\\u{:04x}", u32::from(c))),
        each(|c| format!("\\u{:04X}", u32::from(c))),
        each(|c| format!("%{:02X}", u32::from(c))),
        each(|c| format!("&#{};", u32::from(c))),
        each(|c| format!("&#x{:x};", u32::from(c))),
        each(|c| if c == '_' { "\\u005f".to_owned() } else { c.to_string() }),
        each(|c| format!("{:02x}", u32::from(c))),
    ]
}

#[test]
fn a_token_that_the_server_repeats_is_neither_printed_nor_stored() {
    let world = World::bundled();
    let token = world.server.token().to_owned();
    world.ok(&["sync"]);
    let json = || vec![("Content-Type".to_owned(), "application/json".to_owned())];
    for (number, spelled) in spellings(&token).into_iter().enumerate() {
        let body = format!(r#"{{"errors":[{{"message":"no access with Bearer {spelled}, it is said"}}]}}"#);
        let mut answers: Vec<(u16, Headers, String)> =
            [200, 400, 401, 403, 404, 503].into_iter().map(|status| (status, json(), body.clone())).collect();
        let kind = vec![("Content-Type".to_owned(), format!("text/{spelled}"))];
        answers.push((200, kind, "not here".to_owned()));
        answers.push((200, json(), format!("{}{spelled}", "x".repeat(60))));
        answers.push((302, vec![("Location".to_owned(), format!("https://{spelled}.example/"))], String::new()));
        // Each kind of answer once; each spelling where it is most likely.
        answers.retain(|(status, headers, _)| number == 0 || *status == 401 || headers[0].1.contains(&spelled));
        for (status, headers, body) in answers {
            world.server.add_fault(Fault::new(Action::Status(status, headers.clone(), body.clone())).always());
            for arguments in [&["sync", "--full"] as &[&str], &["check"]] {
                let ran = run(world.command(arguments).env("LINEAGED_LOG", "debug"));
                assert_ne!(ran.code, Some(0), "{ran:?}");
                let text = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
                for part in [&spelled.to_lowercase(), &token.to_lowercase(), &token.to_lowercase()[..9]] {
                    assert!(!text.contains(part), "{status} {headers:?} {part}: {ran:?}");
                }
            }
            let stored = world.cells("SELECT coalesce(error, '') || warnings FROM syncs ORDER BY sync_id DESC LIMIT 1");
            let stored = stored[0].to_lowercase();
            assert!(
                !stored.contains(&spelled.to_lowercase()) && !stored.contains(&token.to_lowercase()[..9]),
                "{stored}"
            );
            let is_told = body.starts_with('{');
            assert!(!is_told || stored.contains("<redacted>"), "{status} {headers:?}: {stored}");
            world.server.clear_faults();
        }
    }
}

#[test]
fn what_is_secret_in_an_address_is_printed_nowhere() {
    let world = World::bundled();
    let config = world.folder.path().join("lineaged.toml");
    let good = std::fs::read_to_string(&config).expect("read");
    let with = |url: &str| std::fs::write(&config, good.replace(&world.server.url(), url)).expect("written");
    for url in [
        "https://user:PASSw0rd@h.example/graphql",
        "https://user:PASSw0rd@",
        "htps://user:PASSw0rd@h.example",
        "https://user:PASSw0rd@h.example:99999/",
        "https://PASSw0rd@h.example/graphql",
        "user:PASSw0rd@h.example/graphql",
        "https://user:a/PASSw0rd?@h.example/graphql",
        "http://h.example/graphql?key=PASSw0rd",
    ] {
        with(url);
        for arguments in [&["check"] as &[&str], &["status"]] {
            let ran = world.run(arguments);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(!format!("{ran:?}").contains("PASSw0rd"), "{url}: {ran:?}");
            assert!(ran.stderr.contains("discovery.url"), "{ran:?}");
        }
    }
    with(&format!("{}?key=PASSw0rd&user=someone_else", world.server.url()));
    let ran = world.run(&["check"]);
    assert_ne!(ran.code, Some(2), "{ran:?}");
    assert!(!format!("{ran:?}").contains("PASSw0rd") && !format!("{ran:?}").contains("someone_else"), "{ran:?}");
    assert!(ran.stdout.contains(&world.server.url()), "{ran:?}");
}

#[test]
fn a_syntax_error_quotes_nothing_of_the_file() {
    let world = World::bundled();
    let config = world.folder.path().join("lineaged.toml");
    for broken in [
        format!("[discovery]\ntoken = {CANARY}\n"),
        format!("[discovery]\n\"{CANARY}\" = 1\n\"{CANARY}\" = 2\n"),
        format!("[discovery]\ntoken = \"{CANARY}\n"),
        format!("[{CANARY}]\n[{CANARY}]\n"),
        format!("[discovery]\ntoken_file = \"{CANARY}\"\n"),
        format!("[discovery]\nurl = \"{CANARY}\"\n"),
        format!("[discovery]\ntoken = [1, {{ a = \"{CANARY}\" }}]\n"),
        format!("[webhook]\nsecret_file = \"{CANARY}\"\n"),
    ] {
        std::fs::write(&config, &broken).expect("written");
        let ran = run(world.command(&["check"]).env_remove("LINEAGED_DISCOVERY__TOKEN"));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!format!("{ran:?}").contains(CANARY), "{broken}: {ran:?}");
    }
}
