//! `cargo run --example cluster -- --rolling-restart` restarts three nodes one after the other. A publisher that takes reconnect
//! requests and the viewers of all nodes go on.

use std::process::{Command, Stdio};

use synctv_testkit::process::{Ended, example_binary, run_to_end};

/// Frames from one keyframe to the next. A viewer whose own node drains begins with the newest keyframe elsewhere.
const GOP_FRAMES: u64 = 100;

/// The number behind `before` in a line.
fn number_after(line: &str, before: &str) -> u64 {
    let rest = line.split_once(before).map(|(_, rest)| rest);
    let digits = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{before} in {line}"))
}

#[test]
fn every_viewer_sees_the_publisher_on_all_nodes() {
    let mut command = Command::new(example_binary("cluster"));
    command.env_remove("REDIS_URL").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(["--rolling-restart", "--encoder", "on-request", "--watch", "1s", "--keep-viewers-s", "2"]);
    command.args(["--gop-frames", &GOP_FRAMES.to_string()]);
    let Ended { code, stdout, stderr } = run_to_end(command);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    for node in ["n1", "n2", "n3"] {
        assert!(stdout.contains(&format!("{node} is back")), "{stdout}");
        let began = format!("the viewer that began at {node}: ");
        let seen = stdout.lines().find(|line| line.contains(&began)).expect("each viewer is reported on");
        assert!(number_after(seen, "frames over ") >= 2, "its own node drained: {seen}");
        assert!(number_after(seen, "connections, ") < GOP_FRAMES / 2, "{seen}");
    }
}
