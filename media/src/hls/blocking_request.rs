//! The directives of a request that waits for what a playlist does not list yet (draft-pantos-hls-rfc8216bis, section 6.2.5).

use std::{borrow::Cow, fmt};

use thiserror::Error;

use crate::digits;

/// A playlist is asked for once it lists this segment, or this part of it, or anything later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockingRequest {
    /// `_HLS_msn`: the segment's sequence number.
    pub sequence: u64,
    /// `_HLS_part`: the part's number, counted from 0. Without one, all of the segment is meant.
    pub part: Option<u32>,
}

/// The reason directives cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DirectiveError {
    /// The value is no number, or the directive is there twice.
    #[error("{0} must be one unsigned number")]
    Number(&'static str),
    /// A part of no segment.
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
    /// The requested part is further ahead than players may ask for.
    #[error("the playlist is not about to list what _HLS_msn and _HLS_part ask for")]
    TooFar,
}

impl BlockingRequest {
    /// Reads a query; `None` if it has no directives.
    pub fn parse(query: &str) -> Result<Option<Self>, DirectiveError> {
        let sequence = number(query, "_HLS_msn")?;
        let part = number(query, "_HLS_part")?;
        match (sequence, part) {
            (Some(sequence), part) => Ok(Some(Self { sequence, part })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(DirectiveError::PartAlone),
        }
    }
}

/// Returns a query without the directives of Low-Latency HLS, which are meant for one request. The rest is the same for all
/// requests of a player.
pub fn without_directives(query: &str) -> Cow<'_, str> {
    let is_directive = |pair: &str| pair.starts_with("_HLS_");
    if !query.split('&').any(is_directive) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(|pair| !is_directive(pair)).collect::<Vec<_>>().join("&"))
}

fn number<T: std::str::FromStr>(query: &str, name: &'static str) -> Result<Option<T>, DirectiveError> {
    let mut values = query.split('&').filter_map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (pair == name).then_some(""),
    });
    let Some(value) = values.next() else { return Ok(None) };
    let parsed = digits::parse(value).filter(|_| values.next().is_none());
    parsed.map(Some).ok_or(DirectiveError::Number(name))
}

/// The query that asks for it.
impl fmt::Display for BlockingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "_HLS_msn={}", self.sequence)?;
        self.part.map_or(Ok(()), |part| write!(f, "&_HLS_part={part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_strictly() {
        let read = |sequence, part| Ok(Some(BlockingRequest { sequence, part }));
        let (msn, part) = (Err(DirectiveError::Number("_HLS_msn")), Err(DirectiveError::Number("_HLS_part")));
        for (query, expected) in [
            ("", Ok(None)),
            ("token=x&msn=1", Ok(None)),
            ("_HLS_skip=YES", Ok(None)),
            ("_HLS_msn=7", read(7, None)),
            ("a=b&_HLS_part=0&_HLS_msn=7", read(7, Some(0))),
            ("_HLS_part=0", Err(DirectiveError::PartAlone)),
            ("_HLS_msn=7&_HLS_msn=7", msn),
            ("_HLS_msn=+7", msn),
            ("_HLS_msn=-7", msn),
            ("_HLS_msn=", msn),
            ("_HLS_msn", msn),
            ("_HLS_msn=18446744073709551616", msn),
            ("_HLS_msn=7&_HLS_part=4294967296", part),
            ("_HLS_msn=7&_HLS_part=x", part),
        ] {
            assert_eq!(BlockingRequest::parse(query), expected, "{query}");
        }
        assert_eq!(BlockingRequest { sequence: 7, part: Some(1) }.to_string(), "_HLS_msn=7&_HLS_part=1");
    }

    #[test]
    fn a_query_without_directives_is_the_same_for_all_requests() {
        for (query, rest) in [
            ("", ""),
            ("token=T&sign=x%26y", "token=T&sign=x%26y"),
            ("_HLS_msn=7", ""),
            ("token=T&_HLS_msn=7&_HLS_part=0&sign=x", "token=T&sign=x"),
            ("a_HLS_msn=7&_HLS_skip=YES", "a_HLS_msn=7"),
        ] {
            assert_eq!(without_directives(query), rest);
        }
    }
}
