//! Pushes the clip over RTMP, as an encoder would.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use synctv_testkit::rtmp::{self, Client};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::clip::Clip;

/// The pause before another attempt.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The outcome of an attempt to publish.
pub enum Attempt {
    /// The server accepted it.
    Accepted,
    /// It was refused, or lost its connection.
    Failed(io::Error),
}

/// Publishes `room` for ever: at the first of the servers, and whenever that fails at the next one.
pub async fn run(
    servers: &[SocketAddr],
    app: &str,
    room: &str,
    report: impl Fn(SocketAddr, Attempt),
) -> Infallible {
    loop {
        for server in servers {
            let accepted = || report(*server, Attempt::Accepted);
            if let Err(error) = publish(*server, app, room, accepted).await {
                report(*server, Attempt::Failed(error));
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

async fn publish(server: SocketAddr, app: &str, room: &str, accepted: impl FnOnce()) -> io::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::publisher(app, room);
    rtmp::start(&mut socket, &mut client).await?;
    accepted();
    let begin = Instant::now();
    let mut first_ms = None;
    for frame in Clip::new().map_err(io::Error::other)? {
        let first_ms = *first_ms.get_or_insert(frame.timestamp_ms);
        let due = Duration::from_millis(frame.timestamp_ms.wrapping_sub(first_ms).into());
        tokio::time::sleep_until(begin + due).await;
        client.send_frame(&frame);
        // The server sends pings.
        rtmp::answer_what_came(|buffer| socket.try_read(buffer), &mut client)?;
        socket.write_all(&client.take_output()).await?;
    }
    Ok(())
}
