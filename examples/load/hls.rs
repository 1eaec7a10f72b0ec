//! Load over HLS: probers see how soon media can be had, viewers fetch it as players do.

pub mod compare;
mod http;
mod prober;
mod report;
mod viewer;

use std::{error::Error, net::SocketAddr, time::Duration};

use synctv_testkit::hls::Playlist;
use tokio::sync::watch;

pub use self::report::Report;
use crate::{Args, Stage, join, measure, publisher::FPS, start_publishers};

/// Where the server has a room's playlist and segments.
struct Place {
    server: SocketAddr,
    room: String,
}

impl Place {
    fn path(&self, name: &str) -> String {
        format!("/live/{}/{name}", self.room)
    }
}

/// The playlist in an answer; `None` if it is none, or has no segments.
fn playlist(text: &[u8]) -> Option<Playlist> {
    let playlist = Playlist::try_parse(std::str::from_utf8(text).ok()?).ok()?;
    (!playlist.segments.is_empty() && playlist.target_s > 0).then_some(playlist)
}

/// One measurement. Without an address for HLS there are publishers only.
pub async fn load(args: Args) -> Result<Report, Box<dyn Error>> {
    let server = match args.hls {
        Some(server) => server,
        // Nobody will ask it.
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

/// Between two publishers.
fn pause(args: &Args) -> Duration {
    let gop_s = f64::from(args.gop) / f64::from(FPS);
    if args.spread { Duration::from_secs_f64(gop_s / args.publishers.max(1) as f64) } else { Duration::ZERO }
}
