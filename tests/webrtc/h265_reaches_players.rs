//! H.265 reaches a player that offers it, frame by frame as it was published. Debian's Chromium does not offer it.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use synctv_testkit::{
    tools::{make_once, new_ffmpeg, push_on_and_on, run},
    wait::poll_until,
};

use crate::{start, viewer::Viewer};

/// A piece of a NAL unit (RFC 7798, section 4.4.3).
const FRAGMENT: u8 = 49;
const TYPE_MASK: u8 = 0x7E;
const START: u8 = 0x80;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Returns the hash of each frame.
fn frame_hashes(input: &mut Command) -> Vec<String> {
    let output = run(input.args(["-an", "-f", "framemd5", "-"]));
    let lines = String::from_utf8(output.stdout).unwrap();
    let hashes =
        lines.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit(',').next());
    hashes.map(|hash| hash.trim().to_owned()).collect()
}

/// Puts the NAL units of packets together, as a decoder reads them.
fn assemble<'a>(payloads: impl Iterator<Item = &'a Arc<[u8]>>) -> Vec<u8> {
    let mut stream = Vec::new();
    for payload in payloads {
        match **payload {
            [first, second, edge, ref piece @ ..] if first >> 1 & 0x3F == FRAGMENT => {
                if edge & START != 0 {
                    stream.extend(START_CODE);
                    stream.extend([first & !TYPE_MASK | (edge & 0x3F) << 1, second]);
                }
                stream.extend(piece);
            }
            ref whole => stream.extend(START_CODE.iter().chain(whole)),
        }
    }
    stream
}

fn clip(path: &Path) {
    let input = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=4"];
    let codec =
        "-c:v libx265 -preset ultrafast -bf 0 -g 30 -pix_fmt yuv420p -x265-params bframes=0:log-level=none";
    run(new_ffmpeg().args(input).args(codec.split(' ')).args(["-y", "-f", "flv"]).arg(path));
}

#[test]
fn each_frame_is_decoded_as_it_was_published() {
    let clip = make_once("rtc-h265.flv", clip);
    let published = frame_hashes(new_ffmpeg().arg("-i").arg(&clip));
    let server = start(&[]);
    let _publisher = push_on_and_on(new_ffmpeg(), &clip, &server.rtmp_url("r"));
    server.wait_for_publisher("r");
    let mut viewer = Viewer::open(&server, "r");
    let mut packets = BTreeMap::new();
    poll_until("two seconds of video", || {
        packets.extend(viewer.take_video().into_iter().map(|packet| (packet.number, packet)));
        let (first, packet) = packets.first_key_value()?;
        // Packets that were lost come again.
        let whole = packets.values().zip(*first..).take_while(|(packet, number)| packet.number == *number);
        (whole.last()?.0.time.wrapping_sub(packet.time) > 90_000 * 3 / 2).then_some(())
    });
    let first = *packets.first_key_value().unwrap().0;
    let whole = packets.values().zip(first..).take_while(|(packet, number)| packet.number == *number);
    let payloads: Vec<_> = whole.map(|(packet, _)| packet.payload.clone()).collect();
    let stream = make_once("rtc-h265-received.h265", |path| {
        std::fs::write(path, assemble(payloads.iter())).unwrap();
    });
    let received = frame_hashes(new_ffmpeg().args(["-f", "hevc", "-i"]).arg(&stream));
    // The last frame may not be whole.
    let whole = &received[..received.len() - 1];
    assert!(whole.len() >= 30, "{} frames", whole.len());
    let unknown = whole.iter().filter(|hash| !published.contains(hash)).count();
    assert_eq!(unknown, 0, "frames that were not published");
}
