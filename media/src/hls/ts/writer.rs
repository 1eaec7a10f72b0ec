//! The MPEG transport stream (ISO/IEC 13818-1): packets of 188 bytes with PES in them.
//!
//! Written here, not with a crate: slicing PES, counters, stuffing and the clock would be ours in any case, and writing
//! packets straight into the segment's buffer copies each byte once and allocates nothing.

use serde::{Deserialize, Serialize};

use super::psi::{
    AUDIO_PID, AudioStream, PACKET_BYTES, SYNC_BYTE, Tracks, VIDEO_PID, VideoStream, pat_packet, pmt_packet,
};
use crate::hls::container::Lead;

/// Delay of the transport stream's times behind the stream's timeline. It leaves the decoder's buffer time to fill, as
/// the clock references are not moved.
pub const LEAD_MS: i64 = 500;

/// Video that comes less often does not carry the clock often enough, so that packets with nothing else are put in.
pub const CLOCK_INTERVAL_MS: i64 = 90;

/// A time on the stream's timeline in 90 kHz, the unit of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticks(i64);

/// The most audio in one PES packet: what its 16-bit length can tell, without its header.
pub const PES_AUDIO_MAX_BYTES: usize = 0xFFFF - (PES_HEADER_PTS_BYTES - PES_PREFIX_BYTES);

/// The size of the tables at the front of a segment, in bytes.
pub const TABLES_BYTES: usize = 2 * PACKET_BYTES;

const PAYLOAD_BYTES: usize = PACKET_BYTES - 4;
const PES_PREFIX_BYTES: usize = 6;
const PES_HEADER_PTS_BYTES: usize = 14;
const PES_HEADER_PTS_DTS_BYTES: usize = 19;
const ADAPTATION_MAX_BYTES: usize = 8;
const STREAM_ID_VIDEO: u8 = 0xE0;
const STREAM_ID_AUDIO: u8 = 0xC0;
const RANDOM_ACCESS: u8 = 0x40;
const HAS_CLOCK: u8 = 0x10;
/// Ticks of the wire's clock per second.
pub const TICKS_A_SECOND: u32 = 90_000;

/// Ticks per millisecond.
pub const TICKS_A_MS: i64 = TICKS_A_SECOND as i64 / 1_000;
const TICKS_MASK: u64 = (1 << 33) - 1;

/// The most that a call of [`TsWriter::video`] appends, in bytes.
pub const fn video_max_bytes(annex_b_bytes: usize) -> usize {
    packets_bytes(PES_HEADER_PTS_DTS_BYTES + annex_b_bytes)
}

/// The most that a call of [`TsWriter::audio`] appends, in bytes; several frames in one take less than each in its own.
pub const fn audio_max_bytes(frames_bytes: usize) -> usize {
    // One more packet, as the clock may be due.
    packets_bytes(PES_HEADER_PTS_BYTES + frames_bytes) + PACKET_BYTES
}

const fn packets_bytes(pes_bytes: usize) -> usize {
    (ADAPTATION_MAX_BYTES + pes_bytes).div_ceil(PAYLOAD_BYTES) * PACKET_BYTES
}

/// Writes a stream's segments one after the other. The continuity counters live as long as the writer.
///
/// Times are of a timeline of 64 bits; on the wire they wrap at 2^33 (26.5 h).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TsWriter {
    lead: Lead,
    tracks: Tracks,
    /// The tracks that the last finished segment declared; `None` before that.
    declared: Option<Tracks>,
    pmt_version: u8,
    /// The offset of the open segment's PMT, which is written again once its tracks are known.
    pmt_at: usize,
    clock: Option<Ticks>,
    pat_counter: u8,
    pmt_counter: u8,
    video_counter: u8,
    audio_counter: u8,
}

impl Ticks {
    /// A time in milliseconds. As 2^33 divides 2^64, a multiplication that wraps does no harm.
    pub const fn from_ms(time_ms: i64) -> Self {
        Self(time_ms.wrapping_mul(TICKS_A_MS))
    }

    /// So many ticks later.
    pub const fn plus(self, ticks: i64) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    const fn on_wire(self) -> u64 {
        self.0 as u64 & TICKS_MASK
    }
}

impl Default for TsWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl TsWriter {
    /// A writer that has written nothing.
    pub fn new() -> Self {
        Self {
            lead: Lead::Video,
            tracks: Tracks::default(),
            declared: None,
            pmt_version: 0,
            pmt_at: 0,
            clock: None,
            pat_counter: 0,
            pmt_counter: 0,
            video_counter: 0,
            audio_counter: 0,
        }
    }

    /// Returns whether a writer may be in such a state: counters have four bits, versions five.
    pub fn is_valid(&self) -> bool {
        let counters = [self.pat_counter, self.pmt_counter, self.video_counter, self.audio_counter];
        counters.iter().all(|counter| *counter <= 0x0F) && self.pmt_version <= 0x1F
    }

    /// Puts the tables at the front of a segment. `lead` is the track whose packets will carry the clock.
    pub fn begin_segment(&mut self, out: &mut Vec<u8>, lead: Lead) {
        self.lead = lead;
        out.extend_from_slice(&pat_packet(self.pat_counter));
        self.pat_counter = next(self.pat_counter);
        self.pmt_at = out.len();
        out.extend_from_slice(&pmt_packet(self.pmt_counter, self.pmt_version, self.tracks, lead));
    }

    /// Lets the PMT of the segment, which `out` holds as it was begun, declare the tracks that came. True if they are
    /// not those of the segment before it.
    pub fn end_segment(&mut self, out: &mut [u8]) -> bool {
        let changed = self.declared.is_some_and(|declared| declared != self.tracks);
        if changed {
            self.pmt_version = (self.pmt_version + 1) & 0x1F;
        }
        self.declared = Some(self.tracks);
        if let Some(pmt) = out.get_mut(self.pmt_at..self.pmt_at + PACKET_BYTES) {
            pmt.copy_from_slice(&pmt_packet(self.pmt_counter, self.pmt_version, self.tracks, self.lead));
        }
        self.pmt_counter = next(self.pmt_counter);
        changed
    }

    /// Forgets the tracks: segments from now on declare only what comes from now on.
    pub fn discontinuity(&mut self) {
        self.tracks = Tracks::default();
        self.clock = None;
    }

    /// Puts one access unit in Annex B. A presentation before the decoding is moved to it.
    pub fn video(
        &mut self,
        out: &mut Vec<u8>,
        stream: VideoStream,
        dts: Ticks,
        pts: Ticks,
        keyframe: bool,
        annex_b: &[u8],
    ) {
        self.tracks.video = Some(stream);
        let clock = (self.lead == Lead::Video).then(|| self.advance_clock(dts));
        let adaptation = Adaptation::new(keyframe, clock);
        // Length 0, "until the next one", is allowed for video and the only choice over 64 KiB.
        if pts > dts {
            let mut header = pes_header::<PES_HEADER_PTS_DTS_BYTES>(STREAM_ID_VIDEO, 0, 0xC0);
            put_time(&mut header, 9, 0x30, pts);
            put_time(&mut header, 14, 0x10, dts);
            put_pes(out, VIDEO_PID, &mut self.video_counter, &adaptation, &header, annex_b);
        } else {
            let mut header = pes_header::<PES_HEADER_PTS_BYTES>(STREAM_ID_VIDEO, 0, 0x80);
            put_time(&mut header, 9, 0x20, dts);
            put_pes(out, VIDEO_PID, &mut self.video_counter, &adaptation, &header, annex_b);
        }
    }

    /// Puts one PES packet with whole audio frames, of which the first is presented at `pts`. Over
    /// [`PES_AUDIO_MAX_BYTES`] they are left out, as the format cannot tell it.
    pub fn audio(&mut self, out: &mut Vec<u8>, stream: AudioStream, pts: Ticks, frames: &[u8]) {
        if frames.len() > PES_AUDIO_MAX_BYTES {
            return;
        }
        self.tracks.audio = Some(stream);
        let adaptation = match self.lead {
            Lead::Audio => Adaptation::new(true, Some(self.advance_clock(pts))),
            Lead::Video => {
                self.put_clock_if_due(out, pts);
                Adaptation::new(false, None)
            }
        };
        let length = frames.len() + PES_HEADER_PTS_BYTES - PES_PREFIX_BYTES;
        let mut header = pes_header::<PES_HEADER_PTS_BYTES>(STREAM_ID_AUDIO, length as u16, 0x80);
        put_time(&mut header, 9, 0x20, pts);
        put_pes(out, AUDIO_PID, &mut self.audio_counter, &adaptation, &header, frames);
    }

    fn put_clock_if_due(&mut self, out: &mut Vec<u8>, now: Ticks) {
        let is_due = self.clock.is_none_or(|clock| now >= clock.plus(CLOCK_INTERVAL_MS * TICKS_A_MS));
        if is_due {
            let adaptation = Adaptation::new(false, Some(self.advance_clock(now)));
            // The counter counts packets with payload only, so this one repeats the last.
            put_packet(
                out,
                [0x01, 0x00, 0x20 | self.video_counter.wrapping_sub(1) & 0x0F],
                &adaptation,
                &[],
                &[],
            );
        }
    }

    /// The clock at `now`, or where it is if the other track moved it further. It does not go back (ISO/IEC 13818-1,
    /// section 2.4.2.2).
    fn advance_clock(&mut self, now: Ticks) -> Ticks {
        let clock = self.clock.map_or(now, |clock| clock.max(now));
        self.clock = Some(clock);
        clock
    }
}

/// The content of an adaptation field behind its length: the flags and the clock (section 2.4.3.4).
struct Adaptation {
    bytes: [u8; 7],
    size_bytes: usize,
}

impl Adaptation {
    fn new(random_access: bool, clock: Option<Ticks>) -> Self {
        let flags = if random_access { RANDOM_ACCESS } else { 0 };
        let Some(clock) = clock else {
            return Self { bytes: [flags, 0, 0, 0, 0, 0, 0], size_bytes: usize::from(random_access) };
        };
        let ticks = clock.on_wire();
        let [.., a, b, c, d] = (ticks >> 1).to_be_bytes();
        // The low bit of the base, six reserved bits, and nine bits of an extension that milliseconds do not need.
        let low = (ticks as u8 & 1) << 7 | 0x7E;
        Self { bytes: [flags | HAS_CLOCK, a, b, c, d, low, 0], size_bytes: 7 }
    }

    fn content(&self) -> &[u8] {
        self.bytes.get(..self.size_bytes).unwrap_or_default()
    }

    /// With its length, if there is anything in it.
    fn total_bytes(&self) -> usize {
        if self.size_bytes == 0 { 0 } else { 1 + self.size_bytes }
    }
}

/// A PES header of `N` bytes without its times (section 2.4.3.7).
fn pes_header<const N: usize>(stream_id: u8, length: u16, time_flags: u8) -> [u8; N] {
    let [length_high, length_low] = length.to_be_bytes();
    let start = [0, 0, 1, stream_id, length_high, length_low, 0x84, time_flags, (N - 9) as u8];
    let mut header = [0; N];
    header.iter_mut().zip(start).for_each(|(to, from)| *to = from);
    header
}

fn put_time(header: &mut [u8], at: usize, prefix: u8, time: Ticks) {
    let ticks = time.plus(LEAD_MS * TICKS_A_MS).on_wire();
    let bytes = [
        prefix | (ticks >> 29) as u8 & 0x0E | 1,
        (ticks >> 22) as u8,
        (ticks >> 14) as u8 | 1,
        (ticks >> 7) as u8,
        (ticks << 1) as u8 | 1,
    ];
    header.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = from);
}

const fn next(counter: u8) -> u8 {
    (counter + 1) & 0x0F
}

fn put_pes(
    out: &mut Vec<u8>,
    pid: u16,
    counter: &mut u8,
    adaptation: &Adaptation,
    header: &[u8],
    payload: &[u8],
) {
    let [pid_high, pid_low] = pid.to_be_bytes();
    let room_bytes = PAYLOAD_BYTES - adaptation.total_bytes() - header.len();
    let (first, rest) = payload.split_at_checked(room_bytes).unwrap_or((payload, &[]));
    let (full, last) = rest.as_chunks::<PAYLOAD_BYTES>();
    out.reserve((full.len() + 2) * PACKET_BYTES);
    put_packet(out, [0x40 | pid_high, pid_low, 0x10 | *counter], adaptation, header, first);
    *counter = next(*counter);
    for chunk in full {
        out.extend_from_slice(&[SYNC_BYTE, pid_high, pid_low, 0x10 | *counter]);
        out.extend_from_slice(chunk);
        *counter = next(*counter);
    }
    if !last.is_empty() {
        put_packet(out, [pid_high, pid_low, 0x10 | *counter], &Adaptation::new(false, None), &[], last);
        *counter = next(*counter);
    }
}

/// A packet with at most 184 bytes of adaptation, `head` and `body`; if they are fewer, the adaptation field is stuffed.
fn put_packet(out: &mut Vec<u8>, header: [u8; 3], adaptation: &Adaptation, head: &[u8], body: &[u8]) {
    let field_bytes = PAYLOAD_BYTES.saturating_sub(head.len() + body.len());
    let [pid_high, pid_low, mut control] = header;
    if field_bytes > 0 {
        control |= 0x20;
    }
    out.extend_from_slice(&[SYNC_BYTE, pid_high, pid_low, control]);
    if let Some(length) = field_bytes.checked_sub(1) {
        let end = out.len() + field_bytes;
        out.push(length as u8);
        // A field with anything behind its length begins with the flags.
        let content = if length > 0 && adaptation.size_bytes == 0 { &[0] } else { adaptation.content() };
        out.extend_from_slice(content);
        out.resize(end, 0xFF);
    }
    out.extend_from_slice(head);
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests;
