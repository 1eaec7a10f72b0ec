//! Processes that this program starts: itself again, in another role.
//!
//! Each holds the end of a pipe whose other end is here, and ends when the pipe does. So none is left behind, whatever
//! this process dies of.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Says in a process that was started which role it has.
const ROLE: &str = "CLUSTER_EXAMPLE_ROLE";

/// Time limit for a process to end once it was asked to.
pub const END_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of the log that are shown of a process that ended by itself.
const LINES_SHOWN: usize = 8;

/// The purpose of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Serves, as the server's binary does.
    Node,
    /// Keeps a redis-server.
    Redis,
}

impl Role {
    /// The role of this process, if it was started for one.
    pub fn of_this_process() -> Option<Self> {
        let name = env::var_os(ROLE)?;
        [Self::Node, Self::Redis].into_iter().find(|role| name == role.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Redis => "redis",
        }
    }
}

/// A process in one of the roles. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Apart from the child, which closes its own as soon as it is waited for.
    lifeline: Option<ChildStdin>,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts this program again, in `directory`. Its log goes to a file there, or to stderr.
    pub fn start<'a>(
        name: &str,
        role: Role,
        settings: impl IntoIterator<Item = (&'a str, &'a OsStr)>,
        directory: &Path,
        verbose: bool,
    ) -> io::Result<Self> {
        let log = (!verbose).then(|| directory.join(format!("{name}.log")));
        let stderr = match &log {
            Some(path) => File::create(path)?.into(),
            None => Stdio::inherit(),
        };
        let mut command = Command::new(env::current_exe()?);
        command.env(ROLE, role.name()).envs(settings).current_dir(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        // Ctrl-C is for this process, which ends the others in its own time.
        command.process_group(0);
        let mut child = command.spawn()?;
        let lifeline = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, lifeline, log })
    }

    /// Takes its stdout; `None` if it was taken before.
    pub fn stdout(&mut self) -> Option<Lines<BufReader<ChildStdout>>> {
        Some(BufReader::new(self.child.stdout.take()?).lines())
    }

    /// Waits until it has ended by itself, and returns the reason as far as it is known.
    pub async fn ended(&mut self) -> Box<dyn Error> {
        match self.child.wait().await {
            Ok(status) => format!("{} has ended ({status}){}", self.name, self.last_words()).into(),
            Err(error) => format!("{}: {error}", self.name).into(),
        }
    }

    /// Kills it as a crash of the machine would: without a word.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Asks it to end.
    pub fn ask_to_end(&mut self) {
        self.lifeline = None;
    }

    /// Waits until it has ended, and not for ever. It was asked to end.
    pub async fn wait_for_end(&mut self) {
        if timeout(END_LIMIT, self.child.wait()).await.is_err() {
            eprintln!("cluster: {} does not end, and is killed", self.name);
            // It may have ended just now.
            let _ = self.child.kill().await;
        }
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = self.log.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let shown = lines.len().saturating_sub(LINES_SHOWN);
        lines[shown..].iter().map(|line| format!("\n    {line}")).collect()
    }
}
