//! FFmpeg's own reader understands what it is served, over both protocols.

use serde_json::Value;
use synctv_testkit::{
    server::TestServer,
    tools::{Media, ffmpeg, ffprobe, media_file, push_on_and_on},
};

#[test]
fn audio_and_video() {
    reads(Media::AudioVideo, &["aac", "h264"]);
}

#[test]
fn audio_only() {
    reads(Media::AudioOnly, &["aac"]);
}

#[test]
fn video_only() {
    reads(Media::VideoOnly, &["h264"]);
}

fn reads(media: Media, codecs: &[&str]) {
    let server = TestServer::start(&[]);
    let _push = push_on_and_on(ffmpeg(), media_file(media), &server.rtmp_url("r"));
    server.wait_for_publisher("r");
    for url in [server.flv_url("r"), server.rtmp_url("r")] {
        let probed = ffprobe(&url);
        assert_eq!(codec_names(&probed), codecs, "{url}");
        if codecs.contains(&"h264") {
            let video = stream(&probed, "h264");
            assert_eq!((&video["width"], &video["height"]), (&320.into(), &180.into()), "{url}");
        }
        if codecs.contains(&"aac") {
            assert_eq!(stream(&probed, "aac")["sample_rate"], "44100", "{url}");
        }
    }
}

fn codec_names(probed: &Value) -> Vec<&str> {
    let streams = probed["streams"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = streams.filter_map(|stream| stream["codec_name"].as_str()).collect();
    names.sort_unstable();
    names
}

fn stream<'a>(probed: &'a Value, codec: &str) -> &'a Value {
    let streams = probed["streams"].as_array().into_iter().flatten();
    let found = streams.into_iter().find(|stream| stream["codec_name"] == codec);
    found.unwrap_or_else(|| panic!("no {codec} in {probed}"))
}
