//! Load over HLS: probers see how soon media can be had, viewers fetch it as players do.

pub mod case;
pub mod compare;
pub mod faults;
pub mod http;
pub mod mirror;
pub mod nginx;
pub mod nginx_compare;
pub mod part_case;
pub mod part_compare;
mod part_listing;
mod part_report;
pub mod part_viewer;
pub mod place;
mod prober;
mod report;
pub mod viewer;

use std::{error::Error, time::Duration};

use tokio::sync::watch;

use self::{place::Place, report::Report};
use crate::{
    args::Args,
    publisher::FPS,
    stage::Stage,
    steps::{join, measure, start_publishers},
};

/// One measurement. Without an address for HLS there are publishers only.
pub async fn load(args: Args) -> Result<Report, Box<dyn Error>> {
    let server = match args.hls {
        Some(server) => server,
        // No client will ask it.
        None if args.viewers + args.probers == 0 => args.http,
        None => return Err("the server has no port for HLS".into()),
    };
    let (stage, stages) = watch::channel(Stage::Joining);
    // They ask before there is anything, so that they have it at once.
    let probers: Vec<_> = (0..args.probers)
        .map(|room| prober::probe(Place { server, room: args.room(room) }, stages.clone()))
        .map(tokio::task::spawn_local)
        .collect();
    start_publishers(&args, pause(&args), &stages).await?;
    let watch = |room| viewer::watch(Place { server, room }, stages.clone());
    let viewers = join(&args, watch).await;

    let mut report = Report::new(measure(&args, &stage).await?, &args);
    for prober in probers {
        report.add_prober(prober.await?);
    }
    for viewer in viewers {
        report.add_viewer(viewer.await?);
    }
    Ok(report)
}

/// Returns the time between the starts of two publishers.
pub fn pause(args: &Args) -> Duration {
    let gop_s = f64::from(args.gop) / f64::from(FPS);
    if args.spread { Duration::from_secs_f64(gop_s / args.publishers.max(1) as f64) } else { Duration::ZERO }
}
