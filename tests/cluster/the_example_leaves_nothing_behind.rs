//! `cargo run --example cluster` shows a failover, and however it ends, none of its processes is left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use synctv_testkit::{
    log_book::LogBook,
    process::{Ended, Process, example_binary, run_to_end},
    wait::poll_until,
};
use tempfile::TempDir;

/// The example, with a directory of its own to keep its directory in.
struct Example {
    command: Command,
    directory: TempDir,
}

impl Example {
    fn new(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(example_binary("cluster"));
        command.env_remove("REDIS_URL").env("LEASE_TTL_MS", "3000").env("TMPDIR", directory.path());
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, directory }
    }

    /// Starts it and waits until a node has taken the publisher.
    fn start(&mut self) -> Running {
        let mut process = Process::start(&mut self.command);
        let stdout = process.stdout();
        let is_published = |line: &str| line.ends_with("the publisher is at n1");
        stdout.find_text("the publisher", is_published).expect("the publisher is at n1");
        assert_eq!(processes_in(self.directory.path()).len(), 5, "three nodes, Redis and its keeper");
        Running { process, stdout }
    }

    fn run_to_end(&mut self) -> Ended {
        run_to_end(std::mem::replace(&mut self.command, Command::new(example_binary("cluster"))))
    }

    fn assert_no_process_is_left(&self) {
        assert_eq!(processes_in(self.directory.path()), [] as [PathBuf; 0]);
    }

    fn assert_no_file_is_left(&self) {
        let left = fs::read_dir(self.directory.path()).expect("it can be listed");
        assert_eq!(left.count(), 0);
    }
}

/// The example while it runs; it is killed when this is dropped.
struct Running {
    process: Process,
    stdout: LogBook,
}

/// The processes that work in a directory, which may be deleted.
fn processes_in(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").expect("Linux has it").filter_map(Result::ok).map(|entry| entry.path());
    // Those of others cannot be read, and some have just ended.
    all.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .collect()
}

#[test]
fn a_viewer_sees_a_gap_when_the_node_of_its_publisher_is_killed() {
    let mut example = Example::new(&["--kill-after", "3s", "--once"]);
    let Ended { code, stdout, stderr } = example.run_to_end();
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let gap = stdout.split_once("no frame came for ").and_then(|(_, rest)| rest.split_once(" s;"));
    let gap_s: f64 = gap.expect("it is measured").0.parse().expect("a number");
    // A third of the lease before it is the last moment of a renewal.
    assert!(gap_s > 0.5, "{stdout}");
    example.assert_no_process_is_left();
    example.assert_no_file_is_left();
}

#[test]
fn a_signal_ends_it_with_exit_code_0() {
    let mut example = Example::new(&[]);
    let mut running = example.start();
    for kind in ["page", "FLV", "HLS"] {
        let lines = running.stdout.lines();
        let urls = lines.iter().filter(|line| line.trim_start().starts_with(kind)).count();
        assert_eq!(urls, 2, "{kind} at the two others: {lines:?}");
    }
    running.process.signal("TERM");
    assert_eq!(running.process.wait_for_exit().code(), Some(0));
    example.assert_no_process_is_left();
    example.assert_no_file_is_left();
}

#[test]
fn its_own_death_ends_the_others() {
    let mut example = Example::new(&[]);
    drop(example.start());
    poll_until("all have ended", || processes_in(example.directory.path()).is_empty().then_some(()));
}

#[test]
fn a_node_that_does_not_start_ends_it_with_the_reason() {
    let mut example = Example::new(&[]);
    example.command.env("MAX_GOPS", "none");
    let ended = example.run_to_end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(["n1", "none", "--max-gops"].iter().all(|word| ended.stderr.contains(word)), "{ended:?}");
    example.assert_no_process_is_left();
    example.assert_no_file_is_left();
}

#[test]
fn without_redis_the_error_has_how_to_get_it() {
    let mut example = Example::new(&[]);
    example.command.env("PATH", example.directory.path());
    let ended = example.run_to_end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("apt-get install redis-server"), "{ended:?}");
    assert!(ended.stderr.contains("--redis-url"), "{ended:?}");
}

#[test]
fn a_password_of_redis_is_not_shown() {
    let mut example = Example::new(&["--redis-url", "http://:secret@somewhere"]);
    let ended = example.run_to_end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("REDIS_URL"), "{ended:?}");
    assert!(!format!("{ended:?}").contains("secret"), "{ended:?}");
}
