//! Lines about what happens, each with its time.

use std::{cell::Cell, net::SocketAddr};

use tokio::time::Instant;

use crate::publisher::Attempt;

/// Prints what happens to stdout.
pub struct Progress {
    since: Instant,
    nodes: Vec<(SocketAddr, &'static str)>,
    accepted: Cell<u32>,
}

impl Progress {
    /// Begins now. The nodes have an RTMP address and a name each.
    pub fn begin(nodes: impl IntoIterator<Item = (SocketAddr, &'static str)>) -> Self {
        Self { since: Instant::now(), nodes: nodes.into_iter().collect(), accepted: Cell::new(0) }
    }

    /// Returns how often a node has accepted the publisher.
    pub fn accepted(&self) -> u32 {
        self.accepted.get()
    }

    /// Prints what became of an attempt to publish at a node.
    pub fn publisher(&self, at: SocketAddr, attempt: Attempt) {
        let node = self.nodes.iter().find(|(server, _)| *server == at);
        let name = node.map_or("?", |(_, name)| name);
        match attempt {
            Attempt::Accepted => {
                self.accepted.set(self.accepted.get() + 1);
                self.print(&format!("the publisher is at {name}"));
            }
            Attempt::Failed(error) => self.print(&format!("the publisher is not at {name}: {error}")),
        }
    }

    /// Prints a line.
    pub fn print(&self, what: &str) {
        println!("{:6.1} s  {what}", self.since.elapsed().as_secs_f64());
    }
}
