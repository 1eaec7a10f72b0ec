//! Answers to requests for a segment.

use std::{io::ErrorKind, ops::Range};

use actix_http::Request;
use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{self, EntityTag},
    },
};
use log::warn;
use synctv_actors::hls::{SegmentFile, SegmentPlace, StoredPiece};
use synctv_media::hls::segment_name::{Piece, SegmentName};

use super::{
    super::{
        absent_body::absent,
        api_error::ApiError,
        conditional::is_known,
        cors,
        range::{self, Part},
    },
    body,
};

/// A sequence number is not used twice, and so a segment's address never means another one. A day, because a cache can
/// have no use of it for longer.
const CACHE_CONTROL: &str = "public, max-age=86400, immutable";

/// A segment, wherever it is from.
pub(super) async fn answer(request: &Request, segment: &StoredPiece) -> Result<HttpResponse, ApiError> {
    let size_bytes = segment.range().len();
    let tag = EntityTag::new_strong(tag(segment.name(), size_bytes));
    let part = range::requested(request, &tag, size_bytes);
    let range = match &part {
        _ if is_known(request, &[&tag]) => {
            return Ok(head(StatusCode::NOT_MODIFIED, segment, &tag).finish());
        }
        Part::Nothing => return Err(ApiError::range_not_satisfiable(size_bytes)),
        Part::Whole => 0..size_bytes,
        Part::Range(range) => range.clone(),
    };
    let body = match *request.method() {
        Method::HEAD => Some(absent(range.len())),
        _ => content(segment, range.clone()).await,
    };
    let body = body.ok_or_else(unknown)?;
    Ok(match part {
        Part::Range(range) => head(StatusCode::PARTIAL_CONTENT, segment, &tag)
            .insert_header((header::CONTENT_RANGE, range::content_range(&range, size_bytes)))
            .body(body),
        _ => head(StatusCode::OK, segment, &tag).body(body),
    })
}

pub(super) fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_such_segment", "there is no such segment, or no longer")
}

/// Differs from that of everything else of the room.
fn tag(name: SegmentName, size_bytes: usize) -> String {
    let sequence = name.sequence;
    match name.piece {
        Piece::Whole => format!("{sequence}-{size_bytes:x}"),
        Piece::Part(index) => format!("{sequence}.{index}-{size_bytes:x}"),
        Piece::Init => format!("{sequence}i-{size_bytes:x}"),
    }
}

/// `range` is of the piece.
async fn content(piece: &StoredPiece, range: Range<usize>) -> Option<BoxBody> {
    let (segment, start) = (piece.segment(), piece.range().start);
    let range = start + range.start..start + range.end;
    match segment.place()? {
        SegmentPlace::Memory(bytes) => Some(BoxBody::new(bytes.slice(range))),
        SegmentPlace::File(path) => match SegmentFile::open(path.clone(), segment.size_bytes()).await {
            Ok(file) => Some(body::file(file, range)),
            // It may have expired just now.
            Err(error) => {
                warn!(path:% = path.display(), reason:% = error; "a segment's file cannot be read");
                // Other errors may pass, as when there are too many open files.
                if error.kind() == ErrorKind::NotFound {
                    segment.note_lost();
                }
                None
            }
        },
    }
}

fn head(status: StatusCode, segment: &StoredPiece, tag: &EntityTag) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, segment.name().format.content_type))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ETAG, tag.to_string()))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header(cors::ANY_ORIGIN);
    response
}
