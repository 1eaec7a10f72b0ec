//! The sending side of a viewer's TCP connection.

use std::{
    io::{self, IoSlice, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
};

use synctv_media::webrtc::framing::length_of;

/// The writer. Packets that the kernel does not take at once are dropped, as a datagram would be: receivers ask for
/// them again. Only the rest of a packet that was begun is kept, or the packets behind it could not be separated.
#[derive(Debug)]
pub(super) struct TcpWriter {
    pub remote: SocketAddr,
    stream: Arc<TcpStream>,
    rest: Vec<u8>,
}

impl TcpWriter {
    /// Takes a connection that does not block. It is closed with the writer.
    pub fn new(remote: SocketAddr, stream: Arc<TcpStream>) -> Self {
        Self { remote, stream, rest: Vec::new() }
    }

    /// Returns whether it writes to this connection.
    pub fn is_of(&self, stream: &Arc<TcpStream>) -> bool {
        Arc::ptr_eq(&self.stream, stream)
    }

    /// Returns whether the connection is still read. Its reader has the other handle, and so has each packet on its way here.
    pub fn is_read(&self) -> bool {
        Arc::strong_count(&self.stream) > 1
    }

    /// Sends a packet whole, or not at all. The rest of one that was sent in part is kept: gaps break the framing.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let length = length_of(packet).ok_or(io::ErrorKind::InvalidInput)?;
        self.send_rest()?;
        let parts = [IoSlice::new(&length), IoSlice::new(packet)];
        let written = (&*self.stream).write_vectored(&parts)?;
        self.rest.extend(length.iter().chain(packet).skip(written));
        Ok(())
    }

    fn send_rest(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            match (&*self.stream).write(&self.rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => drop(self.rest.drain(..written)),
            }
        }
        Ok(())
    }
}

impl Drop for TcpWriter {
    /// The reading side ends with it.
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;

    #[test]
    fn a_full_connection_drops_whole_packets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, remote) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut writer = TcpWriter::new(remote, Arc::new(stream));
        let mut sent = 0;
        let packet = [7; 1200];
        while writer.send(&packet).is_ok() {
            sent += 1;
        }
        let mut received = vec![0; sent * (2 + packet.len()) - writer.rest.len()];
        peer.read_exact(&mut received).unwrap();
        writer.send(b"last").unwrap();
        drop(writer);
        peer.read_to_end(&mut received).unwrap();
        let (last, packets) =
            received.split_last_chunk::<6>().map(|(packets, last)| (last, packets)).unwrap();
        assert_eq!((packets.len(), last), (sent * (2 + packet.len()), b"\0\x04last"));
        assert!(
            packets.chunks(2 + packet.len()).all(|framed| framed[..2] == [4, 0xB0] && framed[2..] == packet)
        );
    }
}
