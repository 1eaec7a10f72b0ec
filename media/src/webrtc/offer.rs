//! SDP texts: what an offer must keep to, and what an answer needs besides what the library writes.

use std::fmt::Write;

use thiserror::Error;

/// The size of the longest offer, in bytes. Browsers' are below 10 KiB.
pub const OFFER_MAX_BYTES: usize = 64 * 1024;

/// The most media sections of an offer.
const MEDIA_MAX: usize = 8;

/// The reason an offer is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// Over [`MEDIA_MAX`].
    #[error("the offer has more than {MEDIA_MAX} media sections")]
    TooManyMedia,
    /// It cannot be read, or lacks what a session needs.
    #[error("the offer is no SDP that can be answered: {0}")]
    Malformed(String),
    /// It has none of the codecs of the stream, or does not want to receive.
    #[error("the offer does not receive {0}, which the room sends")]
    NoCodec(&'static str),
}

/// Leaves the candidates out of an offer. The server waits for the client's checks, and learns its addresses from them.
pub(super) fn without_candidates(offer: &str) -> Result<String, OfferError> {
    let lines = || offer.lines().map(str::trim_end).filter(|line| !line.is_empty());
    if lines().filter(|line| line.starts_with("m=")).count() > MEDIA_MAX {
        return Err(OfferError::TooManyMedia);
    }
    let is_kept = |line: &&str| !line.starts_with("a=candidate:") && !line.starts_with("a=end-of-candidates");
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
    fn candidates_are_left_out_and_line_ends_are_as_they_should_be() {
        let offer = "v=0\na=candidate:1 1 UDP 1 1.2.3.4 5 typ host\r\nm=video 9\n\na=end-of-candidates\n";
        assert_eq!(without_candidates(offer), Ok("v=0\r\nm=video 9\r\n".to_owned()));
    }

    #[test]
    fn media_sections_have_a_limit() {
        let offer = "m=video 9\r\n".repeat(MEDIA_MAX + 1);
        assert_eq!(without_candidates(&offer), Err(OfferError::TooManyMedia));
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
