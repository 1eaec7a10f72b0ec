//! A publisher that keeps a record of what it sends.

use std::{io, net::SocketAddr};

use synctv_media::samples;
use synctv_testkit::rtmp::{self, Client};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use super::{findings::Findings, record::Record};
use crate::publisher::Source;

/// A publisher whom the server has accepted.
pub struct Publisher {
    socket: TcpStream,
    client: Client,
}

impl Publisher {
    /// Connects, and waits until the server agrees.
    pub async fn connect(server: SocketAddr, room: &str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(server).await?;
        socket.set_nodelay(true)?;
        let mut client = Client::publisher("live", room);
        rtmp::start(&mut socket, &mut client).await?;
        Ok(Self { socket, client })
    }

    /// Publishes until it is aborted.
    pub async fn publish(self, source: Source, record: Record, findings: Findings) {
        if let Err(error) = self.send(source, record).await {
            findings.fault(format!("publisher: disconnected: {error}"));
        }
    }

    async fn send(mut self, mut source: Source, record: Record) -> io::Result<()> {
        for header in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
            self.client.send_frame(&header);
        }
        let begin = Instant::now();
        loop {
            tokio::time::sleep_until(begin + source.next_at()).await;
            self.client.send_frame(&record.publish(source.next_frame()));
            rtmp::answer_what_came(|buffer| self.socket.try_read(buffer), &mut self.client)?;
            self.socket.write_all(&self.client.take_output()).await?;
        }
    }
}
