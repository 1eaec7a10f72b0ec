//! FFmpeg carries credentials in both places, prints why it is refused, and a token that it cuts is named as such.

use std::process::Command;

use serde_json::json;
use synctv_media::access::Action;
use synctv_testkit::{
    server::TestServer,
    tools::{CLIP, ffmpeg, run},
};

use crate::{closed, key, token};

fn push(server: &TestServer, app_query: &str, stream_name: &str) -> Command {
    let url = format!("rtmp://{}/live{app_query}/{stream_name}", server.rtmp);
    let mut command = ffmpeg();
    command.args(["-i", CLIP, "-t", "1", "-c", "copy", "-f", "flv", &url]);
    command
}

fn refused(server: &TestServer, stream_name: &str) -> String {
    let output = push(server, "", stream_name).output().expect("ffmpeg runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_token_goes_with_the_stream_name_or_the_app() {
    let server = closed(&[]);
    let good = token("r", "publish", json!({}));
    for (app_query, stream_name) in [
        (String::new(), format!("r?token={good}")),
        (format!("?token={good}"), "r".to_owned()),
        (String::new(), format!("r?key={}", key("r", Action::Publish))),
    ] {
        run(&mut push(&server, &app_query, &stream_name));
    }
}

#[test]
fn a_refusal_is_printed() {
    let server = closed(&[]);
    assert!(refused(&server, "r").contains("a token is needed"));
    let expired = token("r", "publish", json!({ "exp": 7 }));
    assert!(refused(&server, &format!("r?token={expired}")).contains("the token has expired"));
}

#[test]
fn a_token_that_was_cut_is_named_as_such() {
    let server = closed(&[]);
    let long = token("r", "publish", json!({ "name": "x".repeat(1500) }));
    let stderr = refused(&server, &format!("r?token={long}"));
    assert!(stderr.contains("cut by the encoder"), "{stderr}");
}
