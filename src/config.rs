//! Every setting: its flag, its environment variable, its default and its unit.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{ArgAction, Parser, Subcommand, ValueEnum, error::ErrorKind, value_parser};
use synctv_actors::{
    access::NodeKeys,
    cluster::redis_store::{KeyPrefix, RedisUrl, RedisUrlError},
    events::{Flush, PullSettings, StreamSettings},
    hls::{HlsMode, HlsSettings, proxy::HlsProxySettings},
    rtmp::RtmpSettings,
};
use synctv_media::{
    rtmp::session::SessionConfig,
    stream::{gop::GopLimits, video_entry::EntryLimits, viewer_queue::LagLimits},
};

use crate::{
    access::{AccessArgs, Addresses, TokenCommand},
    http::{HttpSettings, api::ServerInfo, hls::HlsPort},
    ports::Ports,
};

const MIB: usize = 1024 * 1024;
const KIB: usize = 1024;

/// RTMP's own port.
const RTMP_PORT: u16 = 1935;

/// The framework panics above it.
const WORKERS_MAX: usize = 512;

/// How long an ended stream's playlist and segments stay: a viewer who is a little behind sees the end.
const HLS_KEEP_ENDED: Duration = Duration::from_secs(30);

/// On demand, a stream is cut for so long without a request: players ask every few seconds.
const HLS_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A live-streaming server: RTMP in, HTTP-FLV and HLS out.
///
/// Each setting is a flag or the environment variable named with it; the flag wins.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "synctv-stream", version, max_term_width = 110)]
pub struct Config {
    /// Address for publishers and RTMP players
    #[arg(long, env, default_value = "0.0.0.0:1935", help_heading = "Addresses")]
    pub rtmp_addr: SocketAddr,

    /// Address for HTTP-FLV viewers
    #[arg(long, env, default_value = "0.0.0.0:8080", help_heading = "Addresses")]
    pub httpflv_addr: SocketAddr,

    /// Address for HLS viewers
    #[arg(long, env, default_value = "0.0.0.0:8081", help_heading = "Addresses")]
    pub hls_addr: SocketAddr,

    /// The app of RTMP and HLS addresses: rtmp://HOST/APP/ROOM, http://HOST/APP/ROOM/index.m3u8
    #[arg(long, env, default_value = "live", value_parser = parse_app, help_heading = "Addresses")]
    pub rtmp_app: String,

    /// Redis that the nodes share, redis://[:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS, or "off" to run alone
    /// [default: redis://localhost:6379 if it answers at the start, else "off"]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the brackets are for the help")]
    #[arg(long, env, hide_env_values = true, value_parser = RedisSetting::parse, help_heading = "Cluster")]
    pub redis_url: Option<RedisSetting>,

    /// Prefix of this server's keys in Redis, for a Redis that other applications use; the same on all nodes
    #[arg(long, env, default_value = "", hide_default_value = true, value_parser = parse_prefix, help_heading = "Cluster")]
    pub redis_prefix: KeyPrefix,

    /// This node's name in the cluster and in logs; no two nodes may have the same
    /// [default: the host's name, and the RTMP port unless that is 1935]
    #[arg(long, env, value_parser = parse_name, help_heading = "Cluster")]
    pub node_id: Option<String>,

    /// Host name or address at which other nodes reach this one
    /// [default: the address that this host has towards Redis]
    #[arg(long, env, value_parser = parse_host, help_heading = "Cluster")]
    pub advertise_host: Option<String>,

    /// How long a node counts as alive after it last said so, in milliseconds; then others may take its rooms
    #[arg(long, env, default_value_t = 10_000, value_parser = value_parser!(u32).range(1000..=60_000), help_heading = "Cluster")]
    pub lease_ttl_ms: u32,

    /// How long a room's entry stays in Redis that is not renewed, in seconds; it is renewed five times within that
    #[arg(long, env, default_value_t = 300, value_parser = value_parser!(u32).range(5..=3600), help_heading = "Cluster")]
    pub claim_ttl_s: u32,

    /// How long a room of another node goes on being pulled when nobody watches it here any more, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(1..=3600), help_heading = "Cluster")]
    pub pull_linger_s: u32,

    /// How long viewers of a pulled room are kept while no node publishes it, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(0..=3600), help_heading = "Cluster")]
    pub pull_grace_s: u32,

    /// How long viewers may stay when the node is told to stop and others publish their rooms, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(0..=3600), help_heading = "Cluster")]
    pub drain_timeout_s: u32,

    /// Whether the last GOPs are kept, so that playback starts at once
    #[arg(long, env, default_value_t = true, action = ArgAction::Set, help_heading = "Streams")]
    pub enable_gop_cache: bool,

    /// GOPs that are kept of each stream, at most; those before JOIN_WINDOW_MS are not
    #[arg(long, env, default_value_t = 2, value_parser = value_parser!(u16).range(1..=1000), help_heading = "Streams")]
    pub max_gops: u16,

    /// Size of each stream's GOP cache, in MiB
    #[arg(long, env, default_value_t = 100, value_parser = value_parser!(u32).range(1..=65536), help_heading = "Streams")]
    pub max_gop_cache_size_mb: u32,

    /// How far behind live a viewer may start to get more than the newest GOP, in milliseconds
    #[arg(long, env, default_value_t = 1000, value_parser = value_parser!(u32).range(0..=60_000), help_heading = "Streams")]
    pub join_window_ms: u32,

    /// How long video waits for a keyframe, in seconds; then viewers begin without one, and the log says so
    #[arg(long, env, default_value_t = 15, value_parser = value_parser!(u32).range(1..=3600), help_heading = "Streams")]
    pub keyframe_wait_s: u32,

    /// When media goes out: "frame" sends with every video frame, 0 with every tag (lowest delay, most CPU), a number
    /// at most so often in milliseconds (least CPU)
    #[arg(long, env, default_value = "frame", value_parser = parse_flush, help_heading = "Streams")]
    pub flush_interval: Flush,

    /// How long viewers are kept when their publisher is gone, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(0..=3600), help_heading = "Streams")]
    pub publisher_grace_s: u32,

    /// How long a publisher may be silent before its room is free again, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600), help_heading = "Streams")]
    pub publisher_timeout_s: u32,

    /// Which streams are cut for HLS: "always" all, "on-demand" those that someone watches (the first viewer waits for a
    /// segment), "off" none
    #[arg(long, env, value_enum, default_value_t = HlsWhen::Always, help_heading = "HLS")]
    pub hls: HlsWhen,

    /// Directory for segments; they are deleted when they expire
    #[arg(long, env, default_value = "./hls_storage", help_heading = "HLS")]
    pub hls_storage: PathBuf,

    /// Shortest duration of a segment, in milliseconds; it ends at the next keyframe
    #[arg(long, env, default_value_t = 2000, value_parser = value_parser!(u32).range(500..=20_000), help_heading = "HLS")]
    pub hls_target_ms: u32,

    /// Segments in a playlist
    #[arg(long, env, default_value_t = 6, value_parser = value_parser!(u16).range(3..=100), help_heading = "HLS")]
    pub hls_window: u16,

    /// Memory for the newest segments of all rooms, here and on other nodes, and for buffers of the next, in MiB; older ones
    /// are read from their files
    #[arg(long, env, default_value_t = 16, value_parser = value_parser!(u32).range(1..=65536), help_heading = "HLS")]
    pub hls_memory_mb: u32,

    /// What may wait for a viewer that is too slow, in MiB, besides the newest keyframe, which may be larger; over it, the
    /// viewer skips to a later keyframe
    #[arg(long, env, default_value_t = 4, value_parser = value_parser!(u32).range(1..=1024), help_heading = "Slow viewers")]
    pub viewer_queue_mb: u32,

    /// What may wait for a viewer that is too slow, in milliseconds of media
    #[arg(long, env, default_value_t = 4000, value_parser = value_parser!(u32).range(100..=600_000), help_heading = "Slow viewers")]
    pub viewer_queue_ms: u32,

    /// How long a viewer may take nothing at all, in seconds
    #[arg(long, env, default_value_t = 30, value_parser = value_parser!(u32).range(1..=3600), help_heading = "Slow viewers")]
    pub viewer_stall_timeout_s: u32,

    /// Who may publish, watch and administer.
    #[command(flatten)]
    pub access: AccessArgs,

    /// Connections over all ports; more are refused
    #[arg(long, env, default_value_t = 20_000, value_parser = parse_count, help_heading = "Limits")]
    pub max_connections: usize,

    /// Rooms published on this node; more are refused. As many of other nodes may be pulled at a time
    #[arg(long, env, default_value_t = 1000, value_parser = parse_count, help_heading = "Limits")]
    pub max_rooms: usize,

    /// Size of one frame from a publisher, in MiB
    #[arg(long, env, default_value_t = 8, value_parser = value_parser!(u32).range(1..=15), help_heading = "Limits")]
    pub max_message_mb: u32,

    /// Size of one RTMP command, in KiB
    #[arg(long, env, default_value_t = 64, value_parser = value_parser!(u32).range(4..=1024), help_heading = "Limits")]
    pub max_command_kb: u32,

    /// How long an RTMP handshake or the head of an HTTP request may take, in seconds
    #[arg(long, env, default_value_t = 5, value_parser = value_parser!(u32).range(1..=600), help_heading = "Limits")]
    pub handshake_timeout_s: u32,

    /// How long an RTMP connection may neither publish nor play, in seconds
    #[arg(long, env, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600), help_heading = "Limits")]
    pub idle_timeout_s: u32,

    /// Threads that serve connections [default: one for each core]
    #[arg(long, env, default_value_t = cores(), hide_default_value = true, value_parser = parse_workers, help_heading = "Limits")]
    pub workers: usize,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does instead of serving.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Make a token and a signed key for a room, with TOKEN_SECRET
    Token(TokenCommand),
}

/// Where the nodes' Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisSetting {
    /// There.
    At(RedisUrl),
    /// Nowhere: this node is alone.
    Off,
    /// The setting is no address. It is not kept, as it may hold a password.
    Bad(RedisUrlError),
}

impl RedisSetting {
    /// Never fails, as the error would be shown with the value.
    fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(match RedisUrl::parse(text) {
            _ if text == "off" => Self::Off,
            Ok(url) => Self::At(url),
            Err(error) => Self::Bad(error),
        })
    }
}

/// Which streams are cut for HLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HlsWhen {
    /// All.
    Always,
    /// Those that someone watches.
    OnDemand,
    /// None.
    Off,
}

/// What there is to say instead of starting.
#[derive(Debug)]
pub struct Stop(clap::Error);

impl Config {
    /// Reads the command line and the environment.
    pub fn load() -> Result<Self, Stop> {
        Self::try_parse().and_then(Self::checked).map_err(Stop)
    }

    fn checked(self) -> Result<Self, clap::Error> {
        match &self.redis_url {
            Some(RedisSetting::Bad(error)) => {
                Err(clap::Error::raw(ErrorKind::ValueValidation, format!("REDIS_URL: {error}")))
            }
            _ => Ok(()),
        }?;
        let access = self.access.checked();
        let access = access.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        Ok(Self { access, ..self })
    }

    /// Does what is asked instead of serving, if something is. Returns what is to be printed.
    pub fn run_command(&self) -> Option<Result<String, String>> {
        let Command::Token(command) = self.command.as_ref()?;
        let Some(Ok(secrets)) = &self.access.token_secret else {
            return Some(Err("TOKEN_SECRET is not set: there is nothing to sign with".to_owned()));
        };
        let addresses = Addresses {
            app: &self.rtmp_app,
            rtmp: self.rtmp_addr.port(),
            httpflv: self.httpflv_addr.port(),
            hls: self.hls_addr.port(),
        };
        Some(command.run(secrets.first(), &addresses))
    }

    /// This node's name, if its RTMP port is `rtmp_port`. Several nodes of one host have different ones.
    pub fn node_id(&self, rtmp_port: u16) -> String {
        match (&self.node_id, rtmp_port) {
            (Some(name), _) => name.clone(),
            (None, RTMP_PORT) => host_name(),
            (None, port) => format!("{}-{port}", host_name()),
        }
    }

    /// What all streams have in common.
    pub fn stream_settings(&self, nodes: &NodeKeys) -> StreamSettings {
        StreamSettings {
            gop: GopLimits {
                gops_max: if self.enable_gop_cache { self.max_gops.into() } else { 0 },
                size_max_bytes: self.max_gop_cache_size_mb as usize * MIB,
                window_ms: self.join_window_ms.into(),
            },
            entry: EntryLimits {
                keyframe_wait_ms: i64::from(self.keyframe_wait_s) * 1000,
                keeps_gops: self.enable_gop_cache,
            },
            flush: self.flush_interval,
            grace: seconds(self.publisher_grace_s),
            pull: self.pull_settings(nodes),
        }
    }

    fn pull_settings(&self, nodes: &NodeKeys) -> PullSettings {
        PullSettings {
            nodes: nodes.clone(),
            linger: seconds(self.pull_linger_s),
            grace: seconds(self.pull_grace_s),
            frame_limit_bytes: self.max_message_mb as usize * MIB,
        }
    }

    /// How long viewers may stay when the node stops.
    pub fn drain_timeout(&self) -> Duration {
        seconds(self.drain_timeout_s)
    }

    /// How far viewers may fall behind.
    pub fn lag_limits(&self) -> LagLimits {
        LagLimits {
            queue_max_bytes: self.viewer_queue_mb as usize * MIB,
            queue_max_ms: self.viewer_queue_ms.into(),
            stall_max: seconds(self.viewer_stall_timeout_s),
        }
    }

    /// What the HTTP port needs to know.
    pub fn http_settings(&self) -> HttpSettings {
        HttpSettings {
            app: self.rtmp_app.clone(),
            head_timeout: seconds(self.handshake_timeout_s),
            stall_timeout: seconds(self.viewer_stall_timeout_s),
        }
    }

    /// What clients of the API must know of the server.
    pub fn server_info(&self, node_id: &str, ports: Ports) -> ServerInfo {
        ServerInfo {
            node: node_id.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            app: self.rtmp_app.clone(),
            rtmp_port: ports.rtmp,
            hls_port: ports.hls,
        }
    }

    /// What HLS of all rooms has in common, unless it is off. `in_cluster`: other nodes publish rooms as well.
    pub fn hls_settings(&self, in_cluster: bool) -> Option<HlsSettings> {
        let mode = match self.hls {
            HlsWhen::Always => HlsMode::Always,
            HlsWhen::OnDemand => HlsMode::OnDemand,
            HlsWhen::Off => return None,
        };
        Some(HlsSettings {
            mode,
            target_ms: self.hls_target_ms,
            window: self.hls_window.into(),
            storage: self.hls_storage.clone(),
            memory_max_bytes: self.hls_memory_mb as usize * MIB,
            keep_ended: HLS_KEEP_ENDED,
            in_cluster,
            idle_timeout: HLS_IDLE_TIMEOUT,
        })
    }

    /// What is needed to ask other nodes for HLS.
    pub fn hls_proxy_settings(&self, nodes: &NodeKeys) -> HlsProxySettings {
        HlsProxySettings { nodes: nodes.clone(), app: self.rtmp_app.clone() }
    }

    /// What the HLS port needs to know.
    pub fn hls_port(&self) -> HlsPort {
        HlsPort {
            app: self.rtmp_app.clone(),
            head_timeout: seconds(self.handshake_timeout_s),
            stall_timeout: seconds(self.viewer_stall_timeout_s),
        }
    }

    /// What all RTMP connections have in common.
    pub fn rtmp_settings(&self, lag: Arc<LagLimits>) -> RtmpSettings {
        RtmpSettings {
            session: Arc::new(SessionConfig {
                app: self.rtmp_app.clone(),
                message_limit_bytes: self.max_message_mb as usize * MIB,
                command_limit_bytes: self.max_command_kb as usize * KIB,
                ..SessionConfig::default()
            }),
            lag,
            handshake_timeout: seconds(self.handshake_timeout_s),
            idle_timeout: seconds(self.idle_timeout_s),
            publisher_timeout: seconds(self.publisher_timeout_s),
        }
    }
}

impl Stop {
    /// Says it, and gives the exit code: 0 for what was asked for, such as --help, and 2 for a bad setting, which is
    /// named in one line.
    pub fn report(&self) -> ExitCode {
        if matches!(self.0.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            // Nobody reads it if stdout is closed.
            let _ = self.0.print();
            return ExitCode::SUCCESS;
        }
        eprintln!("synctv-stream: {}", self.line());
        ExitCode::from(2)
    }

    fn line(&self) -> String {
        let text = self.0.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn host_name() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    // Whatever the host is called, it can start.
    parse_name(&name).unwrap_or_else(|_| "node".to_owned())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
}

fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.len() > 253 => Err("it has more than 253 characters".to_owned()),
        _ if !text.chars().all(allowed) => Err("allowed are A-Z a-z 0-9 _ - .".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// A name that addresses can have as their first part.
fn parse_app(text: &str) -> Result<String, String> {
    match parse_name(text)?.as_str() {
        "." | ".." => Err("it means something else in an address".to_owned()),
        "api" | "assets" | "watch" => Err("the HTTP port has other paths under it".to_owned()),
        app => Ok(app.to_owned()),
    }
}

fn parse_host(text: &str) -> Result<String, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => Err("no other node can reach that".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(_) => parse_name(text),
    }
}

fn parse_prefix(text: &str) -> Result<KeyPrefix, String> {
    KeyPrefix::new(text).map_err(|error| error.to_string())
}

fn parse_flush(text: &str) -> Result<Flush, String> {
    match text.parse::<u64>() {
        _ if matches!(text, "frame" | "picture") => Ok(Flush::EveryFrame),
        Ok(0) => Ok(Flush::EveryTag),
        Ok(ms @ 1..=5000) => Ok(Flush::Every(Duration::from_millis(ms))),
        _ => Err("it is neither \"frame\" nor 0 to 5000 milliseconds".to_owned()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err("it is not a number of 1 to 10000000".to_owned()),
    }
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=WORKERS_MAX) => Ok(count),
        _ => Err(format!("it is not a number of 1 to {WORKERS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Config, Stop> {
        Config::try_parse_from([&["synctv-stream"], args].concat()).and_then(Config::checked).map_err(Stop)
    }

    fn nodes() -> NodeKeys {
        NodeKeys::random("n1").unwrap()
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.rtmp_addr, "0.0.0.0:1935".parse().unwrap());
        assert_eq!(config.httpflv_addr, "0.0.0.0:8080".parse().unwrap());
        let streams = config.stream_settings(&nodes());
        assert_eq!(streams.gop, GopLimits { gops_max: 2, size_max_bytes: 100 * MIB, window_ms: 1000 });
        assert_eq!(streams.entry.keyframe_wait_ms, 15_000);
        assert_eq!(streams.flush, Flush::EveryFrame);
        assert_eq!(streams.grace, Duration::from_secs(10));
        assert_eq!(config.lag_limits().queue_max_bytes, 4 * MIB);
    }

    #[test]
    fn each_setting_has_a_flag_and_an_environment_variable_of_the_same_name() {
        for arg in Config::command().get_arguments() {
            let Some(env) = arg.get_env() else { continue };
            let flag = arg.get_long().unwrap_or_default();
            assert_eq!(env.to_string_lossy(), flag.to_uppercase().replace('-', "_"));
            assert!(arg.get_help().is_some(), "{flag} explains itself");
        }
    }

    #[test]
    fn the_readme_lists_every_setting_with_its_default_and_help() {
        let readme = include_str!("../README.md");
        for arg in Config::command().get_arguments().filter(|arg| arg.get_env().is_some()) {
            let row = readme_row(arg);
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
    }

    fn readme_row(arg: &clap::Arg) -> String {
        let name = arg.get_env().unwrap_or_default().to_string_lossy();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let (help, named_default) = match help.split_once(" [default: ") {
            Some((help, default)) => (help.to_owned(), default.trim_end_matches(']').to_owned()),
            None => (help, String::new()),
        };
        let default = match arg.get_default_values() {
            [value] if !arg.is_hide_default_value_set() => format!("`{}`", value.to_string_lossy()),
            _ => named_default,
        };
        format!("| `{name}` | {default} | {help} |")
    }

    #[test]
    fn a_bad_value_is_named_with_its_setting_in_one_line() {
        for (args, setting, value) in [
            (["--rtmp-addr", "nowhere"], "RTMP_ADDR", "nowhere"),
            (["--max-gops", "0"], "MAX_GOPS", "0"),
            (["--flush-interval", "often"], "FLUSH_INTERVAL", "often"),
            (["--enable-gop-cache", "perhaps"], "ENABLE_GOP_CACHE", "perhaps"),
            (["--hls", "sometimes"], "HLS", "sometimes"),
            (["--hls-target-ms", "20"], "HLS_TARGET_MS", "20"),
            (["--node-id", "a b"], "NODE_ID", "a b"),
            (["--advertise-host", "h:1"], "ADVERTISE_HOST", "h:1"),
            (["--advertise-host", "::"], "ADVERTISE_HOST", "::"),
            (["--advertise-host", "0.0.0.0"], "ADVERTISE_HOST", "0.0.0.0"),
            (["--rtmp-app", ".."], "RTMP_APP", ".."),
            (["--rtmp-app", "watch"], "RTMP_APP", "watch"),
            (["--lease-ttl-ms", "10"], "LEASE_TTL_MS", "10"),
            (["--claim-ttl-s", "1"], "CLAIM_TTL_S", "1"),
            (["--workers", "513"], "WORKERS", "513"),
        ] {
            let line = parse(&args).unwrap_err().line();
            assert!(line.contains(setting) && line.contains(value), "{line}");
        }
    }

    #[test]
    fn a_bad_redis_url_is_named_without_what_may_be_a_password() {
        for bad in ["http://:secret@h", "redis://:loud@h/x", ":secret@h"] {
            let line = parse(&["--redis-url", bad]).unwrap_err().line();
            assert!(line.contains("REDIS_URL") && !line.contains("loud"), "{line}");
        }
    }

    #[test]
    fn redis_can_be_turned_off_and_its_password_is_never_shown() {
        assert_eq!(parse(&["--redis-url", "off"]).unwrap().redis_url, Some(RedisSetting::Off));
        assert_eq!(parse(&[]).unwrap().redis_url, None);
        let config = parse(&["--redis-url", "redis://:loud@h"]).unwrap();
        assert!(matches!(config.redis_url, Some(RedisSetting::At(_))));
        assert!(!format!("{config:?}").contains("loud"));
    }

    #[test]
    fn nodes_of_one_host_differ_by_their_port() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.node_id(1935), host_name());
        assert_eq!(config.node_id(2935), format!("{}-2935", host_name()));
        assert_eq!(parse(&["--node-id", "n1"]).unwrap().node_id(2935), "n1");
    }

    #[test]
    fn the_gop_cache_can_be_turned_off() {
        let config = parse(&["--enable-gop-cache", "false"]).unwrap();
        assert_eq!(config.stream_settings(&nodes()).gop.gops_max, 0);
    }

    #[test]
    fn hls_is_always_on_unless_it_is_said_otherwise() {
        let mode = |args: &[&str]| parse(args).unwrap().hls_settings(false).map(|hls| hls.mode);
        assert_eq!(mode(&[]), Some(HlsMode::Always));
        assert_eq!(mode(&["--hls", "on-demand"]), Some(HlsMode::OnDemand));
        assert_eq!(mode(&["--hls", "off"]), None);
    }

    #[test]
    fn media_is_flushed_as_set() {
        let flush = |value| parse(&["--flush-interval", value]).unwrap().flush_interval;
        assert_eq!(flush("0"), Flush::EveryTag);
        assert_eq!(flush("frame"), Flush::EveryFrame);
        assert_eq!(flush("picture"), Flush::EveryFrame, "the name before");
        assert_eq!(flush("100"), Flush::Every(Duration::from_millis(100)));
    }
}
