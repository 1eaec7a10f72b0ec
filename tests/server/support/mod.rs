//! What the promises are tested with: a server, peers that publish and watch, and tools from outside.
//!
//! Everything blocks, with a time limit on each wait, so that a test reads from top to bottom.

pub mod flv_file;
pub mod flv_viewer;
pub mod frames;
pub mod http;
pub mod log_book;
pub mod raw_rtmp;
pub mod rtmp_peer;
pub mod server;
pub mod show;
pub mod tools;

use std::{
    io::{self, Read},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How long anything may take that has to happen. Only a failing test waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The time, for limits on waits and for promises that name one.
#[allow(clippy::disallowed_methods, reason = "the server is another process: its clock cannot be paused")]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets reads of `socket` end at `deadline`.
pub fn wait_no_longer_than(socket: &TcpStream, deadline: Instant) {
    // No time at all would mean no limit.
    let left = deadline.saturating_duration_since(now()).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(left)).expect("a timeout can be set");
}

/// What a read gives when nothing came for as long as the socket waits.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Reads what is there. A signal to the process is no answer from the peer.
pub fn receive(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
