//! What happens, with the time at which it does.

use std::{cell::Cell, net::SocketAddr};

use tokio::time::Instant;

use crate::{NODES, publisher::News};

/// Tells on stdout what happens.
pub struct Story {
    since: Instant,
    servers: Vec<SocketAddr>,
    accepted: Cell<u32>,
}

impl Story {
    /// Begins now. `servers` are where the nodes take publishers, in their order.
    pub fn begin(servers: &[SocketAddr]) -> Self {
        Self { since: Instant::now(), servers: servers.to_vec(), accepted: Cell::new(0) }
    }

    /// How often a node has taken the publisher.
    pub fn accepted(&self) -> u32 {
        self.accepted.get()
    }

    /// What the publisher has to tell of a node.
    pub fn publisher(&self, at: SocketAddr, news: News) {
        let node = self.servers.iter().zip(NODES).find(|(server, _)| **server == at);
        let name = node.map_or("?", |(_, name)| name);
        match news {
            News::Accepted => {
                self.accepted.set(self.accepted.get() + 1);
                self.say(&format!("the publisher is at {name}"));
            }
            News::Failed(error) => self.say(&format!("the publisher is not at {name}: {error}")),
        }
    }

    /// A line of it.
    pub fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.since.elapsed().as_secs_f64());
    }
}
