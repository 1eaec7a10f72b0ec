//! The program that an upgrade runs: the file that this process was started from, whatever is in it by now.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    io,
    os::{fd::BorrowedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{errno::Errno, unistd};
use rustix::stdio;
use thiserror::Error;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, Command},
    time::timeout,
};

/// Has a program check its settings and exit.
pub(crate) const CHECK_FLAG: &str = "--check";

/// Marks a program that has a handover at its stdin.
pub(crate) const HANDOVER_FLAG: &str = "--take-handover";

/// Time for a program to check its settings.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The most of a failed check's last words that is logged, in bytes.
const REASON_MAX_BYTES: usize = 500;

/// The command line of this process, from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// The reason a program is not fit to take over.
#[derive(Debug, Error)]
pub(super) enum Unfit {
    /// It cannot be run.
    #[error("it cannot be run: {0}")]
    Start(io::Error),
    /// It does not come to an end.
    #[error("{CHECK_FLAG} took more than {} s", CHECK_TIMEOUT.as_secs())]
    Slow,
    /// It says no.
    #[error("{CHECK_FLAG} ended with {status}: {reason}")]
    Failed {
        /// Its exit code, or the signal that ended it.
        status: std::process::ExitStatus,
        /// The end of what it wrote to stderr.
        reason: String,
    },
}

impl Program {
    /// The program as it was started. To be called at the start: a relative path means another file after a change of
    /// directory. The system's own link, `/proc/self/exe`, names the old file for ever and would not find a new one.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let path = match find(&name, env::var_os("PATH").as_deref()) {
            Some(path) => std::path::absolute(path)?,
            None => env::current_exe()?,
        };
        Ok(Self { path, arguments: arguments.filter(|argument| argument != HANDOVER_FLAG).collect() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has the file that is there now check the settings of this process.
    pub(super) async fn check(&self) -> Result<(), Unfit> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).arg(CHECK_FLAG).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Unfit::Start)?;
        let words = last_words(child.stderr.take());
        let ended = async { futures::join!(child.wait(), words) };
        let (status, words) = timeout(CHECK_TIMEOUT, ended).await.map_err(|_| Unfit::Slow)?;
        let status = status.map_err(Unfit::Start)?;
        if status.success() {
            return Ok(());
        }
        Err(Unfit::Failed { status, reason: String::from_utf8_lossy(&words).trim().to_owned() })
    }

    /// Replaces this program with the one in the file, which gets `handover` as its stdin. Returns only the reason for
    /// which that failed; nothing has changed then but that stdin is closed.
    ///
    /// Not the standard library's `exec`: when that fails, it has made a write to a closed socket end the process.
    pub(super) fn replace_this(&self, handover: BorrowedFd<'_>) -> io::Error {
        match self.try_replace(handover) {
            Ok(never) => match never {},
            Err(error) => {
                close_stdin();
                error
            }
        }
    }

    fn try_replace(&self, handover: BorrowedFd<'_>) -> io::Result<std::convert::Infallible> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let path = text(self.path.as_os_str())?;
        let arguments = self.arguments.iter().map(OsString::as_os_str);
        let all = [self.path.as_os_str()].into_iter().chain(arguments).chain([OsStr::new(HANDOVER_FLAG)]);
        let all = all.map(text).collect::<io::Result<Vec<_>>>()?;
        stdio::dup2_stdin(handover)?;
        unistd::execv(&path, &all).map_err(|error: Errno| error.into())
    }
}

/// Reads what a program writes, and returns the end of it.
async fn last_words(stderr: Option<ChildStderr>) -> Vec<u8> {
    let (mut words, mut bytes) = (Vec::new(), [0; 4096]);
    let Some(mut stderr) = stderr else { return words };
    // An error is an end as well.
    while let Ok(read_bytes @ 1..) = stderr.read(&mut bytes).await {
        words.extend_from_slice(bytes.get(..read_bytes).unwrap_or_default());
        words.drain(..words.len().saturating_sub(REASON_MAX_BYTES));
    }
    words
}

/// Leaves nothing of a handover at stdin.
pub(super) fn close_stdin() {
    if let Ok(nothing) = std::fs::File::open("/dev/null") {
        // Stdin is not read.
        let _ = stdio::dup2_stdin(nothing);
    }
}

/// The file that a shell runs for `name`.
fn find(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    if name.is_empty() {
        return None;
    }
    let mut candidates = env::split_paths(path?).map(|directory| directory.join(name));
    candidates
        .find(|candidate| unistd::access(candidate, unistd::AccessFlags::X_OK).is_ok() && candidate.is_file())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    };

    use super::*;

    /// A program that is this script.
    fn script(directory: &Path, text: &str) -> Program {
        let path = directory.join("program");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program { path, arguments: vec!["--workers".into(), "2".into()] }
    }

    #[actix_rt::test]
    async fn a_program_is_asked_with_its_own_arguments() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), r#"[ "$*" = "--workers 2 --check" ]"#);
        program.check().await.unwrap();
    }

    #[actix_rt::test]
    async fn a_program_that_refuses_is_unfit_and_the_reason_is_what_it_says() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), "echo 'no such certificate' >&2; exit 2");
        let unfit = program.check().await.unwrap_err().to_string();
        assert!(unfit.contains("exit status: 2") && unfit.ends_with("no such certificate"), "{unfit}");
        let killed = script(directory.path(), "kill -9 $$").check().await.unwrap_err().to_string();
        assert!(killed.contains("signal: 9"), "{killed}");
        let many_words = script(directory.path(), "seq 100000 >&2; exit 1").check().await.unwrap_err();
        assert!(
            matches!(many_words, Unfit::Failed { reason, .. } if reason.ends_with("100000") && reason.len() <= REASON_MAX_BYTES)
        );
        let garbage = directory.path().join("garbage");
        fs::write(&garbage, "no program").unwrap();
        let garbage = Program { path: garbage, arguments: Vec::new() };
        assert!(matches!(garbage.check().await, Err(Unfit::Start(_))));
    }

    #[test]
    fn a_file_that_cannot_be_run_is_an_error_and_nothing_more() {
        let directory = tempfile::tempdir().unwrap();
        let nothing = Program { path: directory.path().join("none"), arguments: Vec::new() };
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let error = nothing.replace_this(std::os::fd::AsFd::as_fd(&end));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_file_is_what_a_shell_would_run() {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), "exit 0").path;
        let path = OsString::from_vec([b"/nowhere:", directory.path().as_os_str().as_bytes()].concat());
        assert_eq!(find(OsStr::new("program"), Some(&path)), Some(program));
        assert_eq!(find(OsStr::new("./program"), Some(&path)), Some(PathBuf::from("./program")));
        assert_eq!(find(OsStr::new("absent"), Some(&path)), None);
    }
}
