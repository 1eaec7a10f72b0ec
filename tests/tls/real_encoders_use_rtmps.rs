//! FFmpeg pushes and plays over RTMPS: an old one, and a new one that verifies the server.

use std::process::{Command, Stdio};

use synctv_testkit::{
    process::Process,
    server::TestServer,
    tls::TestAuthority,
    tools::{Media, ffmpeg, ffprobe, media_file, new_ffmpeg, push_on_and_on},
};

use crate::start;

fn url(server: &TestServer, room: &str) -> String {
    format!("rtmps://localhost:{}/live/{room}", server.tls().port())
}

#[test]
fn the_distributions_ffmpeg_pushes_and_plays() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let _push = push_on_and_on(ffmpeg(), media_file(Media::AudioVideo), &url(&server, "r"));
    server.wait_for_publisher("r");
    let probed = ffprobe(&url(&server, "r"));
    assert_eq!(probed["streams"].as_array().map(Vec::len), Some(2), "{probed}");
}

/// OBS verifies as well.
#[test]
fn those_that_verify_push_if_they_know_the_authority() {
    let authority = TestAuthority::new();
    let server = start(&authority, &[]);
    let push = |mut program: Command, room: &str| {
        program.args(["-stream_loop", "-1", "-re", "-i"]).arg(media_file(Media::AudioVideo));
        program.args(["-c", "copy", "-f", "flv", "-tls_verify", "1"]);
        if room != "refusing" {
            program.arg("-ca_file").arg(authority.certificate_of_authority());
        }
        Process::start(program.arg(url(&server, room)).stderr(Stdio::null()))
    };
    let _push = [push(ffmpeg(), "old"), push(new_ffmpeg(), "new")];
    server.wait_for_publisher("old");
    server.wait_for_publisher("new");
    let mut refusing = push(new_ffmpeg(), "refusing");
    assert!(!refusing.wait_for_exit().success(), "it does not know the authority");
    server.log.find("TLS connection refused", |line| line.mentions("TLS connection refused"));
}
