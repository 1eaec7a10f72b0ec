//! The kinds of storms, and the number of newcomers.

use std::{fmt, str::FromStr};

/// A storm: KIND[:COUNT].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    pub kind: Kind,
    pub count: usize,
}

/// Those who come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP-FLV viewers, within a second.
    Flv,
    /// The same over TLS, with an RSA key; the viewers use TLS as well.
    Tls,
    /// HLS players, all at the same moment.
    Hls,
    /// WebRTC viewers, within a second.
    Whep,
    /// Publishers of a node that is killed, on another node of its cluster, within two seconds.
    Publishers,
    /// Requests for playlists of rooms that do not exist, so many a second, to a node of a cluster.
    Absent,
    /// Pages with the list of rooms, of which there are a hundred.
    Lists,
}

/// All of them, each with the number that the server has to bear.
pub const STORMS: &str = "flv:2000,hls:2000,tls:1000,whep:100,publishers:300,absent:5000,lists:1000";

impl Storm {
    /// Rooms with a publisher.
    pub fn rooms(self) -> usize {
        if self.kind == Kind::Lists { 100 } else { 1 }
    }
}

impl FromStr for Storm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: it is none of {STORMS}");
        let (kind, count) = text.trim().split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "flv" => Kind::Flv,
            "tls" => Kind::Tls,
            "hls" => Kind::Hls,
            "whep" => Kind::Whep,
            "publishers" => Kind::Publishers,
            "absent" => Kind::Absent,
            "lists" => Kind::Lists,
            _ => return Err(wrong()),
        };
        Ok(Self { kind, count: count.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Flv => "flv",
            Kind::Tls => "tls",
            Kind::Hls => "hls",
            Kind::Whep => "whep",
            Kind::Publishers => "publishers",
            Kind::Absent => "absent",
            Kind::Lists => "lists",
        };
        write!(f, "{kind}:{}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storms_are_read_as_they_are_written() {
        for text in STORMS.split(',') {
            assert_eq!(text.parse::<Storm>().map(|storm| storm.to_string()), Ok(text.to_owned()));
        }
        assert!("flv".parse::<Storm>().is_err() && "snow:3".parse::<Storm>().is_err());
    }
}
