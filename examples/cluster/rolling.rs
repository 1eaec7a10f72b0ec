//! A rolling restart: each node is drained and started again, one after the other, under a publisher and viewers on every
//! node, as a balancer would send them.

use std::{cell::RefCell, error::Error, fmt, net::SocketAddr, path::Path, rc::Rc, time::Duration};

use synctv_testkit::{
    balancer::Balancer,
    encoder::{Encoder, EncoderKind, FRAME_INTERVAL},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{node::Node, progress::Progress, viewer::Viewer};

/// Time limit for a drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// GOPs to watch before the first restart, and after each: the rhythm of the keyframes becomes known.
const GOPS_BETWEEN: u32 = 3;

/// The nodes' HTTP ports. The first is the one that newcomers are sent to.
type Entrances = Rc<RefCell<Vec<SocketAddr>>>;

/// The publisher during the restarts.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub room: &'static str,
    /// None: the user's own.
    pub encoder: Option<EncoderKind>,
    pub gop_frames: u32,
    /// Time before the first restart and after each, at the least.
    pub watch: Duration,
    pub start: Start<'a>,
}

/// The way in which nodes are started again.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    pub redis_url: &'a str,
    pub directory: &'a Path,
    pub verbose: bool,
    /// Time that a node which drains keeps its viewers.
    pub keep_viewers_s: u32,
}

/// One viewer's view of the restarts.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    longest: Duration,
    /// Connections that it was served over.
    connections: u32,
    frames: u64,
    /// Frames that were never seen; `None` of the user's own encoder, which does not number them.
    lost: Option<u64>,
    last_number: Option<u32>,
}

/// Restarts all nodes, and prints what the viewers saw of it.
pub async fn restart_all(
    nodes: &mut [Node],
    plan: Plan<'_>,
    progress: &Progress,
) -> Result<(), Box<dyn Error>> {
    let Some(first) = nodes.first() else { return Ok(()) };
    let balancer = Balancer::start(first.rtmp);
    let encoder = match plan.encoder {
        Some(kind) => Some(Encoder::start(kind, balancer.address, plan.room, plan.gop_frames)),
        None => {
            progress.print(&format!("publish to rtmp://{}/{}/{}", balancer.address, first.app, plan.room));
            None
        }
    };
    let gops_between = if plan.encoder == Some(EncoderKind::OnRequest) { 0 } else { GOPS_BETWEEN };
    let watched_between = plan.watch.max(FRAME_INTERVAL * plan.gop_frames * gops_between);
    Viewer::join(first.http, plan.room).await?;
    let entrances: Entrances = Rc::new(RefCell::new(nodes.iter().map(|node| node.http).collect()));
    let seen: Vec<Rc<RefCell<Seen>>> = nodes.iter().map(|_| Rc::default()).collect();
    let homes: Vec<_> = nodes.iter().map(|node| node.http).collect();
    let viewers =
        homes.iter().zip(&seen).map(|(home, seen)| watch(plan, *home, entrances.clone(), seen.clone()));
    let first_to_fail = futures::future::select_all(viewers.map(Box::pin));
    let restarts = async {
        sleep(watched_between).await;
        for index in 0..nodes.len() {
            let next = nodes.get((index + 1) % nodes.len()).map(|node| (node.rtmp, node.http));
            let Some(((rtmp, http), node)) = next.zip(nodes.get_mut(index)) else { continue };
            balancer.point_at(rtmp);
            put_first(&entrances, http);
            restart(node, plan.start, progress).await?;
            entrances.borrow_mut().retain(|entrance| homes.get(index) != Some(entrance));
            entrances.borrow_mut().push(node.http);
            sleep(watched_between).await;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::select! {
        (error, ..) = first_to_fail => return Err(error),
        restarted = restarts => restarted?,
    }
    drop(encoder);
    for (node, seen) in nodes.iter().zip(&seen) {
        progress.print(&format!("the viewer that began at {}: {}", node.name, seen.borrow()));
    }
    Ok(())
}

fn put_first(entrances: &Entrances, first: SocketAddr) {
    let mut entrances = entrances.borrow_mut();
    entrances.retain(|entrance| *entrance != first);
    entrances.insert(0, first);
}

/// Drains a node and starts it again.
async fn restart(node: &mut Node, start: Start<'_>, progress: &Progress) -> Result<(), Box<dyn Error>> {
    progress.print(&format!("{} drains", node.name));
    let begin = Instant::now();
    node.process.ask_to_end();
    timeout(DRAIN_LIMIT, node.process.ended()).await.map_err(|_| format!("{} does not end", node.name))?;
    progress.print(&format!("{} has ended after {:.1} s", node.name, begin.elapsed().as_secs_f64()));
    let Start { redis_url, directory, verbose, keep_viewers_s } = start;
    *node = Node::start(&node.name, redis_url, directory, verbose, keep_viewers_s).await?;
    progress.print(&format!("{} is back", node.name));
    Ok(())
}

/// Watches, and connects again when the server ends the connection. Gives the error if there is nothing to watch.
async fn watch(
    Plan { room, encoder, .. }: Plan<'_>,
    home: SocketAddr,
    entrances: Entrances,
    seen: Rc<RefCell<Seen>>,
) -> Box<dyn Error> {
    let has_numbers = encoder.is_some();
    let mut at = home;
    let mut last: Option<Instant> = None;
    loop {
        let mut viewer = match Viewer::join(at, room).await {
            Ok(viewer) => viewer,
            Err(error) => return error,
        };
        seen.borrow_mut().connections += 1;
        while viewer.next_frame().await.is_ok() {
            let now = Instant::now();
            let pause = last.replace(now).map_or(Duration::ZERO, |last| now - last);
            let mut seen = seen.borrow_mut();
            seen.longest = seen.longest.max(pause);
            seen.frames += 1;
            seen.note(viewer.number.filter(|_| has_numbers));
        }
        at = entrances.borrow().first().copied().unwrap_or(home);
    }
}

impl Seen {
    /// A frame has this number. Behind a new connection some come again.
    fn note(&mut self, number: Option<u32>) {
        let Some(number) = number else { return };
        if let Some(last) = self.last_number {
            let missed = u64::from(number.saturating_sub(last).saturating_sub(1));
            self.lost = Some(self.lost.unwrap_or(0) + missed);
        }
        self.last_number = self.last_number.max(Some(number));
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { longest, connections, frames, lost, .. } = self;
        let longest_s = longest.as_secs_f64();
        write!(f, "longest pause {longest_s:.2} s, {frames} frames over {connections} connections")?;
        lost.map_or(Ok(()), |lost| write!(f, ", {lost} lost"))
    }
}
