//! A room's playlist on its way to the node that goes on with it.
//!
//! The node that gets a room asks the one that had it last for its window: numbers and segments. So players see one playlist
//! that goes on, with one discontinuity, whichever node they ask. The asked node lists nothing in it any more, and so the numbers
//! behind the window are the asker's, also those that the other had reserved.

use std::time::Duration;

use actix::{Message, Recipient};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synctv_media::{
    codec::frame_size::FrameSize,
    digits,
    hls::{
        container::InitSection,
        playlist::{PartConfig, SegmentInfo, Window, WindowSegment},
        segment::SegmentPart,
        segment_name::{Piece, SegmentName},
    },
    stream::room::RoomName,
};

use super::settings::HlsForm;

/// Time limit for the node that had the room to give its window. Segments that are cut meanwhile are not listed yet.
pub(super) const WINDOW_TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum bytes of segments that are taken over with a window, newest first.
const TAKEN_MAX_BYTES: usize = 64 * 1024 * 1024;

/// A window that one node gives and another takes.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionWindow {
    pub(super) window: Window,
    /// The init section of the newest segment, which a multivariant playlist describes.
    pub(super) init: Option<InitSection>,
}

/// A window, and the node that has its segments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundWindow {
    pub window: SessionWindow,
    /// The address of the node's HLS port.
    pub address: String,
}

/// Asks the node that had a room last for its window.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<FoundWindow>")]
pub(crate) struct FetchWindow {
    pub room: RoomName,
    pub form: HlsForm,
    /// The epoch of the claim of the node that asks.
    pub epoch: u64,
}

/// Fetches segments, and their init sections, from a node. Segments that it does not have are left out.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<(SegmentName, Bytes)>")]
pub(crate) struct FetchPieces {
    pub room: RoomName,
    pub address: String,
    pub names: Vec<SegmentName>,
}

/// The way to windows of other nodes.
#[derive(Debug, Clone)]
pub struct Windows {
    pub(crate) windows: Recipient<FetchWindow>,
    pub(crate) pieces: Recipient<FetchPieces>,
}

impl Windows {
    /// The window of the node that had the room last, if it has one.
    pub(super) async fn fetch(self, room: RoomName, form: HlsForm, epoch: u64) -> Option<FoundWindow> {
        self.windows.send(FetchWindow { room, form, epoch }).await.ok().flatten()
    }

    /// The bytes of a window's segments.
    pub(super) async fn fetch_pieces(
        self,
        room: RoomName,
        address: String,
        names: Vec<SegmentName>,
    ) -> Vec<(SegmentName, Bytes)> {
        self.pieces.send(FetchPieces { room, address, names }).await.unwrap_or_default()
    }
}

impl SessionWindow {
    /// The path at which a node gives its window to the one with the claim of `epoch`.
    pub(crate) fn path(app: &str, room: &RoomName, form: HlsForm, epoch: u64) -> String {
        format!("/{app}/{room}/window-{epoch}.{}", form.format().extension)
    }

    /// Reads the last part of such a path.
    pub fn parse_file(file: &str) -> Option<(HlsForm, u64)> {
        let (epoch, extension) = file.strip_prefix("window-")?.split_once('.')?;
        let form =
            [HlsForm::Ts, HlsForm::Fmp4].into_iter().find(|form| form.format().extension == extension)?;
        Some((form, digits::parse(epoch)?))
    }

    /// The names of what it lists, newest first, up to a limit of bytes.
    pub(super) fn names(&self, form: HlsForm) -> Vec<SegmentName> {
        let (mut names, mut left_bytes) = (Vec::new(), TAKEN_MAX_BYTES);
        for WindowSegment { info, .. } in self.window.segments.iter().rev() {
            let Some(left) = left_bytes.checked_sub(info.size_bytes) else { break };
            left_bytes = left;
            names.push(SegmentName::whole(info.sequence, form.format()));
            let init = info.init.map(|init| SegmentName::whole(init, form.format()).with(Piece::Init));
            if let Some(init) = init.filter(|init| !names.contains(init)) {
                names.push(init);
            }
        }
        names
    }

    /// The text that one node sends to another.
    pub fn write(&self) -> Option<String> {
        serde_json::to_string(&Document::of(self)).ok()
    }

    /// Reads such a text.
    pub(crate) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Document>(text).map(Document::into_window)
    }
}

/// The text's fields. Those of later versions are ignored.
#[derive(Serialize, Deserialize)]
struct Document {
    next_sequence: u64,
    discontinuity_sequence: u64,
    target_s: u64,
    first_target_s: u64,
    /// Target and hold-back of parts, in milliseconds.
    parts: Option<(u32, u32)>,
    init: Option<InitDocument>,
    segments: Vec<SegmentDocument>,
}

#[derive(Serialize, Deserialize)]
struct InitDocument {
    codecs: String,
    frame_size: Option<(u32, u32)>,
    frame_rate_milli: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct SegmentDocument {
    sequence: u64,
    duration_ms: u64,
    discontinuity: bool,
    independent: bool,
    program_date_time_ms: u64,
    size_bytes: usize,
    init: Option<u64>,
    /// Duration in milliseconds, bytes, and whether it is independent.
    parts: Vec<(u64, usize, bool)>,
}

impl Document {
    fn of(SessionWindow { window, init }: &SessionWindow) -> Self {
        Self {
            next_sequence: window.next_sequence,
            discontinuity_sequence: window.discontinuity_sequence,
            target_s: window.target_s,
            first_target_s: window.first_target_s,
            parts: window.parts.map(|parts| (parts.target_ms, parts.hold_back_ms)),
            init: init.as_ref().map(InitDocument::of),
            segments: window.segments.iter().map(SegmentDocument::of).collect(),
        }
    }

    fn into_window(self) -> SessionWindow {
        let parts = self.parts.map(|(target_ms, hold_back_ms)| PartConfig { target_ms, hold_back_ms });
        SessionWindow {
            window: Window {
                next_sequence: self.next_sequence,
                discontinuity_sequence: self.discontinuity_sequence,
                target_s: self.target_s,
                first_target_s: self.first_target_s,
                parts,
                segments: self.segments.into_iter().map(SegmentDocument::into_segment).collect(),
            },
            init: self.init.map(InitDocument::into_section),
        }
    }
}

impl InitDocument {
    fn of(init: &InitSection) -> Self {
        let frame_size = init.frame_size.map(|size| (size.width, size.height));
        Self { codecs: init.codecs.clone(), frame_size, frame_rate_milli: init.frame_rate_milli }
    }

    /// Without the bytes, so that the first segment that is cut here brings its own section.
    fn into_section(self) -> InitSection {
        InitSection {
            bytes: Bytes::new(),
            codecs: self.codecs,
            frame_size: self.frame_size.map(|(width, height)| FrameSize { width, height }),
            frame_rate_milli: self.frame_rate_milli,
        }
    }
}

impl SegmentDocument {
    fn of(WindowSegment { info, parts }: &WindowSegment) -> Self {
        let part = |part: &SegmentPart| (part.duration_ms, part.size_bytes, part.independent);
        Self {
            sequence: info.sequence,
            duration_ms: info.duration_ms,
            discontinuity: info.discontinuity,
            independent: info.independent,
            program_date_time_ms: info.program_date_time_ms,
            size_bytes: info.size_bytes,
            init: info.init,
            parts: parts.iter().map(part).collect(),
        }
    }

    fn into_segment(self) -> WindowSegment {
        let part =
            |(duration_ms, size_bytes, independent)| SegmentPart { duration_ms, size_bytes, independent };
        WindowSegment {
            info: SegmentInfo {
                sequence: self.sequence,
                duration_ms: self.duration_ms,
                discontinuity: self.discontinuity,
                independent: self.independent,
                program_date_time_ms: self.program_date_time_ms,
                size_bytes: self.size_bytes,
                init: self.init,
            },
            parts: self.parts.into_iter().map(part).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    fn segment(sequence: u64) -> WindowSegment {
        let info = SegmentInfo {
            sequence,
            duration_ms: 2_000,
            discontinuity: sequence == 5,
            independent: true,
            program_date_time_ms: 1_795_384_800_000,
            size_bytes: TAKEN_MAX_BYTES / 3,
            init: Some(5),
        };
        WindowSegment {
            info,
            parts: vec![SegmentPart { duration_ms: 500, size_bytes: 9, independent: false }],
        }
    }

    fn window() -> SessionWindow {
        let window = Window {
            next_sequence: 9,
            discontinuity_sequence: 2,
            target_s: 3,
            first_target_s: 2,
            parts: Some(PartConfig { target_ms: 500, hold_back_ms: 1_500 }),
            segments: (5..9).map(segment).collect(),
        };
        let init = InitSection {
            bytes: Bytes::new(),
            codecs: "avc1.640028,mp4a.40.2".to_owned(),
            frame_size: Some(FrameSize { width: 1280, height: 720 }),
            frame_rate_milli: Some(25_000),
        };
        SessionWindow { window, init: Some(init) }
    }

    #[test]
    fn a_window_comes_as_it_was_sent_and_fields_of_later_versions_are_ignored() {
        let text = window().write().unwrap();
        assert_eq!(SessionWindow::read(text.as_bytes()).unwrap(), window());
        let later = text.replacen('{', "{\"later\":1,", 1);
        assert_eq!(SessionWindow::read(later.as_bytes()).unwrap(), window());
        assert!(SessionWindow::read(b"{}").is_err());
    }

    #[test]
    fn the_newest_segments_are_taken_with_the_sections_that_they_need() {
        let names = window().names(HlsForm::Fmp4);
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["seg-8.m4s", "init-5.mp4", "seg-7.m4s", "seg-6.m4s"]);
    }

    #[test]
    fn only_a_form_and_an_epoch_are_a_window_s_file() {
        let path = SessionWindow::path("live", &room("r"), HlsForm::Fmp4, 7);
        assert_eq!(path, "/live/r/window-7.m4s");
        assert_eq!(SessionWindow::parse_file("window-7.m4s"), Some((HlsForm::Fmp4, 7)));
        assert_eq!(SessionWindow::parse_file("window-7.ts"), Some((HlsForm::Ts, 7)));
        for file in ["window-7.mp4", "window-.ts", "window-7", "seg-7.ts", "window--7.ts"] {
            assert_eq!(SessionWindow::parse_file(file), None, "{file}");
        }
    }
}
