//! A live stream: its frames, their timeline, and what is cached and queued of them.

pub mod batch;
pub mod batcher;
pub mod bitrate;
mod decode_order;
pub mod frame;
mod frame_class;
pub mod gop;
pub mod header_key;
pub mod headers;
pub mod held_frames;
pub mod keyframe_rhythm;
pub mod metadata;
mod opening;
pub mod publication_resume;
pub mod room;
pub mod timeline;
mod track_watch;
pub mod tracks;
pub mod video_entry;
mod video_frame;
pub mod viewer_queue;
pub mod wire_format;
