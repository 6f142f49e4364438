//! `lineaged discover`: which environments the platform has, and what of them the configuration would name.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, Files, Misuse, note};
use crate::answers::Table;
use crate::config::{self, Need, Which};
use crate::origin::discovery::Limits;
use crate::output::{self, Format, sanitize};
use crate::sync::{self, Named};

const AFTER_HELP: &str = "\
Examples:
  lineaged discover                     what the token sees, and the TOML that names it
  lineaged discover --write             appends that to the configuration
  LINEAGED_PLATFORM__ENVIRONMENTS=all lineaged discover
                                        not only those that are marked production

Which are listed, `platform.environments` says: without it those that are marked production; development environments never.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Discover {
    /// Append those that the configuration does not name; what is there is never changed
    #[arg(long)]
    write: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Discover {
    pub(super) async fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let config = files.load(Need::Reading)?;
        let which = config.find.as_ref().map_or(Which::Production, |find| find.which.clone());
        let listed = sync::list(&config, &Limits::new(1, 1)).await?;
        let all = listed.len();
        let named = sync::name(&sync::with_kept(config)?, &which, listed)?;
        output::write(&table(&named), self.format, out)?;
        if all > named.len() {
            note(&format!(
                "{} more are not listed: `platform.environments` says which are, and development environments never are",
                all - named.len()
            ));
        }
        let new: Vec<&Named> = named.iter().filter(|named| !named.is_configured).collect();
        match (self.write, self.format) {
            _ if new.is_empty() => note(if named.is_empty() {
                "there is none of those that are meant: is an environment marked production (its settings, deployment type)?"
            } else {
                "the configuration names all of them"
            }),
            (true, _) => append(files, &new)?,
            (false, Format::Table) => {
                writeln!(out, "\nTo read them, append this to the configuration (`--write` does):\n\n{}", toml(&new))?
            }
            (false, _) => {}
        }
        Ok(Exit::Done)
    }
}

fn table(named: &[Named]) -> Table {
    let columns =
        ["environment_id", "name", "platform_id", "account_id", "deployment_type", "dbt_version", "in_catalog"];
    let row = |named: &Named| {
        let Named { id, name, is_kept, environment, .. } = named;
        vec![
            (*id).into(),
            name.as_str().into(),
            environment.platform_id.into(),
            environment.account_id.into(),
            environment.deployment_type.clone().into(),
            environment.dbt_version.clone().into(),
            i64::from(*is_kept).into(),
        ]
    };
    Table::new(columns, named.iter().map(row).collect())
}

/// Entries of `[[environments]]`. A text of JSON is one of TOML, too.
fn toml(named: &[&Named]) -> String {
    let entry = |named: &&Named| {
        let Named { id, name, environment, .. } = named;
        let name = serde_json::Value::from(sanitize(name));
        let other = if environment.platform_id == *id {
            String::new()
        } else {
            format!("platform_id = {}\n", environment.platform_id)
        };
        format!("[[environments]]\nid = {id}\nname = {name}\n{other}account_id = {}\n", environment.account_id)
    };
    named.iter().map(entry).collect::<Vec<_>>().join("\n")
}

/// Appends the entries to the file that is in use, if it is a valid one with them, too.
fn append(files: &Files, new: &[&Named]) -> anyhow::Result<()> {
    let missing = "there is no configuration to append to: write one with `lineaged init`, or name it with `--config`";
    let path: PathBuf = config::file(files.config.as_deref()).ok_or(Misuse(missing.to_owned()))?;
    let before = std::fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))?;
    let gap = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let added = format!("{end}{gap}{}", toml(new));
    let added = if before.contains("\r\n") { added.replace('\n', "\r\n") } else { added };
    if format!("{before}{added}").parse::<toml::Table>().is_err() {
        let text =
            "`environments` is written there in a way that nothing can be appended to: write it as [[environments]]";
        return Err(Misuse(format!("{}: {text}", path.display())).into());
    }
    write_at_end(&path, &added).with_context(|| format!("can't write `{}`", path.display()))?;
    let names: Vec<&str> = new.iter().map(|named| named.name.as_str()).collect();
    note(&format!("{} now names {}", path.display(), sanitize(&names.join(", "))));
    Ok(())
}

fn write_at_end(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
