//! Measures Low-Latency HLS of one server beside classic HLS, and prints a row for each.

use std::{cell::Cell, error::Error, path::Path};

use tokio::sync::watch;

use super::{
    part_case::PartCase,
    part_report::{COLUMNS, PartReport},
    part_viewer::{self, PartEnds},
    place::Place,
};
use crate::{
    args::Args,
    server::Server,
    stage::Stage,
    steps::{join, measure, start_publishers},
};

/// Prints the table. `load` runs one measurement.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args, &PartCase) -> Result<PartReport, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!("| kind | viewers | {COLUMNS} |");
    println!("{}", "| --- ".repeat(2 + COLUMNS.split(" | ").count()) + "|");
    let mut classic_each = None;
    for case in &args.hls_ll_cases {
        let mut report = {
            let part_ms = case.part_ms.unwrap_or(500).to_string();
            let server = Server::start(
                server,
                &["--hls", "always", "--hls-fmp4", "always", "--hls-part-ms", &part_ms],
            )?;
            let args = server.args(Args { viewers: case.viewers, probers: 0, ..args.clone() });
            load(args, case)?
        };
        println!("| {} | {} | {} |", case.kind, case.viewers, report.row(classic_each));
        eprint!("{}", report.faults());
        if case.part_ms.is_none() {
            classic_each = report.cpu_percent_each();
        }
    }
    Ok(())
}

/// One measurement.
pub async fn load(args: Args, case: &PartCase) -> Result<PartReport, Box<dyn Error>> {
    if case.part_ms.is_none() {
        return Ok(PartReport::of_classic(super::load(args).await?));
    }
    let server = args.hls.ok_or("the server has no port for HLS")?;
    let (stage, stages) = watch::channel(Stage::Joining);
    start_publishers(&args, super::pause(&args), &stages).await?;
    let (ends, count) = (PartEnds::default(), Cell::new(0));
    let watch = |room| {
        let fetches = case.fetches || count.replace(count.get() + 1) == 0;
        part_viewer::watch(Place { server, room }, stages.clone(), ends.clone(), fetches, None)
    };
    let viewers = join(&args, watch).await;
    let mut report = PartReport::new(measure(&args, &stage).await?, args.measure_s);
    for viewer in viewers {
        report.add(viewer.await?, &ends);
    }
    Ok(report)
}
