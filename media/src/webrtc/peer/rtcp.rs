//! Reports to a viewer, and what it sends back (RFC 3550, section 6; RFC 4585, section 6).

const VERSION: u8 = 2 << 6;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// The format of transport feedback that names lost packets.
const NACK: u8 = 1;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA_REQUEST: u8 = 4;

const CNAME: u8 = 1;

/// Sizes, in bytes.
const WORD: usize = 4;
const SENDER_INFO: usize = 20;
const REPORT_BLOCK: usize = 24;

/// A statement of a viewer about one of the streams to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feedback {
    /// It receives the stream.
    Received { ssrc: u32 },
    /// A packet did not arrive; its number's lower 16 bits.
    Lost { ssrc: u32, number: u16 },
    /// It cannot go on without a keyframe.
    WantsKeyframe { ssrc: u32 },
}

/// A sender report and its sender's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    pub ssrc: u32,
    /// The time of the report, in 2^-32 s since 1900.
    pub ntp: u64,
    /// The same moment on the media's clock.
    pub rtp_time: u32,
    /// Packets and bytes of payload that were sent.
    pub packets: u32,
    pub bytes: u32,
    /// The name that tracks of one clock share.
    pub cname: &'a str,
}

/// Writes a compound packet: the reports, and the names of their senders.
pub(super) fn write_reports(reports: &[Report<'_>]) -> Vec<u8> {
    let mut packet = Vec::new();
    for report in reports {
        packet.extend([VERSION, SENDER_REPORT, 0, 6]);
        packet.extend(report.ssrc.to_be_bytes());
        packet.extend(report.ntp.to_be_bytes());
        packet.extend(
            [report.rtp_time, report.packets, report.bytes].iter().flat_map(|word| word.to_be_bytes()),
        );
    }
    let mut names = Vec::new();
    for Report { ssrc, cname, .. } in reports {
        let name = cname.as_bytes().get(..cname.len().min(u8::MAX.into())).unwrap_or_default();
        names.extend(ssrc.to_be_bytes());
        names.extend([CNAME, name.len() as u8]);
        names.extend(name);
        // The list ends with a zero at least, and with a word.
        names.resize((names.len() / WORD + 1) * WORD, 0);
    }
    packet.extend([VERSION | reports.len() as u8, SOURCE_DESCRIPTION]);
    packet.extend(((names.len() / WORD) as u16).to_be_bytes());
    packet.extend(names);
    packet
}

/// Reads a compound packet, up to what cannot be read.
pub(super) fn read_feedback(mut packet: &[u8], mut note: impl FnMut(Feedback)) {
    while let [first, kind, high, low, ..] = *packet {
        let size = (usize::from(u16::from_be_bytes([high, low])) + 1) * WORD;
        let Some((one, rest)) = packet.split_at_checked(size) else { return };
        let format = first & 0x1F;
        match (kind, format) {
            (SENDER_REPORT, count) => read_blocks(one, 2 * WORD + SENDER_INFO, count, &mut note),
            (RECEIVER_REPORT, count) => read_blocks(one, 2 * WORD, count, &mut note),
            (TRANSPORT_FEEDBACK, NACK) => read_losses(one, &mut note),
            (PAYLOAD_FEEDBACK, PICTURE_LOSS) => {
                word(one, 2).into_iter().for_each(|ssrc| note(Feedback::WantsKeyframe { ssrc }));
            }
            (PAYLOAD_FEEDBACK, FULL_INTRA_REQUEST) => {
                // Each request is two words, of which the first is the stream (RFC 5104, section 4.3.1).
                let requests = (3..one.len() / WORD).step_by(2).filter_map(|at| word(one, at));
                requests.for_each(|ssrc| note(Feedback::WantsKeyframe { ssrc }));
            }
            _ => {}
        }
        packet = rest;
    }
}

fn read_blocks(packet: &[u8], head_bytes: usize, count: u8, note: &mut impl FnMut(Feedback)) {
    let blocks = packet.get(head_bytes..).unwrap_or_default().chunks_exact(REPORT_BLOCK);
    blocks
        .take(count.into())
        .filter_map(|block| word(block, 0))
        .for_each(|ssrc| note(Feedback::Received { ssrc }));
}

/// A number, and a bit for each of the 16 that follow it (RFC 4585, section 6.2.1).
fn read_losses(packet: &[u8], note: &mut impl FnMut(Feedback)) {
    let Some(ssrc) = word(packet, 2) else { return };
    for entry in (3..packet.len() / WORD).filter_map(|at| word(packet, at)) {
        let (number, also) = ((entry >> 16) as u16, entry as u16);
        note(Feedback::Lost { ssrc, number });
        let lost = (0..16).filter(|bit| also >> bit & 1 == 1);
        lost.for_each(|bit| note(Feedback::Lost { ssrc, number: number.wrapping_add(bit + 1) }));
    }
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(at * WORD..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(packet: &[u8]) -> Vec<Feedback> {
        let mut feedback = Vec::new();
        read_feedback(packet, |one| feedback.push(one));
        feedback
    }

    #[test]
    fn losses_requests_and_reports_are_read_from_a_compound_packet() {
        let mut packet = vec![0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1];
        packet.extend([0; 20]);
        packet.extend([0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 1, 0xFF, 0xFF, 0x80, 1]);
        packet.extend([0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1]);
        packet.extend([0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0]);
        let expected = [
            Feedback::Received { ssrc: 1 },
            Feedback::Lost { ssrc: 1, number: 0xFFFF },
            Feedback::Lost { ssrc: 1, number: 0 },
            Feedback::Lost { ssrc: 1, number: 15 },
            Feedback::WantsKeyframe { ssrc: 1 },
            Feedback::WantsKeyframe { ssrc: 2 },
        ];
        assert_eq!(read(&packet), expected);
        // A packet that is cut short is left out, and those before it count.
        assert_eq!(read(&packet[..packet.len() - 1]), expected[..5]);
    }

    #[test]
    fn reports_are_whole_words_and_name_their_senders() {
        let report = Report { ssrc: 1, ntp: 2 << 32 | 3, rtp_time: 4, packets: 5, bytes: 6, cname: "name" };
        let packet = write_reports(&[report, Report { ssrc: 7, cname: "other", ..report }]);
        let first = [0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6];
        assert_eq!(packet[..28], first);
        let names = b"\x82\xCA\0\x06\0\0\0\x01\x01\x04name\0\0\0\0\0\x07\x01\x05other\0";
        assert_eq!(packet[56..], names[..]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            // A stated loss takes at least two bits.
            prop_assert!(read(&packet).len() <= packet.len() * 8);
        }
    }
}
