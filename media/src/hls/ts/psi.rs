//! The tables at the front of a segment that say what is in it: PAT and PMT (ISO/IEC 13818-1, section 2.4.4).

use serde::{Deserialize, Serialize};

use crate::hls::container::Lead;

/// Bytes of a transport stream packet.
pub const PACKET_BYTES: usize = 188;
/// The first byte of each.
pub const SYNC_BYTE: u8 = 0x47;
/// The PID of the PAT.
pub const PAT_PID: u16 = 0;
/// The PID of the PMT of the only program.
pub const PMT_PID: u16 = 0x1000;
/// The PID of the video.
pub const VIDEO_PID: u16 = 0x100;
/// The PID of the audio.
pub const AUDIO_PID: u16 = 0x101;

const PROGRAM: u8 = 1;

/// A video codec that a transport stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VideoStream {
    /// Stream type 0x1B.
    H264,
    /// Stream type 0x24.
    H265,
}

/// An audio codec that a transport stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudioStream {
    /// AAC in ADTS, stream type 0x0F.
    Aac,
    /// MPEG-1 audio, stream type 0x03.
    Mpeg1,
    /// Audio of the lower sampling frequencies of MPEG-2, stream type 0x04.
    Mpeg2,
}

/// The tracks of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracks {
    /// The video track, if there is one.
    pub video: Option<VideoStream>,
    /// The audio track, if there is one.
    pub audio: Option<AudioStream>,
}

impl VideoStream {
    /// The stream type (ISO/IEC 13818-1, table 2-34).
    pub const fn stream_type(self) -> u8 {
        match self {
            VideoStream::H264 => 0x1B,
            VideoStream::H265 => 0x24,
        }
    }
}

impl AudioStream {
    /// The stream type (ISO/IEC 13818-1, table 2-34).
    pub const fn stream_type(self) -> u8 {
        match self {
            AudioStream::Aac => 0x0F,
            AudioStream::Mpeg1 => 0x03,
            AudioStream::Mpeg2 => 0x04,
        }
    }
}

/// The PAT as one packet. It is always the same but for its continuity counter.
pub fn pat_packet(counter: u8) -> [u8; PACKET_BYTES] {
    let [pmt_high, pmt_low] = PMT_PID.to_be_bytes();
    packet(PAT_PID, counter, 0x00, &[0, 1, 0xC1, 0, 0, 0, PROGRAM, 0xE0 | pmt_high, pmt_low])
}

/// The PMT as one packet. `lead` is the track whose packets carry the clock.
pub fn pmt_packet(counter: u8, version: u8, tracks: Tracks, lead: Lead) -> [u8; PACKET_BYTES] {
    let [clock_high, clock_low] = match lead {
        Lead::Video => VIDEO_PID.to_be_bytes(),
        Lead::Audio => AUDIO_PID.to_be_bytes(),
    };
    let mut body =
        vec![0, PROGRAM, 0xC1 | (version & 0x1F) << 1, 0, 0, 0xE0 | clock_high, clock_low, 0xF0, 0];
    let video = tracks.video.map(|video| (video.stream_type(), VIDEO_PID));
    let audio = tracks.audio.map(|audio| (audio.stream_type(), AUDIO_PID));
    for (stream_type, pid) in video.into_iter().chain(audio) {
        let [high, low] = pid.to_be_bytes();
        body.extend_from_slice(&[stream_type, 0xE0 | high, low, 0xF0, 0]);
    }
    packet(PMT_PID, counter, 0x02, &body)
}

/// A packet with one section, which `body` and its checksum fill from behind the section's length on. Our tables take
/// less than half a packet.
fn packet(pid: u16, counter: u8, table_id: u8, body: &[u8]) -> [u8; PACKET_BYTES] {
    let [pid_high, pid_low] = pid.to_be_bytes();
    let mut section = vec![table_id, 0xB0, body.len() as u8 + 4];
    section.extend_from_slice(body);
    section.extend_from_slice(&crc32(&section).to_be_bytes());
    let header = [SYNC_BYTE, 0x40 | pid_high, pid_low, 0x10 | counter & 0x0F, 0];
    let mut packet = [0xFF; PACKET_BYTES];
    for (to, from) in packet.iter_mut().zip(header.iter().chain(&section)) {
        *to = *from;
    }
    packet
}

/// The checksum of a section (ISO/IEC 13818-1, annex A); that of a section with its checksum is 0.
pub fn crc32(section: &[u8]) -> u32 {
    section.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04C1_1DB7 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_mpeg_2() {
        assert_eq!(crc32(b"123456789"), 0x0376_E6E7);
    }

    #[test]
    fn the_pat_names_the_pmt() {
        let packet = pat_packet(5);
        assert_eq!(packet[..17], *b"\x47\x40\x00\x15\x00\x00\xB0\x0D\x00\x01\xC1\x00\x00\x00\x01\xF0\x00");
        assert_eq!(packet[17..21], 0x2AB1_04B2_u32.to_be_bytes());
        assert!(packet[21..].iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn the_pmt_names_the_tracks_and_the_clock() {
        let tracks = Tracks { video: Some(VideoStream::H265), audio: Some(AudioStream::Mpeg1) };
        let packet = pmt_packet(0, 3, tracks, Lead::Video);
        assert_eq!(packet[..17], *b"\x47\x50\x00\x10\x00\x02\xB0\x17\x00\x01\xC7\x00\x00\xE1\x00\xF0\x00");
        assert_eq!(packet[17..27], *b"\x24\xE1\x00\xF0\x00\x03\xE1\x01\xF0\x00");
        assert_eq!(crc32(&packet[5..31]), 0);
        let audio_only = Tracks { video: None, audio: Some(AudioStream::Aac) };
        assert_eq!(pmt_packet(0, 0, audio_only, Lead::Audio)[13..20], *b"\xE1\x01\xF0\x00\x0F\xE1\x01");
    }
}
