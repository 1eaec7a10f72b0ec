//! Settings that cannot work end the start with their names.

use synctv_testkit::{process::run_to_end, server::program};

#[test]
fn by_name_and_without_the_token() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "short-token").unwrap();
    let path = file.path().display().to_string();
    for (flags, name) in [
        (vec!["--metrics-addr", "nowhere"], "METRICS_ADDR"),
        (vec!["--metrics-token", "short-token"], "METRICS_TOKEN"),
        (vec!["--metrics-token-file", &path], "METRICS_TOKEN"),
        (vec!["--metrics-token-file", "/nowhere/at/all"], "METRICS_TOKEN_FILE"),
        (vec!["--metrics-rooms", "1001"], "METRICS_ROOMS"),
    ] {
        let mut command = program();
        command.args(&flags);
        let ended = run_to_end(command);
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(name) && !ended.stderr.contains("short-token"), "{}", ended.stderr);
    }
}
