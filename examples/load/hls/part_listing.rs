//! The tags of a playlist that a player of Low-Latency HLS reads.

/// A part's place in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartNumber {
    pub sequence: u64,
    pub index: u32,
}

/// The parts of a playlist.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PartListing {
    /// Number and address of each that is listed, in their order.
    pub listed: Vec<(PartNumber, String)>,
    /// The one that comes next; `None` at the end.
    pub next: Option<PartNumber>,
}

impl PartNumber {
    fn of(uri: &str) -> Option<Self> {
        let (sequence, index) = uri.strip_prefix("part-")?.strip_suffix(".m4s")?.split_once('.')?;
        Some(Self { sequence: sequence.parse().ok()?, index: index.parse().ok()? })
    }

    /// The query that waits for it.
    pub fn query(self) -> String {
        format!("?_HLS_msn={}&_HLS_part={}", self.sequence, self.index)
    }
}

impl PartListing {
    /// Reads a playlist; `None` if it lists no part.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut listing = Self::default();
        for line in std::str::from_utf8(text).ok()?.lines() {
            let Some((tag, uri)) = line.split_once(':').and_then(|(tag, list)| Some((tag, uri(list)?)))
            else {
                continue;
            };
            match tag {
                "#EXT-X-PART" => listing.listed.push((PartNumber::of(uri)?, uri.to_owned())),
                "#EXT-X-PRELOAD-HINT" => listing.next = Some(PartNumber::of(uri)?),
                _ => {}
            }
        }
        (!listing.listed.is_empty()).then_some(listing)
    }
}

fn uri(attributes: &str) -> Option<&str> {
    attributes.split_once("URI=\"")?.1.split_once('"').map(|(uri, _)| uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_the_next_one_are_read() {
        let text = b"#EXTM3U\n#EXT-X-MAP:URI=\"init-7.mp4\"\n#EXT-X-PART:DURATION=0.500,URI=\"part-7.0.m4s\",INDEPENDENT=YES\n\
            #EXTINF:0.500,\nseg-7.m4s\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-8.0.m4s\"\n";
        let listing = PartListing::parse(text).unwrap();
        let first = PartNumber { sequence: 7, index: 0 };
        assert_eq!(listing.listed, [(first, "part-7.0.m4s".to_owned())]);
        assert_eq!(listing.next.map(PartNumber::query).as_deref(), Some("?_HLS_msn=8&_HLS_part=0"));
        assert_eq!(PartListing::parse(b"#EXTM3U\nseg-7.m4s\n"), None);
    }
}
