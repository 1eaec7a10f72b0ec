//! The steps of each load: publishers start, viewers join, and a while is measured.

use std::{error::Error, ops::Range, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    args::Args,
    process::{Meter, Usage},
    publisher,
    stage::Stage,
};

/// Runs a load on this thread.
pub fn block_on<T>(load: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(load))
}

/// Starts one behind the other, with a pause.
pub async fn start_publishers(
    args: &Args,
    pause: Duration,
    stages: &watch::Receiver<Stage>,
) -> Result<(), Box<dyn Error>> {
    start_publishers_of(args, 0..args.publishers, &source(args), pause, stages).await
}

/// Starts those of some rooms in the same way, each with this media.
pub async fn start_publishers_of(
    args: &Args,
    rooms: Range<usize>,
    source: &publisher::Source,
    pause: Duration,
    stages: &watch::Receiver<Stage>,
) -> Result<(), Box<dyn Error>> {
    let mut next = Instant::now();
    let (address, tls) = args.publishing_at()?;
    for room in rooms {
        tokio::time::sleep_until(next).await;
        next += pause;
        let ready = publisher::start(address, tls.clone(), args.room(room), source.clone(), stages.clone());
        ready.await??;
    }
    Ok(())
}

/// Returns the media that each of them publishes.
pub fn source(args: &Args) -> publisher::Source {
    let source = publisher::Source::new(args.kbps, args.gop);
    if args.opus { source.with_opus() } else { source }
}

/// Lets the viewers come, each of them by `watch`.
pub async fn join<T: 'static, F>(args: &Args, watch: impl Fn(String) -> F) -> Vec<JoinHandle<T>>
where
    F: Future<Output = T> + 'static,
{
    let pause = Duration::from_secs_f64(args.join_s / args.viewers.max(1) as f64);
    let mut next = Instant::now();
    let mut viewers = Vec::with_capacity(args.viewers);
    for viewer in 0..args.viewers {
        let room = args.room(viewer % args.publishers.max(1));
        viewers.push(tokio::task::spawn_local(watch(room)));
        next += pause;
        tokio::time::sleep_until(next).await;
    }
    // The last to join are part of the measurement like all others.
    tokio::time::sleep(Duration::from_secs(1)).await;
    viewers
}

/// Measures for the configured time and ends the load. Returns the server's usage, if its process is known.
pub async fn measure(args: &Args, stage: &watch::Sender<Stage>) -> Result<Option<Usage>, Box<dyn Error>> {
    let meter = Meter::start(args.server_pid, args.floor);
    stage.send(Stage::Measuring)?;
    tokio::time::sleep(Duration::from_secs_f64(args.measure_s)).await;
    // Before the end, at which the thread of a floor is not there any more.
    let usage = meter.and_then(Meter::stop);
    stage.send(Stage::Over)?;
    Ok(usage)
}
