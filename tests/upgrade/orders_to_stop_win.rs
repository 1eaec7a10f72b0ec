//! SIGTERM ends a server that is about to be upgraded.

use std::{fs, thread, time::Duration};

use nix::sys::signal::Signal;

use crate::installed::Installed;

/// The signals that the server obeys.
const SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR2];

#[test]
fn while_the_next_program_checks_its_settings() {
    let installed = Installed::start(&[], &[]);
    installed.replace_with_script("sleep 60");
    installed.server.signal("USR2");
    installed.server.log.find("the upgrade starts", |line| line.text("msg") == "upgrade started");
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}

#[test]
fn right_behind_the_order_to_upgrade() {
    let installed = Installed::start(&[], &[]);
    installed.server.signal("USR2");
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}

#[test]
fn after_upgrades() {
    let mut installed = Installed::start(&[], &[]);
    installed.upgrade();
    installed.upgrade();
    installed.server.signal("TERM");
    assert_eq!(installed.server.wait_for_exit().code(), Some(0));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the moment of the second signal is what varies")]
fn at_any_moment() {
    for delay_ms in (0..40).step_by(4) {
        let installed = Installed::start(&[], &[]);
        installed.server.signal("USR2");
        thread::sleep(Duration::from_millis(delay_ms));
        installed.server.signal("TERM");
        assert_eq!(installed.server.wait_for_exit().code(), Some(0), "{delay_ms} ms behind the order");
    }
}

/// A signal that any other thread has taken could be lost with the program that is replaced.
#[test]
fn as_one_thread_takes_signals() {
    let mut installed = Installed::start(&[], &[]);
    for upgrades in 0..2 {
        assert_eq!(
            threads_that_take_signals(installed.server.id()),
            ["signals"],
            "after {upgrades} upgrades"
        );
        installed.upgrade();
    }
}

fn threads_that_take_signals(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let taking = statuses.filter(|status| {
        let blocked = u64::from_str_radix(field(status, "SigBlk"), 16).unwrap();
        SIGNALS.iter().any(|signal| blocked >> (*signal as i32 - 1) & 1 == 0)
    });
    taking.map(|status| field(&status, "Name").to_owned()).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}
