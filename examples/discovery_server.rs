//! Serves the Discovery API of a dbt project's artifacts on loopback, and the dbt platform's other interfaces, for trying clients by hand.
//!
//! `cargo run --example discovery_server -- [TARGET_FOLDER] [--grow MODELS] [--port PORT]`: without a folder, the bundled
//! project. It serves until its standard input ends.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use lineaged::demo::{Project, Server};
use lineaged::time::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut folder, mut grow, mut port) = (None, None, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().ok_or(format!("`{argument}` wants a number"));
        match argument.as_str() {
            "--grow" => grow = Some(number()?.parse()?),
            "--port" => port = number()?.parse()?,
            _ => folder = Some(PathBuf::from(argument)),
        }
    }
    let now = Timestamp::now();
    let mut project = match folder {
        Some(folder) => Project::load(&folder, now)?,
        None => Project::bundled(now),
    };
    if let Some(models) = grow {
        project.grow(models);
    }
    let nodes = project.ids().len();
    let server = Server::start_on(SocketAddr::from(([127, 0, 0, 1], port)), vec![(1, project)])?;
    println!("url          {}\ntoken        {}\nenvironment  1 ({nodes} nodes)", server.url(), server.token());
    for (name, value) in server.settings() {
        println!("export {name}={value}");
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
