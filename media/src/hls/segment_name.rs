//! The names of segments, in playlists, addresses and files.

use std::fmt;

use super::{
    container::{Container, SegmentFormat},
    ts::container::TsContainer,
};

/// The formats of all containers, by whose extensions names are recognised.
const FORMATS: [&SegmentFormat; 1] = [TsContainer::FORMAT];

/// The name of a segment: `seg-<sequence>.<extension>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// The sequence number.
    pub sequence: u64,
    /// The format, which gives the extension.
    pub format: &'static SegmentFormat,
}

impl SegmentName {
    /// Reads what [`Display`](fmt::Display) writes; `None` for every other text, so that no two names mean one segment.
    pub fn parse(name: &str) -> Option<Self> {
        let (sequence, extension) = name.strip_prefix("seg-")?.split_once('.')?;
        let format = FORMATS.into_iter().find(|format| format.extension == extension)?;
        let parsed = Self { sequence: sequence.parse().ok()?, format };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seg-{}.{}", self.sequence, self.format.extension)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(sequence: u64) -> SegmentName {
        SegmentName { sequence, format: TsContainer::FORMAT }
    }

    #[test]
    fn only_our_own_names_are_names_of_segments() {
        assert_eq!(SegmentName::parse("seg-0.ts"), Some(name(0)));
        assert_eq!(SegmentName::parse("seg-18446744073709551615.ts"), Some(name(u64::MAX)));
        for text in [
            "",
            "seg-.ts",
            "seg-+1.ts",
            "seg-01.ts",
            "seg-1.ts ",
            "seg-1.TS",
            "SEG-1.ts",
            "seg-1.ts.tmp",
            "seg--1.ts",
            "seg-18446744073709551616.ts",
            "../seg-1.ts",
            "seg-1",
            "1.ts",
            "seg-１.ts",
            "seg-1.mp4",
        ] {
            assert_eq!(SegmentName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(sequence: u64, text in ".{0,12}") {
            prop_assert_eq!(SegmentName::parse(&name(sequence).to_string()), Some(name(sequence)));
            prop_assert_eq!(SegmentName::parse(&text), None);
        }
    }
}
