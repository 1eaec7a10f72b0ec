//! Other programs: started, signalled, waited for, and killed with the value that stands for them.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use crate::{log_book::LogBook, wait::PATIENCE};

/// A child process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program, which `make test` would have installed.
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().display().to_string();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{name} cannot be run ({error}); `make test` installs what the tests need")
        });
        Self { child, name }
    }

    /// Returns a log of its stdout, which has to be piped; only once.
    pub fn stdout(&mut self) -> LogBook {
        LogBook::of(self.child.stdout.take().expect("stdout is piped"))
    }

    /// Returns a log of its stderr, which has to be piped; only once.
    pub fn stderr(&mut self) -> LogBook {
        LogBook::of(self.child.stderr.take().expect("stderr is piped"))
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        send_signal(name, self.child.id());
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns how it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }

    /// Waits for its end, which has to be a good one.
    pub fn wait_for_success(mut self) {
        let status = self.wait_for_exit();
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Waits until it ends by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let (id, name) = (self.child.id(), &self.name);
        let (done, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| done.send(self.child.wait()));
            let status = ended.recv_timeout(PATIENCE);
            if status.is_err() {
                send_signal("KILL", id);
            }
            status
        })
        .unwrap_or_else(|_| panic!("{name} still runs after {PATIENCE:?}"))
        .expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn send_signal(name: &str, id: u32) {
    let kill = format!("kill -{name} {id}");
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.is_ok_and(|status| status.success()), "{kill}");
}

/// The output of a program that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// Runs a program, whose output is piped, to its end.
pub fn run_to_end(mut command: Command) -> Ended {
    let mut process =
        Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let code = process.wait_for_exit().code();
    let text = |log: LogBook| log.lines_to_the_end().join("\n");
    Ended { code, stdout: text(stdout), stderr: text(stderr) }
}

/// The server's binary, which Cargo builds before the tests of its package.
///
/// Cargo gives its path to those tests only, when it compiles them, so it is looked for beside the running test.
pub fn server_binary() -> PathBuf {
    existing(build_directory().join("synctv-stream"), "cargo test")
}

/// The binary of an example.
pub fn example_binary(name: &str) -> PathBuf {
    existing(build_directory().join("examples").join(name), &format!("cargo build --example {name}"))
}

/// A directory below the build's, for what tests make once and people may look at.
pub fn scratch_directory(name: &str) -> PathBuf {
    let target = build_directory();
    let target = target.parent().expect("a build directory lies in the target directory");
    let directory = target.join("tmp").join(name);
    std::fs::create_dir_all(&directory).expect("a directory for what the tests make");
    directory
}

/// The directory of the profile, such as `target/debug`, from the test's own path in its `deps`.
fn build_directory() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its path");
    let deps = test.parent().and_then(Path::parent);
    deps.expect("tests are built into a directory of their own").to_owned()
}

fn existing(path: PathBuf, built_by: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: `{built_by}` builds it", path.display());
    path
}
