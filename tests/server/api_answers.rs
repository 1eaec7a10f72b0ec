//! The API lists what is live, and its answers fit its own description.

use serde_json::{Value, json};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{Response, request},
    rtmp::RtmpPeer,
    server::TestServer,
    wait::poll_until,
};

const ADMIN_TOKEN: &str = "an administrator of the tests, 32 bytes";

fn get(server: &TestServer, path: &str) -> Response {
    request(server.http, "GET", path)
}

/// Gets an answer, which has to fit its schema in the description.
fn answer(server: &TestServer, path: &str, status: u16, schema: &str) -> Value {
    let response = get(server, path);
    assert_fits(server, &response, status, schema)
}

/// Returns an answer's value, which has to fit its schema in the description.
fn assert_fits(server: &TestServer, response: &Response, status: u16, schema: &str) -> Value {
    assert_eq!(response.status, status, "{schema}: {}", response.text());
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("access-control-allow-origin"), "*");
    let value = parsed(response);
    let description = parsed(&get(server, "/api/openapi.json"));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{schema}"),
        "components": description["components"],
    });
    let validator = jsonschema::validator_for(&schema).expect("the description's schemas are valid");
    let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{schema}: {errors:?} in {value}");
    value
}

fn parsed(response: &Response) -> Value {
    response.json()
}

/// Publishes a stream that has reached a viewer.
fn publish(server: &TestServer, room: &str) -> RtmpPeer {
    let mut publisher = RtmpPeer::publish(server, room);
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::audio(0, 1)]);
    FlvViewer::open(server, room).frames_until(&frames::keyframe(0, 0));
    server.wait_for_viewer_leaving(room, "http-flv");
    publisher
}

#[test]
fn an_idle_server_has_no_rooms_and_says_where_it_is() {
    let server = TestServer::start(&["--node-id", "n7", "--rtmp-app", "tv"]);
    let streams = answer(&server, "/api/v1/streams", 200, "Streams");
    assert_eq!(streams, json!({ "complete": true, "streams": [] }));
    let about = answer(&server, "/api/v1/server", 200, "Server");
    assert_eq!(about["node"], "n7");
    assert_eq!(about["app"], "tv");
    assert_eq!(about["rtmp_port"], server.rtmp.port());
    assert_eq!(about["hls_port"], Value::Null, "HLS is off");
    assert_eq!(about["webrtc"], false);
}

#[test]
fn nodes_report_their_rooms_to_those_who_may_know() {
    let server = TestServer::start(&["--node-id", "n7"]);
    let _publisher = publish(&server, "r");
    let node = answer(&server, "/api/v1/nodes/this", 200, "Node");
    assert_eq!((&node["node"], &node["status"]), (&json!("n7"), &json!("ready")));
    assert_eq!((&node["rooms"][0]["room"], &node["rooms"][0]["is_live"]), (&json!("r"), &json!(true)));
    let nodes = answer(&server, "/api/v1/nodes", 200, "Nodes");
    assert_eq!(nodes["nodes"][0]["node"], "n7");
    assert_eq!(node["rooms"][0].get("address"), None, "anyone may read this");
    let closed = TestServer::start(&["--admin-token", ADMIN_TOKEN]);
    let publisher = publish(&closed, "r");
    let authorization = [("Authorization", &*format!("Bearer {ADMIN_TOKEN}"))];
    let report = synctv_testkit::http::request_with(closed.http, "GET", "/api/v1/nodes", &authorization);
    let report = assert_fits(&closed, &report, 200, "Nodes");
    assert_eq!(report["nodes"][0]["rooms"][0]["address"], publisher.address().to_string());
    for path in ["/api/v1/nodes", "/api/v1/nodes/this"] {
        assert_eq!(get(&closed, path).status, 401, "{path}");
        let pretends = [("Synctv-Pull", "n1 1 00")];
        let answer = synctv_testkit::http::request_with(closed.http, "GET", path, &pretends);
        assert!(matches!(answer.status, 401 | 403), "{path}: {}", answer.status);
    }
}

#[test]
fn a_live_room_is_listed_with_its_codecs_and_its_viewers() {
    let server = TestServer::start(&["--node-id", "n7"]);
    let _publisher = publish(&server, "r");
    let mut viewer = FlvViewer::open(&server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    let stream = answer(&server, "/api/v1/streams/r", 200, "Stream");
    assert_eq!(
        (&stream["room"], &stream["state"], &stream["node"]),
        (&json!("r"), &json!("live"), &json!("n7"))
    );
    assert_eq!(stream["details"]["video"]["codec"], "H.264");
    assert_eq!(stream["details"]["audio"]["codec"], "AAC");
    assert_eq!(stream["details"]["viewers"], 1);
    assert_eq!(answer(&server, "/api/v1/streams", 200, "Streams")["streams"], json!([stream]));
    assert_eq!(answer(&server, "/api/streams?room=r", 200, "Streams")["streams"], json!([stream]));
}

#[test]
fn rooms_are_in_the_order_of_their_names() {
    let server = TestServer::start(&[]);
    let _publishers = ["b", "c", "a"].map(|room| publish(&server, room));
    let streams = answer(&server, "/api/streams", 200, "Streams");
    let rooms: Vec<_> =
        streams["streams"].as_array().expect("a list").iter().map(|room| &room["room"]).collect();
    assert_eq!(rooms, ["a", "b", "c"]);
}

#[test]
fn a_room_whose_publisher_left_is_interrupted() {
    let server = TestServer::start(&[]);
    drop(publish(&server, "r"));
    server.wait_for_publisher_leaving("r");
    // The log's line may be there a moment before the stream knows.
    let stream = poll_until("the stream is interrupted", || {
        Some(answer(&server, "/api/v1/streams/r", 200, "Stream"))
            .filter(|stream| stream["state"] == "interrupted")
    });
    assert_eq!(stream["details"]["video"], Value::Null);
}

#[test]
fn what_is_not_there_is_an_error_in_the_same_form() {
    let server = TestServer::start(&[]);
    assert_eq!(answer(&server, "/api/v1/streams/absent", 404, "Error")["error"], "room_not_live");
    assert_eq!(answer(&server, "/api/v1/streams/a%20b", 400, "Error")["error"], "bad_room_name");
    assert_eq!(answer(&server, "/api/v1/streams?room=a/b", 400, "Error")["error"], "bad_room_name");
    assert_eq!(answer(&server, "/api/v2/streams", 404, "Error")["error"], "not_found");
    assert_eq!(request(server.http, "DELETE", "/api/v1/streams/r").status, 405);
    let answer = answer(&server, "/api/v1/streams?room=absent", 200, "Streams");
    assert_eq!(answer["streams"], json!([]), "absence is no error to who asks for a list");
}

#[test]
fn every_path_that_is_described_is_there() {
    let server = TestServer::start(&[]);
    let _publisher = publish(&server, "r");
    let description = parsed(&get(&server, "/api/openapi.json"));
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let paths = description["paths"].as_object().expect("paths");
    // Those of HLS are on its own port, and have a test there.
    let of_this_port: Vec<_> = paths.iter().filter(|(_, path)| path["servers"].is_null()).collect();
    assert!(!of_this_port.is_empty());
    for (path, operations) in of_this_port {
        // Administration is absent without administrators.
        let expected = if operations["get"].is_null() { 404 } else { 200 };
        assert_eq!(get(&server, &path.replace("{room}", "r")).status, expected, "{path}");
    }
}
