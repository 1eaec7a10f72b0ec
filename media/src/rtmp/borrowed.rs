//! What the `rtmp` crate does well, behind functions that take and return bytes.
//!
//! The crate writes asynchronously to a shared connection. Here that connection is a buffer in memory, which is always
//! ready: a writer that would wait is an error. Its packetizer and AMF0 writer are used for small flat replies only: the
//! packetizer cuts at 4096 bytes whatever chunk size was announced, and the AMF0 writer silently drops arrays. Its chunk
//! reader, AMF0 reader and sessions are not used: hostile input makes them panic, abort or grow without bound.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::rtmp::{
    handshake::{
        handshake_server::{ComplexHandshakeServer, SimpleHandshakeServer},
        handshake_trait::THandshakeServer,
    },
    netconnection::writer::NetConnection,
    netstream::writer::NetStreamWriter,
    protocol_control_messages::writer::ProtocolControlMessagesWriter,
    user_control_messages::writer::EventMessagesWriter,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use bytesio::{
    bytes_writer::AsyncBytesWriter,
    bytesio::{NetType, TNetIO},
    bytesio_errors::{BytesIOError, BytesIOErrorValue},
};
use futures::FutureExt;
use thiserror::Error;

use super::cut_text;

pub use ::rtmp::{
    messages::define::msg_type_id,
    user_control_messages::define::{
        RTMP_EVENT_PING, RTMP_EVENT_PONG, RTMP_EVENT_SET_BUFFER_LENGTH, RTMP_EVENT_STREAM_BEGIN,
        RTMP_EVENT_STREAM_EOF,
    },
};

/// The longest description that is sent to a peer, in bytes. Keeps each reply inside one chunk.
pub const DESCRIPTION_MAX_BYTES: usize = 512;

/// The size of C1, C2, S1 and S2, in bytes (RTMP 1.0 section 5.2.3).
pub const HANDSHAKE_SIZE_BYTES: usize = ::rtmp::handshake::define::RTMP_HANDSHAKE_SIZE;

/// The limit type of Set Peer Bandwidth that lets the peer choose (RTMP 1.0 section 5.4.5).
const BANDWIDTH_LIMIT_DYNAMIC: u8 = 2;

/// A writer of the crate failed or would have waited; with memory under it, neither should happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the reply could not be written: {0}")]
pub struct BorrowedError(String);

type Written = Result<Vec<u8>, BorrowedError>;

/// Answers exactly C0 and C1 (1537 bytes) with S0, S1 and S2: by digest if C1 carries a valid one, else by echo.
pub fn handshake_reply(c0c1: &[u8]) -> Written {
    let sink = Sink::default();
    let mut complex = ComplexHandshakeServer::new(Arc::new(sink.boxed().into()));
    complex.extend_data(c0c1);
    if complex.read_c0().and_then(|()| complex.read_c1()).is_ok() {
        write_s0s1s2(&mut complex)?;
        return sink.finish(complex.writer.flush().now_or_never());
    }
    let mut simple = SimpleHandshakeServer::new(Arc::new(sink.boxed().into()));
    simple.extend_data(c0c1);
    simple.read_c0().and_then(|()| simple.read_c1()).map_err(failed)?;
    write_s0s1s2(&mut simple)?;
    sink.finish(simple.writer.flush().now_or_never())
}

fn write_s0s1s2(server: &mut impl THandshakeServer) -> Result<(), BorrowedError> {
    server.write_s0().map_err(failed)?;
    server.write_s1().map_err(failed)?;
    server.write_s2().map_err(failed)
}

/// Set Chunk Size (RTMP 1.0 section 5.4.1), in bytes.
pub fn set_chunk_size(size_bytes: u32) -> Written {
    control(async |mut writer| writer.write_set_chunk_size(size_bytes).await)
}

/// Acknowledgement (section 5.4.3) of all bytes received so far, which wraps at 2^32.
pub fn acknowledgement(received_bytes: u32) -> Written {
    control(async |mut writer| writer.write_acknowledgement(received_bytes).await)
}

/// Window Acknowledgement Size (section 5.4.4), in bytes.
pub fn window_ack_size(window_bytes: u32) -> Written {
    control(async |mut writer| writer.write_window_acknowledgement_size(window_bytes).await)
}

/// Set Peer Bandwidth (section 5.4.5), in bytes, with a dynamic limit.
pub fn set_peer_bandwidth(window_bytes: u32) -> Written {
    control(async |mut writer| writer.write_set_peer_bandwidth(window_bytes, BANDWIDTH_LIMIT_DYNAMIC).await)
}

/// User control event Stream Begin (section 7.1.7).
pub fn stream_begin(stream_id: u32) -> Written {
    event(async |mut writer| writer.write_stream_begin(stream_id).await)
}

/// User control event Stream EOF (section 7.1.7).
pub fn stream_eof(stream_id: u32) -> Written {
    event(async |mut writer| writer.write_stream_eof(stream_id).await)
}

/// User control event Ping Request (section 7.1.7) with our time in milliseconds.
pub fn ping_request(timestamp_ms: u32) -> Written {
    event(async |mut writer| writer.write_ping_request(timestamp_ms).await)
}

/// User control event Ping Response (section 7.1.7) with the time that the peer's request carried.
pub fn ping_response(timestamp_ms: u32) -> Written {
    event(async |mut writer| writer.write_ping_response(timestamp_ms).await)
}

/// The result of createStream (section 7.2.1.3).
pub fn create_stream_result(transaction: f64, stream_id: u32) -> Written {
    let stream_id = f64::from(stream_id);
    let sink = Sink::default();
    let mut writer = NetConnection::new(Arc::new(sink.boxed().into()));
    sink.finish(writer.write_create_stream_response(&transaction, &stream_id).now_or_never())
}

/// The `_error` answer to a command. A description is cut at [`DESCRIPTION_MAX_BYTES`].
pub fn command_error(transaction: f64, code: &str, description: &str) -> Written {
    let sink = Sink::default();
    let mut writer = NetConnection::new(Arc::new(sink.boxed().into()));
    sink.finish(
        writer
            .error(&transaction, code, "error", cut_text(description, DESCRIPTION_MAX_BYTES))
            .now_or_never(),
    )
}

/// onStatus on message stream 1 (section 7.2.2). A description is cut at [`DESCRIPTION_MAX_BYTES`].
pub fn on_status(level: &str, code: &str, description: &str) -> Written {
    let sink = Sink::default();
    let mut writer = NetStreamWriter::new(Arc::new(sink.boxed().into()));
    sink.finish(
        writer
            .write_on_status(&0.0, level, code, cut_text(description, DESCRIPTION_MAX_BYTES))
            .now_or_never(),
    )
}

fn control<E: std::fmt::Debug>(
    write: impl AsyncFnOnce(ProtocolControlMessagesWriter) -> Result<(), E>,
) -> Written {
    let sink = Sink::default();
    let writer = AsyncBytesWriter::new(Arc::new(sink.boxed().into()));
    sink.finish(write(ProtocolControlMessagesWriter::new(writer)).now_or_never())
}

fn event<E: std::fmt::Debug>(write: impl AsyncFnOnce(EventMessagesWriter) -> Result<(), E>) -> Written {
    let sink = Sink::default();
    let writer = AsyncBytesWriter::new(Arc::new(sink.boxed().into()));
    sink.finish(write(EventMessagesWriter::new(writer)).now_or_never())
}

fn failed(error: impl std::fmt::Debug) -> BorrowedError {
    BorrowedError(format!("{error:?}"))
}

/// The buffer that stands where the crate expects a socket.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn boxed(&self) -> Box<dyn TNetIO + Send + Sync> {
        Box::new(self.clone())
    }

    fn finish<E: std::fmt::Debug>(&self, outcome: Option<Result<(), E>>) -> Written {
        match outcome {
            Some(Ok(())) => Ok(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))),
            Some(Err(error)) => Err(failed(error)),
            None => Err(failed("the writer waited")),
        }
    }
}

#[async_trait]
impl TNetIO for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BytesIOError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes);
        Ok(())
    }

    async fn read(&mut self) -> Result<BytesMut, BytesIOError> {
        Err(BytesIOError { value: BytesIOErrorValue::NoneReturn })
    }

    async fn read_timeout(&mut self, _: Duration) -> Result<BytesMut, BytesIOError> {
        self.read().await
    }

    fn get_net_type(&self) -> NetType {
        NetType::TCP
    }
}

/// The other side of the digests, for the handshake's tests.
#[cfg(test)]
pub(super) mod digests {
    use ::rtmp::handshake::{define, digest::DigestProcessor};

    /// C1 with a digest where the first scheme has it.
    pub fn sign_c1(c1: &[u8]) -> Vec<u8> {
        let key = define::RTMP_CLIENT_KEY_FIRST_HALF.as_bytes();
        DigestProcessor::new(c1.into(), key.into()).generate_and_fill_digest().unwrap()
    }

    /// Whether S1 carries the server's digest.
    pub fn is_s1_signed(s1: &[u8]) -> bool {
        let key = define::RTMP_SERVER_KEY_FIRST_HALF.as_bytes();
        DigestProcessor::new(s1.into(), key.into()).read_digest().is_ok()
    }

    /// Whether S2 is signed with a key made of C1's digest.
    pub fn is_s2_signed(s2: &[u8], c1: &[u8]) -> bool {
        let digest = |key: &[u8], message: &[u8]| {
            DigestProcessor::new(Default::default(), key.into()).make_digest(message.to_vec()).unwrap()
        };
        let client_key = define::RTMP_CLIENT_KEY_FIRST_HALF.as_bytes();
        let (c1_digest, _) = DigestProcessor::new(c1.into(), client_key.into()).read_digest().unwrap();
        let (body, signature) = s2.split_at(s2.len() - define::RTMP_DIGEST_LENGTH);
        digest(&digest(&define::RTMP_SERVER_KEY, &c1_digest), body) == signature
    }
}

#[cfg(test)]
mod tests {
    use ::rtmp::handshake::handshake_client::SimpleHandshakeClient;

    use super::*;
    use crate::rtmp::handshake::Handshake;

    #[test]
    fn control_messages_are_the_bytes_of_the_specification() {
        let header = |type_id, len| vec![2, 0, 0, 0, 0, 0, len, type_id, 0, 0, 0, 0];
        let message = |type_id, body: &[u8]| [header(type_id, body.len() as u8), body.to_vec()].concat();
        assert_eq!(set_chunk_size(60_000).unwrap(), message(1, &[0, 0, 0xEA, 0x60]));
        assert_eq!(acknowledgement(5).unwrap(), message(3, &[0, 0, 0, 5]));
        assert_eq!(window_ack_size(6).unwrap(), message(5, &[0, 0, 0, 6]));
        assert_eq!(set_peer_bandwidth(7).unwrap(), message(6, &[0, 0, 0, 7, 2]));
        assert_eq!(stream_begin(1).unwrap(), message(4, &[0, 0, 0, 0, 0, 1]));
        assert_eq!(stream_eof(1).unwrap(), message(4, &[0, 1, 0, 0, 0, 1]));
        assert_eq!(ping_request(9).unwrap(), message(4, &[0, 6, 0, 0, 0, 9]));
        assert_eq!(ping_response(9).unwrap(), message(4, &[0, 7, 0, 0, 0, 9]));
    }

    #[test]
    fn the_crates_own_client_completes_the_handshake() {
        let sink = Sink::default();
        let mut client = SimpleHandshakeClient::new(Arc::new(sink.boxed().into()));
        let c0c1 = sink.finish(client.handshake().now_or_never()).unwrap();
        let (mut server, mut reply) = (Handshake::new(), Vec::new());
        server.feed(&mut &c0c1[..], &mut reply).unwrap();
        client.extend_data(&reply);
        let c2 = sink.finish(client.handshake().now_or_never()).unwrap();
        assert_eq!(c2, reply[1..=HANDSHAKE_SIZE_BYTES]);
        server.feed(&mut &c2[..], &mut reply).unwrap();
        assert!(server.is_done());
    }

    #[test]
    fn a_description_is_cut_at_a_character() {
        let reply = on_status("error", "a.b", &"é".repeat(DESCRIPTION_MAX_BYTES)).unwrap();
        assert_eq!(
            reply.windows(2).filter(|pair| *pair == "é".as_bytes()).count(),
            DESCRIPTION_MAX_BYTES / 2
        );
        let reply = command_error(1.0, "a.b", &format!("x{}", "é".repeat(DESCRIPTION_MAX_BYTES))).unwrap();
        assert_eq!(
            reply.windows(2).filter(|pair| *pair == "é".as_bytes()).count(),
            DESCRIPTION_MAX_BYTES / 2 - 1
        );
    }
}
