//! The rounds of a storm: before, during and after it, and the same storm on nginx. Publishers stay through all of them, and
//! viewers are new in each.

use std::{error::Error, time::Duration};

use tokio::{
    sync::watch,
    task::spawn_local,
    time::{Instant, sleep_until},
};

use super::{
    joiners,
    kind::{Kind, Storm},
    outcome::Outcome,
    scene::Scene,
};
use crate::{
    args::Args,
    hls::{mirror::Mirror, nginx::Nginx, place::Place},
    process::{Meter, Usage, resident_bytes_of},
    report::Report,
    stage::Stage,
    steps::{join, start_publishers},
    viewer,
};

/// Time from the end of a storm until the server's memory is measured.
const REST: Duration = Duration::from_secs(10);

/// The niceness of nginx: that of the server's threads for HLS.
const NGINX_NICENESS: &str = "5";

/// The observations of all rounds.
pub struct Rounds {
    pub before: Round,
    pub during: Round,
    pub after: Round,
    /// The server's memory some time after the storm.
    rested_bytes: Option<u64>,
    /// HLS players alone: the storm on nginx, which has the same playlist and segments as files, while the viewers stay with
    /// the server.
    pub nginx: Option<Round>,
}

/// The observations of one round.
pub struct Round {
    report: Report,
    usage: Option<Usage>,
    /// Of the round with the storm.
    pub outcome: Option<Outcome>,
}

/// Runs all of them.
pub async fn rounds(scene: &Scene, storm: Storm) -> Result<Rounds, Box<dyn Error>> {
    let args = &scene.args;
    let (publishing, stages) = watch::channel(Stage::Joining);
    start_publishers(args, Duration::ZERO, &stages).await?;
    let before = round(args, async || Ok(pass(args).await)).await?;
    let come = async || Ok(Some(joiners::run(args, scene.doomed.as_ref(), storm).await?));
    let during = round(args, come).await?;
    let ended = Instant::now();
    let after = round(args, async || Ok(pass(args).await)).await?;
    sleep_until(ended + REST).await;
    let rested_bytes = args.server_pid.and_then(resident_bytes_of);
    let nginx = match storm.kind {
        Kind::Hls => Some(round_of_nginx(args, storm, &stages).await?),
        _ => None,
    };
    publishing.send(Stage::Over)?;
    Ok(Rounds { before, during, after, rested_bytes, nginx })
}

async fn round_of_nginx(
    args: &Args,
    storm: Storm,
    stages: &watch::Receiver<Stage>,
) -> Result<Round, Box<dyn Error>> {
    let nginx = Nginx::start_nice(NGINX_NICENESS).await?;
    let server = args.hls.ok_or("the server has no port for HLS")?;
    let place = Place { server, room: args.room(0) };
    let (ready, mut is_ready) = watch::channel(false);
    let copying = spawn_local(Mirror::new(place, "index.m3u8", &nginx.files())?.run(stages.clone(), ready));
    is_ready.wait_for(|is_ready| *is_ready).await?;
    let at_nginx = Args { hls: Some(nginx.address), ..args.clone() };
    let round = round(args, async || Ok(Some(joiners::run(&at_nginx, None, storm).await?))).await;
    copying.abort();
    round
}

/// Has viewers watch while `course` takes its.
async fn round(
    args: &Args,
    course: impl AsyncFnOnce() -> Result<Option<Outcome>, Box<dyn Error>>,
) -> Result<Round, Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    let (report, tls) = (Report::default(), args.tls_client()?);
    let watch = |room| viewer::watch(args.http, tls.clone(), room, stages.clone(), report.clone());
    let viewers = join(args, watch).await;
    let meter = Meter::start(args.server_pid, false);
    stage.send(Stage::Measuring)?;
    let outcome = course().await?;
    let usage = meter.and_then(Meter::stop);
    stage.send(Stage::Over)?;
    for viewer in viewers {
        viewer.abort();
        // Its end is the abort.
        let _ = viewer.await;
    }
    Ok(Round { report, usage, outcome })
}

/// Lets the time of a round without a storm pass.
async fn pass(args: &Args) -> Option<Outcome> {
    tokio::time::sleep(Duration::from_secs_f64(args.measure_s)).await;
    None
}

impl Rounds {
    /// Returns the server's memory 10 s after the storm.
    pub fn rested_megabytes(&self) -> String {
        megabytes(self.rested_bytes)
    }
}

impl Round {
    /// Returns the latency of the viewers, p50 and p99.
    pub fn latency(&self) -> String {
        format!("{:.1} / {:.1}", self.report.latency_ms(0.5), self.report.latency_ms(0.99))
    }

    /// Returns the server's memory at the end.
    pub fn megabytes(&self) -> String {
        megabytes(self.usage.as_ref().map(|usage| usage.resident_bytes))
    }

    /// Returns the most that the server's memory ever was.
    pub fn peak_megabytes(&self) -> String {
        megabytes(self.usage.as_ref().map(|usage| usage.peak_bytes))
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / 1e6))
}
