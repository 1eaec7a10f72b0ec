//! The settings at which HLS of a server is measured.

use std::str::FromStr;

/// A setting to be measured: HLS:START:ROOMS[:VIEWERS[:PROBERS]].
#[derive(Debug, Clone)]
pub struct Case {
    pub hls: String,
    pub start: Start,
    pub rooms: usize,
    pub viewers: usize,
    pub probers: usize,
}

/// The start of the publishers, and with them of their GOPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Together,
    Spread,
}

/// The cases that are measured by default: the age of media when it is listed, the cost of viewers, and the cost of
/// streams.
pub const CASES: &str = "always:spread:10:0:10,always:spread:1:500:1,\
                         off:together:100,always:together:100,off:spread:100,always:spread:100";

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: it is not HLS:START:ROOMS[:VIEWERS[:PROBERS]]");
        let mut parts = text.trim().split(':');
        let hls = parts.next().unwrap_or_default().to_owned();
        let start = match parts.next() {
            Some("together") => Start::Together,
            Some("spread") => Start::Spread,
            _ => return Err(wrong()),
        };
        let number = |part: Option<&str>| part.unwrap_or("0").parse().map_err(|_| wrong());
        let rooms = number(Some(parts.next().ok_or_else(wrong)?))?;
        Ok(Self { hls, start, rooms, viewers: number(parts.next())?, probers: number(parts.next())? })
    }
}

impl Case {
    pub fn start(&self) -> &'static str {
        match self.start {
            Start::Together => "together",
            Start::Spread => "spread",
        }
    }
}
