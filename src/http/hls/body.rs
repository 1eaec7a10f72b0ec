//! Bodies of segments, handed to the framework in pieces: it copies each into a buffer, which is to stay small.

use std::{
    convert::Infallible,
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, BoxBody, MessageBody, SizedStream};
use bytes::Bytes;
use futures::{Stream, stream};
use synctv_actors::hls::SegmentFile;

/// Bytes of a response that the framework buffers at once.
const MEMORY_PIECE_BYTES: usize = 32 * 1024;

/// Reading a file costs a visit to another thread.
const FILE_PIECE_BYTES: usize = 64 * 1024;

/// Bytes in memory.
pub(super) fn memory(bytes: Bytes) -> BoxBody {
    BoxBody::new(Memory(bytes))
}

/// A part of a file.
pub(super) fn file(file: SegmentFile, range: Range<usize>) -> BoxBody {
    BoxBody::new(SizedStream::new(range.len() as u64, pieces(file, range)))
}

fn pieces(file: SegmentFile, range: Range<usize>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, range), async |(file, range)| {
        if range.is_empty() {
            return Ok(None);
        }
        let piece = file.read(range.start as u64, range.len().min(FILE_PIECE_BYTES)).await?;
        let rest = range.start + piece.len()..range.end;
        Ok(Some((piece, (file, rest))))
    })
}

struct Memory(Bytes);

impl MessageBody for Memory {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let size_bytes = self.0.len().min(MEMORY_PIECE_BYTES);
        let piece = self.0.split_to(size_bytes);
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}
