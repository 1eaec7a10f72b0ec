//! The rounds of a storm: before, during and after it. Publishers stay through all of them, and viewers are new in each.

use std::{error::Error, time::Duration};

use tokio::sync::watch;

use super::{joiners, kind::Storm, outcome::Outcome, scene::Scene};
use crate::{
    args::Args,
    process::{Meter, Usage},
    report::Report,
    stage::Stage,
    steps::{join, start_publishers},
    viewer,
};

/// The observations of one round.
pub struct Round {
    report: Report,
    usage: Option<Usage>,
    /// Of the round with the storm.
    pub outcome: Option<Outcome>,
}

/// Runs all three.
pub async fn rounds(scene: &Scene, storm: Storm) -> Result<[Round; 3], Box<dyn Error>> {
    let (publishing, stages) = watch::channel(Stage::Joining);
    start_publishers(&scene.args, Duration::ZERO, &stages).await?;
    let before = round(scene, None).await?;
    let during = round(scene, Some(storm)).await?;
    let after = round(scene, None).await?;
    publishing.send(Stage::Over)?;
    Ok([before, during, after])
}

async fn round(scene: &Scene, storm: Option<Storm>) -> Result<Round, Box<dyn Error>> {
    let args = &scene.args;
    let (stage, stages) = watch::channel(Stage::Joining);
    let (report, tls) = (Report::default(), args.tls_client()?);
    let watch = |room| viewer::watch(args.http, tls.clone(), room, stages.clone(), report.clone());
    let viewers = join(args, watch).await;
    let meter = Meter::start(args.server_pid, false);
    stage.send(Stage::Measuring)?;
    let outcome = match storm {
        Some(storm) => Some(joiners::run(scene, storm).await?),
        None => pass(args).await,
    };
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

impl Round {
    /// Returns the latency of those who watched, p50 and p99.
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
