//! HLS from end to end: what is pushed with RTMP is what players get, whatever happens in between.

mod answers;
mod disk;
mod forwarding;
mod life;
mod media;
#[path = "../support/new_ffmpeg.rs"]
mod new_ffmpeg;
mod pauses;
mod reconnect;
mod support;
mod wrap;
