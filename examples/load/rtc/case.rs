//! The settings at which WebRTC of a server and the floor are measured.

use std::str::FromStr;

/// A setting to be measured: VIEWERS[:KBPS].
#[derive(Debug, Clone)]
pub struct Case {
    pub viewers: usize,
    pub kbps: u32,
}

/// The cases that are measured by default.
pub const CASES: &str = "50,100,200";

const DEFAULT_KBPS: u32 = 1500;

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: it is not VIEWERS[:KBPS]");
        let (viewers, kbps) =
            text.trim().split_once(':').map_or((text, None), |(one, rest)| (one, Some(rest)));
        let kbps = kbps.map_or(Ok(DEFAULT_KBPS), str::parse).map_err(|_| wrong())?;
        Ok(Self { viewers: viewers.trim().parse().map_err(|_| wrong())?, kbps })
    }
}
