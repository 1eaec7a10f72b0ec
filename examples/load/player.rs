//! A viewer over RTMP: reads chunks, and looks at the stamps of its frames.

use std::{io, net::SocketAddr};

use synctv_media::{
    rtmp::client::ClientEvent,
    stream::frame::{Frame, Track},
};
use synctv_testkit::rtmp::{self, Client};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch};

use crate::{
    clock::now_us,
    report::{Report, Watched},
    stage::Stage,
    stamp::{STAMP_OFFSET, Stamp},
    viewer::{BUFFER, READ_BYTES, Watching},
};

/// Plays `room` until it is aborted, or the server ends it.
pub async fn watch(server: SocketAddr, room: String, stages: watch::Receiver<Stage>, report: Report) {
    let mut watching = Watching::begin(report);
    if let Err(error) = receive(server, &room, stages, &mut watching.watched).await {
        eprintln!("player of {room}: {error}");
    }
}

async fn receive(
    server: SocketAddr,
    room: &str,
    stages: watch::Receiver<Stage>,
    watched: &mut Watched,
) -> io::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let mut client = Client::player("live", room);
    rtmp::start(&mut socket, &mut client).await?;
    loop {
        let measuring = *stages.borrow() == Stage::Measuring;
        while let Some(event) = client.poll_event() {
            if let ClientEvent::Frame(frame) = event
                && let Some(stamp) = stamp(&frame)
            {
                watched.frame(stamp, now_us(), measuring);
            }
        }
        let output = client.take_output();
        if !output.is_empty() {
            socket.write_all(&output).await?;
        }
        socket.readable().await?;
        let size = BUFFER.with_borrow_mut(|buffer| {
            let size = socket.try_read(buffer)?;
            client.feed(&buffer[..size]).map_err(io::Error::other)?;
            Ok::<_, io::Error>(size)
        });
        match size {
            // The floor ends with the load.
            Ok(0) if *stages.borrow() == Stage::Over => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // A socket that always has more must not keep the others waiting.
            Ok(READ_BYTES) => tokio::task::yield_now().await,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn stamp(frame: &Frame) -> Option<Stamp> {
    let is_coded = frame.track == Track::Video && frame.payload.get(1) == Some(&1);
    Stamp::read(frame.payload.get(STAMP_OFFSET..).filter(|_| is_coded)?)
}
