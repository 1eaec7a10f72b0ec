//! Load over WebRTC: joins one by one, viewers who leave their media unread, one who reads everything, and a crowd beside
//! viewers of HTTP-FLV.

pub mod case;
pub mod compare;
mod crowd;
mod floor;
mod prober;
mod report;
pub mod session;
mod traffic;
pub mod viewer;

use std::{error::Error, time::Duration};

use tokio::{sync::watch, time::Instant};

use self::{report::Report, session::Session};
use crate::{
    args::Args,
    process::Meter,
    stage::Stage,
    steps::{join, measure, start_publishers},
};

/// One measurement of a server, or of the floor.
pub async fn load(args: Args) -> Result<Report, Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    if args.floor {
        return floor::load(&args, &stage, stages).await;
    }
    start_publishers(&args, Duration::ZERO, &stages).await?;
    let prober = tokio::task::spawn_local(prober::probe(args.http, args.room(0), stages.clone()));
    // The viewers' joins find a whole GOP, and a server that has had one viewer.
    tokio::time::sleep(Duration::from_secs(2)).await;

    // The prober is one as well.
    let mut report = Report::new(args.viewers + 1);
    join_one_by_one(&args, &mut report).await?;
    report.resident_before(args.server_pid);
    let watch = |room| viewer::watch(args.http, room, stages.clone());
    let viewers = join(&args, watch).await;
    report.set_usage(measure(&args, &stage).await?);
    for viewer in viewers {
        report.add_viewer(viewer.await?);
    }
    let probed = prober.await?;
    report.set_traffic(probed.traffic, args.measure_s);
    report.set_probed(probed);
    Ok(report)
}

/// Has viewers join and leave, each once the one before has left.
async fn join_one_by_one(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let meter = Meter::start(args.server_pid, false);
    for _ in 0..args.joins {
        let asked = Instant::now();
        let mut session = Session::open(args.http, &args.room(0)).await?;
        session.connect().await?;
        report.add_join(asked.elapsed());
        session.close().await?;
    }
    report.set_joins_usage(args.joins, meter.and_then(Meter::stop));
    Ok(())
}
