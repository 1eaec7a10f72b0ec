//! The FFmpeg of the Python package imageio-ffmpeg: newer than what distributions have, for Enhanced RTMP.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{python_with, run};

/// Returns its path. A test that needs it fails without it, and names how to get it.
pub(super) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(find)
}

fn find() -> PathBuf {
    let script = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
    let output = run(python_with("imageio_ffmpeg", "imageio-ffmpeg").args(["-c", script]));
    String::from_utf8_lossy(&output.stdout).trim().into()
}
