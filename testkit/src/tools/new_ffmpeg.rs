//! The FFmpeg of the Python package imageio-ffmpeg: newer than what distributions have, for Enhanced RTMP.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The Python environment that `make test` prepares.
const VENV_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-tools/bin/python3");

/// Returns its path. A test that needs it fails without it, and names how to get it.
pub(super) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(find)
}

fn find() -> PathBuf {
    let script = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
    for python in [VENV_PYTHON, "python3"] {
        let found = Command::new(python).args(["-c", script]).output();
        if let Some(output) = found.ok().filter(|output| output.status.success()) {
            return String::from_utf8_lossy(&output.stdout).trim().into();
        }
    }
    panic!(
        "the Python package imageio-ffmpeg is missing: `make test` installs it, and so does `python3 -m pip install imageio-ffmpeg`"
    );
}
