//! A bad setting is named in one line, with its value, and ends the program with exit code 2; an address in use with 1.
//! A start says where to push and where to watch.

use std::net::TcpListener;

use synctv_testkit::{
    process::{Ended, run_to_end},
    server::program,
};

fn run(flags: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = program();
    command.args(flags).envs(environment.iter().copied());
    run_to_end(command)
}

/// Settings, each with a value that cannot be.
const BAD: [(&str, &str); 17] = [
    ("RTMP_ADDR", "nowhere"),
    ("HTTPFLV_ADDR", "0.0.0.0:99999"),
    ("RTMP_APP", "a/b"),
    ("NODE_ID", "two words"),
    ("ENABLE_GOP_CACHE", "perhaps"),
    ("MAX_GOPS", "0"),
    ("MAX_GOP_CACHE_SIZE_MB", "-1"),
    ("JOIN_WINDOW_MS", "1e9"),
    ("FLUSH_INTERVAL", "often"),
    ("PUBLISHER_GRACE_S", "forever"),
    ("PUBLISHER_TIMEOUT_S", "0"),
    ("VIEWER_QUEUE_MB", "0"),
    ("VIEWER_STALL_TIMEOUT_S", "0"),
    ("MAX_CONNECTIONS", "0"),
    ("MAX_ROOMS", "many"),
    ("MAX_MESSAGE_MB", "16"),
    ("HANDSHAKE_TIMEOUT_S", "0"),
];

fn assert_names(ended: &Ended, setting: &str, value: &str) {
    assert_eq!(ended.code, Some(2), "{setting}: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{setting}: {ended:?}");
    assert!(ended.stderr.contains(setting), "{setting}: {ended:?}");
    assert!(ended.stderr.contains(value), "{setting}: {ended:?}");
    assert_eq!(ended.stdout, "", "{setting}");
}

#[test]
fn a_bad_flag_is_named_with_its_value() {
    for (setting, value) in BAD {
        let flag = format!("--{}={value}", setting.to_lowercase().replace('_', "-"));
        assert_names(&run(&[&flag], &[]), setting, value);
    }
}

#[test]
fn a_bad_environment_variable_is_named_with_its_value() {
    for (setting, value) in BAD {
        assert_names(&run(&[], &[(setting, value)]), setting, value);
    }
}

#[test]
fn an_unknown_flag_is_named() {
    let ended = run(&["--max-goops", "3"], &[]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("--max-goops"), "{ended:?}");
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    for setting in ["RTMP_ADDR", "HTTPFLV_ADDR"] {
        let ended = run(&[], &[(setting, &address)]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(setting) && ended.stderr.contains(&address), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn help_has_every_setting_with_its_default_and_unit() {
    let ended = run(&["--help"], &[]);
    assert_eq!(ended.code, Some(0));
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for (setting, _) in BAD {
        let flag = format!("--{}", setting.to_lowercase().replace('_', "-"));
        assert!(text.contains(&flag) && text.contains(&format!("[env: {setting}=")), "{setting}");
    }
    for documented in ["[default: 0.0.0.0:1935]", "[default: 0.0.0.0:8080]", "[default: 100]"] {
        assert!(text.contains(documented), "{documented}");
    }
    for unit in ["in seconds", "in milliseconds", "in MiB", "in KiB"] {
        assert!(text.contains(unit), "{unit}");
    }
}

#[test]
fn the_version_is_printed() {
    let ended = run(&["--version"], &[]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout, format!("synctv-stream {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_flag_wins_over_its_environment_variable() {
    // Both are wrong: the one that is complained about is the one that counts.
    let ended = run(&["--max-gops=first"], &[("MAX_GOPS", "second")]);
    assert!(ended.stderr.contains("first") && !ended.stderr.contains("second"), "{ended:?}");
}
