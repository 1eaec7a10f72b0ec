//! Load on a running server: publishers push a synthetic stream, viewers watch it over HTTP-FLV, and both report.
//!
//! ```text
//! cargo run --release --example load -- --viewers 1000 --server-pid $(pgrep -x synctv-stream)
//! cargo run --release --example load -- --floor --viewers 1000       # the least that it can cost
//! cargo run --release --example load -- --compare target/release/synctv-stream    # the README's table
//! ```
//!
//! Frames carry their number and the time at which they were sent, so that the viewers can tell what is missing and
//! how late the rest is. The floor is one thread that writes to its viewers once per picture, and does nothing else.

mod compare;
mod floor;
mod process;
mod publisher;
mod report;
mod viewer;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use report::Report;
use tokio::{sync::watch, time::Instant};

/// Puts load on a server and says how it did.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// Where to push
    #[arg(long, default_value = "127.0.0.1:1935")]
    rtmp: SocketAddr,
    /// Where to watch
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Rooms, each with a publisher
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Viewers, spread over the rooms
    #[arg(long, default_value_t = 1000)]
    viewers: usize,
    /// Time over which the viewers join, in seconds
    #[arg(long, default_value_t = 5.0)]
    join_s: f64,
    /// Time that is measured once all have joined, in seconds
    #[arg(long, default_value_t = 20.0)]
    measure_s: f64,
    /// Bit rate of the video, in kbit/s
    #[arg(long, default_value_t = 1500)]
    kbps: u32,
    /// Pictures between keyframes
    #[arg(long, default_value_t = 30)]
    gop: u32,
    /// The server's process, for its CPU and memory
    #[arg(long)]
    server_pid: Option<u32>,
    /// Measure the floor: viewers connect to a thread of this program instead of a server
    #[arg(long)]
    floor: bool,
    /// How often the floor writes, in milliseconds
    #[arg(long, default_value_t = 33)]
    floor_interval_ms: u64,
    /// Start this server and the floor in turn, at each of the cases, and print a table
    #[arg(long, value_name = "SERVER")]
    compare: Option<PathBuf>,
    /// What to compare, FLUSH:VIEWERS[:ROOMS[:KBPS]], separated by commas
    #[arg(long, default_value = compare::CASES, value_delimiter = ',')]
    cases: Vec<compare::Case>,
}

/// What the load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Joining,
    Measuring,
    Over,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let args = Args::parse();
    if let Some(server) = &args.compare {
        return compare::run(server, &args, measure);
    }
    print!("{}", measure(args)?);
    Ok(())
}

fn measure(args: Args) -> Result<Report, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(load(args)))
}

async fn load(mut args: Args) -> Result<Report, Box<dyn std::error::Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    if args.floor {
        args.http = {
            let interval = Duration::from_millis(args.floor_interval_ms);
            floor::start(args.kbps, args.gop, interval, stages.clone())?
        };
    } else {
        start_publishers(&args, &stages).await?;
    }
    let report = Report::default();
    let viewers = start_viewers(&args, &stages, &report).await;

    let meter = process::Meter::start(args.server_pid, args.floor);
    stage.send(Stage::Measuring)?;
    tokio::time::sleep(Duration::from_secs_f64(args.measure_s)).await;
    stage.send(Stage::Over)?;
    report.set_usage(meter.and_then(process::Meter::stop), &args);
    for viewer in viewers {
        viewer.await?;
    }
    Ok(report)
}

async fn start_publishers(
    args: &Args,
    stages: &watch::Receiver<Stage>,
) -> Result<(), Box<dyn std::error::Error>> {
    for room in 0..args.publishers {
        let ready = publisher::start(args.rtmp, room_name(room), args.kbps, args.gop, stages.clone());
        ready.await??;
    }
    Ok(())
}

async fn start_viewers(
    args: &Args,
    stages: &watch::Receiver<Stage>,
    report: &Report,
) -> Vec<tokio::task::JoinHandle<()>> {
    let pause = Duration::from_secs_f64(args.join_s / args.viewers.max(1) as f64);
    let mut next = Instant::now();
    let mut viewers = Vec::with_capacity(args.viewers);
    for viewer in 0..args.viewers {
        let room = room_name(viewer % args.publishers.max(1));
        let watching = viewer::watch(args.http, room, stages.clone(), report.clone());
        viewers.push(tokio::task::spawn_local(watching));
        next += pause;
        tokio::time::sleep_until(next).await;
    }
    // The last to join are part of the measurement like all others.
    tokio::time::sleep(Duration::from_secs(1)).await;
    viewers
}

fn room_name(number: usize) -> String {
    format!("load_{number}")
}
