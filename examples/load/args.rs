//! The flags.

use std::{error::Error, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Parser;
use rustls::ClientConfig;
use synctv_testkit::tls::{self, TestAuthority};

use crate::{case, hls, rtc, storm, upgrade::args::UpgradeArgs};

/// The settings of a client that speaks TLS; none for plain connections.
pub type TlsClient = Option<Arc<ClientConfig>>;

/// Puts load on a server and says how it did.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Address to push to
    #[arg(long, default_value = "127.0.0.1:1935")]
    pub rtmp: SocketAddr,
    /// Address to watch at
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Rooms, each with a publisher
    #[arg(long, default_value_t = 1)]
    pub publishers: usize,
    /// Viewers, spread over the rooms
    #[arg(long, default_value_t = 1000)]
    pub viewers: usize,
    /// Time over which the viewers join, in seconds
    #[arg(long, default_value_t = 5.0)]
    pub join_s: f64,
    /// Time that is measured once all have joined, in seconds
    #[arg(long, default_value_t = 20.0)]
    pub measure_s: f64,
    /// Bit rate of the video, in kbit/s
    #[arg(long, default_value_t = 1500)]
    pub kbps: u32,
    /// Frames between keyframes
    #[arg(long, default_value_t = 30)]
    pub gop: u32,
    /// The server's process, for its CPU and memory
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Measure the floor: viewers connect to a thread of this program instead of a server
    #[arg(long)]
    pub floor: bool,
    /// Interval at which the floor writes, in milliseconds
    #[arg(long, default_value_t = 33)]
    pub floor_interval_ms: u64,
    /// Start this server and the floor in turn, at each of the cases, and print a table
    #[arg(long, value_name = "SERVER")]
    pub compare: Option<PathBuf>,
    /// Cases to compare, FLUSH:VIEWERS[:ROOMS[:KBPS]], separated by commas
    #[arg(long, default_value = case::CASES, value_delimiter = ',')]
    pub cases: Vec<case::Case>,
    /// Number of comparisons of each case, one after the other; the run in the middle is printed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub runs: u8,
    /// Watch over HLS, at this address
    #[arg(long)]
    pub hls: Option<SocketAddr>,
    /// Over HLS: watch the playlist with parts, of 500 ms
    #[arg(long, requires = "hls")]
    pub parts: bool,
    /// Watch over RTMP, with --floor and --compare as well
    #[arg(long, conflicts_with_all = ["tls", "tls_ca", "hls", "hls_compare"])]
    pub play: bool,
    /// Over HLS: rooms whose playlist is looked at all the time, for its age
    #[arg(long, default_value_t = 1)]
    pub probers: usize,
    /// Over HLS: publishers start spread over a GOP, instead of all with a keyframe at once
    #[arg(long)]
    pub spread: bool,
    /// Start this server, at each of the cases, and print a table for HLS
    #[arg(long, value_name = "SERVER")]
    pub hls_compare: Option<PathBuf>,
    /// Cases to compare, HLS:START:ROOMS[:VIEWERS[:PROBERS]], START together or spread, separated by commas
    #[arg(long, default_value = hls::case::CASES, value_delimiter = ',')]
    pub hls_cases: Vec<hls::case::Case>,
    /// Watch over WebRTC, at --http; with --floor, its floor
    #[arg(long)]
    pub rtc: bool,
    /// Over WebRTC: viewers who join and leave one by one, for what a join costs
    #[arg(long, default_value_t = 100)]
    pub joins: usize,
    /// Publish Opus instead of AAC, which nothing decodes on its way
    #[arg(long)]
    pub opus: bool,
    /// Start this server and the floor in turn, at each of the cases, and print a table for WebRTC
    #[arg(long, value_name = "SERVER")]
    pub rtc_compare: Option<PathBuf>,
    /// Cases to compare, VIEWERS[:KBPS], separated by commas
    #[arg(long, default_value = rtc::case::CASES, value_delimiter = ',')]
    pub rtc_cases: Vec<rtc::case::Case>,
    /// Start this server, at each of the cases, and print a table for Low-Latency HLS
    #[arg(long, value_name = "SERVER")]
    pub hls_ll: Option<PathBuf>,
    /// Cases to compare: classic:VIEWERS, parts-MS:VIEWERS and waiters-MS:VIEWERS, who fetch no part, separated by
    /// commas
    #[arg(long, default_value = hls::part_case::PART_CASES, value_delimiter = ',')]
    pub hls_ll_cases: Vec<hls::part_case::PartCase>,
    /// Start this server and nginx, which must be installed, in turn, at each of the cases, and print a table for HLS
    #[arg(long, value_name = "SERVER")]
    pub hls_nginx: Option<PathBuf>,
    /// Cases to compare with nginx, as of --hls-ll-cases
    #[arg(long, default_value = hls::part_case::NGINX_CASES, value_delimiter = ',')]
    pub hls_nginx_cases: Vec<hls::part_case::PartCase>,
    /// With --floor and --compare: watch over TLS, with a certificate that is made for this run
    #[arg(long)]
    pub tls: bool,
    /// Watch over TLS at --http; the file has the certificate, PEM, of the authority to trust
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Publish over TLS too, at --http
    #[arg(long)]
    pub rtmps: bool,
    /// With --tls: start this server, publish to it in plain and over TLS in turn, and print what a publisher costs
    #[arg(long, value_name = "SERVER")]
    pub compare_publishers: Option<PathBuf>,
    /// Start this server, without and with HLS, and the floor of ingest in turn, and print what a publisher costs
    #[arg(long, value_name = "SERVER")]
    pub compare_ingest: Option<PathBuf>,
    /// Start this server, and print what --publishers rooms with two viewers each cost, beside one room with as many
    #[arg(long, value_name = "SERVER")]
    pub compare_rooms: Option<PathBuf>,
    /// Start this server, and print the memory of rooms and of viewers of each protocol
    #[arg(long, value_name = "SERVER")]
    pub memory: Option<PathBuf>,
    /// Start this server, and print how late its viewers' frames are before, during and after each of --storms
    #[arg(long, value_name = "SERVER")]
    pub compare_storms: Option<PathBuf>,
    /// Storms, KIND:COUNT, separated by commas
    #[arg(long, default_value = storm::kind::STORMS, value_delimiter = ',')]
    pub storms: Vec<storm::kind::Storm>,
    /// Be this storm, and print its outcome
    #[arg(long, hide = true)]
    pub storm_joiners: Option<storm::kind::Storm>,
    /// A number in the names of this load's rooms over HLS
    #[arg(long, hide = true, default_value_t = std::process::id())]
    pub run_id: u32,
    /// The address for publishers of the node that a storm kills
    #[arg(long, hide = true)]
    pub doomed_rtmp: Option<SocketAddr>,
    /// The process of the node that a storm kills
    #[arg(long, hide = true)]
    pub doomed_pid: Option<u32>,
    /// The peers of --upgrade.
    #[command(flatten)]
    pub upgrades: UpgradeArgs,
    /// The authority of --tls.
    #[arg(skip)]
    pub authority: Option<Arc<TestAuthority>>,
}

impl Args {
    /// The client's settings to trust the server, if viewers watch over TLS.
    pub fn tls_client(&self) -> Result<TlsClient, Box<dyn Error>> {
        let file = match (&self.authority, &self.tls_ca) {
            (Some(authority), _) => authority.certificate_of_authority(),
            (None, Some(file)) => file.clone(),
            (None, None) => return Ok(None),
        };
        Ok(Some(tls::client_config(&file)?))
    }

    /// The address to publish at, and the settings of TLS for it.
    pub fn publishing_at(&self) -> Result<(SocketAddr, TlsClient), Box<dyn Error>> {
        Ok(if self.rtmps { (self.http, self.tls_client()?) } else { (self.rtmp, None) })
    }

    /// A playlist outlives its publisher: over HLS, each run has rooms of its own.
    pub fn room(&self, number: usize) -> String {
        match self.hls {
            Some(_) => format!("load_{}_{number}", self.run_id),
            None => format!("load_{number}"),
        }
    }
}
