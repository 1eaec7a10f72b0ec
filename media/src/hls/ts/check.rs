//! A reader of transport streams for tests: it takes segments apart packet by packet and refuses what a strict player
//! might (ISO/IEC 13818-1, sections 2.4.3 and 2.4.4).

use std::collections::HashMap;

use thiserror::Error;

use super::psi::{PACKET_BYTES, PAT_PID, SYNC_BYTE, crc32};

const TICKS: u64 = 1 << 33;

/// One PES packet, put together again. Times are in 90 kHz, modulo 2^33.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pes {
    /// Its presentation time.
    pub pts: u64,
    /// Its decoding time; the same as `pts` if the packet has none.
    pub dts: u64,
    /// The random access indicator of its first packet.
    pub random_access: bool,
    /// The elementary stream's bytes.
    pub payload: Vec<u8>,
}

/// A segment in which nothing was wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedSegment {
    /// The video's stream type, if the PMT declares one.
    pub video_type: Option<u8>,
    /// The audio's stream type, if the PMT declares one.
    pub audio_type: Option<u8>,
    /// The video's PES packets.
    pub video: Vec<Pes>,
    /// The audio's PES packets.
    pub audio: Vec<Pes>,
    /// The bases of the program clock references, in 90 kHz.
    pub clocks: Vec<u64>,
    /// `true` if the first PES packet of the segment is one of video with the random access indicator.
    pub starts_with_keyframe: bool,
}

/// A fault in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("packet {packet}: {fault}")]
pub struct TsFault {
    /// The number of the packet in the segment, from 0.
    pub packet: usize,
    /// The fault.
    pub fault: String,
}

/// Checks the segments of a stream one after the other; counters and the clock must go on from one to the next.
#[derive(Debug, Default)]
pub struct TsChecker {
    counters: HashMap<u16, u8>,
    last_clock: Option<u64>,
}

#[derive(Default)]
struct Open {
    segment: CheckedSegment,
    pmt_pid: Option<u16>,
    clock_pid: u16,
    video_pid: Option<u16>,
    audio_pid: Option<u16>,
    unfinished: HashMap<u16, Unfinished>,
}

struct Unfinished {
    random_access: bool,
    clock: Option<u64>,
    bytes: Vec<u8>,
}

struct Packet<'a> {
    pid: u16,
    starts_unit: bool,
    counter: u8,
    has_payload: bool,
    random_access: bool,
    clock: Option<u64>,
    payload: &'a [u8],
}

impl TsChecker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the clock begin anew, as it may at a discontinuity.
    pub fn discontinuity(&mut self) {
        self.last_clock = None;
    }

    /// Takes one whole segment apart.
    pub fn segment(&mut self, bytes: &[u8]) -> Result<CheckedSegment, TsFault> {
        let mut open = Open::default();
        let (packets, rest) = bytes.as_chunks::<PACKET_BYTES>();
        for (at, packet) in packets.iter().enumerate() {
            self.packet(&mut open, at, packet).map_err(|fault| TsFault { packet: at, fault })?;
        }
        let fault = |fault: String| TsFault { packet: packets.len(), fault };
        if !rest.is_empty() {
            return Err(fault(format!("{} bytes behind the last packet", rest.len())));
        }
        for pid in open.video_pid.into_iter().chain(open.audio_pid) {
            open.finish(pid).map_err(fault)?;
        }
        Ok(open.segment)
    }

    fn packet(&mut self, open: &mut Open, at: usize, bytes: &[u8; PACKET_BYTES]) -> Result<(), String> {
        let packet = parse_packet(bytes)?;
        self.check_counter(&packet)?;
        match at {
            0 if packet.pid != PAT_PID => {
                return Err(format!("the first PID is {:#x}, not the PAT's", packet.pid));
            }
            0 => return open.read_pat(&packet),
            1 if Some(packet.pid) != open.pmt_pid => {
                return Err("the second packet is not the PMT".to_owned());
            }
            1 => return open.read_pmt(&packet),
            _ => {}
        }
        if let Some(clock) = packet.clock {
            self.check_clock(open, packet.pid, clock)?;
        }
        open.media(&packet)
    }

    fn check_counter(&mut self, packet: &Packet<'_>) -> Result<(), String> {
        let last = self.counters.insert(packet.pid, packet.counter);
        let expected = last.map(|last| if packet.has_payload { (last + 1) & 0x0F } else { last });
        match expected {
            Some(expected) if expected != packet.counter => {
                Err(format!("PID {:#x}: counter {}, not {expected}", packet.pid, packet.counter))
            }
            _ => Ok(()),
        }
    }

    fn check_clock(&mut self, open: &mut Open, pid: u16, clock: u64) -> Result<(), String> {
        if pid != open.clock_pid {
            return Err(format!("a clock on PID {pid:#x}"));
        }
        if let Some(last) = self.last_clock.replace(clock)
            && clock.wrapping_sub(last) % TICKS > TICKS / 2
        {
            return Err(format!("the clock went from {last} back to {clock}"));
        }
        open.segment.clocks.push(clock);
        Ok(())
    }
}

impl Open {
    fn read_pat(&mut self, packet: &Packet<'_>) -> Result<(), String> {
        let body = section(packet, 0)?;
        let [.., high, low] = *body else {
            return Err("the PAT is empty".to_owned());
        };
        self.pmt_pid = Some(u16::from_be_bytes([high & 0x1F, low]));
        Ok(())
    }

    fn read_pmt(&mut self, packet: &Packet<'_>) -> Result<(), String> {
        let (header, streams) = section(packet, 2)?.split_at_checked(9).ok_or("the PMT is short")?;
        self.clock_pid = u16::from_be_bytes([header[5] & 0x1F, header[6]]);
        let (streams, rest) = streams.as_chunks::<5>();
        if !rest.is_empty() {
            return Err("the PMT has descriptors".to_owned());
        }
        for [stream_type, high, low, ..] in streams {
            let pid = Some(u16::from_be_bytes([high & 0x1F, *low]));
            match stream_type {
                0x1B | 0x24 => (self.segment.video_type, self.video_pid) = (Some(*stream_type), pid),
                0x0F | 0x03 | 0x04 => (self.segment.audio_type, self.audio_pid) = (Some(*stream_type), pid),
                other => return Err(format!("stream type {other:#x}")),
            }
        }
        Ok(())
    }

    fn media(&mut self, packet: &Packet<'_>) -> Result<(), String> {
        let pid = Some(packet.pid);
        if pid != self.video_pid && pid != self.audio_pid && pid != Some(self.clock_pid) {
            return Err(format!("PID {:#x} is not declared", packet.pid));
        }
        if !packet.has_payload {
            return Ok(());
        }
        if packet.starts_unit {
            self.finish(packet.pid)?;
            if self.unfinished.is_empty() && self.segment.video.is_empty() && self.segment.audio.is_empty() {
                self.segment.starts_with_keyframe = pid == self.video_pid && packet.random_access;
            }
            let clock = self.segment.clocks.last().copied();
            let (random_access, bytes) = (packet.random_access, packet.payload.to_vec());
            self.unfinished.insert(packet.pid, Unfinished { random_access, clock, bytes });
            return Ok(());
        }
        let unfinished = self.unfinished.get_mut(&packet.pid).ok_or("a PES packet begins in its middle")?;
        unfinished.bytes.extend_from_slice(packet.payload);
        Ok(())
    }

    fn finish(&mut self, pid: u16) -> Result<(), String> {
        let Some(unfinished) = self.unfinished.remove(&pid) else {
            return Ok(());
        };
        let pes = parse_pes(&unfinished.bytes, unfinished.random_access)?;
        if let Some(clock) = unfinished.clock
            && pes.dts.wrapping_sub(clock) % TICKS > TICKS / 2
        {
            return Err(format!("PID {pid:#x}: decoded at {}, when the clock is at {clock}", pes.dts));
        }
        if Some(pid) == self.video_pid {
            self.segment.video.push(pes)
        } else {
            self.segment.audio.push(pes)
        }
        Ok(())
    }
}

fn parse_packet(bytes: &[u8; PACKET_BYTES]) -> Result<Packet<'_>, String> {
    let [sync, high, low, control, rest @ ..] = bytes;
    if *sync != SYNC_BYTE {
        return Err(format!("sync byte {sync:#x}"));
    }
    let (field, payload) = match control & 0x20 {
        0 => (&[][..], &rest[..]),
        _ => rest[1..].split_at_checked(usize::from(rest[0])).ok_or("the adaptation field is too long")?,
    };
    let has_payload = control & 0x10 != 0;
    if has_payload == payload.is_empty() {
        return Err("the payload is not what the header says".to_owned());
    }
    let flags = field.first().copied().unwrap_or(0);
    Ok(Packet {
        pid: u16::from_be_bytes([high & 0x1F, *low]),
        starts_unit: high & 0x40 != 0,
        counter: control & 0x0F,
        has_payload,
        random_access: flags & 0x40 != 0,
        clock: if flags & 0x10 == 0 { None } else { Some(parse_clock(field)?) },
        payload,
    })
}

fn parse_clock(field: &[u8]) -> Result<u64, String> {
    let [_flags, a, b, c, d, e, _extension, ..] = *field else {
        return Err("the clock is cut short".to_owned());
    };
    Ok(u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7))
}

/// The bytes between a section's length and its checksum.
fn section<'a>(packet: &Packet<'a>, table_id: u8) -> Result<&'a [u8], String> {
    let [0, section @ ..] = packet.payload else {
        return Err("the section does not begin at once".to_owned());
    };
    let [id, high, low, ..] = *section else {
        return Err("the section is cut short".to_owned());
    };
    let length = usize::from(u16::from_be_bytes([high & 0x0F, low]));
    let whole = section.get(..3 + length).ok_or("the section is cut short")?;
    if id != table_id || crc32(whole) != 0 {
        return Err(format!("table {id}: wrong id or checksum"));
    }
    whole.get(3..whole.len() - 4).ok_or_else(|| "the section is empty".to_owned())
}

fn parse_pes(bytes: &[u8], random_access: bool) -> Result<Pes, String> {
    let [0, 0, 1, _id, high, low, _, flags, header_bytes, rest @ ..] = bytes else {
        return Err("no PES header".to_owned());
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length != 0 && length != bytes.len() - 6 {
        return Err(format!("PES length {length}, but {} bytes", bytes.len() - 6));
    }
    let (times, payload) =
        rest.split_at_checked(usize::from(*header_bytes)).ok_or("the PES header is too long")?;
    let (pts, dts) = match flags >> 6 {
        2 => (parse_time(times, 2)?, None),
        3 => (parse_time(times, 3)?, Some(parse_time(times.get(5..).unwrap_or_default(), 1)?)),
        _ => return Err("a PES packet without a time".to_owned()),
    };
    Ok(Pes { pts, dts: dts.unwrap_or(pts), random_access, payload: payload.to_vec() })
}

fn parse_time(bytes: &[u8], prefix: u8) -> Result<u64, String> {
    let [a, b, c, d, e, ..] = bytes.iter().map(|byte| u64::from(*byte)).collect::<Vec<_>>()[..] else {
        return Err("the time is cut short".to_owned());
    };
    if a >> 4 != u64::from(prefix) || a & c & e & 1 != 1 {
        return Err("the time's marker bits are wrong".to_owned());
    }
    Ok((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

/// The AAC frames, with their ADTS headers, of a PES packet's payload; `None` if it is anything else.
pub fn adts_frames(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = payload;
    let mut frames = Vec::new();
    while let [0xFF, 0xF1, _, c, d, e, _, ..] = *rest {
        let size = usize::from(c & 3) << 11 | usize::from(d) << 3 | usize::from(e) >> 5;
        if size < 7 {
            return None;
        }
        let (frame, behind) = rest.split_at_checked(size)?;
        frames.push(frame);
        rest = behind;
    }
    rest.is_empty().then_some(frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{
            psi::VideoStream,
            writer::{Ticks, TsWriter},
        },
        *,
    };
    use crate::hls::container::Lead;

    fn good() -> Vec<u8> {
        let mut writer = TsWriter::new();
        let mut out = Vec::new();
        writer.begin_segment(&mut out, Lead::Video);
        writer.video(&mut out, VideoStream::H264, Ticks::from_ms(0), Ticks::from_ms(40), true, &[1; 700]);
        writer.video(&mut out, VideoStream::H264, Ticks::from_ms(40), Ticks::from_ms(40), false, &[1; 7]);
        writer.end_segment(&mut out);
        out
    }

    fn fault_after(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = good();
        change(&mut bytes);
        TsChecker::new().segment(&bytes).unwrap_err().to_string()
    }

    #[test]
    fn faults_are_found() {
        let segment = TsChecker::new().segment(&good()).unwrap();
        assert!(segment.starts_with_keyframe && segment.video.len() == 2);
        assert!(fault_after(|bytes| bytes.truncate(500)).contains("behind the last packet"));
        assert!(fault_after(|bytes| bytes[376] = 0).contains("sync byte"));
        assert!(fault_after(|bytes| bytes[20] ^= 1).contains("checksum"));
        assert!(fault_after(|bytes| drop(bytes.drain(564..752))).contains("counter"));
        assert!(fault_after(|bytes| drop(bytes.drain(..188))).contains("not the PAT"));
        assert!(fault_after(|bytes| drop(bytes.drain(188..376))).contains("not the PMT"));
        assert!(fault_after(|bytes| bytes[376 + 6] = 0x40).contains("clock"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked(bytes in proptest::collection::vec(any::<u8>(), 188 * 3), at in 0..376_usize, byte: u8) {
            let _ = TsChecker::new().segment(&bytes);
            let _ = adts_frames(&bytes);
            let mut changed = good();
            changed[at] = byte;
            let _ = TsChecker::new().segment(&changed);
        }
    }
}
