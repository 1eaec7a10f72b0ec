//! Every setting: its flag, its environment variable, its default and its unit, in one group per concern.

mod addresses;
mod limits;
pub(crate) mod parse;
pub mod public_url;
mod streams;
pub(crate) mod units;
mod viewers;

use std::{ffi::OsString, net::SocketAddr, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand, error::ErrorKind};
use synctv_actors::{
    access::NodeKeys,
    events::{PullSettings, StreamSettings},
    hls::proxy::HlsProxySettings,
    rtmp::RtmpSettings,
};
use synctv_media::rtmp::session::SessionConfig;

use self::units::{KIB, seconds};
pub use self::{addresses::AddressArgs, limits::LimitArgs, streams::StreamArgs, viewers::ViewerArgs};
pub use crate::{
    access::AccessArgs,
    cluster::args::{ClusterArgs, RedisSetting},
    drain::DrainArgs,
    http::hls::{HlsArgs, HlsWhen},
};
use crate::{
    access::{Addresses, TokenCommand},
    http::{HttpSettings, api::ServerInfo},
    metrics::MetricsArgs,
    ports::Ports,
    tls::{TlsArgs, TlsElsewhere},
    webrtc::WebRtcArgs,
};

/// A live-streaming server: RTMP in; HTTP-FLV, HLS and WebRTC out.
///
/// Each setting is a flag or the environment variable named with it; the flag wins.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "synctv-stream", version, max_term_width = 110)]
pub struct Config {
    /// The addresses at which clients connect.
    #[command(flatten)]
    pub addresses: AddressArgs,

    /// The nodes and their Redis.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// The end of a node.
    #[command(flatten)]
    pub drain: DrainArgs,

    /// GOP cache, delivery and graces.
    #[command(flatten)]
    pub streams: StreamArgs,

    /// Segments and playlists.
    #[command(flatten)]
    pub hls: HlsArgs,

    /// Limits for viewers that are too slow.
    #[command(flatten)]
    pub viewers: ViewerArgs,

    /// The settings of access: publishing, watching and administering.
    #[command(flatten)]
    pub access: AccessArgs,

    /// WebRTC viewers.
    #[command(flatten)]
    pub webrtc: WebRtcArgs,

    /// The port of metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,

    /// RTMPS and HTTPS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// Limits over all rooms and ports.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Check the settings and the files that they name, and exit: 0 if the server would start with them
    #[arg(long)]
    pub check: bool,

    /// Take the connections of the program that ran in this process before, which wait at stdin.
    #[arg(long, hide = true)]
    pub take_handover: bool,

    /// A task in place of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A task that the program does in place of serving.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Make a token and a signed key for a room, with TOKEN_SECRET
    Token(TokenCommand),
}

/// The reason not to start: a bad setting, or an answer such as the help.
#[derive(Debug)]
pub struct Stop(clap::Error);

impl Config {
    /// Reads the command line and the environment.
    pub fn load() -> Result<Self, Stop> {
        Self::load_from(std::env::args_os())
    }

    /// Reads these arguments, of which the first is the program's name, and the environment.
    pub fn load_from(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Stop> {
        Self::try_parse_from(arguments).and_then(Self::checked).map_err(Stop)
    }

    fn checked(self) -> Result<Self, clap::Error> {
        if let Some(RedisSetting::Bad(error)) = &self.cluster.redis_url {
            return Err(clap::Error::raw(ErrorKind::ValueValidation, format!("REDIS_URL: {error}")));
        }
        self.hls.check().map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        let access = self.access.checked();
        let access = access.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        let metrics = self.metrics.checked();
        let metrics = metrics.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        let tls = self.tls.checked();
        let tls = tls.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        let webrtc = self.webrtc.checked();
        let webrtc = webrtc.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        Ok(Self { access, metrics, tls, webrtc, ..self })
    }

    /// Does the task that the command line names in place of serving. Returns the text to print.
    pub fn run_command(&self) -> Option<Result<String, String>> {
        let Command::Token(command) = self.command.as_ref()?;
        let Some(Ok(secrets)) = &self.access.token_secret else {
            return Some(Err("TOKEN_SECRET is not set: there is nothing to sign with".to_owned()));
        };
        let addresses = Addresses {
            app: &self.addresses.rtmp_app,
            rtmp: self.addresses.rtmp_addr.port(),
            httpflv: self.addresses.httpflv_addr.port(),
            hls: self.addresses.hls_addr.port(),
            public_rtmp: self.addresses.public_rtmp_url.as_ref(),
            public_http: self.addresses.public_http_url.as_ref(),
            public_hls: self.addresses.public_hls_url.as_ref(),
        };
        Some(command.run(secrets.first(), &addresses))
    }

    /// The address of the HLS port, unless HLS is off.
    pub(crate) fn hls_address(&self) -> Option<SocketAddr> {
        match self.hls.hls {
            HlsWhen::Always | HlsWhen::OnDemand => Some(self.addresses.hls_addr),
            HlsWhen::Off => None,
        }
    }

    /// The address of the TLS port for HLS alone, unless that or HLS is off.
    pub(crate) fn hls_tls_address(&self) -> Option<SocketAddr> {
        self.hls_address().and(self.tls.hls_address())
    }

    /// Settings that all streams share.
    pub fn stream_settings(&self, nodes: &NodeKeys) -> StreamSettings {
        StreamSettings {
            gop: self.streams.gop_limits(),
            entry: self.streams.entry_limits(),
            flush: self.streams.flush_interval,
            grace: self.streams.grace(),
            pull: PullSettings {
                nodes: nodes.clone(),
                linger: seconds(self.cluster.pull_linger_s),
                grace: seconds(self.cluster.pull_grace_s),
                frame_limit_bytes: self.limits.frame_limit_bytes(),
            },
        }
    }

    /// Settings of both HTTP ports.
    pub fn http_settings(&self) -> HttpSettings {
        HttpSettings {
            app: self.addresses.rtmp_app.clone(),
            head_timeout: self.limits.handshake_timeout(),
            stall_timeout: self.viewers.stall_timeout(),
            proxies: self.addresses.trust_proxy.clone(),
        }
    }

    /// The server as its API describes it.
    pub fn server_info(&self, node_id: &str, ports: Ports) -> ServerInfo {
        ServerInfo {
            node: node_id.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            app: self.addresses.rtmp_app.clone(),
            tls: false,
            rtmp_port: ports.rtmp,
            hls_port: ports.hls,
            tls_port: ports.tls,
            hls_tls_port: ports.hls_tls,
            webrtc: ports.has_webrtc,
            rtmp_url: self.addresses.public_rtmp_url.clone(),
            http_url: self.addresses.public_http_url.clone(),
            hls_url: self.addresses.public_hls_url.clone(),
        }
    }

    /// Settings of requests for HLS to other nodes.
    pub fn hls_proxy_settings(&self, nodes: &NodeKeys) -> HlsProxySettings {
        HlsProxySettings { nodes: nodes.clone(), app: self.addresses.rtmp_app.clone() }
    }

    /// Settings that all RTMP connections share, on a server that speaks TLS elsewhere.
    pub(crate) fn rtmp_settings(&self, tls: TlsElsewhere) -> RtmpSettings {
        RtmpSettings {
            session: Arc::new(SessionConfig {
                app: self.addresses.rtmp_app.clone(),
                message_limit_bytes: self.limits.frame_limit_bytes(),
                command_limit_bytes: self.limits.max_command_kb as usize * KIB,
                ..SessionConfig::default()
            }),
            handshake_timeout: self.limits.handshake_timeout(),
            idle_timeout: seconds(self.limits.idle_timeout_s),
            publisher_timeout: seconds(self.streams.publisher_timeout_s),
            tls_elsewhere: tls.to_string(),
        }
    }
}

impl Stop {
    /// Prints the reason. Returns the exit code: 0 for an answer such as --help, 2 for a bad setting, which is named in
    /// one line.
    pub fn report(&self) -> ExitCode {
        if matches!(self.0.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            // A closed stdout changes nothing.
            let _ = self.0.print();
            return ExitCode::SUCCESS;
        }
        eprintln!("synctv-stream: {}", self.line());
        ExitCode::from(2)
    }

    pub(crate) fn line(&self) -> String {
        let text = self.0.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use clap::CommandFactory;
    use synctv_actors::events::Flush;
    use synctv_media::stream::gop::GopLimits;

    use super::{units::MIB, *};

    /// The settings of a command line.
    pub fn parse(args: &[&str]) -> Result<Config, Stop> {
        Config::try_parse_from([&["synctv-stream"], args].concat()).and_then(Config::checked).map_err(Stop)
    }

    fn nodes() -> NodeKeys {
        NodeKeys::random("n1").unwrap()
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.addresses.rtmp_addr, "0.0.0.0:1935".parse().unwrap());
        assert_eq!(config.addresses.httpflv_addr, "0.0.0.0:8080".parse().unwrap());
        let streams = config.stream_settings(&nodes());
        assert_eq!(streams.gop, GopLimits { gops_max: 2, size_max_bytes: 100 * MIB, window_ms: 1000 });
        assert_eq!(streams.entry.keyframe_wait_ms, 15_000);
        assert_eq!(streams.flush, Flush::EveryFrame);
        assert_eq!(streams.grace, Duration::from_secs(10));
        assert_eq!(config.viewers.lag_limits().queue_max_bytes, 4 * MIB);
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
    fn the_documents_list_the_settings_with_their_defaults_and_help() {
        let (all, readme) = (include_str!("../docs/settings.md"), include_str!("../README.md"));
        for arg in Config::command().get_arguments().filter(|arg| arg.get_env().is_some()) {
            let row = documented_row(arg);
            assert!(all.contains(&row), "docs/settings.md lacks this row:\n{row}");
            let begin = row.split(" | ").next().unwrap_or_default();
            let is_repeated = readme.contains(&format!("\n{begin} |"));
            assert!(!is_repeated || readme.contains(&row), "README.md has another row than this:\n{row}");
        }
    }

    fn documented_row(arg: &clap::Arg) -> String {
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
            (["--trust-proxy", "proxy.example"], "TRUST_PROXY", "proxy.example"),
        ] {
            let line = parse(&args).unwrap_err().line();
            assert!(line.contains(setting) && line.contains(value), "{line}");
        }
    }
}
