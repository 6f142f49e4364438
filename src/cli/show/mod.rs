//! `lineaged show`: one node on one screen, or its code.

mod facts;
mod sections;

pub(super) use facts::shortened;

use std::io::{IsTerminal, Write};

use super::{Exit, Files, Misuse, Printing, Reading};
use crate::answers::{Found, Reader};
use crate::output::sanitize;

/// So many things of each list are shown, unless told otherwise.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The node: its unique_id, or a name that is unique
    node: String,
    /// Print nothing but its code, as it is
    #[arg(long, value_enum, value_name = "WHICH", conflicts_with_all = ["format", "limit"])]
    code: Option<Code>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Code {
    /// As it stands in the project
    Raw,
    /// As the last run sent it to the warehouse
    Compiled,
}

impl Show {
    pub(super) fn run(self, files: &Files, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let (reader, environment_id) = self.reading.open(files)?;
        let found = reader.find(environment_id, &self.node)?;
        match self.code {
            Some(which) => code(&reader, &found, which, out)?,
            None if self.printing.is_table() => {
                let overview = reader.overview(&found)?;
                facts::print(&reader, &found, &overview, out)?;
                sections::print(&reader, &found, overview, self.printing.limit.unwrap_or(SHOWN), out)?;
            }
            None => self.printing.print(reader.rows_of("nodes", &found)?, out)?,
        }
        Ok(Exit::Done)
    }
}

/// A terminal gets no character that it would obey; a file or another program gets the code as it is, to the byte.
fn code(reader: &Reader, found: &Found, which: Code, out: &mut dyn Write) -> anyhow::Result<()> {
    let (rows, id) = (reader.rows_of("code", found)?, &found.unique_id);
    let (column, missing) = match which {
        Code::Raw => ("raw_code", format!("`{id}` has no code: `lineaged show {id}` shows what it has")),
        Code::Compiled => (
            "compiled_code",
            format!("no compiled code of `{id}` is known: `--code raw` prints it as the project has it"),
        ),
    };
    let text = rows.iter().next().and_then(|row| row.text(column)).ok_or(Misuse(missing))?;
    Ok(print_code(text, std::io::stdout().is_terminal(), out)?)
}

fn print_code(text: &str, is_terminal: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if !is_terminal {
        return out.write_all(text.as_bytes());
    }
    for line in text.lines() {
        writeln!(out, "{}", sanitize(&line.replace('\t', "    ")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_inert_on_a_terminal_and_as_it_is_elsewhere() {
        let text = "select 1\r\n\t-- \u{1b}[2J\u{202e}x";
        let printed = |is_terminal| {
            let mut out = Vec::new();
            print_code(text, is_terminal, &mut out).expect("written");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(printed(true), "select 1\n    -- \u{fffd}[2J\u{fffd}x\n");
        assert_eq!(printed(false), text);
    }
}
