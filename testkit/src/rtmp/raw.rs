//! RTMP as bytes, for peers that do what well-behaved libraries do not.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::TcpStream,
};

use bytes::Bytes;
use synctv_media::rtmp::{
    amf0::{self, Value},
    chunk_reader::{ChunkLimits, ChunkReader, Message},
    chunk_writer::{MessageHeader, write_message},
};

use crate::{
    server::TestServer,
    socket::{dial, is_timeout, receive},
};

const HANDSHAKE_BYTES: usize = 1536;
const COMMAND: u8 = 20;

/// The chunk size before a Set Chunk Size.
pub const FIRST_CHUNK_SIZE: usize = 128;

/// The message type of Set Chunk Size.
pub const SET_CHUNK_SIZE: u8 = 1;

/// The message type of user control messages.
pub const USER_CONTROL: u8 = 4;

/// The first bytes of a user control message that asks for a [`PING_RESPONSE`].
pub const PING_REQUEST: [u8; 2] = [0, 6];

/// The first bytes of a user control message that answers a [`PING_REQUEST`].
pub const PING_RESPONSE: [u8; 2] = [0, 7];

/// A connection whose every byte is the test's.
#[derive(Debug)]
pub struct RawRtmp {
    /// The socket, to write to.
    pub socket: TcpStream,
    reader: ChunkReader,
    messages: VecDeque<Message>,
}

impl RawRtmp {
    /// Connects, and sends nothing yet.
    pub fn dial(server: &TestServer) -> Self {
        Self {
            socket: dial(server.rtmp),
            reader: ChunkReader::new(ChunkLimits::default()),
            messages: VecDeque::new(),
        }
    }

    /// Connects and shakes hands, up to before C2, which is returned.
    pub fn greet(server: &TestServer) -> (Self, Vec<u8>) {
        let mut peer = Self::dial(server);
        peer.send(&c0_and_c1());
        let c2 = peer.read_handshake();
        (peer, c2)
    }

    /// Connects, shakes hands and connects to the app `live`.
    pub fn connect(server: &TestServer) -> Self {
        let (mut peer, c2) = Self::greet(server);
        peer.send(&[c2, connect_command("live")].concat());
        peer.wait_for_command("_result");
        peer
    }

    /// Publishes `room` on message stream 1.
    pub fn publish(server: &TestServer, room: &str) -> Self {
        let mut peer = Self::connect(server);
        peer.send(&command(0, &[Value::text("createStream"), Value::Number(2.0), Value::Null]));
        peer.send(&publish_command(room));
        peer.wait_for_status("NetStream.Publish.Start");
        peer
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server takes the bytes");
    }

    /// Reads S0, S1 and S2 and returns the C2 that answers them.
    pub fn read_handshake(&mut self) -> Vec<u8> {
        let mut reply = vec![0; 1 + 2 * HANDSHAKE_BYTES];
        self.socket.read_exact(&mut reply).expect("the server shakes hands");
        assert_eq!(reply[0], 3);
        reply[1..=HANDSHAKE_BYTES].to_vec()
    }

    /// Waits for the next message; `None` when the server closed the connection.
    pub fn next_message(&mut self) -> Option<Message> {
        let mut buffer = vec![0; 16 * 1024];
        while self.messages.is_empty() {
            let size = match receive(&mut self.socket, &mut buffer) {
                Ok(0) => return None,
                Ok(size) => size,
                Err(error) if is_timeout(&error) => panic!("neither a message nor the end came"),
                // A reset.
                Err(_) => return None,
            };
            let mut input = &buffer[..size];
            while let Some(message) =
                self.reader.next_message(&mut input).expect("the server's bytes are chunks")
            {
                self.messages.push_back(message);
            }
        }
        self.messages.pop_front()
    }

    /// Waits for a message of this type.
    pub fn wait_for_message(&mut self, type_id: u8) -> Bytes {
        loop {
            let message = self
                .next_message()
                .unwrap_or_else(|| panic!("the connection ended before a message of type {type_id}"));
            if message.type_id == type_id {
                return message.payload;
            }
        }
    }

    /// Waits for a command of this name and returns all its values.
    pub fn wait_for_command(&mut self, name: &str) -> Vec<Value> {
        loop {
            let payload = self.wait_for_message(COMMAND);
            let values = amf0::read_all(&payload).expect("the server's commands are AMF0");
            if values.first().and_then(Value::as_str) == Some(name) {
                return values;
            }
        }
    }

    /// Waits for an onStatus of this code.
    pub fn wait_for_status(&mut self, code: &str) {
        loop {
            let values = self.wait_for_command("onStatus");
            let came = values.get(3).and_then(|information| information.get("code"));
            if came.and_then(Value::as_str) == Some(code) {
                return;
            }
        }
    }

    /// Waits for a ping and answers it.
    pub fn answer_next_ping(&mut self) {
        loop {
            let payload = self.wait_for_message(USER_CONTROL);
            if let Some(time) = payload.strip_prefix(&PING_REQUEST) {
                let pong = [PING_RESPONSE.as_slice(), time].concat();
                return self.send(&message(2, USER_CONTROL, 0, 0, &pong, FIRST_CHUNK_SIZE));
            }
        }
    }

    /// Waits until the server closes the connection.
    pub fn wait_for_end(&mut self) {
        while self.next_message().is_some() {}
    }
}

/// Returns the C0 and C1 of a simple handshake.
pub fn c0_and_c1() -> Vec<u8> {
    let mut bytes = vec![0; 1 + HANDSHAKE_BYTES];
    bytes[0] = 3;
    for (at, byte) in bytes.iter_mut().enumerate().skip(9) {
        *byte = (at * 7) as u8;
    }
    bytes
}

/// Returns the bytes of a command on a message stream.
pub fn command(stream_id: u32, values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::write_all(values, &mut payload);
    message(3, COMMAND, stream_id, 0, &payload, FIRST_CHUNK_SIZE)
}

/// Returns the bytes of a `connect` to an app.
pub fn connect_command(app: &str) -> Vec<u8> {
    let information = Value::object([("app", Value::text(app))]);
    command(0, &[Value::text("connect"), Value::Number(1.0), information])
}

/// Returns the bytes of a `publish` on message stream 1.
pub fn publish_command(stream_name: &str) -> Vec<u8> {
    let name = Value::text(stream_name);
    let values = [Value::text("publish"), Value::Number(3.0), Value::Null, name, Value::text("live")];
    command(1, &values)
}

/// Returns the bytes of a message, cut into chunks of this size.
pub fn message(
    csid: u32,
    type_id: u8,
    stream_id: u32,
    timestamp_ms: u32,
    payload: &[u8],
    chunk_size: usize,
) -> Vec<u8> {
    let header = MessageHeader { csid, type_id, stream_id, timestamp_ms };
    let mut out = Vec::new();
    write_message(&mut out, &header, payload, chunk_size);
    out
}
