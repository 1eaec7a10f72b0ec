//! HLS from end to end: what is pushed with RTMP is what players get, whatever happens in between.

mod answers;
mod disk;
mod forwarding;
mod life;
mod media;
mod reconnect;
mod wrap;
