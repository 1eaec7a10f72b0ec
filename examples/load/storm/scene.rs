//! The servers of a storm.

use std::{error::Error, path::Path, sync::Arc};

use synctv_testkit::{
    redis::Redis,
    tls::{KeyKind, TestAuthority},
};

use super::kind::{Kind, Storm};
use crate::{args::Args, compare, server::Server};

/// The video of a hundred rooms leaves the machine to the storm, in kbit/s.
const KBPS_OF_MANY: u32 = 300;

/// The servers that a storm needs; they are killed when this is dropped.
pub struct Scene {
    _server: Server,
    /// A node of the same cluster, which the storm kills.
    pub doomed: Option<Server>,
    _redis: Option<Redis>,
    /// The load, on the server.
    pub args: Args,
}

impl Scene {
    /// Starts them.
    pub fn start(server: &Path, storm: Storm, args: &Args) -> Result<Self, Box<dyn Error>> {
        let kind = storm.kind;
        let authority = (kind == Kind::Tls).then(|| Arc::new(TestAuthority::with_key(KeyKind::Rsa)));
        let mut args = Args {
            publishers: storm.rooms(),
            kbps: if storm.rooms() > 1 { KBPS_OF_MANY } else { args.kbps },
            tls: authority.is_some(),
            authority,
            opus: kind == Kind::Whep,
            ..args.clone()
        };
        let mut flags = compare::flags("frame", &args);
        if matches!(kind, Kind::Hls | Kind::Absent) {
            flags.retain(|flag| !matches!(flag.as_str(), "--hls" | "off"));
        }
        if kind == Kind::Whep {
            flags.extend(["--rtc-addr", "127.0.0.1:0"].map(ToOwned::to_owned));
        }
        let redis = matches!(kind, Kind::Publishers | Kind::Absent).then(|| Redis::start(&[]));
        if let Some(redis) = &redis {
            flags.extend(["--redis-url".to_owned(), redis.url()]);
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let doomed = (kind == Kind::Publishers).then(|| Server::start(server, &flags)).transpose()?;
        let server = Server::start(server, &flags)?;
        args = server.args(args);
        Ok(Self { _server: server, doomed, _redis: redis, args })
    }
}
