//! The names of segments, their parts and their initialisation sections, in playlists, addresses and files.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    container::{Container, SegmentFormat},
    fmp4::container::Fmp4Container,
    ts::container::TsContainer,
};

/// The formats of all containers, by whose extensions names are recognised.
const FORMATS: [&SegmentFormat; 2] = [TsContainer::FORMAT, Fmp4Container::FORMAT];

/// The name of a segment, or of what belongs to one: `seg-<sequence>.<extension>`, `part-<sequence>.<index>.<extension>` or
/// `init-<sequence>.<extension>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// The sequence number.
    pub sequence: u64,
    /// All of the segment, or what belongs to it.
    pub piece: Piece,
    /// The format, which gives the extension.
    pub format: &'static SegmentFormat,
}

/// The resource that has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Piece {
    /// All of the segment.
    Whole,
    /// A part of it, counted from 0.
    Part(u32),
    /// The initialisation section of this segment and those that follow it. A sequence number is not used twice in a room, so
    /// that neither is this name.
    Init,
}

impl SegmentName {
    /// The name of all of a segment.
    pub const fn whole(sequence: u64, format: &'static SegmentFormat) -> Self {
        Self { sequence, piece: Piece::Whole, format }
    }

    /// The name of what belongs to the same segment.
    pub const fn with(self, piece: Piece) -> Self {
        Self { piece, ..self }
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` for every other text: no two names mean one segment.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('-')?;
        let (numbers, extension) = rest.rsplit_once('.')?;
        let is_format = |format: &&SegmentFormat| match kind {
            "init" => format.init_extension == Some(extension),
            _ => format.extension == extension,
        };
        let format = FORMATS.into_iter().find(is_format)?;
        let (sequence, piece) = match kind {
            "seg" => (numbers, Piece::Whole),
            "init" => (numbers, Piece::Init),
            "part" => {
                let (sequence, index) = numbers.split_once('.')?;
                (sequence, Piece::Part(index.parse().ok()?))
            }
            _ => return None,
        };
        let parsed = Self { sequence: sequence.parse().ok()?, piece, format };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, format, .. } = self;
        match self.piece {
            Piece::Whole => write!(f, "seg-{sequence}.{}", format.extension),
            Piece::Part(index) => write!(f, "part-{sequence}.{index}.{}", format.extension),
            Piece::Init => write!(f, "init-{sequence}.{}", format.init_extension.unwrap_or(format.extension)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(sequence: u64) -> SegmentName {
        SegmentName::whole(sequence, TsContainer::FORMAT)
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
            "init-1.ts",
            "init-1.m4s",
            "part-1.m4s",
            "part-1.01.m4s",
            "part-1.4294967296.m4s",
            "part-1.0.mp4",
            "seg-1.0.m4s",
        ] {
            assert_eq!(SegmentName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(sequence: u64, index: u32, text in ".{0,12}") {
            let fragmented = SegmentName::whole(sequence, Fmp4Container::FORMAT);
            for name in [name(sequence), fragmented, fragmented.with(Piece::Part(index)), fragmented.with(Piece::Init)] {
                prop_assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
            }
            prop_assert_eq!(SegmentName::parse(&text), None);
        }
    }
}
