//! `synctv-stream token`: makes a token and a key, and the addresses to paste.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum, value_parser};
use synctv_actors::access::{TokenRequest, make_token};
use synctv_media::access::{Action, RoomPattern, RoomPatternError, Secret, SignedKey};

use crate::config::public_url::PublicUrl;

/// Makes a token and a signed key for a room, with the first secret of TOKEN_SECRET.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TokenCommand {
    /// Room, or the beginning of rooms' names followed by *
    #[arg(long, value_parser = parse_pattern)]
    room: RoomPattern,

    /// Action that it allows
    #[arg(long = "do", value_enum, default_value = "play")]
    action: TokenAction,

    /// For how long connections may begin with it, in hours
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u32).range(1..=876_000))]
    hours: u32,

    /// Name of its holder, for logs and for disconnecting
    #[arg(long)]
    sub: Option<String>,

    /// Name by which it can be revoked
    #[arg(long)]
    jti: Option<String>,

    /// Connections that it may have on one node
    #[arg(long)]
    max: Option<u32>,

    /// Host in the addresses
    #[arg(long, default_value = "localhost")]
    host: String,
}

/// An action that a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenAction {
    Publish,
    Play,
    List,
    Admin,
}

/// The addresses at which the server is reached.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'a> {
    /// The app of RTMP and HLS addresses.
    pub app: &'a str,
    /// The port of RTMP.
    pub rtmp: u16,
    /// The port of HTTP-FLV and the page.
    pub httpflv: u16,
    /// The port of HLS.
    pub hls: u16,
    /// The address of RTMP, if it is not that port of the host.
    pub public_rtmp: Option<&'a PublicUrl>,
    /// The address of HTTP-FLV and the page, if it is not that port of the host.
    pub public_http: Option<&'a PublicUrl>,
    /// The address of HLS, if it is not that port of the host.
    pub public_hls: Option<&'a PublicUrl>,
}

impl TokenCommand {
    /// Makes the token and the key. Returns what is to be printed.
    pub fn run(&self, secret: &Secret, addresses: &Addresses<'_>) -> Result<String, String> {
        let expires_unix_s = unix_s() + u64::from(self.hours) * 3600;
        let action = self.action.action();
        let request = TokenRequest {
            room: &self.room,
            actions: &[action],
            expires_unix_s,
            subject: self.sub.as_deref(),
            token_id: self.jti.as_deref(),
            connections_max: self.max,
        };
        let token = make_token(secret, &request).ok_or("the token could not be signed")?;
        let mut lines = vec![format!("token  {token}")];
        let credential = match (&self.room, action) {
            (RoomPattern::Exact(room), Action::Publish | Action::Play) => {
                let key = SignedKey::make(secret, action, room, expires_unix_s);
                lines.push(format!("key    {key}"));
                self.addresses(room.as_str(), &format!("key={key}"), addresses)
            }
            (RoomPattern::Prefix(prefix), Action::Publish | Action::Play) => {
                self.addresses(&format!("{prefix}ROOM"), &format!("token={token}"), addresses)
            }
            (_, _) => Vec::new(),
        };
        lines.extend(credential);
        Ok(lines.join("\n"))
    }

    fn addresses(&self, room: &str, credential: &str, addresses: &Addresses<'_>) -> Vec<String> {
        let (app, host) = (addresses.app, &self.host);
        let address = |public: Option<&PublicUrl>, scheme: &str, port: u16| {
            public.map_or_else(|| format!("{scheme}://{host}:{port}"), ToString::to_string)
        };
        let rtmp = address(addresses.public_rtmp, "rtmp", addresses.rtmp);
        let http = address(addresses.public_http, "http", addresses.httpflv);
        let hls = address(addresses.public_hls, "http", addresses.hls);
        match self.action {
            TokenAction::Publish => vec![
                format!("ffmpeg {rtmp}/{app}/{room}?{credential}"),
                format!("OBS    server {rtmp}/{app}, stream key {room}?{credential}"),
            ],
            _ => vec![
                format!("page   {http}/watch/{room}#{credential}"),
                format!("flv    {http}/{room}.flv?{credential}"),
                format!("hls    {hls}/{app}/{room}/index.m3u8?{credential}"),
                format!("rtmp   {rtmp}/{app}/{room}?{credential}"),
            ],
        }
    }
}

impl TokenAction {
    fn action(self) -> Action {
        match self {
            Self::Publish => Action::Publish,
            Self::Play => Action::Play,
            Self::List => Action::List,
            Self::Admin => Action::Admin,
        }
    }
}

fn parse_pattern(text: &str) -> Result<RoomPattern, RoomPatternError> {
    RoomPattern::parse(text)
}

#[allow(clippy::disallowed_methods, reason = "a token's end is the wall clock's")]
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Command, Config};

    const ADDRESSES: Addresses<'_> = Addresses {
        app: "live",
        rtmp: 1935,
        httpflv: 8080,
        hls: 8081,
        public_rtmp: None,
        public_http: None,
        public_hls: None,
    };

    fn run(args: &[&str]) -> String {
        let config = Config::try_parse_from([&["synctv-stream", "token"], args].concat()).unwrap();
        let Some(Command::Token(command)) = config.command else { panic!("no command") };
        command.run(&Secret::new(&[b's'; 32]).unwrap(), &ADDRESSES).unwrap()
    }

    #[test]
    fn a_room_gets_both_forms_and_the_addresses_to_paste() {
        let printed = run(&["--room", "r", "--do", "publish", "--hours", "1"]);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].starts_with("token  ey"), "{printed}");
        let key = lines[1].strip_prefix("key    ").unwrap();
        assert_eq!(key.len(), 33);
        assert_eq!(lines[2], format!("ffmpeg rtmp://localhost:1935/live/r?key={key}"));
        assert_eq!(lines[3], format!("OBS    server rtmp://localhost:1935/live, stream key r?key={key}"));
        let printed = run(&["--room", "r", "--host", "tv.example"]);
        assert!(printed.contains("page   http://tv.example:8080/watch/r#key="), "{printed}");
        assert!(printed.contains("hls    http://tv.example:8081/live/r/index.m3u8?key="), "{printed}");
    }

    #[test]
    fn addresses_that_are_set_take_the_place_of_the_ports() {
        let config = Config::try_parse_from(["synctv-stream", "token", "--room", "r"]).unwrap();
        let Some(Command::Token(command)) = config.command else { panic!("no command") };
        let (rtmp, http) = (PublicUrl::rtmp("rtmps://tv.example"), PublicUrl::http("https://tv.example/a"));
        let (rtmp, http) = (rtmp.unwrap(), http.unwrap());
        let addresses = Addresses {
            public_rtmp: Some(&rtmp),
            public_http: Some(&http),
            public_hls: Some(&http),
            ..ADDRESSES
        };
        let printed = command.run(&Secret::new(&[b's'; 32]).unwrap(), &addresses).unwrap();
        for line in [
            "page   https://tv.example/a/watch/r#key=",
            "hls    https://tv.example/a/live/r/index.m3u8?key=",
            "rtmp   rtmps://tv.example/live/r?key=",
        ] {
            assert!(printed.contains(line), "{printed}");
        }
    }

    #[test]
    fn keys_are_for_one_room_so_several_get_a_token() {
        let printed = run(&["--room", "a*"]);
        assert!(!printed.contains("key"), "{printed}");
        assert!(printed.contains("/watch/aROOM#token=ey"), "{printed}");
    }

    #[test]
    fn what_is_no_address_gets_a_token_alone() {
        assert_eq!(run(&["--room", "*", "--do", "admin"]).lines().count(), 1);
    }
}
