//! The `rtmp` crate's handshake and constants, behind functions that take and return bytes.
//!
//! The crate writes asynchronously to a shared connection. Here that connection is a buffer in memory. Its lock counts
//! against the runtime's budget for a task: a task that has used it up has to wait, even for a free lock. That cannot
//! happen to a connection's first bytes, but to any later reply, so replies are written by our own writers. Its chunk
//! reader, AMF0 reader and sessions are not used: hostile input makes them panic, abort or grow without bound.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::rtmp::handshake::{
    handshake_server::{ComplexHandshakeServer, SimpleHandshakeServer},
    handshake_trait::THandshakeServer,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use bytesio::{
    bytesio::{NetType, TNetIO},
    bytesio_errors::{BytesIOError, BytesIOErrorValue},
};
use futures::FutureExt;
use thiserror::Error;

pub use ::rtmp::{
    messages::define::msg_type_id,
    user_control_messages::define::{
        RTMP_EVENT_PING, RTMP_EVENT_PONG, RTMP_EVENT_STREAM_BEGIN, RTMP_EVENT_STREAM_EOF,
    },
};

/// The size of C1, C2, S1 and S2, in bytes (RTMP 1.0 section 5.2.3).
pub const HANDSHAKE_SIZE_BYTES: usize = ::rtmp::handshake::define::RTMP_HANDSHAKE_SIZE;

/// A writer of the crate failed or would have waited; with memory under it, neither should happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the reply could not be written: {0}")]
pub struct RtmpCrateError(String);

type Written = Result<Vec<u8>, RtmpCrateError>;

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

fn write_s0s1s2(server: &mut impl THandshakeServer) -> Result<(), RtmpCrateError> {
    server.write_s0().map_err(failed)?;
    server.write_s1().map_err(failed)?;
    server.write_s2().map_err(failed)
}

fn failed(error: impl std::fmt::Debug) -> RtmpCrateError {
    RtmpCrateError(format!("{error:?}"))
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

    /// Returns whether S1 carries the server's digest.
    pub fn is_s1_signed(s1: &[u8]) -> bool {
        let key = define::RTMP_SERVER_KEY_FIRST_HALF.as_bytes();
        DigestProcessor::new(s1.into(), key.into()).read_digest().is_ok()
    }

    /// Returns whether S2 is signed with a key made of C1's digest.
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
}
