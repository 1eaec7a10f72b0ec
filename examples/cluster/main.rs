//! Three nodes and a Redis, and someone who pushes a clip to one of them over and over: watch it through the others, and
//! see what the death of a node costs.
//!
//! ```text
//! cargo run --release --example cluster
//! cargo run --release --example cluster -- --kill-after 10s
//! cargo run --release --example cluster -- --rolling-restart
//! cargo run --release --example cluster -- --drain-crowd --publishers 300 --viewers 2000
//! ```
//!
//! The environment has the nodes' other settings, such as LEASE_TTL_MS.

#[path = "../demo/clip.rs"]
mod clip;
mod crowd;
mod node;
mod outage;
mod process;
mod progress;
#[path = "../demo/publisher.rs"]
mod publisher;
mod redis;
mod rolling;
mod viewer;

use std::{error::Error, future, io, path::Path, process::ExitCode, time::Duration};

use clap::Parser;
use node::Node;
use process::{Process, Role};
use progress::Progress;
use synctv_actors::cluster::redis_store::RedisUrl;
use synctv_testkit::encoder::EncoderKind;
use tokio::signal::unix::{SignalKind, signal};
use viewer::Viewer;

const ROOM: &str = "demo";

/// An encoder of this program; none if it is the user's.
type ChosenEncoder = Option<EncoderKind>;

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Three nodes that share a Redis, with a clip that is published through the first of them.
#[derive(Debug, Parser)]
struct Args {
    /// Redis to use, redis://[:PASSWORD@]HOST[:PORT][/DB], instead of starting one
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    redis_url: Option<String>,
    /// Kill the publisher's node after so long, such as 10s or 500ms, and measure how long a viewer gets no frame
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    kill_after: Option<Duration>,
    /// Drain and start all nodes again, one after the other, and measure how long the viewers of each get no frame
    #[arg(long, conflicts_with = "kill_after")]
    rolling_restart: bool,
    /// Encoder that publishes during a drain: "obs" reconnects after 2 s, "fifo", FFmpeg's muxer, at once, "on-request"
    /// before it is disconnected, and "own" is one of yours, which is waited for
    #[arg(long, value_name = "NAME", value_parser = parse_encoder, default_value = "obs")]
    encoder: ChosenEncoder,
    /// Frames from one keyframe of the encoder to the next, at 25 frames a second
    #[arg(long, default_value_t = 50)]
    gop_frames: u32,
    /// Time that all watch before the first restart, and after each, at the least
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "6s")]
    watch: Duration,
    /// Time that a node which restarts keeps its viewers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    keep_viewers_s: u32,
    /// Drain the first node with many publishers and viewers, and measure when these are disconnected
    #[arg(long, conflicts_with_all = ["kill_after", "rolling_restart"])]
    drain_crowd: bool,
    /// Publishers of a crowd, each of a room
    #[arg(long, default_value_t = 300)]
    publishers: usize,
    /// Viewers of a crowd, spread over the rooms
    #[arg(long, default_value_t = 2000)]
    viewers: usize,
    /// End once that is measured
    #[arg(long, requires = "kill_after")]
    once: bool,
    /// Write the nodes' logs to stderr instead of files
    #[arg(long)]
    verbose: bool,
}

/// The cluster that runs.
#[derive(Default)]
struct Cluster {
    redis: Option<Process>,
    nodes: Vec<Node>,
}

fn main() -> ExitCode {
    match Role::of_this_process() {
        Some(Role::Node) => return node::serve(),
        Some(Role::Redis) => return redis::keep(),
        None => {}
    }
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows it until a signal to stop, and leaves nothing behind.
#[tokio::main(flavor = "current_thread")]
async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal()?;
    let directory = tempfile::Builder::new().prefix("cluster-").tempdir()?;
    let mut cluster = Cluster::default();
    let shown = tokio::select! {
        () = stop => Ok(()),
        shown = show(args, directory.path(), &mut cluster) => shown,
    };
    cluster.end().await;
    shown
}

async fn show(args: &Args, directory: &Path, cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    let redis_url = cluster.start(args, directory).await?;
    if args.rolling_restart {
        let progress = Progress::begin([]);
        let Args { verbose, encoder, gop_frames, watch, keep_viewers_s, .. } = *args;
        let start = rolling::Start { redis_url: &redis_url, directory, verbose, keep_viewers_s };
        let plan = rolling::Plan { room: ROOM, encoder, gop_frames, watch, start };
        return rolling::restart_all(&mut cluster.nodes, plan, &progress).await;
    }
    if args.drain_crowd {
        let Args { publishers, viewers, gop_frames, .. } = *args;
        let encoder = args.encoder.unwrap_or(EncoderKind::Obs);
        let crowd = crowd::Crowd { publishers, viewers, encoder, gop_frames };
        return crowd::drain(&mut cluster.nodes, crowd, &Progress::begin([])).await;
    }
    cluster.announce(args, directory);
    let Cluster { redis, nodes } = cluster;
    let [owner, near, far] = &mut nodes[..] else { return Ok(()) };
    let (servers, app) = ([owner.rtmp, near.rtmp, far.rtmp], owner.app.clone());
    let (viewers_node, http) = (far.name.clone(), far.http);
    let progress = Progress::begin(servers.into_iter().zip(NODES));
    tokio::select! {
        never = publisher::run(&servers, &app, ROOM, |at, attempt| progress.publisher(at, attempt)) => match never {},
        error = first_to_end(redis, [near, far]) => Err(error),
        done = async {
            let Some(kill_after) = args.kill_after else { return Err(owner.process.ended().await) };
            let viewer = Viewer::join(http, ROOM).await?;
            let outage = outage::cause(owner, viewer, kill_after, &progress).await?;
            progress.print(&format!("the viewer at {viewers_node}: {outage}"));
            if !args.once {
                future::pending::<()>().await;
            }
            Ok(())
        } => done,
    }
}

impl Cluster {
    /// Starts Redis, unless there is one, and the nodes. Gives the URL of Redis.
    async fn start(&mut self, args: &Args, directory: &Path) -> Result<String, Box<dyn Error>> {
        let redis_url = match &args.redis_url {
            Some(url) => url.clone(),
            None => {
                let (redis, url) = redis::start(directory, args.verbose).await?;
                self.redis = Some(redis);
                url
            }
        };
        // The nodes would take "off", and each be alone.
        let shown = RedisUrl::parse(&redis_url).map_err(|error| format!("REDIS_URL: {error}"))?;
        println!("Redis   {shown}");
        // In the end the nodes end together, and there is no other one to send anyone to.
        let drain_timeout_s = match args {
            Args { rolling_restart: true, keep_viewers_s, .. } => *keep_viewers_s,
            Args { drain_crowd: true, .. } => crowd::DRAIN_TIMEOUT_S,
            _ => 0,
        };
        for name in NODES {
            let node = Node::start(name, &redis_url, directory, args.verbose, drain_timeout_s);
            self.nodes.push(node.await?);
        }
        Ok(redis_url)
    }

    /// Says where to watch, and what to expect.
    fn announce(&self, args: &Args, directory: &Path) {
        if !args.verbose {
            println!("Logs    {}", directory.display());
        }
        let [owner, others @ ..] = &self.nodes[..] else { return };
        println!(
            "\nThe room {ROOM} is published at {}, rtmp://{}/{}/{ROOM}",
            owner.name, owner.rtmp, owner.app
        );
        for node in others {
            println!("\nWatch it at {}", node.name);
            for (what, url) in node.watch_urls(ROOM) {
                println!("  {what:4}  {url}");
            }
        }
        if let Some(kill_after) = args.kill_after {
            println!("\n{} is killed {} s after media comes.", owner.name, kill_after.as_secs_f64());
        }
        println!("\nCtrl-C ends it all.\n");
    }

    /// Ends the nodes, then what they need.
    async fn end(self) {
        let mut nodes: Vec<_> = self.nodes.into_iter().map(|node| node.process).collect();
        nodes.iter_mut().for_each(Process::ask_to_end);
        for mut process in nodes.into_iter().chain(self.redis) {
            process.ask_to_end();
            process.wait_for_end().await;
        }
    }
}

/// Waits until one ends that was to go on.
async fn first_to_end(redis: &mut Option<Process>, nodes: [&mut Node; 2]) -> Box<dyn Error> {
    let processes = redis.iter_mut().chain(nodes.map(|node| &mut node.process));
    let ends = processes.map(|process| Box::pin(process.ended()));
    futures::future::select_all(ends).await.0
}

/// Completes at SIGINT or SIGTERM, or when the terminal is closed.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals = kinds.map(signal).into_iter().collect::<io::Result<Vec<_>>>()?;
    Ok(async move {
        let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(any).await;
    })
}

fn parse_encoder(name: &str) -> Result<ChosenEncoder, String> {
    match name {
        "obs" => Ok(Some(EncoderKind::Obs)),
        "fifo" => Ok(Some(EncoderKind::Fifo)),
        "on-request" => Ok(Some(EncoderKind::OnRequest)),
        "own" => Ok(None),
        _ => Err("not one of obs, fifo, on-request and own".to_owned()),
    }
}

/// `10s`, `500ms`, or a plain number of seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    let time =
        number.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit_s).ok());
    time.ok_or_else(|| "not a time such as 10s, 500ms or 10".to_owned())
}
