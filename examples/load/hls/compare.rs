//! Measures HLS of one server at one setting after the other, and prints a row for each.

use std::{error::Error, path::Path, str::FromStr};

use super::{Report, report::COLUMNS};
use crate::{Args, server::Server};

/// A setting to be measured: HLS:START:ROOMS[:VIEWERS[:PROBERS]].
#[derive(Debug, Clone)]
pub struct Case {
    hls: String,
    start: Start,
    rooms: usize,
    viewers: usize,
    probers: usize,
}

/// When the publishers begin, and with them their GOPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Together,
    Spread,
}

/// What is measured unless told otherwise: how soon media can be had, what viewers cost, and what streams cost.
pub const CASES: &str = "always:spread:10:0:10,always:spread:1:500:1,\
                         off:together:100,always:together:100,off:spread:100,always:spread:100";

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: it is not HLS:START:ROOMS[:VIEWERS[:PROBERS]]");
        let mut parts = text.trim().split(':');
        let hls = parts.next().unwrap_or_default().to_owned();
        let start = match parts.next() {
            Some("together") => Start::Together,
            Some("spread") => Start::Spread,
            _ => return Err(wrong()),
        };
        let number = |part: Option<&str>| part.unwrap_or("0").parse().map_err(|_| wrong());
        let rooms = number(Some(parts.next().ok_or_else(wrong)?))?;
        Ok(Self { hls, start, rooms, viewers: number(parts.next())?, probers: number(parts.next())? })
    }
}

impl Case {
    fn args(&self, args: &Args) -> Args {
        Args {
            publishers: self.rooms,
            viewers: self.viewers,
            probers: self.probers,
            spread: self.start == Start::Spread,
            ..args.clone()
        }
    }

    fn start(&self) -> &'static str {
        match self.start {
            Start::Together => "together",
            Start::Spread => "spread",
        }
    }
}

/// Prints the table. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!("| HLS | publishers start | rooms | viewers {COLUMNS}");
    println!("{}", "| --- ".repeat(4 + COLUMNS.split(" | ").count()) + "|");
    for case in &args.hls_cases {
        let mut report = {
            let server = Server::start(server, &["--hls", &case.hls])?;
            load(server.args(case.args(args)))?
        };
        let what = format!("| {} | {} | {} | {}", case.hls, case.start(), case.rooms, case.viewers);
        println!("{what} {}", report.row());
        eprint!("{}", report.faults());
    }
    Ok(())
}
