//! HLS has threads of its own, of a lower priority than those that live media comes from: a frame does not wait until a
//! thousand players have their segments.

use std::{
    fs,
    path::{Path, PathBuf},
};

use synctv_testkit::{server::TestServer, wait::poll_until};

/// The niceness of a thread: the 19th field of proc_pid_stat(5), counted from the name, which may contain spaces.
fn niceness(thread: &Path) -> Option<i32> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_whitespace().nth(16)?.parse().ok()
}

/// The difference in niceness between each of its threads and the process.
fn nicer_by(server: &TestServer) -> Vec<i32> {
    let process = PathBuf::from(format!("/proc/{}", server.id()));
    let usual = niceness(&process).expect("it runs");
    let threads = fs::read_dir(process.join("task")).expect("it runs");
    threads.filter_map(|thread| Some(niceness(&thread.ok()?.path())? - usual)).collect()
}

#[test]
fn threads_of_hls_have_a_lower_priority_than_all_others() {
    let server = TestServer::with_hls(&["--workers", "3"]);
    // Others that read files for them would be as nice.
    let nicer = || nicer_by(&server).iter().filter(|by| **by > 0).count();
    poll_until("the threads of HLS", || (nicer() >= 3).then_some(()));
    let without = TestServer::start(&["--workers", "3"]);
    assert!(nicer_by(&without).iter().all(|by| *by == 0), "{:?}", nicer_by(&without));
}
