//! Times begin near 0 whatever the encoder's clock says, tracks stay in step over a pause, and no two frames of video are
//! at one time because an encoder stamps them with presentation times.

use synctv_media::{
    flv::video::VideoHeader,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::{FlvViewer, coded},
    frames,
    rtmp::RtmpPeer,
    server::TestServer,
};

/// The frames that a viewer gets who is there from the start.
fn watched(sent: &[Frame]) -> Vec<Frame> {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut viewer = FlvViewer::open(&server, "r");
    let last = sent.last().expect("something is sent");
    publisher.send_all(sent);
    viewer.frames_until(last)
}

#[test]
fn they_begin_near_0() {
    for start_ms in [0, 3_600_000, (1 << 31) - 40, u32::MAX - 60, 3_000_000_000] {
        let at = |after_ms: u32| start_ms.wrapping_add(after_ms);
        let media = [frames::keyframe(at(0), 1), frames::audio(at(10), 2), frames::inter(at(80), 3)];
        let seen = watched(&[&frames::headers()[..], &media].concat());
        let times: Vec<u32> =
            seen.iter().filter(|frame| frames::is_coded(frame)).map(|frame| frame.timestamp_ms).collect();
        assert!(times[0] <= 500, "{start_ms}: {times:?}");
        assert_eq!([times[1] - times[0], times[2] - times[0]], [10, 80], "{start_ms}");
    }
}

#[test]
fn tracks_stay_in_step_over_a_pause_of_one() {
    for behind_ms in [0, 1_500] {
        let audio = |range: std::ops::Range<u32>| -> Vec<Frame> {
            range.step_by(20).map(|at| frames::audio(at, at)).collect()
        };
        let back = frames::keyframe(20_000, 1);
        let media = [vec![frames::keyframe(2_000, 0)], audio(2_000..20_000 + behind_ms), vec![back.clone()]];
        let seen = watched(&[&frames::headers()[..], &media.concat()].concat());
        assert_eq!(seen.last().map(|frame| frame.timestamp_ms), Some(back.timestamp_ms), "{behind_ms}");
    }
}

#[test]
fn presentation_times_are_distinguished_from_decoding_times() {
    // I P B B P B B, each stamped with when it is shown.
    let shown = (0..60).flat_map(|group| [3, 1, 2].map(|at| (group * 3 + at) * 40));
    let stamps: Vec<u32> = std::iter::once(0).chain(shown).collect();
    let media = stamps.iter().map(|at| match at {
        0 => frames::keyframe(0, 0),
        at => frames::inter(*at, *at),
    });
    let sent: Vec<Frame> = frames::video_headers().into_iter().chain(media).collect();
    let seen = coded(&watched_by_time(&sent), Track::Video);
    assert_eq!(seen.len(), stamps.len());
    let times: Vec<u32> = seen.iter().map(|frame| frame.timestamp_ms).collect();
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
    let presented = seen.iter().map(|frame| {
        let header = VideoHeader::parse(&frame.payload).expect("a video tag");
        frame.timestamp_ms.wrapping_add_signed(header.composition_time_ms)
    });
    // The first groups show what kind of stamps they are.
    assert_eq!(presented.skip(10).collect::<Vec<_>>(), stamps[10..]);
}

/// Composition times differ from what was sent: the last frame is known by its place.
fn watched_by_time(sent: &[Frame]) -> Vec<Frame> {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut viewer = FlvViewer::open(&server, "r");
    publisher.send_all(sent);
    (0..sent.len()).map(|_| viewer.next_frame().expect("the stream goes on")).collect()
}
