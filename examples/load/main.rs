//! Load on a running server: publishers push a synthetic stream, viewers watch it over HTTP-FLV, and both report.
//!
//! ```text
//! cargo run --release --example load -- --viewers 1000 --server-pid $(pgrep -x synctv-stream)
//! cargo run --release --example load -- --floor --viewers 1000       # the least that it can cost
//! cargo run --release --example load -- --compare target/release/synctv-stream --runs 3    # the README's table
//! cargo run --release --example load -- --tls --compare target/release/synctv-stream       # the same over TLS
//! cargo run --release --example load -- --hls 127.0.0.1:8081 --viewers 500     # the same over HLS
//! cargo run --release --example load -- --hls-compare target/release/synctv-stream --gop 60    # its table
//! ```
//!
//! Frames carry their number and the time at which they were sent, so that the viewers can tell what is missing and
//! how late the rest is. The floor is one thread that writes to its viewers once per picture, and does nothing else.
//! Over HLS, probers say how old the newest picture of a playlist is, and viewers how long their segments take.

mod compare;
mod connection;
mod floor;
mod hls;
mod process;
mod publisher;
mod report;
mod server;
mod viewer;

use std::{error::Error, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Parser;
use process::{Meter, Usage};
use report::Report;
use rustls::ClientConfig;
use synctv_testkit::tls::{self, TestAuthority};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

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
    /// How often to compare each, one after the other; the run in the middle is printed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Watch over HLS, at this address
    #[arg(long)]
    hls: Option<SocketAddr>,
    /// Over HLS: rooms whose playlist is looked at all the time, for its age
    #[arg(long, default_value_t = 1)]
    probers: usize,
    /// Over HLS: publishers start spread over a GOP, instead of all with a keyframe at once
    #[arg(long)]
    spread: bool,
    /// Start this server, at each of the cases, and print a table for HLS
    #[arg(long, value_name = "SERVER")]
    hls_compare: Option<PathBuf>,
    /// What to compare, HLS:START:ROOMS[:VIEWERS[:PROBERS]], START together or spread, separated by commas
    #[arg(long, default_value = hls::compare::CASES, value_delimiter = ',')]
    hls_cases: Vec<hls::compare::Case>,
    /// With --floor and --compare: watch over TLS, with a certificate that is made for this run
    #[arg(long)]
    tls: bool,
    /// Watch over TLS at --http; the file has the certificate, PEM, of the authority to trust
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The authority of --tls.
    #[arg(skip)]
    authority: Option<Arc<TestAuthority>>,
}

impl Args {
    /// What viewers need to trust the server, if they watch over TLS.
    fn tls_client(&self) -> Result<Option<Arc<ClientConfig>>, Box<dyn Error>> {
        let file = match (&self.authority, &self.tls_ca) {
            (Some(authority), _) => authority.certificate_of_authority(),
            (None, Some(file)) => file.clone(),
            (None, None) => return Ok(None),
        };
        Ok(Some(tls::client_config(&file)?))
    }

    /// A playlist outlives its publisher: over HLS, each run has rooms of its own.
    fn room(&self, number: usize) -> String {
        match self.hls {
            Some(_) => format!("load_{}_{number}", std::process::id()),
            None => format!("load_{number}"),
        }
    }
}

/// What the load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Joining,
    Measuring,
    Over,
}

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut args = Args::parse();
    args.authority = args.tls.then(|| Arc::new(TestAuthority::new()));
    if let Some(server) = &args.compare {
        return compare::run(server, &args, |args| block_on(load(args)));
    }
    if let Some(server) = &args.hls_compare {
        return hls::compare::run(server, &args, |args| block_on(hls::load(args)));
    }
    if args.hls.is_some() {
        block_on(hls::load(args))?.print();
    } else {
        print!("{}", block_on(load(args))?);
    }
    Ok(())
}

fn block_on<T>(load: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(load))
}

async fn load(mut args: Args) -> Result<Report, Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    if args.floor {
        args.http = {
            let interval = Duration::from_millis(args.floor_interval_ms);
            let tls = args.authority.as_ref().map(|authority| authority.server_config());
            floor::start(args.kbps, args.gop, interval, tls, stages.clone())?
        };
    } else {
        start_publishers(&args, Duration::ZERO, &stages).await?;
    }
    let report = Report::default();
    let tls = args.tls_client()?;
    let watch = |room| viewer::watch(args.http, tls.clone(), room, stages.clone(), report.clone());
    let viewers = join(&args, watch).await;
    report.set_usage(measure(&args, &stage).await?, &args);
    for viewer in viewers {
        viewer.abort();
        if let Err(error) = viewer.await
            && !error.is_cancelled()
        {
            return Err(error.into());
        }
    }
    Ok(report)
}

/// Starts one behind the other, with a pause.
async fn start_publishers(
    args: &Args,
    pause: Duration,
    stages: &watch::Receiver<Stage>,
) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    for room in 0..args.publishers {
        tokio::time::sleep_until(begin + pause * room as u32).await;
        let ready = publisher::start(args.rtmp, args.room(room), args.kbps, args.gop, stages.clone());
        ready.await??;
    }
    Ok(())
}

/// Lets the viewers come, each of them by `watch`.
async fn join<T: 'static, F>(args: &Args, watch: impl Fn(String) -> F) -> Vec<JoinHandle<T>>
where
    F: Future<Output = T> + 'static,
{
    let pause = Duration::from_secs_f64(args.join_s / args.viewers.max(1) as f64);
    let mut next = Instant::now();
    let mut viewers = Vec::with_capacity(args.viewers);
    for viewer in 0..args.viewers {
        let room = args.room(viewer % args.publishers.max(1));
        viewers.push(tokio::task::spawn_local(watch(room)));
        next += pause;
        tokio::time::sleep_until(next).await;
    }
    // The last to join are part of the measurement like all others.
    tokio::time::sleep(Duration::from_secs(1)).await;
    viewers
}

/// Measures for as long as told and ends the load. What the server used, if its process is known.
async fn measure(args: &Args, stage: &watch::Sender<Stage>) -> Result<Option<Usage>, Box<dyn Error>> {
    let meter = Meter::start(args.server_pid, args.floor);
    stage.send(Stage::Measuring)?;
    tokio::time::sleep(Duration::from_secs_f64(args.measure_s)).await;
    stage.send(Stage::Over)?;
    Ok(meter.and_then(Meter::stop))
}
