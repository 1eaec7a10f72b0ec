//! RTMP without I/O: bytes from the peer go in, events and bytes for the peer come out.
//!
//! A connection's bytes pass through these modules, in order:
//!
//! - [`handshake`] takes C0, C1 and C2 in any pieces and answers S0, S1 and S2.
//! - [`chunk_reader`] makes messages of chunks (RTMP 1.0 section 5.3); [`chunk_writer`] makes chunks of messages.
//! - [`command`] makes a command of a message's [`amf0`] values.
//! - [`session`] is the server's side: it answers what needs no decision, and hands out what does as events.
//! - [`control`] writes control messages.
//! - [`mux`] turns FLV tags into the one run of chunks that every RTMP player of a room is sent.
//! - [`rtmp_crate`] is the only place that names the `rtmp` crate, so that it can be replaced in a day.

pub mod amf0;
pub mod chunk_reader;
pub mod chunk_writer;
#[cfg(any(test, feature = "testing"))]
pub mod client;
pub mod command;
pub mod control;
pub mod handshake;
pub mod mux;
pub mod rtmp_crate;
pub mod session;

/// The chunk size of both directions until a Set Chunk Size, in bytes (RTMP 1.0 section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// The chunk size of everything that is sent after the connect command, in bytes. Most frames fit in one chunk.
pub const OUT_CHUNK_SIZE_BYTES: usize = 60_000;

/// The only message stream that a connection gets from createStream.
pub const MESSAGE_STREAM_ID: u32 = 1;

/// The chunk stream of commands.
pub const COMMAND_CSID: u32 = 3;

/// The chunk stream of outgoing audio.
pub const AUDIO_CSID: u32 = 4;

/// The chunk stream of outgoing data messages.
pub const DATA_CSID: u32 = 5;

/// The chunk stream of outgoing video.
pub const VIDEO_CSID: u32 = 6;

/// As much of `text` as fits in `max_bytes`, cut between characters.
fn cut_text(text: &str, max_bytes: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=max_bytes.min(text.len())).rev().find(fits).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}
