//! The memory of rooms and of viewers of each protocol, by which an operator sizes a node.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use synctv_testkit::tls::{KeyKind, TestAuthority};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::{
    args::Args,
    hls::{self, part_viewer, place::Place},
    player,
    process::resident_bytes_of,
    publisher::Source,
    report::Report,
    rtc,
    server::Server,
    stage::Stage,
    steps::{block_on, join, source, start_publishers_of},
    viewer,
};

/// Rooms and viewers that the process has before: what it takes for the first ones is no one's share.
const BEFORE: usize = 20;

/// Rooms that are measured.
const ROOMS: usize = 200;

/// Time until a room's cache is full, and until viewers have what they keep.
const SETTLE: Duration = Duration::from_secs(5);

/// The protocols, each with its flags for the server and the number of viewers that are measured.
const PROTOCOLS: [(Protocol, &str, usize); 6] = [
    (Protocol::Flv, "HTTP-FLV", 1000),
    (Protocol::Play, "RTMP", 1000),
    (Protocol::Hls, "HLS", 500),
    (Protocol::LowLatencyHls, "Low-Latency HLS", 300),
    (Protocol::Tls, "HTTP-FLV over TLS", 500),
    (Protocol::WebRtc, "WebRTC", 50),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Flv,
    Play,
    Hls,
    LowLatencyHls,
    Tls,
    WebRtc,
}

/// Prints the table.
pub fn run(server: &Path, args: &Args) -> Result<(), Box<dyn Error>> {
    println!("| | KB each |\n| --- | --- |");
    let (silent, published) = (Source::silent(), source(args));
    println!("| room whose publisher sends nothing | {:.0} |", room_kb(server, args, &silent, "off")?);
    println!("| published room | {:.0} |", room_kb(server, args, &published, "off")?);
    println!("| published room, with HLS | {:.0} |", room_kb(server, args, &published, "always")?);
    for (protocol, name, viewers) in PROTOCOLS {
        let bytes = viewer_bytes(server, protocol, args, viewers)?;
        println!("| viewer over {name} | {:.1} |", bytes / 1e3);
    }
    Ok(())
}

/// Returns the kilobytes of a room with its publisher.
fn room_kb(server: &Path, args: &Args, source: &Source, hls: &str) -> Result<f64, Box<dyn Error>> {
    let server = Server::start(server, &["--hls", hls])?;
    let args = server.args(args.clone());
    block_on(async {
        let (_stage, stages) = watch::channel(Stage::Joining);
        start_publishers_of(&args, 0..BEFORE, source, Duration::ZERO, &stages).await?;
        sleep(SETTLE).await;
        let before = resident_bytes_of(server.pid());
        start_publishers_of(&args, BEFORE..BEFORE + ROOMS, source, Duration::ZERO, &stages).await?;
        sleep(SETTLE).await;
        Ok(grown_bytes(before, resident_bytes_of(server.pid()), ROOMS)? / 1e3)
    })
}

fn viewer_bytes(
    server: &Path,
    protocol: Protocol,
    args: &Args,
    viewers: usize,
) -> Result<f64, Box<dyn Error>> {
    let authority = (protocol == Protocol::Tls).then(|| Arc::new(TestAuthority::with_key(KeyKind::Ecdsa)));
    let flags = flags(protocol, authority.as_deref());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start(server, &flags)?;
    let args = Args {
        publishers: 1,
        tls: authority.is_some(),
        authority,
        opus: protocol == Protocol::WebRtc,
        ..args.clone()
    };
    let args = server.args(args);
    block_on(async {
        let (_stage, stages) = watch::channel(Stage::Joining);
        start_publishers_of(&args, 0..1, &source(&args), Duration::ZERO, &stages).await?;
        sleep(SETTLE).await;
        let _before = watch_many(protocol, &Args { viewers: BEFORE, ..args.clone() }, &stages).await?;
        sleep(SETTLE).await;
        let before = resident_bytes_of(server.pid());
        let _viewers = watch_many(protocol, &Args { viewers, ..args.clone() }, &stages).await?;
        sleep(SETTLE).await;
        grown_bytes(before, resident_bytes_of(server.pid()), viewers)
    })
}

fn flags(protocol: Protocol, authority: Option<&TestAuthority>) -> Vec<String> {
    let mut flags: Vec<String> = match protocol {
        Protocol::Hls => vec!["--hls", "always"],
        Protocol::LowLatencyHls => vec!["--hls", "always", "--hls-fmp4", "always"],
        Protocol::WebRtc => vec!["--hls", "off", "--rtc-addr", "127.0.0.1:0"],
        Protocol::Flv | Protocol::Play | Protocol::Tls => vec!["--hls", "off"],
    }
    .into_iter()
    .map(ToOwned::to_owned)
    .collect();
    flags.extend(authority.map(TestAuthority::flags).unwrap_or_default());
    flags
}

/// Lets viewers come, who stay until the load is over.
async fn watch_many(
    protocol: Protocol,
    args: &Args,
    stages: &watch::Receiver<Stage>,
) -> Result<Vec<JoinHandle<()>>, Box<dyn Error>> {
    let report = Report::default();
    let (tls, hls, ends) = (args.tls_client()?, args.hls, part_viewer::PartEnds::default());
    let watch = |room: String| {
        let (tls, stages, report, ends) = (tls.clone(), stages.clone(), report.clone(), ends.clone());
        let (http, rtmp) = (args.http, args.rtmp);
        async move {
            match (protocol, hls) {
                (Protocol::Play, _) => player::watch(rtmp, room, stages, report).await,
                (Protocol::WebRtc, _) => drop(rtc::viewer::watch(http, room, stages).await),
                (Protocol::Hls, Some(server)) => {
                    hls::viewer::watch(Place { server, room }, stages).await;
                }
                (Protocol::LowLatencyHls, Some(server)) => {
                    part_viewer::watch(Place { server, room }, stages, ends, true, None).await;
                }
                _ => viewer::watch(http, tls, room, stages, report).await,
            }
        }
    };
    Ok(join(args, watch).await)
}

fn grown_bytes(before: Option<u64>, after: Option<u64>, count: usize) -> Result<f64, Box<dyn Error>> {
    let (before, after) = before.zip(after).ok_or("the server's memory is not known")?;
    Ok((after as f64 - before as f64) / count as f64)
}
