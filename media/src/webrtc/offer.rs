//! SDP texts: what an offer must keep to, and what an answer needs besides what the library writes.

use std::fmt::Write;

use thiserror::Error;

/// The size of the longest offer, in bytes. Browsers' are below 10 KiB.
pub const OFFER_MAX_BYTES: usize = 32 * 1024;

/// The size of the longest line of an offer, in bytes. Browsers' longest, a codec's parameters, are a tenth of it.
const LINE_MAX_BYTES: usize = 2 * 1024;

/// Lines that are left out: candidates, because the server learns addresses from the client's checks, and layers of video, which
/// only a sender has and the library takes a time for that grows with the square of their number.
const LEFT_OUT: [&str; 4] = ["a=candidate:", "a=end-of-candidates", "a=simulcast:", "a=rid:"];

/// The most media sections of an offer.
const MEDIA_MAX: usize = 8;

/// The reason an offer is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// Over [`MEDIA_MAX`].
    #[error("the offer has more than {MEDIA_MAX} media sections")]
    TooManyMedia,
    /// Over [`LINE_MAX_BYTES`].
    #[error("the offer has a line of more than {LINE_MAX_BYTES} bytes")]
    LongLine,
    /// It cannot be read. The library's reason has addresses of its memory.
    #[error("the offer is no SDP")]
    NoSdp,
    /// It lacks what a session needs.
    #[error("the offer is no SDP that can be answered: {0}")]
    Malformed(String),
    /// It has none of the codecs of the stream, or does not want to receive.
    #[error("the offer does not receive {0}, which the room sends")]
    NoCodec(&'static str),
}

/// Reduces an offer to what the server answers, within the limits.
pub(super) fn reduced(offer: &str) -> Result<String, OfferError> {
    let lines = || offer.lines().map(str::trim_end).filter(|line| !line.is_empty());
    if lines().filter(|line| line.starts_with("m=")).count() > MEDIA_MAX {
        return Err(OfferError::TooManyMedia);
    }
    let is_kept = |line: &&str| !LEFT_OUT.iter().any(|start| line.starts_with(start));
    if lines().filter(is_kept).any(|line| line.len() > LINE_MAX_BYTES) {
        return Err(OfferError::LongLine);
    }
    Ok(lines().filter(is_kept).fold(String::with_capacity(offer.len()), |mut text, line| {
        let _ = write!(text, "{line}\r\n");
        text
    }))
}

/// Puts all tracks of an answer into one media stream. Browsers keep audio and video together only within one, and players
/// show the first.
pub(super) fn with_one_stream(answer: &str) -> String {
    const STREAM: &str = "synctv";
    let mut text = String::with_capacity(answer.len());
    for line in answer.lines() {
        let changed = if let Some(ids) = line.strip_prefix("a=msid:") {
            ids.split_once(' ').map(|(_, track)| format!("a=msid:{STREAM} {track}"))
        } else if line.starts_with("a=msid-semantic:") {
            Some(format!("a=msid-semantic: WMS {STREAM}"))
        } else {
            line.split_once(" msid:").and_then(|(source, ids)| {
                let (_, track) = ids.split_once(' ')?;
                Some(format!("{source} msid:{STREAM} {track}"))
            })
        };
        let _ = write!(text, "{}\r\n", changed.as_deref().unwrap_or(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_and_layers_are_left_out_and_line_ends_are_as_they_should_be() {
        let offer = "v=0\na=candidate:1 1 UDP 1 1.2.3.4 5 typ host\r\nm=video 9\n\na=end-of-candidates\n";
        assert_eq!(reduced(offer), Ok("v=0\r\nm=video 9\r\n".to_owned()));
        let layers =
            format!("m=video 9\r\na=rid:a recv\r\na=simulcast:recv a{}\r\n", ";a".repeat(LINE_MAX_BYTES));
        assert_eq!(reduced(&layers), Ok("m=video 9\r\n".to_owned()));
    }

    #[test]
    fn lines_have_a_limit() {
        let longest = "a".repeat(LINE_MAX_BYTES);
        assert_eq!(reduced(&longest), Ok(format!("{longest}\r\n")));
        assert_eq!(reduced(&format!("{longest}a")), Err(OfferError::LongLine));
    }

    #[test]
    fn media_sections_have_a_limit() {
        let offer = "m=video 9\r\n".repeat(MEDIA_MAX + 1);
        assert_eq!(reduced(&offer), Err(OfferError::TooManyMedia));
    }

    #[test]
    fn all_tracks_are_of_one_stream() {
        let answer = "a=msid-semantic: WMS a b\r\na=msid:a ta\r\na=ssrc:1 cname:c\r\na=ssrc:1 msid:a ta\r\na=msid:b tb\r\n";
        assert_eq!(
            with_one_stream(answer),
            "a=msid-semantic: WMS synctv\r\na=msid:synctv ta\r\na=ssrc:1 cname:c\r\na=ssrc:1 msid:synctv ta\r\na=msid:synctv tb\r\n"
        );
    }
}
