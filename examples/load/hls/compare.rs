//! Measures HLS of one server at one setting after the other, and prints a row for each.

use std::{error::Error, path::Path};

use super::{
    case::{Case, Start},
    report::{COLUMNS, Report},
};
use crate::{args::Args, server::Server};

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
            load(server.args(load_of(case, args)))?
        };
        let what = format!("| {} | {} | {} | {}", case.hls, case.start(), case.rooms, case.viewers);
        println!("{what} {}", report.row());
        eprint!("{}", report.faults());
    }
    Ok(())
}

/// The load of a case.
fn load_of(case: &Case, args: &Args) -> Args {
    Args {
        publishers: case.rooms,
        viewers: case.viewers,
        probers: case.probers,
        spread: case.start == Start::Spread,
        ..args.clone()
    }
}
