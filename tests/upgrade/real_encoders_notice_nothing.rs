//! FFmpeg publishes on while programs change, and viewers get all that it sends.

use std::thread;

use synctv_testkit::{
    flv::read_file,
    tools::{Media, ffmpeg, media_file, new_ffmpeg, push},
    waiting_viewers::WaitingViewers,
};

use crate::installed::Installed;

#[test]
fn what_ffmpeg_publishes_arrives_unchanged() {
    passes_over_upgrades(ffmpeg());
}

#[test]
fn what_a_new_ffmpeg_publishes_arrives_unchanged() {
    passes_over_upgrades(new_ffmpeg());
}

fn passes_over_upgrades(program: std::process::Command) {
    let file = media_file(Media::AudioVideo);
    let mut installed = Installed::start(&[], &[]);
    let mut viewers = WaitingViewers::of(&installed.server, "r");
    let push = push(program, file, &installed.server.rtmp_url("r"));
    installed.server.log.find_nth(2, "publisher connected", |line| line.says("publisher connected", "r"));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                installed.upgrade();
            }
        });
        viewers.assert_arrives(&read_file(file));
    });
    push.wait_for_success();
    installed.server.assert_unhurt();
}
