//! The directory of a node that drains.

use std::time::Duration;

use futures::future::join_all;
use synctv_media::cluster::standing::NodeUrl;

use super::{
    StreamDirectory,
    errors::DirectoryEnded,
    messages::{AllStreams, Close, Notice},
};
use crate::{events::LeaveWindow, stream::StreamHandle};

impl StreamDirectory {
    /// Says that the node is about to drain: health checks fail, and HTTP connections are closed after each answer.
    /// Newcomers are let in until [`close`](Self::close).
    pub fn announce_drain(&self) {
        self.notice.send_replace(Notice::Drain);
    }

    /// Returns whether the node drains, or is about to.
    pub fn is_draining(&self) -> bool {
        *self.notice.borrow() == Notice::Drain
    }

    /// Returns whether HTTP connections are to be closed behind their next answer.
    pub fn is_closing_connections(&self) -> bool {
        *self.notice.borrow() != Notice::None
    }

    /// Waits until HTTP connections that wait for a request are to be closed.
    pub async fn wait_for_closing(&self) {
        // It fails without a sender, and this is one.
        let _ = self.notice.subscribe().wait_for(|notice| *notice != Notice::None).await;
    }

    /// Refuses everyone from now on.
    pub async fn close(&self) -> Result<(), DirectoryEnded> {
        self.announce_drain();
        self.address.send(Close).await.map_err(|_| DirectoryEnded)
    }

    /// Returns how many rooms are published through this node.
    pub async fn count_published(&self) -> Result<usize, DirectoryEnded> {
        let streams = self.streams().await?;
        Ok(streams.iter().filter(|stream| stream.is_published_here()).count())
    }

    /// Sends the publishers to other nodes, each at its moment and after `wait_max` at the latest, and reserves their rooms for
    /// them for `handover`. Those that take requests are asked to go to `next_node`. When this returns, all rooms were
    /// released; viewers stay, and follow the rooms.
    pub async fn move_publishers(
        &self,
        handover: Duration,
        wait_max: Duration,
        next_node: Option<NodeUrl>,
    ) -> Result<(), DirectoryEnded> {
        let streams = self.all_streams().await?;
        let moves = streams.iter().map(|stream| stream.move_publisher(handover, wait_max, next_node.clone()));
        join_all(moves).await;
        Ok(())
    }

    /// Sends the viewers to other nodes, evenly over a time.
    pub async fn move_viewers(&self, window: LeaveWindow) -> Result<(), DirectoryEnded> {
        self.all_streams().await?.iter().for_each(|stream| stream.move_viewers(window.clone()));
        Ok(())
    }

    /// All streams, also those that have had no media yet.
    pub(super) async fn all_streams(&self) -> Result<Vec<StreamHandle>, DirectoryEnded> {
        self.address.send(AllStreams).await.map_err(|_| DirectoryEnded)
    }
}
