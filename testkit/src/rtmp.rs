//! RTMP peers: well-behaved ones, and ones whose every byte is the test's.

mod peer;
pub mod raw;

use std::io;

pub use synctv_media::rtmp::client::{Client, ClientEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use self::peer::{Next, Refused, RtmpPeer};

/// Runs `client` on `socket` until the server accepts what it asks for. An error names the refusal.
pub async fn start(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    client: &mut Client,
) -> io::Result<()> {
    let mut received = vec![0; 4096];
    loop {
        socket.write_all(&client.take_output()).await?;
        socket.flush().await?;
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Ready => return Ok(()),
                ClientEvent::Status { level, code, description, .. } if level == "error" => {
                    return Err(io::Error::other(format!("{code}: {description}")));
                }
                ClientEvent::Status { .. } | ClientEvent::Frame(_) => {}
            }
        }
        match socket.read(&mut received).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            size => client.feed(&received[..size]).map_err(io::Error::other)?,
        }
    }
}

/// Answers what the server has sent so far, such as its pings: `try_read` reads without waiting for more.
pub fn answer_what_came(
    mut try_read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    client: &mut Client,
) -> io::Result<()> {
    let mut received = [0; 4096];
    loop {
        match try_read(&mut received) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(size) => client.feed(&received[..size]).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
