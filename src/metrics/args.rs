//! Settings of the metrics.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, value_parser};
use synctv_media::access::Secret;

use crate::access::{Checked, complain, good, parse_secret, read};

/// The most rooms that have series of their own. A series for each of more rooms costs a scraper more than it helps.
const ROOMS_MAX: i64 = 1000;

/// The port of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Address for Prometheus, at /metrics, or "off"
    #[arg(long, env, default_value = "off", value_parser = MetricsAddr::from_str)]
    pub metrics_addr: MetricsAddr,

    /// Bearer token that a scrape needs, 32 to 256 bytes [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_secret)]
    pub metrics_token: Option<Checked<Secret>>,

    /// File with the value of METRICS_TOKEN [default: none]
    #[arg(long, env)]
    pub metrics_token_file: Option<PathBuf>,

    /// Maximum rooms with metrics of their own, first come, first served; all others together are room="other"
    #[arg(long, env, default_value_t = 0, value_parser = value_parser!(u16).range(0..=ROOMS_MAX))]
    pub metrics_rooms: u16,
}

/// The address of the port of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAddr {
    /// There is no such port.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for MetricsAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|error| format!("{error}, nor \"off\"")),
        }
    }
}

impl MetricsArgs {
    /// Reads the file, and names what is wrong.
    pub fn checked(mut self) -> Result<Self, String> {
        let file = self.metrics_token_file.as_ref();
        if let Some(text) = read("METRICS_TOKEN", self.metrics_token.is_some(), file)? {
            self.metrics_token = Some(Secret::new(text.as_bytes()).map_err(|error| error.to_string()));
        }
        complain("METRICS_TOKEN", self.metrics_token.as_ref())?;
        Ok(self)
    }

    /// Returns the port's address, unless it is off.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.metrics_addr {
            MetricsAddr::Off => None,
            MetricsAddr::At(address) => Some(address),
        }
    }

    /// Returns the token that a scrape needs, if it needs one.
    pub fn token(&self) -> Option<Secret> {
        good(self.metrics_token.as_ref())
    }
}
