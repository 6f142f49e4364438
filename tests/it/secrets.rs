//! A planted token is found in nothing that is printed or written, at the most talkative log level.

use std::path::Path;

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
