//! Measures WebRTC of a server and the floor in turn, at one setting after the other, and prints a row for each.

use std::{error::Error, path::Path};

use super::{case::Case, crowd, load, report::COLUMNS};
use crate::{args::Args, server::Server, steps::block_on};

const FLAGS: [&str; 4] = ["--hls", "off", "--rtc-addr", "127.0.0.1:0"];

/// Prints the table, and what a crowd does to viewers over HTTP-FLV.
pub fn run(server: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    println!("| viewers | kbit/s | {COLUMNS}");
    println!("{}", "| --- ".repeat(3 + COLUMNS.split(" | ").count()) + "|");
    for case in &args.rtc_cases {
        let args = load_of(case, args);
        let mut measured = {
            let server = Server::start(server, &FLAGS)?;
            block_on(load(server.args(args.clone())))?
        };
        let mut floor = block_on(load(Args { floor: true, ..args.clone() }))?;
        // The floor of a server that sends audio as it comes.
        let mut each = block_on(load(Args { floor: true, floor_interval_ms: 0, ..args }))?;
        let what = format!("| {} | {} |", case.viewers, case.kbps);
        println!("{what} server {}", measured.row(Some(&floor)));
        println!("{what} floor {}", floor.row(None));
        println!("{what} floor, each packet of audio by itself {}", each.row(Some(&floor)));
        measured.print();
    }
    let server = Server::start(server, &FLAGS)?;
    crowd::compare(&server.args(Args { opus: true, ..args.clone() }))
}

/// The load of a case.
fn load_of(case: &Case, args: &Args) -> Args {
    Args { viewers: case.viewers, publishers: 1, kbps: case.kbps, opus: true, ..args.clone() }
}
