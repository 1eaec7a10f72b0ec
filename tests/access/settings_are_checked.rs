//! Secrets may be in files; what contradicts itself ends the start with one line; a command makes tokens and keys.

use std::fs;

use synctv_testkit::{
    process::{Ended, run_to_end},
    server::{TestServer, program},
};

use crate::{SECRET, publish};

fn ended(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = program();
    command.envs(environment.iter().copied()).args(arguments);
    run_to_end(command)
}

#[test]
fn a_secret_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, missing) = (folder.path().join("secret"), folder.path().join("missing"));
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    let server = TestServer::start(&["--token-secret-file", path.to_str().unwrap()]);
    let made = ended(&[("TOKEN_SECRET", SECRET)], &["token", "--room", "r", "--do", "publish"]);
    let lines: Vec<&str> = made.stdout.lines().collect();
    for (line, name) in [(lines[0], "token"), (lines[1], "key")] {
        let credential = line.strip_prefix(name).unwrap().trim();
        publish(&server, &format!("r?{name}={credential}")).expect("it is valid").unpublish();
        server.wait_for_publisher_leaving("r");
    }
    let ended = ended(&[("TOKEN_SECRET_FILE", missing.to_str().unwrap())], &[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("TOKEN_SECRET_FILE="), "{ended:?}");
}

#[test]
fn contradictions_are_named() {
    for (environment, words) in [
        (&[("TOKEN_SECRET", "short")][..], "TOKEN_SECRET: a secret has 32 to 256 bytes, this one has 5"),
        (&[("PUBLISH_ACCESS", "closed")][..], "PUBLISH_ACCESS=closed needs TOKEN_SECRET"),
        (&[("PLAY_ACCESS", "perhaps")][..], "PLAY_ACCESS"),
        (&[("AUTH_TIMEOUT_MS", "0")][..], "AUTH_TIMEOUT_MS"),
        (
            &[("TOKEN_SECRET", SECRET), ("TOKEN_SECRET_FILE", "/x")][..],
            "TOKEN_SECRET and TOKEN_SECRET_FILE are both set",
        ),
    ] {
        let ended = ended(environment, &[]);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    let ended = ended(&[], &["token", "--room", "r"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("TOKEN_SECRET is not set"), "{ended:?}");
}
