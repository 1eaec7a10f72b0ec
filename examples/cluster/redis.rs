//! A redis-server of the example's own.

use std::{
    error::Error,
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{ExitCode, Stdio},
    thread,
};

use tokio::{
    io::{BufReader, Lines},
    process::{ChildStdout, Command},
    sync::oneshot,
};

use crate::process::{Process, Role};

const PROGRAM: &str = "redis-server";

/// The port of the role.
const PORT: &str = "CLUSTER_EXAMPLE_REDIS_PORT";

/// The log's file in its directory.
const LOG: &str = "redis-server.log";

/// The end of the line that it logs once it serves; the words before differ between versions.
const READY: &str = "eady to accept connections";

/// Starts one that keeps nothing on a disk, and waits until it serves. Gives its URL.
pub async fn start(directory: &Path, verbose: bool) -> Result<(Process, String), Box<dyn Error>> {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status().await;
    version.map_err(explain)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let settings = [(PORT, port.to_string())];
    let settings = settings.iter().map(|(name, value)| (*name, OsStr::new(value)));
    let mut process = Process::start("redis", Role::Redis, settings, directory, verbose)?;
    let mut lines = process.stdout().ok_or("redis has no output")?;
    let mut log = File::create(directory.join(LOG))?;
    let mut written = String::new();
    while let Some(line) = lines.next_line().await? {
        writeln!(log, "{line}")?;
        if line.contains(READY) {
            tokio::spawn(async move { while keep_line(&mut lines, &mut log).await {} });
            return Ok((process, format!("redis://127.0.0.1:{port}")));
        }
        written.push_str(&line);
        written.push('\n');
    }
    Err(format!("{}\n{written}", process.ended().await).into())
}

/// Writes its next line to the log. Read on, or it would wait for room in the pipe.
async fn keep_line(lines: &mut Lines<BufReader<ChildStdout>>, log: &mut File) -> bool {
    let line = lines.next_line().await;
    line.is_ok_and(|line| line.is_some_and(|line| writeln!(log, "{line}").is_ok()))
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

/// The role: keeps a redis-server until stdin ends.
#[tokio::main(flavor = "current_thread")]
pub async fn keep() -> ExitCode {
    let port = std::env::var(PORT).unwrap_or_default();
    let mut command = Command::new(PROGRAM);
    command.args(["--bind", "127.0.0.1", "--port", &port]);
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
