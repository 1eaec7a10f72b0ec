//! Measures HLS of one server beside nginx with the same playlist and segments as files, in turn, and prints a row for each.

use std::{cell::Cell, error::Error, path::Path, time::Duration};

use tokio::sync::watch;

use super::{
    mirror::Mirror,
    nginx::Nginx,
    part_case::PartCase,
    part_report::PartReport,
    part_viewer::{self, PartEnds},
    place::Place,
    report::Report,
    viewer,
};
use crate::{
    args::Args,
    server::Server,
    stage::Stage,
    steps::{block_on, join, measure, start_publishers},
};

/// Prints the table. `load` runs one measurement of a server.
pub fn run(
    server: &Path,
    args: &Args,
    load: impl Fn(Args, &PartCase) -> Result<PartReport, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!(
        "| kind | viewers | requests per viewer and s, server / nginx | server CPU % each | nginx CPU % each \
         | over nginx | faults |"
    );
    println!("{}", "| --- ".repeat(7) + "|");
    for case in &args.hls_nginx_cases {
        let idle_percent = with_server(server, args, case, |args| {
            Ok(load(Args { viewers: 0, ..args }, case)?.cpu_percent().unwrap_or_default())
        })?;
        let mut pairs = Vec::new();
        for _ in 0..args.runs {
            let served = with_server(server, args, case, |args| load(args, case))?;
            let floor = with_server(server, args, case, |args| block_on(load_nginx(args, case)))?;
            pairs.push(Pair::new(served, floor, idle_percent)?);
        }
        pairs.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        let middle = pairs.get(pairs.len() / 2).ok_or("no run")?;
        println!("| {} | {} | {} |", case.kind, case.viewers, middle.row());
    }
    Ok(())
}

/// A run of the server and the one of nginx behind it.
struct Pair {
    served: PartReport,
    floor: PartReport,
    each: f64,
    floor_each: f64,
    ratio: f64,
}

impl Pair {
    /// The server's CPU is net of what it takes without viewers: nginx cuts no segments.
    fn new(served: PartReport, floor: PartReport, idle_percent: f64) -> Result<Self, Box<dyn Error>> {
        let of = |report: &PartReport| report.cpu_percent().ok_or("a process ended");
        let viewers = served.viewers() as f64;
        let (each, floor_each) = ((of(&served)? - idle_percent) / viewers, of(&floor)? / viewers);
        Ok(Self { each, floor_each, ratio: each / floor_each, served, floor })
    }

    fn row(&self) -> String {
        let rates = [&self.served, &self.floor].map(|report| format!("{:.1}", report.requests_per_s()));
        let Self { each, floor_each, ratio, served, floor } = self;
        let faults = [served, floor].map(|report| report.faults().count().to_string());
        format!("{} | {each:.4} | {floor_each:.4} | {ratio:.2} | {}", rates.join(" / "), faults.join(" / "))
    }
}

fn with_server<T>(
    server: &Path,
    args: &Args,
    case: &PartCase,
    run: impl FnOnce(Args) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let part_ms = case.part_ms.unwrap_or(500).to_string();
    let fmp4 = if case.part_ms.is_some() { "always" } else { "off" };
    let server = Server::start(server, &["--hls", "always", "--hls-fmp4", fmp4, "--hls-part-ms", &part_ms])?;
    run(server.args(Args { viewers: case.viewers, probers: 0, ..args.clone() }))
}

/// One measurement of nginx. Its viewers do what those of the server do, but ask for parts at the pace at which they come:
/// it holds no request.
async fn load_nginx(args: Args, case: &PartCase) -> Result<PartReport, Box<dyn Error>> {
    let source = args.hls.ok_or("the server has no port for HLS")?;
    let nginx = Nginx::start().await?;
    let (stage, stages) = watch::channel(Stage::Joining);
    start_publishers(&args, Duration::ZERO, &stages).await?;
    let playlist = if case.part_ms.is_some() { "ll.m3u8" } else { "index.m3u8" };
    for room in 0..args.publishers {
        let (ready, mut is_ready) = watch::channel(false);
        let place = Place { server: source, room: args.room(room) };
        tokio::task::spawn_local(Mirror::new(place, playlist, &nginx.files())?.run(stages.clone(), ready));
        is_ready.wait_for(|is_ready| *is_ready).await?;
    }
    let server = nginx.address;
    let args = Args { hls: Some(server), server_pid: Some(nginx.pid()), ..args };
    let Some(part_ms) = case.part_ms else {
        let watch = |room| viewer::watch(Place { server, room }, stages.clone());
        let viewers = join(&args, watch).await;
        let mut report = Report::new(measure(&args, &stage).await?, &args);
        for viewer in viewers {
            report.add_viewer(viewer.await?);
        }
        return Ok(PartReport::of_classic(report));
    };
    let (ends, count) = (PartEnds::default(), Cell::new(0));
    let pace = Some(Duration::from_millis(part_ms.into()));
    let watch = |room| {
        let fetches = case.fetches || count.replace(count.get() + 1) == 0;
        part_viewer::watch(Place { server, room }, stages.clone(), ends.clone(), fetches, pace)
    };
    let viewers = join(&args, watch).await;
    let mut report = PartReport::new(measure(&args, &stage).await?, args.measure_s);
    for viewer in viewers {
        report.add(viewer.await?, &ends);
    }
    Ok(report)
}
