//! Bodies of segments that are in files, read in pieces.

use std::{io, ops::Range};

use actix_web::body::{BoxBody, SizedStream};
use bytes::Bytes;
use futures::{Stream, stream};
use synctv_actors::hls::SegmentFile;

/// Bytes that are read at once. Reading a file costs a visit to another thread.
const FILE_PIECE_BYTES: usize = 64 * 1024;

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
