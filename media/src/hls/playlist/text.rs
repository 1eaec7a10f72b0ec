//! The text of a playlist, tag by tag. Writing to a `String` cannot fail.

use std::fmt::Write;

use super::{
    date_time::put_date_time,
    entry::{OpenInfo, SegmentInfo},
    part_config::PartConfig,
};
use crate::hls::{
    container::{InitSection, SegmentFormat},
    segment::SegmentPart,
    segment_name::{Piece, SegmentName},
};

/// The tags in front of the first segment.
pub(super) struct Head {
    pub(super) target_s: u64,
    pub(super) media_sequence: u64,
    pub(super) discontinuity_sequence: u64,
    /// Each segment can be decoded without the one before it.
    pub(super) independent: bool,
    pub(super) parts: Option<PartConfig>,
}

/// Writes a media playlist from its first line to its last.
pub(super) struct TextWriter<'a> {
    text: String,
    format: &'static SegmentFormat,
    uri_prefix: &'a str,
    /// The initialisation section that counts so far.
    init: Option<u64>,
}

impl<'a> TextWriter<'a> {
    /// A text that will have so many bytes, more or less.
    pub(super) fn new(format: &'static SegmentFormat, uri_prefix: &'a str, size_bytes: usize) -> Self {
        Self { text: String::with_capacity(size_bytes), format, uri_prefix, init: None }
    }

    pub(super) fn head(&mut self, head: &Head) {
        let Head { target_s, media_sequence, discontinuity_sequence, .. } = *head;
        let version = self.format.playlist_version;
        let _ = write!(
            self.text,
            "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{media_sequence}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}\n"
        );
        if head.independent {
            self.text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        if let Some(parts) = head.parts {
            self.part_config(parts);
        }
    }

    fn part_config(&mut self, config: PartConfig) {
        let seconds = |ms: u32| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let (hold_back, target) = (seconds(config.hold_back_ms), seconds(config.declared_ms()));
        let _ = write!(
            self.text,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back}\n#EXT-X-PART-INF:PART-TARGET={target}\n"
        );
    }

    /// A segment with those of its parts that are listed.
    pub(super) fn segment(&mut self, info: &SegmentInfo, parts: &[SegmentPart]) {
        let SegmentInfo { sequence, discontinuity, independent, program_date_time_ms, init, .. } = *info;
        self.segment_head(&OpenInfo { discontinuity, independent, program_date_time_ms, init });
        self.parts(sequence, parts);
        let (whole_s, rest_ms) = (info.duration_ms / 1_000, info.duration_ms % 1_000);
        let name = self.address(sequence, Piece::Whole);
        let _ = write!(self.text, "#EXTINF:{whole_s}.{rest_ms:03},\n{name}\n");
    }

    /// Writes the tags before a segment's first part.
    fn segment_head(&mut self, info: &OpenInfo) {
        if info.discontinuity {
            self.text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(init) = info.init.filter(|init| info.discontinuity || self.init != Some(*init)) {
            let name = self.address(init, Piece::Init);
            let _ = writeln!(self.text, "#EXT-X-MAP:URI=\"{name}\"");
            self.init = Some(init);
        }
        self.text.push_str("#EXT-X-PROGRAM-DATE-TIME:");
        put_date_time(&mut self.text, info.program_date_time_ms);
        self.text.push('\n');
    }

    /// The parts of a segment that is not whole yet.
    pub(super) fn open_segment(&mut self, sequence: u64, info: &OpenInfo, parts: &[SegmentPart]) {
        self.segment_head(info);
        self.parts(sequence, parts);
    }

    fn parts(&mut self, sequence: u64, parts: &[SegmentPart]) {
        for (index, part) in (0..).zip(parts) {
            let (whole_s, rest_ms) = (part.duration_ms / 1_000, part.duration_ms % 1_000);
            let name = self.address(sequence, Piece::Part(index));
            let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
            let _ = writeln!(
                self.text,
                "#EXT-X-PART:DURATION={whole_s}.{rest_ms:03},URI=\"{name}\"{independent}"
            );
        }
    }

    /// The part that comes next, unless its segment ends before it.
    pub(super) fn hint(&mut self, sequence: u64, index: usize) {
        let name = self.address(sequence, Piece::Part(index as u32));
        let _ = writeln!(self.text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\"");
    }

    pub(super) fn end(&mut self) {
        self.text.push_str("#EXT-X-ENDLIST\n");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn address(&self, sequence: u64, piece: Piece) -> String {
        format!("{}{}", self.uri_prefix, SegmentName::whole(sequence, self.format).with(piece))
    }
}

/// The text of a multivariant playlist with one variant, at `uri` (RFC 8216, section 4.3.4).
pub(super) fn multivariant(version: u8, bits_per_s: u64, init: &InitSection, uri: &str) -> String {
    let codecs = &init.codecs;
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-STREAM-INF:BANDWIDTH={bits_per_s},CODECS=\"{codecs}\""
    );
    if let Some(size) = init.frame_size {
        let _ = write!(text, ",RESOLUTION={}x{}", size.width, size.height);
    }
    if let Some(rate) = init.frame_rate_milli {
        let _ = write!(text, ",FRAME-RATE={}.{:03}", rate / 1_000, rate % 1_000);
    }
    let _ = write!(text, "\n{uri}\n");
    text
}
