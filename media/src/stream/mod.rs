//! A live stream: its frames, their timeline, and what is cached and queued of them.

pub mod batch;
pub mod batcher;
pub mod bitrate;
pub mod frame;
pub mod gop;
pub mod headers;
pub mod metadata;
pub mod publication_resume;
pub mod room;
pub mod timeline;
pub mod viewer_queue;
pub mod wire_format;
