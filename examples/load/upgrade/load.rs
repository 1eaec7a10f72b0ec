//! The nodes and all of their peers.

use std::{error::Error, net::SocketAddr, path::Path, time::Duration};

use synctv_testkit::{process::Process, redis::Redis};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_local},
    time::{Instant, sleep, sleep_until},
};

use super::{
    args::UpgradeArgs,
    clip::{self, Clip},
    findings::Findings,
    follower::Follower,
    gaps::Clock,
    node::Node,
    promises::{Promises, middle_and_longest},
    publisher::Publisher,
    record::Record,
    viewer::{self, Watch},
};
use crate::{args::Args, hls::place::Place, publisher::Source};

/// The room with many viewers.
const ROOM: &str = "watched";

/// Bit rate of the rooms with one viewer, in kbit/s: they leave the machine to the others.
const KBPS_OF_OTHERS: u32 = 64;

/// Time from the first frames of a room until a viewer has media to begin with.
const FIRST_MEDIA: Duration = Duration::from_secs(1);

/// Time until FFmpeg publishes.
const FFMPEG_START: Duration = Duration::from_secs(4);

/// The load. All that it started ends when it is dropped.
pub struct Load {
    pub redis: Redis,
    /// The node with the publishers.
    pub origin: Node,
    /// The node that pulls the room.
    pub edge: Node,
    pub watch: Watch,
    /// Counts finished upgrades.
    pub upgrades_over: watch::Sender<usize>,
    /// The frames of the room with many viewers.
    record: Record,
    publishers: Vec<JoinHandle<()>>,
    ffmpeg: Vec<Process>,
    viewers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts the nodes, and a publisher in the room.
    pub async fn start(binary: &Path, args: &Args) -> Result<Self, Box<dyn Error>> {
        let redis = Redis::start(&[]);
        let mut load = Self {
            origin: Node::start(binary, "origin", &redis.url())?,
            edge: Node::start(binary, "edge", &redis.url())?,
            redis,
            watch: Watch { clock: Clock::default(), findings: Findings::default() },
            upgrades_over: watch::Sender::new(0),
            record: Record::default(),
            publishers: Vec::new(),
            ffmpeg: Vec::new(),
            viewers: Vec::new(),
        };
        let record = load.record.clone();
        load.publish(ROOM, Source::new(args.kbps, args.gop), record).await?;
        Ok(load)
    }

    async fn publish(&mut self, room: &str, source: Source, record: Record) -> Result<(), Box<dyn Error>> {
        let publisher = Publisher::connect(self.origin.addresses.rtmp, room).await?;
        self.publishers.push(spawn_local(publisher.publish(source, record, self.watch.findings.clone())));
        Ok(())
    }

    /// Starts all peers.
    pub async fn join(&mut self, args: &Args) -> Result<(), Box<dyn Error>> {
        self.join_other_rooms(args).await?;
        let flags = &args.upgrades;
        for _ in 0..flags.followers {
            let place = Place { server: self.origin.hls()?, room: ROOM.to_owned() };
            let follower = Follower::new(place, self.record.clone(), self.watch.findings.clone());
            self.viewers.push(spawn_local(follower.follow(self.upgrades_over.subscribe())));
        }
        let (http, rtmp, edge) =
            (self.origin.addresses.http, self.origin.addresses.rtmp, self.edge.addresses.http);
        let watch = |kind, server: SocketAddr| {
            let (record, watch) = (self.record.clone(), self.watch.clone());
            spawn_local(viewer::watch(kind, server, ROOM.to_owned(), record, watch))
        };
        let play = || {
            let (record, watch) = (self.record.clone(), self.watch.clone());
            spawn_local(viewer::play("RTMP players", rtmp, ROOM.to_owned(), record, watch))
        };
        let mut viewers = Vec::new();
        viewers.extend((0..flags.players).map(|_| play()));
        viewers.extend((0..flags.edge_viewers).map(|_| watch("viewers of the second node", edge)));
        let pause = Duration::from_secs_f64(args.join_s / args.viewers.max(1) as f64);
        let mut next = Instant::now();
        for _ in 0..args.viewers {
            viewers.push(watch("HTTP-FLV viewers", http));
            next += pause;
            sleep_until(next).await;
        }
        self.viewers.extend(viewers);
        // The last peers to connect are part of the load as well.
        sleep(Duration::from_secs(2)).await;
        Ok(())
    }

    /// Publishers of further rooms, each with a viewer.
    async fn join_other_rooms(&mut self, args: &Args) -> Result<(), Box<dyn Error>> {
        let (http, rtmp) = (self.origin.addresses.http, self.origin.addresses.rtmp);
        let mut own = Vec::new();
        for number in 1..args.publishers {
            let room = format!("{ROOM}_{number}");
            let is_ffmpeg = number <= args.upgrades.ffmpeg_publishers;
            if let Some(ffmpeg) = is_ffmpeg.then(|| clip::push(rtmp, &room)).flatten() {
                self.ffmpeg.push(ffmpeg);
            } else {
                let (record, source) = (Record::default(), Source::new(KBPS_OF_OTHERS, args.gop));
                self.publish(&room, source, record.clone()).await?;
                own.push((room, record));
            }
        }
        println!("publishers: {}, and FFmpeg {} times", self.publishers.len(), self.ffmpeg.len());
        sleep(if self.ffmpeg.is_empty() { FIRST_MEDIA } else { FFMPEG_START }).await;
        for (room, record) in own {
            let watched = viewer::watch("viewers of other rooms", http, room, record, self.watch.clone());
            self.viewers.push(spawn_local(watched));
        }
        let clip = Clip::read();
        for number in 1..=self.ffmpeg.len() {
            let watched = clip::watch(http, format!("{ROOM}_{number}"), clip.clone(), self.watch.clone());
            self.viewers.push(spawn_local(watched));
        }
        Ok(())
    }

    /// Ends the viewers, and checks their findings.
    pub async fn end(&mut self, flags: &UpgradeArgs, promises: &mut Promises) {
        let peers = self.publishers.len() + self.ffmpeg.len() + self.viewers.len();
        let ended = self.publishers.iter().chain(&self.viewers).filter(|peer| peer.is_finished()).count();
        let ended = ended + self.ffmpeg.iter_mut().filter_map(Process::ended).count();
        // FFmpeg ends before its server, whose end it would report as an error.
        self.ffmpeg.clear();
        // All are aborted before the first is awaited: each reports its last gap up to its end.
        self.viewers.iter().for_each(JoinHandle::abort);
        for viewer in self.viewers.drain(..) {
            // It was aborted.
            let _ = viewer.await;
        }
        promises.note(&format!("connections: {peers}, of which {ended} ended"), ended == 0);
        let faults = self.watch.findings.faults();
        self.watch.findings.print();
        promises.note(&format!("media: {faults} faults"), faults == 0);
        let are_alive = [&mut self.origin, &mut self.edge].map(Node::is_alive);
        promises.note("processes: the same two", are_alive == [true; 2]);
        self.note_gaps(flags, promises);
        for complaint in [&self.origin, &self.edge].into_iter().flat_map(Node::complaints) {
            println!("logged: {complaint}");
        }
    }

    fn note_gaps(&self, flags: &UpgradeArgs, promises: &mut Promises) {
        println!("longest gap, of the viewer in the middle / of any viewer:");
        println!("  before {}", middle_and_longest(&self.watch.clock.longest(1)));
        let mut longest = Duration::ZERO;
        for upgrade in 1..=flags.upgrades + flags.edge_upgrades {
            let gaps = self.watch.clock.longest(1 + upgrade);
            let node = if upgrade <= flags.upgrades { "" } else { ", of the second node" };
            println!("  upgrade {upgrade}{node}: {}", middle_and_longest(&gaps));
            longest = longest.max(gaps.last().copied().unwrap_or_default());
        }
        if let Some(limit_ms) = flags.gap_max_ms {
            let is_kept = longest <= Duration::from_millis(limit_ms);
            promises.note(&format!("longest gap: {} ms of {limit_ms}", longest.as_millis()), is_kept);
        }
    }
}
