//! Pushes the clip over RTMP, as an encoder would.

use std::{convert::Infallible, error::Error, io, net::SocketAddr, time::Duration};

use synctv_media::rtmp::client::{Client, ClientEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::clip::Clip;

/// How long to wait before another attempt.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a publisher has to tell.
pub enum News {
    /// The server lets it publish.
    Accepted,
    /// It was refused, or lost its connection.
    Failed(Box<dyn Error>),
}

/// Publishes `room` for ever: at the first of the servers, and whenever that fails at the next one.
pub async fn run(
    servers: &[SocketAddr],
    app: &str,
    room: &str,
    tell: impl Fn(SocketAddr, News),
) -> Infallible {
    loop {
        for server in servers {
            let accepted = || tell(*server, News::Accepted);
            if let Err(error) = publish(*server, app, room, accepted).await {
                tell(*server, News::Failed(error));
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

async fn publish(
    server: SocketAddr,
    app: &str,
    room: &str,
    accepted: impl FnOnce(),
) -> Result<(), Box<dyn Error>> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::publisher(app, room);
    begin(&mut socket, &mut client).await?;
    accepted();
    let (begin, mut received) = (Instant::now(), vec![0; 4096]);
    let mut first_ms = None;
    for frame in Clip::new()? {
        let first_ms = *first_ms.get_or_insert(frame.timestamp_ms);
        let due = Duration::from_millis(frame.timestamp_ms.wrapping_sub(first_ms).into());
        tokio::time::sleep_until(begin + due).await;
        client.send_frame(&frame);
        // The server asks now and then whether someone is there.
        while let Some(size) = read_now(&socket, &mut received)? {
            client.feed(&received[..size])?;
        }
        socket.write_all(&client.take_output()).await?;
    }
    Ok(())
}

/// Connects and asks to publish, until the server agrees.
async fn begin(socket: &mut TcpStream, client: &mut Client) -> Result<(), Box<dyn Error>> {
    let mut received = vec![0; 4096];
    loop {
        socket.write_all(&client.take_output()).await?;
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Ready => return Ok(()),
                ClientEvent::Status { level, code, description } if level == "error" => {
                    return Err(format!("{code}: {description}").into());
                }
                ClientEvent::Status { .. } | ClientEvent::Frame(_) => {}
            }
        }
        match socket.read(&mut received).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            size => client.feed(&received[..size])?,
        }
    }
}

/// What is there to read; `None` if nothing is.
fn read_now(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match socket.try_read(buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(size) => Ok(Some(size)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
