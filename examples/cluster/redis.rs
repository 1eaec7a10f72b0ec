//! A redis-server of the example's own.

use std::{
    error::Error,
    ffi::OsStr,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{ExitCode, Stdio},
    thread,
    time::Duration,
};

use tokio::{process::Command, sync::oneshot, time};

use crate::process::{Process, Role};

const PROGRAM: &str = "redis-server";

/// Tells the role its port.
const PORT: &str = "CLUSTER_EXAMPLE_REDIS_PORT";

/// Where it writes its log, in its directory.
const LOG: &str = "redis-server.log";

/// What it logs once it serves, after words that differ between versions.
const READY: &str = "eady to accept connections";

/// How often to look into its log.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Starts one that keeps nothing on a disk, and waits until it serves. Gives its URL.
pub async fn start(directory: &Path, verbose: bool) -> Result<(Process, String), Box<dyn Error>> {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status().await;
    version.map_err(explain)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let settings = [(PORT, port.to_string())];
    let settings = settings.iter().map(|(name, value)| (*name, OsStr::new(value)));
    let mut process = Process::start("redis", Role::Redis, settings, directory, verbose)?;
    let log = directory.join(LOG);
    tokio::select! {
        () = logged(&log, READY) => Ok((process, format!("redis://127.0.0.1:{port}"))),
        error = process.ended() => {
            // Without a log there is nothing to add.
            let log = fs::read_to_string(&log).unwrap_or_default();
            Err(format!("{error}\n{log}").into())
        }
    }
}

/// Most who lack it have yet to install it.
fn explain(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{PROGRAM} is not installed: get it with `apt-get install redis-server` or `brew install redis`, \
             or name a Redis that runs with --redis-url redis://HOST:PORT"
        ),
        _ => format!("{PROGRAM}: {error}"),
    }
}

async fn logged(path: &Path, words: &str) {
    while !fs::read_to_string(path).is_ok_and(|log| log.contains(words)) {
        time::sleep(LOOK_INTERVAL).await;
    }
}

/// The role: keeps a redis-server until stdin ends.
#[tokio::main(flavor = "current_thread")]
pub async fn keep() -> ExitCode {
    let port = std::env::var(PORT).unwrap_or_default();
    let mut command = Command::new(PROGRAM);
    command.args(["--bind", "127.0.0.1", "--port", &port, "--logfile", LOG]);
    command.args(["--save", "", "--appendonly", "no"]).stdin(Stdio::null()).kill_on_drop(true);
    let (ended, stdin_ended) = oneshot::channel::<()>();
    thread::spawn(move || {
        // However it ends.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        drop(ended);
    });
    let mut redis = match command.spawn() {
        Ok(redis) => redis,
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        // There is nothing to save.
        _ = stdin_ended => match redis.kill().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ = redis.wait() => ExitCode::FAILURE,
    }
}
