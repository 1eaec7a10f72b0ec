//! The TLS state of one connection, without its socket: ciphertext in, plaintext out, and the reverse.

use std::{fmt, io, sync::Arc};

use bytes::{Buf, BytesMut};
use rustls::{
    ServerConfig,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};

/// The longest record with its header, in bytes: 2^14 of plaintext and what a cipher may add (RFC 5246, section 6.2.3).
pub(super) const RECORD_MAX_BYTES: usize = 5 + (1 << 14) + 2048;

/// The most that is kept of messages that are not whole, in bytes. A handshake message may span records.
const PARTIAL_MAX_BYTES: usize = 64 * 1024;

/// The same before the handshake is done, when the peer may be anyone: the longest record. A ClientHello has some hundred bytes,
/// with keys that quantum computers cannot break two thousand.
pub(super) const HELLO_MAX_BYTES: usize = RECORD_MAX_BYTES;

/// Ciphertext beyond the plaintext that one call of [`TlsSession::seal`] may add, in bytes: a header, a nonce and a tag
/// for each record, and replies such as a KeyUpdate.
const OVERHEAD_MAX_BYTES: usize = 8 * 1024;

/// The most plaintext that is encrypted at once, in bytes.
pub(super) const SEAL_MAX_BYTES: usize = 64 * 1024;

/// The size of a buffer that [`TlsSession::seal`] always fits into, in bytes.
pub(super) const SEALED_MAX_BYTES: usize = SEAL_MAX_BYTES + OVERHEAD_MAX_BYTES;

/// The size of a buffer for [`TlsSession::open`], in bytes: what is kept, and at least one record behind it.
pub(super) const INCOMING_MAX_BYTES: usize = PARTIAL_MAX_BYTES + 64 * 1024;

/// The record layer and the handshake of a server's connection.
pub(super) struct TlsSession {
    connection: UnbufferedServerConnection,
    /// Ciphertext of messages that are not whole yet.
    partial: BytesMut,
    phase: TlsPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsPhase {
    /// Nothing can be sent or received.
    Handshake,
    /// Both directions are open.
    Open,
    /// The peer sends nothing more.
    PeerClosed,
    /// An error ended both directions. The library must not be asked for anything any more: it would panic.
    Failed,
}

impl TlsSession {
    /// Expects a ClientHello.
    pub fn new(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = UnbufferedServerConnection::new(config).map_err(invalid)?;
        Ok(Self { connection, partial: BytesMut::new(), phase: TlsPhase::Handshake })
    }

    pub fn phase(&self) -> TlsPhase {
        self.phase
    }

    /// The protocol that client and server agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Puts what is kept at the front of `incoming`, behind which the next ciphertext is to be placed. Returns its size.
    pub fn restore(&self, incoming: &mut [u8]) -> usize {
        if let Some(front) = incoming.get_mut(..self.partial.len()) {
            front.copy_from_slice(&self.partial);
        }
        self.partial.len()
    }

    /// Decrypts `incoming`, which begins with what [`restore`](Self::restore) put there. Plaintext goes to `take`, and
    /// what has to be sent because of it to `outgoing`. After an error only `outgoing` is left to be sent: it says why.
    pub fn open(
        &mut self,
        incoming: &mut [u8],
        mut take: impl FnMut(&[u8]),
        outgoing: &mut BytesMut,
    ) -> io::Result<()> {
        let mut rest = incoming;
        self.require_unbroken()?;
        loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(rest);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        take(record.map_err(invalid)?.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(data)) => append(data, outgoing)?,
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.phase = TlsPhase::PeerClosed;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    if self.phase == TlsPhase::Handshake {
                        self.phase = TlsPhase::Open;
                    }
                    false
                }
                Ok(_) => false,
                Err(error) => {
                    self.alert(rest.get_mut(discard..).unwrap_or_default(), outgoing);
                    self.phase = TlsPhase::Failed;
                    return Err(invalid(error));
                }
            };
            rest = rest.get_mut(discard..).unwrap_or_default();
            if !goes_on {
                return self.keep(rest);
            }
        }
    }

    /// Encrypts `plaintext`, of [`SEAL_MAX_BYTES`] at most, into `ciphertext`, of [`SEALED_MAX_BYTES`]. Returns the size.
    pub fn seal(&mut self, plaintext: &[u8], ciphertext: &mut [u8]) -> io::Result<usize> {
        self.write(ciphertext, |traffic, ciphertext| traffic.encrypt(plaintext, ciphertext))
    }

    /// Encrypts the end of what is sent into `ciphertext`. Returns the size. Nothing can be sealed after it.
    pub fn seal_end(&mut self, ciphertext: &mut [u8]) -> io::Result<usize> {
        self.write(ciphertext, |traffic, ciphertext| traffic.queue_close_notify(ciphertext))
    }

    fn write<F>(&mut self, ciphertext: &mut [u8], write: F) -> io::Result<usize>
    where
        F: FnOnce(&mut WriteTraffic<'_, rustls::server::ServerConnectionData>, &mut [u8]) -> Written,
    {
        let mut filled = 0;
        self.require_unbroken()?;
        loop {
            // Not an empty slice: the connection remembers positions in what is kept.
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.partial);
            let room = ciphertext.get_mut(filled..).unwrap_or_default();
            match state.inspect_err(|_| self.phase = TlsPhase::Failed).map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return Ok(filled + write(&mut traffic, room).map_err(io::Error::other)?);
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    filled += data.encode(room).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.phase = TlsPhase::PeerClosed,
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
            self.partial.advance(discard);
        }
    }

    fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        let max_bytes = if self.phase == TlsPhase::Handshake { HELLO_MAX_BYTES } else { PARTIAL_MAX_BYTES };
        if rest.len() > max_bytes {
            let limit = format!("a TLS message has more than {max_bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        }
        // Most often there is nothing, and then no memory is owned.
        self.partial = if rest.is_empty() { BytesMut::new() } else { BytesMut::from(rest) };
        Ok(())
    }

    fn require_unbroken(&self) -> io::Result<()> {
        if self.phase == TlsPhase::Failed { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// The connection's alert about an error in front of `rest`. It may not be asked again after that.
    fn alert(&mut self, rest: &mut [u8], outgoing: &mut BytesMut) {
        if let Ok(ConnectionState::EncodeTlsData(data)) = self.connection.process_tls_records(rest).state {
            // Without it, the peer sees the end of the connection only.
            let _ = append(data, outgoing);
        }
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession").field("phase", &self.phase).finish_non_exhaustive()
    }
}

type Written = Result<usize, EncryptError>;

fn append<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut BytesMut) -> io::Result<bool> {
    let filled = outgoing.len();
    outgoing.resize(filled + RECORD_MAX_BYTES, 0);
    let encoded = data.encode(outgoing.get_mut(filled..).unwrap_or_default());
    outgoing.truncate(filled + encoded.as_ref().copied().unwrap_or_default());
    encoded.map(|_| true).map_err(io::Error::other)
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
