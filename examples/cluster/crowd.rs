//! A drain of a node with many publishers and viewers: when the viewers are disconnected, and how many of them at a time.

use std::{cell::Cell, error::Error, fmt, net::SocketAddr, rc::Rc, time::Duration};

use futures::{StreamExt, stream};
use synctv_testkit::{
    balancer::Balancer,
    encoder::{Encoder, EncoderKind},
};
use tokio::{
    task::{JoinHandle, LocalSet},
    time::{Instant, sleep, timeout},
};

use crate::{node::Node, progress::Progress, viewer::Viewer};

/// Time that a node keeps its viewers.
pub const DRAIN_TIMEOUT_S: u32 = 30;

/// Time limit for a drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// The time in which a share of the viewers is disconnected.
const WINDOW: Duration = Duration::from_millis(500);

/// Viewers read so often, and not with each frame: they and the node share a machine.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// Viewers that join at once.
const JOINING_MAX: usize = 64;

/// Time that all watch before the drain: the rhythm of the keyframes becomes known.
const WATCHED_BEFORE: Duration = Duration::from_secs(6);

/// The publishers and viewers of the node that drains.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pub publishers: usize,
    pub viewers: usize,
    pub encoder: EncoderKind,
    pub gop_frames: u32,
}

/// The times at which viewers were disconnected, since the drain began.
struct Disconnections(Vec<Duration>);

/// Drains the first node, and prints when its viewers were disconnected and which rooms the second one has then.
pub async fn drain(nodes: &mut [Node], crowd: Crowd, progress: &Progress) -> Result<(), Box<dyn Error>> {
    let [first, second, ..] = nodes else { return Ok(()) };
    let balancer = Balancer::start(first.rtmp);
    let encoder = |number| Encoder::start(crowd.encoder, balancer.address, &room(number), crowd.gop_frames);
    let encoders: Vec<_> = (0..crowd.publishers).map(encoder).collect();
    let local = LocalSet::new();
    let disconnected = local.run_until(async {
        let joined = Rc::new(Cell::new(0));
        let http = first.http;
        let viewers: Vec<_> = stream::iter(0..crowd.viewers)
            .map(|number| join(http, number % crowd.publishers.max(1), joined.clone()))
            .buffer_unordered(JOINING_MAX)
            .collect()
            .await;
        progress.print(&format!("{} viewers of {} rooms watch", joined.get(), crowd.publishers));
        sleep(WATCHED_BEFORE).await;
        balancer.point_at(second.rtmp);
        let begin = Instant::now();
        first.process.ask_to_end();
        timeout(DRAIN_LIMIT, first.process.ended()).await.map_err(|_| "the node does not end")?;
        progress.print(&format!("{} has ended after {:.1} s", first.name, begin.elapsed().as_secs_f64()));
        let mut times = Vec::new();
        for viewer in viewers {
            times.push(viewer?.await?.duration_since(begin));
        }
        times.sort();
        Ok::<_, Box<dyn Error>>(Disconnections(times))
    });
    progress.print(&disconnected.await?.to_string());
    let http = second.http;
    let rooms = stream::iter(0..crowd.publishers)
        .then(|number| async move { Viewer::join(http, &room(number)).await });
    let back = rooms.filter(|joined| futures::future::ready(joined.is_ok())).count().await;
    progress.print(&format!("{} has {back} of {} rooms", second.name, crowd.publishers));
    drop(encoders);
    Ok(())
}

fn room(number: usize) -> String {
    format!("crowd_{number}")
}

/// Joins, and gives the time at which the connection is closed.
async fn join(
    http: SocketAddr,
    number: usize,
    joined: Rc<Cell<usize>>,
) -> Result<JoinHandle<Instant>, Box<dyn Error>> {
    let mut viewer = Viewer::join(http, &room(number)).await?;
    joined.set(joined.get() + 1);
    Ok(tokio::task::spawn_local(async move {
        loop {
            match timeout(Duration::ZERO, viewer.next_frame()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Instant::now(),
                Err(_) => sleep(READ_INTERVAL).await,
            }
        }
    }))
}

impl fmt::Display for Disconnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(times) = self;
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return f.write_str("there were no viewers");
        };
        let within =
            |from: &Duration| times.iter().filter(|time| (*from..*from + WINDOW).contains(*time)).count();
        let most = times.iter().map(within).max().unwrap_or(0);
        let share = most as f64 * 100.0 / times.len() as f64;
        write!(
            f,
            "{} viewers were disconnected {:.1} to {:.1} s after the signal, at most {share:.1} % within {} ms",
            times.len(),
            first.as_secs_f64(),
            last.as_secs_f64(),
            WINDOW.as_millis()
        )
    }
}
