//! The drain: the node sends its publishers to other nodes, then its viewers, before the process exits.

mod args;
mod signals;

use std::time::Duration;

use actix_server::ServerHandle;
use log::{info, warn};
use synctv_actors::{
    cluster::registry::RegistryHandle,
    connection_limit::ConnectionLimit,
    directory::{DirectoryEnded, StreamDirectory},
    events::LeaveWindow,
    hls::HlsSessions,
};
use tokio::time::{Instant, sleep, timeout};

pub use self::{
    args::{DrainArgs, DrainTimes},
    signals::{DrainOrder, StopSignals},
};

/// The interval at which the drain checks whether connections are left.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Time that the streams may take to release their publishers, beside the time that they keep them for the right
/// moment. A thread that hangs does not keep the process running.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that another node may take to fetch a playlist's window, after the last moment at which a publisher may be
/// back.
const WINDOWS_TIMEOUT: Duration = Duration::from_secs(4);

/// The last viewer leaves so much of the time before its end that what is queued for it can still be sent.
const LAST_VIEWERS_DIVISOR: u32 = 20;

/// Time for a viewer that asked for a notice to open its next connection before this one closes.
const NOTICE: Duration = Duration::from_secs(3);

/// The parts that a drain acts on.
#[derive(Debug)]
pub struct Drain {
    /// Refuses new publishers and viewers.
    pub directory: StreamDirectory,
    /// Gives the node's rooms and its lease back.
    pub registry: RegistryHandle,
    /// Counts who is left.
    pub permits: ConnectionLimit,
    /// Has the playlists with which other nodes go on.
    pub hls: Option<HlsSessions>,
    /// The times that publishers and viewers may stay.
    pub times: DrainTimes,
}

impl Drain {
    /// Sends everyone away after the first `signal`, and stops the server. A second signal cuts the waiting short.
    pub async fn run_after(self, signal: &'static str, mut signals: StopSignals, server: ServerHandle) {
        info!(signal = signal, connections = self.permits.held(); "drain started");
        tokio::select! {
            () = self.run() => {}
            signal = signals.next() => warn!(signal = signal; "drain cut short"),
        }
        // The server waits for requests that are being answered.
        if let Some(hls) = &self.hls {
            hls.release_held();
        }
        server.stop(true).await;
    }

    async fn run(&self) {
        self.directory.announce_drain();
        self.registry.announce_drain();
        sleep(self.times.delay).await;
        if let Err(ended) = self.close().await {
            warn!(reason:% = ended; "newcomers could not be refused");
        }
        let begin = Instant::now();
        if let Err(ended) = self.move_publishers().await {
            warn!(reason:% = ended; "publishers could not be released");
        }
        self.registry.leave().await;
        if let Err(ended) = self.move_viewers(begin).await {
            warn!(reason:% = ended; "viewers could not be moved");
        }
        info!(connections = self.permits.held(); "drain finished");
    }

    /// Refuses newcomers, and lets publishers stay until their time is over.
    async fn close(&self) -> Result<(), DirectoryEnded> {
        self.directory.close().await?;
        let deadline = Instant::now() + self.times.publishers;
        while Instant::now() < deadline && self.directory.count_published().await? > 0 {
            sleep(CHECK_INTERVAL).await;
        }
        Ok(())
    }

    async fn move_publishers(&self) -> Result<(), DirectoryEnded> {
        let next_node = self.registry.next_node().await;
        let wait_max = self.times.move_wait_max();
        let moved = self.directory.move_publishers(self.times.handover, wait_max, next_node);
        match timeout(wait_max + STREAMS_TIMEOUT, moved).await {
            Ok(moved) => moved,
            Err(_) => {
                warn!("some streams did not release their publishers in time");
                Ok(())
            }
        }
    }

    /// Viewers have the first half of their time, which began with the publishers' moves, for their rooms to come back, and
    /// leave evenly over the second. A quarter of it is behind the last move. Those that asked for it are given notice.
    async fn move_viewers(&self, begin: Instant) -> Result<(), DirectoryEnded> {
        let (moved, time) = (Instant::now(), self.times.viewers);
        let leave_from = (begin + time / 2).max(moved + time / 4);
        let notice = NOTICE.min(time / 4);
        let windows_until = moved + self.times.handover + WINDOWS_TIMEOUT;
        self.wait_until_empty(leave_from - notice, windows_until).await;
        if self.permits.held() > 0 && !time.is_zero() {
            let length = time / 2 - time / LAST_VIEWERS_DIVISOR;
            let next_node = self.registry.next_node().await;
            let window = LeaveWindow { begins: leave_from, length, notice, next_node, only_encrypted: false };
            self.directory.move_viewers(window).await?;
        }
        self.wait_until_empty(leave_from + time / 2, windows_until).await;
        Ok(())
    }

    /// Viewers over HLS have no connection between their requests: they count as long as their playlists are to be fetched.
    async fn wait_until_empty(&self, deadline: Instant, windows_until: Instant) {
        loop {
            let now = Instant::now();
            let has_windows =
                now < windows_until && self.hls.as_ref().is_some_and(HlsSessions::has_windows_to_give);
            if now >= deadline || self.permits.held() == 0 && !has_windows {
                return;
            }
            sleep(CHECK_INTERVAL).await;
        }
    }
}
