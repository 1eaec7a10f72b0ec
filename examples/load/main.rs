//! Load on a running server: publishers push a synthetic stream, viewers watch it over HTTP-FLV, and both report.
//!
//! ```text
//! cargo run --release --example load -- --viewers 1000 --server-pid $(pgrep -x synctv-stream)
//! cargo run --release --example load -- --floor --viewers 1000       # the least that it can cost
//! cargo run --release --example load -- --compare target/release/synctv-stream --runs 3    # the README's table
//! cargo run --release --example load -- --tls --compare target/release/synctv-stream       # the same over TLS
//! cargo run --release --example load -- --tls --compare-publishers target/release/synctv-stream --publishers 100
//! cargo run --release --example load -- --compare-ingest target/release/synctv-stream --publishers 100 --gop 60
//! cargo run --release --example load -- --compare-storms target/release/synctv-stream --viewers 300
//! cargo run --release --example load -- --compare-rooms target/release/synctv-stream --publishers 1000 --kbps 300
//! cargo run --release --example load -- --memory target/release/synctv-stream
//! cargo run --release --example load -- --upgrade target/release/synctv-stream --viewers 2000 --publishers 50 --kbps 500
//! cargo run --release --example load -- --play --compare target/release/synctv-stream      # the same over RTMP
//! cargo run --release --example load -- --hls 127.0.0.1:8081 --viewers 500     # the same over HLS
//! cargo run --release --example load -- --hls-compare target/release/synctv-stream --gop 60    # its table
//! cargo run --release --example load -- --rtc-compare target/release/synctv-stream        # its table for WebRTC
//! cargo run --release --example load -- --hls-ll target/release/synctv-stream --gop 60 --kbps 900    # Low-Latency HLS
//! cargo run --release --example load -- --hls-nginx target/release/synctv-stream --gop 60 --runs 3    # both beside nginx
//! ```
//!
//! Frames carry their number and the time at which they were sent, so that the viewers can tell what is missing and
//! how late the rest is. The floor is one thread that writes to its viewers once per frame, and does nothing else.
//! Over WebRTC the floor encrypts each frame for each viewer, and sends it with one call.
//! Over HLS, probers say how old the newest frame of a playlist is, and viewers how long their segments take.

mod args;
mod case;
mod clock;
mod compare;
mod connection;
mod floor;
mod hls;
mod ingest;
mod ingest_floor;
mod memory;
mod player;
mod process;
mod publisher;
mod report;
mod rooms;
mod rtc;
mod sealed;
mod server;
mod stage;
mod stamp;
mod steps;
mod storm;
mod upgrade;
mod viewer;

use std::{error::Error, sync::Arc, time::Duration};

use args::Args;
use clap::Parser;
use hls::part_case::PartCase;
use report::Report;
use stage::Stage;
use steps::{block_on, join, measure, start_publishers};
use synctv_testkit::tls::{KeyKind, TestAuthority};
use tokio::sync::watch;

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut args = Args::parse();
    args.authority = args.tls.then(|| Arc::new(TestAuthority::with_key(KeyKind::Ecdsa)));
    if let Some(storm) = args.storm_joiners {
        return storm::join(storm, &args);
    }
    if let Some(compared) = comparison(&args) {
        return compared;
    }
    if args.rtc {
        args.opus = true;
        block_on(rtc::load(args))?.print();
    } else if args.parts {
        let case = PartCase::of_parts(args.viewers);
        block_on(hls::part_compare::load(args, &case))?.print();
    } else if args.hls.is_some() {
        block_on(hls::load(args))?.print();
    } else {
        print!("{}", block_on(load(args))?);
    }
    Ok(())
}

/// Starts servers and measures them, if that is asked for.
fn comparison(args: &Args) -> Option<Result<(), Box<dyn Error>>> {
    if let Some(server) = &args.compare_publishers {
        return Some(ingest::compare_tls(server, args));
    }
    if let Some(server) = &args.compare_ingest {
        return Some(ingest::compare(server, args));
    }
    if let Some(server) = &args.compare_storms {
        return Some(storm::run(server, args));
    }
    if let Some(server) = &args.compare_rooms {
        return Some(rooms::run(server, args, load));
    }
    if let Some(server) = &args.upgrades.upgrade {
        return Some(upgrade::run(server, args));
    }
    if let Some(server) = &args.memory {
        return Some(memory::run(server, args));
    }
    if let Some(server) = &args.compare {
        return Some(compare::run(server, args, |args| block_on(load(args))));
    }
    if let Some(server) = &args.hls_compare {
        return Some(hls::compare::run(server, args, |args| block_on(hls::load(args))));
    }
    if let Some(server) = &args.rtc_compare {
        return Some(rtc::compare::run(server, args));
    }
    let of_parts = |args: Args, case: &PartCase| block_on(hls::part_compare::load(args, case));
    if let Some(server) = &args.hls_nginx {
        return Some(hls::nginx_compare::run(server, args, of_parts));
    }
    let server = args.hls_ll.as_ref()?;
    Some(hls::part_compare::run(server, args, of_parts))
}

async fn load(mut args: Args) -> Result<Report, Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    if args.floor {
        let address = floor::start(&args, stages.clone())?;
        (args.http, args.rtmp) = (address, address);
    } else {
        start_publishers(&args, Duration::ZERO, &stages).await?;
    }
    let report = Report::default();
    let tls = args.tls_client()?;
    let viewers = match args.play {
        true => join(&args, |room| player::watch(args.rtmp, room, stages.clone(), report.clone())).await,
        false => {
            let watch = |room| viewer::watch(args.http, tls.clone(), room, stages.clone(), report.clone());
            join(&args, watch).await
        }
    };
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
