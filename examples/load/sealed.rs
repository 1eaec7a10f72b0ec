//! The floor's side of TLS, by the library without buffers of its own.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ServerConfig,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, UnbufferedStatus},
};

/// Room for a flight of a handshake, in bytes.
const FLIGHT_MAX_BYTES: usize = 32 * 1024;

/// Room for what a record adds to its 2^14 bytes of plaintext, in bytes.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// The state of a connection whose client has sent its request.
pub struct Sealed(UnbufferedServerConnection);

impl Sealed {
    /// Makes the handshake, and reads to the end of the record with the request.
    pub fn accept(socket: &mut TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let (mut incoming, mut received) = (vec![0; FLIGHT_MAX_BYTES], 0);
        let (mut outgoing, mut encoded) = (vec![0; FLIGHT_MAX_BYTES], 0);
        let (mut has_request, mut is_ready) = (false, false);
        while !is_ready {
            let UnbufferedStatus { discard, state } =
                connection.process_tls_records(&mut incoming[..received]);
            let mut needs_more = false;
            match state.map_err(io::Error::other)? {
                ConnectionState::EncodeTlsData(mut data) => {
                    encoded += data.encode(&mut outgoing[encoded..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(data) => {
                    socket.write_all(&outgoing[..encoded])?;
                    encoded = 0;
                    data.done();
                }
                ConnectionState::ReadTraffic(mut traffic) => {
                    has_request = traffic.next_record().transpose().map_err(io::Error::other)?.is_some();
                }
                ConnectionState::WriteTraffic(_) if has_request => is_ready = true,
                ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => needs_more = true,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            incoming.copy_within(discard..received, 0);
            received -= discard;
            if needs_more {
                match socket.read(&mut incoming[received..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    size_bytes => received += size_bytes,
                }
            }
        }
        Ok(Self(connection))
    }

    /// Encrypts `bytes` into `scratch`, which grows as is needed. Returns what has to be sent.
    pub fn seal<'s>(&mut self, bytes: &[u8], scratch: &'s mut Vec<u8>) -> io::Result<&'s [u8]> {
        let size_max_bytes = bytes.len() + (bytes.len() / (1 << 14) + 1) * RECORD_OVERHEAD_BYTES;
        if scratch.len() < size_max_bytes {
            scratch.resize(size_max_bytes, 0);
        }
        match self.0.process_tls_records(&mut []).state.map_err(io::Error::other)? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let size_bytes = traffic.encrypt(bytes, scratch).map_err(io::Error::other)?;
                Ok(&scratch[..size_bytes])
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
