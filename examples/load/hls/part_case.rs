//! The settings at which Low-Latency HLS is measured.

use std::str::FromStr;

/// A row: KIND:VIEWERS, KIND being `classic`, `waiters-MS` or `parts-MS` with the length of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCase {
    pub kind: String,
    pub part_ms: Option<u32>,
    /// All fetch the parts; otherwise the first viewer does, and the others wait for playlists.
    pub fetches: bool,
    pub viewers: usize,
}

impl PartCase {
    /// The viewers of a server that runs already.
    pub fn of_parts(viewers: usize) -> Self {
        Self { kind: "parts-500".to_owned(), part_ms: Some(500), fetches: true, viewers }
    }
}

/// The cases that are measured by default. The others are compared with the first row.
pub const PART_CASES: &str = "classic:300,parts-500:300,parts-200:300,waiters-500:1000";

/// The cases that are compared with nginx by default.
pub const NGINX_CASES: &str = "classic:300,classic:1000,parts-500:300,parts-500:1000";

impl FromStr for PartCase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: it is not classic:N, parts-MS:N or waiters-MS:N");
        let (kind, viewers) = text.trim().split_once(':').ok_or_else(wrong)?;
        let viewers = viewers.parse().map_err(|_| wrong())?;
        let (fetches, part_ms) = match kind.split_once('-') {
            None if kind == "classic" => (true, None),
            Some(("parts", ms)) => (true, Some(ms.parse().map_err(|_| wrong())?)),
            Some(("waiters", ms)) => (false, Some(ms.parse().map_err(|_| wrong())?)),
            _ => return Err(wrong()),
        };
        Ok(Self { kind: kind.to_owned(), part_ms, fetches, viewers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_read() {
        let cases: Vec<PartCase> = PART_CASES.split(',').map(|case| case.parse().unwrap()).collect();
        let read = cases.iter().map(|case| (case.part_ms, case.fetches, case.viewers));
        let expected =
            [(None, true, 300), (Some(500), true, 300), (Some(200), true, 300), (Some(500), false, 1_000)];
        assert_eq!(read.collect::<Vec<_>>(), expected);
        assert!("parts:3".parse::<PartCase>().is_err() && "classic-1:3".parse::<PartCase>().is_err());
    }
}
