//! Measures a server and the floor in one run, at one setting after the other, and prints a row for each.

use std::{error::Error, path::Path};

use crate::{Args, report::Report, server::Server};

/// A setting to be measured: FLUSH:VIEWERS[:ROOMS[:KBPS]].
#[derive(Debug, Clone)]
pub struct Case {
    flush: String,
    viewers: usize,
    rooms: usize,
    kbps: u32,
}

/// What is measured unless told otherwise.
pub const CASES: &str = "picture:300,picture:1000,picture:2000,100:300,100:1000,100:2000,0:300,\
                         picture:2000:8,100:5000:1:600";

const DEFAULT_KBPS: u32 = 1500;

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split(':');
        let flush = parts.next().unwrap_or_default().to_owned();
        let mut number = |default: Option<usize>| match parts.next() {
            Some(part) => part.parse().map_err(|error| format!("{text}: {part}: {error}")),
            None => default.ok_or_else(|| format!("{text}: it is not FLUSH:VIEWERS[:ROOMS[:KBPS]]")),
        };
        Ok(Self {
            flush,
            viewers: number(None)?,
            rooms: number(Some(1))?,
            kbps: number(Some(DEFAULT_KBPS as usize))? as u32,
        })
    }
}

impl Case {
    /// How often the floor writes to match: with every picture, every tag or at the interval.
    fn floor_interval_ms(&self) -> u64 {
        self.flush.parse().unwrap_or(33)
    }

    fn args(&self, args: &Args) -> Args {
        Args { viewers: self.viewers, publishers: self.rooms, kbps: self.kbps, ..args.clone() }
    }
}

/// Prints the table. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args) -> Result<Report, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!(
        "| flush | rooms | viewers | | delivered % | longest gap ms | first p99 ms | p50 ms | p99 ms | CPU % each | over floor | MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in &args.cases {
        let measured = {
            let server = Server::start(server, &["--hls", "off", "--flush-interval", &case.flush])?;
            load(server.args(case.args(args)))?
        };
        let floor =
            load(Args { floor: true, floor_interval_ms: case.floor_interval_ms(), ..case.args(args) })?;
        let what = format!("| {} | {} | {} |", case.flush, case.rooms, case.viewers);
        println!("{what} server {}", measured.row(Some(&floor)));
        println!("{what} floor {}", floor.row(None));
    }
    Ok(())
}
