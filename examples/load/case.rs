//! The settings at which a server and the floor are measured.

/// A setting to be measured: FLUSH:VIEWERS[:ROOMS[:KBPS]].
#[derive(Debug, Clone)]
pub struct Case {
    pub flush: String,
    pub viewers: usize,
    pub rooms: usize,
    pub kbps: u32,
}

/// The cases that are measured by default.
pub const CASES: &str = "frame:300,frame:1000,frame:2000,100:300,100:1000,100:2000,0:300,\
                         frame:2000:8,100:5000:1:600";

const DEFAULT_KBPS: u32 = 1500;

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split(':');
        let flush = parts.next().unwrap_or_default().to_owned();
        let mut number = |default: Option<usize>| match parts.next() {
            Some(part) => part.parse().map_err(|error| format!("{text}: {part}: {error}")),
            None => default.ok_or_else(|| format!("{text}: it is not FLUSH:VIEWERS[:ROOMS[:KBPS]]")),
        };
        Ok(Self {
            flush,
            viewers: number(None)?,
            rooms: number(Some(1))?,
            kbps: number(Some(DEFAULT_KBPS as usize))? as u32,
        })
    }
}

impl Case {
    /// Interval of the floor's writes, to match: with every frame, every tag or at the interval.
    pub fn floor_interval_ms(&self) -> u64 {
        self.flush.parse().unwrap_or(33)
    }

    /// One of those whose memory differs by their viewers only.
    pub fn is_one_room(&self) -> bool {
        self.flush == "frame" && self.rooms == 1 && self.kbps == DEFAULT_KBPS
    }
}
