//! No secret, token, key or query is in a log, an answer or the help, whatever went wrong with it.

use serde_json::json;
use synctv_media::access::Action;
use synctv_testkit::{
    http::{request, request_with},
    process::run_to_end,
    server::{TestServer, program},
    service::Service,
};

use crate::{ADMIN_TOKEN, SECRET, administer, key, publish, token};

const CLUSTER: &str = "the cluster of the tests which has 32 bytes or more";

#[test]
fn nothing_is_logged_of_what_was_presented() {
    let receiver = Service::start(|_| Some((500, String::new())));
    let url = receiver.url();
    let flags = [
        "--token-secret",
        SECRET,
        "--admin-token",
        ADMIN_TOKEN,
        "--cluster-secret",
        CLUSTER,
        "--auth-url",
        &url,
        "--events-url",
        &url,
        "--token-jwks-url",
        &url,
    ];
    let mut command = program();
    command.env("RUST_LOG", "debug").args(flags);
    let server = TestServer::of(command);
    let good = token("r", "publish", json!({ "jti": "a-name", "sub": "a-subject" }));
    let expired = token("r", "play", json!({ "exp": 7 }));
    let (publishing, playing) = (key("r", Action::Publish), key("r", Action::Play));
    let _publisher = publish(&server, &format!("r?token={good}")).expect("it is valid");
    let _ = publish(&server, &format!("r?token={expired}&x=query-of-mine"));
    let _ = publish(&server, &format!("r&token={expired}"));
    let _ = publish(&server, &format!("r?key={publishing}"));
    for query in [format!("token={expired}"), format!("key={playing}"), "key=nonsense-of-mine".to_owned()] {
        request(server.http, "HEAD", &format!("/r.flv?{query}"));
        request(server.http, "GET", &format!("/api/v1/streams/r?{query}"));
        request(server.http, "GET", &format!("/nothing?{query}"));
    }
    for authorization in ["Bearer a-bearer-of-mine", &format!("Bearer {expired}")] {
        request_with(server.http, "GET", "/r.flv", &[("Authorization", authorization)]);
        request_with(server.http, "GET", "/r.flv", &[("Synctv-Pull", "a-node-of-mine;1;x")]);
    }
    assert_eq!(administer(&server, "DELETE", "/api/v1/streams/r/publisher").status, 204);
    server.wait_for_publisher_leaving("r");
    let log = server.log.lines().join("\n");
    let signatures = [&good, &expired].map(|token| token.rsplit('.').next().unwrap().to_owned());
    let macs = [&publishing, &playing].map(|key| key.split('.').nth(1).unwrap().to_owned());
    let said =
        ["query-of-mine", "nonsense-of-mine", "a-bearer-of-mine", "a-node-of-mine", "with=a-query", "a/path"];
    let secrets = [SECRET, ADMIN_TOKEN, CLUSTER].into_iter().chain(said);
    for secret in secrets.chain(signatures.iter().map(String::as_str)).chain(macs.iter().map(String::as_str))
    {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn settings_are_not_in_the_help_or_in_errors() {
    let secrets = [
        "TOKEN_SECRET",
        "ADMIN_TOKEN",
        "CLUSTER_SECRET",
        "TOKEN_JWKS_URL",
        "AUTH_URL",
        "EVENTS_URL",
        "RTC_ICE_SERVERS",
    ];
    let mut help = program();
    help.arg("--help").envs(secrets.map(|name| (name, "a-value-of-mine")));
    let ended = run_to_end(help);
    assert!(!ended.stdout.contains("a-value-of-mine") && ended.code == Some(0), "{ended:?}");
    for name in secrets {
        let mut command = program();
        command.env(name, "a-value-of-mine");
        let ended = run_to_end(command);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains(name) && !ended.stderr.contains("a-value-of-mine"), "{ended:?}");
    }
}
