//! The latency of viewers over HTTP-FLV before and while many join over WebRTC.

use std::{error::Error, net::SocketAddr, thread, time::Duration};

use tokio::sync::watch;

use super::session::Session;
use crate::{
    args::Args,
    report::Report,
    stage::Stage,
    steps::{block_on, join, measure, start_publishers},
    viewer,
};

/// Viewers over HTTP-FLV.
const FLV_VIEWERS: usize = 100;

/// Viewers who join over WebRTC, spread over [`JOIN_S`].
const CROWD: u32 = 50;

const JOIN_S: f64 = 1.0;

/// Time that is measured, in seconds: that of the joins, and of what they leave behind.
const MEASURE_S: f64 = 1.2;

/// Number of measurements of each, in turn: few enough that a minute suffices, and enough for a 99th percentile.
const ROUNDS: usize = 5;

/// Time limit for the publisher of the round before to leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints the percentiles of both.
pub fn compare(args: &Args) -> Result<(), Box<dyn Error>> {
    let args =
        Args { viewers: FLV_VIEWERS, publishers: 1, join_s: JOIN_S, measure_s: MEASURE_S, ..args.clone() };
    let [alone, joined] = [Report::default(), Report::default()];
    for _ in 0..ROUNDS {
        block_on(load(args.clone(), alone.clone(), false))?;
        block_on(load(args.clone(), joined.clone(), true))?;
    }
    println!("\nHTTP-FLV, {FLV_VIEWERS} viewers, latency alone           {}", alone.latency());
    println!("while {CROWD} viewers join over WebRTC in {JOIN_S} s     {}", joined.latency());
    Ok(())
}

async fn load(args: Args, report: Report, has_crowd: bool) -> Result<(), Box<dyn Error>> {
    let (stage, stages) = watch::channel(Stage::Joining);
    publish(&args, &stages).await?;
    let watch = |room| viewer::watch(args.http, None, room, stages.clone(), report.clone());
    let viewers = join(&args, watch).await;
    // On a thread of their own, so that their handshakes hold up no viewer whose latency counts.
    let crowd = has_crowd.then(|| {
        let (http, room) = (args.http, args.room(0));
        thread::spawn(move || block_on(crowd(http, room)).map_err(|error| error.to_string()))
    });
    measure(&args, &stage).await?;
    for viewer in viewers {
        viewer.abort();
        let _ = viewer.await;
    }
    match crowd.map(thread::JoinHandle::join) {
        Some(Err(_)) => Err("the crowd's thread panicked".into()),
        Some(Ok(joined)) => Ok(joined?),
        None => Ok(()),
    }
}

/// Starts the publisher, once the server has seen that of the round before leave: until then the name is taken.
async fn publish(args: &Args, stages: &watch::Receiver<Stage>) -> Result<(), Box<dyn Error>> {
    let deadline = tokio::time::Instant::now() + LEAVE_TIMEOUT;
    loop {
        match start_publishers(args, Duration::ZERO, stages).await {
            Err(error) if is_taken(&*error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            started => return started,
        }
    }
}

fn is_taken(error: &dyn Error) -> bool {
    error.to_string().contains("BadName")
}

async fn crowd(http: SocketAddr, room: String) -> Result<(), Box<dyn Error>> {
    let pause = Duration::from_secs_f64(JOIN_S / f64::from(CROWD));
    let mut next = tokio::time::Instant::now();
    let mut joins = Vec::new();
    for _ in 0..CROWD {
        let room = room.clone();
        joins.push(tokio::task::spawn_local(async move {
            let mut session = Session::open(http, &room).await.map_err(|error| error.to_string())?;
            session.connect().await.map_err(|error| error.to_string())?;
            session.leave_unread().map_err(|error| error.to_string())?;
            Ok::<_, String>(session)
        }));
        next += pause;
        tokio::time::sleep_until(next).await;
    }
    let mut sessions = Vec::new();
    for join in joins {
        sessions.push(join.await??);
    }
    for session in sessions {
        session.close().await?;
    }
    Ok(())
}
