//! The receiving side of a viewer's connection: nothing is expected over HTTP, pings and a close over a WebSocket, commands
//! over RTMP.

mod upgrade;

use std::{io, time::Instant};

use synctv_media::{
    flv::websocket::{self, ClientMessage, ClientReader},
    stream::{viewer_queue::LagLimits, wire_format::WireFormat},
};

use super::{kind::ViewerKind, player::Player};
use crate::viewer_socket::ViewerSocket;

/// The most that is read at once, in bytes. The rest waits for the next check.
const READ_MAX_BYTES: usize = 1024;

/// The receiving side of a viewer's connection.
#[derive(Debug)]
pub(super) enum Inbox {
    /// Input is discarded.
    Http(Open),
    /// Nothing comes from another node until it disconnects.
    Node,
    /// Input is WebSocket frames.
    WebSocket(ClientReader),
    /// Input is read as soon as it comes, and not at the checks.
    Player(Box<dyn Player>),
}

/// The state of an HTTP client's sending side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// It may.
    Both,
    /// It closed its sending side. It may still read, as `nc -N` does, or have disconnected, which only a write shows.
    /// So many bytes were sent to it then.
    ReadingOnly { since: Instant, sent_bytes: u64 },
}

impl Inbox {
    /// The inbox of a viewer of this kind, which gets its media in this format.
    pub fn new(kind: ViewerKind, format: WireFormat) -> Self {
        match (kind, format) {
            (ViewerKind::Node, _) => Self::Node,
            (ViewerKind::Viewer, WireFormat::FlvMessages) => Self::WebSocket(ClientReader::default()),
            (ViewerKind::Viewer, _) => Self::Http(Open::Both),
        }
    }

    /// Reads what came and answers it. Returns an error when the viewer has disconnected.
    pub fn check(&mut self, socket: &mut ViewerSocket, limits: &LagLimits, now: Instant) -> io::Result<()> {
        if let Self::Player(_) = self {
            return Ok(());
        }
        let mut buffer = [0; READ_MAX_BYTES];
        let size_bytes = match socket.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            read => read?,
        };
        match self {
            Self::Http(open) if size_bytes == 0 => {
                socket.take_error()?;
                open.close(socket.sent_bytes(), limits, now)
            }
            Self::Node | Self::WebSocket(_) if size_bytes == 0 => {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Self::Http(_) | Self::Node | Self::Player(_) => Ok(()),
            Self::WebSocket(reader) => {
                take_in(reader, buffer.get(..size_bytes).unwrap_or_default(), socket, now)
            }
        }
    }
}

impl Open {
    /// Keeps a client that sends nothing more while something is sent to it: a write fails if it has disconnected. Without
    /// writes it is kept for as long as a viewer may stall.
    fn close(&mut self, sent_bytes: u64, limits: &LagLimits, now: Instant) -> io::Result<()> {
        match *self {
            Self::ReadingOnly { since, sent_bytes: before } if before == sent_bytes => {
                if now.saturating_duration_since(since) >= limits.stall_max {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            _ => *self = Self::ReadingOnly { since: now, sent_bytes },
        }
        Ok(())
    }
}

fn take_in(
    reader: &mut ClientReader,
    bytes: &[u8],
    socket: &mut ViewerSocket,
    now: Instant,
) -> io::Result<()> {
    let mut messages = Vec::new();
    let fed = reader.feed(bytes, |message| messages.push(message));
    for message in messages {
        match message {
            ClientMessage::Ping(payload) => socket.send_control(websocket::pong(&payload), now)?,
            ClientMessage::Close => {
                socket.finish(now)?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }
    fed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: LagLimits =
        LagLimits { queue_max_bytes: 0, queue_max_ms: 0, stall_max: Duration::from_secs(30) };

    #[actix_rt::test]
    async fn a_client_that_only_reads_stays_while_something_is_sent_to_it() {
        let begin = tokio::time::Instant::now().into_std();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut open = Open::Both;
        for (seconds, sent_bytes, stays) in
            [(0, 100, true), (29, 100, true), (29, 200, true), (58, 200, true), (59, 200, false)]
        {
            assert_eq!(open.close(sent_bytes, &LIMITS, at(seconds)).is_ok(), stays, "{seconds}");
        }
    }
}
