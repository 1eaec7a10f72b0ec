//! Viewers who come at once.

use std::{error::Error, time::Duration};

use synctv_testkit::hls::Playlist;
use tokio::{
    sync::watch,
    task::spawn_local,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::outcome::Outcome;
use crate::{
    args::Args,
    hls::{
        http::Client,
        place::{Place, playlist},
    },
    report::Report,
    rtc::session::Session,
    stage::Stage,
    steps::join,
    viewer,
};

/// The time in which most of them come, in seconds.
const JOIN_S: f64 = 1.0;

/// Time that they stay once all have what they came for.
const STAY: Duration = Duration::from_secs(1);

/// Time limit for the first frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clock of RTP video (RFC 3551, section 5).
const VIDEO_CLOCK_HZ: u32 = 90_000;

type Fault = Box<dyn Error>;

/// Viewers over HTTP-FLV, with `tls_ca` over TLS.
pub async fn flv(args: Args, count: usize) -> Result<Outcome, Fault> {
    let (stage, stages) = watch::channel(Stage::Joining);
    let (report, tls) = (Report::default(), args.tls_client()?);
    let args = Args { viewers: count, join_s: JOIN_S, ..args };
    let watch = |room| viewer::watch(args.http, tls.clone(), room, stages.clone(), report.clone());
    let viewers = join(&args, watch).await;
    stage.send(Stage::Over)?;
    for viewer in viewers {
        viewer.abort();
        // Its end is the abort.
        let _ = viewer.await;
    }
    let (first_us, without) = report.first_frames();
    let mut outcome = Outcome::of(first_us);
    (0..without).for_each(|_| outcome.refuse("no frame".to_owned()));
    Ok(outcome)
}

/// HLS players, all at the same moment: each takes the playlist and its newest segment.
pub async fn hls(args: &Args, count: usize) -> Result<Outcome, Fault> {
    let server = args.hls.ok_or("the server has no port for HLS")?;
    let room = args.room(0);
    let start = move |_| {
        let (room, mut client) = (room.clone(), Client::new(server));
        async move {
            first_segment(&mut client, &Place { server, room }).await?;
            Ok(client)
        }
    };
    Ok(come(count, Duration::ZERO, start).await.0)
}

async fn first_segment(client: &mut Client, place: &Place) -> Result<(), Fault> {
    let mut text = Vec::new();
    client.get(&place.path("index.m3u8"), None, |bytes| text.extend_from_slice(bytes)).await?;
    let Playlist { segments, .. } = playlist(&text).ok_or("a playlist without segments")?;
    let newest = segments.last().ok_or("a playlist without segments")?;
    client.get(&place.path(&newest.uri), None, |_| {}).await?;
    Ok(())
}

/// WebRTC viewers, up to their first packet of video.
pub async fn whep(args: &Args, count: usize) -> Outcome {
    let (http, room) = (args.http, args.room(0));
    let join = move |_| {
        let room = room.clone();
        async move {
            let mut session = Session::open(http, &room).await?;
            session.connect().await?;
            while !session.take_packets().iter().any(|packet| packet.clock_hz == VIDEO_CLOCK_HZ) {
                session.turn().await?;
            }
            session.leave_unread()?;
            Ok(session)
        }
    };
    let (outcome, sessions) = come(count, Duration::from_secs_f64(JOIN_S), join).await;
    for session in sessions {
        if let Err(fault) = session.close().await {
            eprintln!("{fault}");
        }
    }
    outcome
}

/// Has so many come, evenly over a time, and stay for a while once all have come. Returns what their joins returned, too.
async fn come<T: 'static, F>(count: usize, over: Duration, join: impl Fn(usize) -> F) -> (Outcome, Vec<T>)
where
    F: Future<Output = Result<T, Fault>> + 'static,
{
    let (begin, pause) = (Instant::now(), over / count.max(1) as u32);
    let mut joins = Vec::with_capacity(count);
    for number in 0..count {
        sleep_until(begin + pause * number as u32).await;
        let (asked, joined) = (Instant::now(), join(number));
        joins.push(spawn_local(async move {
            let joined = timeout(PATIENCE, joined).await.unwrap_or_else(|_| Err("no frame in time".into()));
            joined.map(|kept| (asked.elapsed(), kept)).map_err(|fault| fault.to_string())
        }));
    }
    let (mut outcome, mut kept) = (Outcome::default(), Vec::new());
    for join in joins {
        match join.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((after, joined)) => {
                outcome.serve(after);
                kept.push(joined);
            }
            Err(reason) => outcome.refuse(reason),
        }
    }
    sleep(STAY).await;
    (outcome, kept)
}
