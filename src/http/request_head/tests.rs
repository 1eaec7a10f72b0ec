use super::*;

fn request(head: &str) -> Request {
    match parse(head.as_bytes()) {
        Parsed::Request(request) => *request,
        other => panic!("{other:?}"),
    }
}

fn head(text: &str) -> RequestHead {
    let Parsed::Request(request) = parse(text.as_bytes()) else { panic!("{text:?} is no request") };
    RequestHead { bytes: text.as_bytes().into(), request: Some(*request) }
}

#[test]
fn a_head_is_complete_with_its_empty_line() {
    let text = "GET /room.flv?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    for end in 1..text.len() {
        assert_eq!(parse(&text.as_bytes()[..end]), Parsed::Partial);
        assert!(!has_end(&text.as_bytes()[..end], 0));
    }
    assert!((0..text.len()).all(|from| has_end(text.as_bytes(), from)));
    assert!(has_end(b"GET / HTTP/1.1\n\n", 15));
    let request = request(text);
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/room.flv"));
    assert_eq!((request.query.expose(), request.host.as_str()), ("x=1", "a"));
    assert!(request.is_http_1_1 && request.pull.is_none() && request.is_persistent);
    assert_eq!((request.size_bytes, request.upgrade), (text.len(), Upgrade::None));
}

#[test]
fn a_target_may_be_a_whole_url() {
    for (target, path) in [
        ("/room.flv?x=http://b/c", "/room.flv?x=http://b/c"),
        ("http://host:8080/room.flv?x=1", "/room.flv?x=1"),
        ("http://host", "/"),
        ("http://host?x=/room.flv", "/"),
        ("*", "*"),
    ] {
        assert_eq!(origin_form(target), path);
    }
}

#[test]
fn nodes_are_distinguished_from_viewers() {
    let pull = request("GET /room.flv HTTP/1.1\r\nHost: a\r\nsynctv-pull: n1\r\n\r\n").pull;
    assert_eq!(pull, Some(Confidential::new("n1")));
}

#[test]
fn headers_of_one_name_are_one_list() {
    let forwarded = |headers: &str| request(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).forwarded_for;
    assert_eq!(forwarded("Host: a\r\n"), None);
    let two = "X-Forwarded-For: 1.1.1.1\r\nHost: a\r\nX-FORWARDED-FOR: 10.0.0.1, 10.0.0.2\r\n";
    assert_eq!(forwarded(two).as_deref(), Some("1.1.1.1,10.0.0.1, 10.0.0.2"));
}

#[test]
fn credentials_are_read_and_never_shown() {
    let text = "GET /r.flv?token=Q HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: Bearer T\r\nUser-Agent: u\r\n\r\n";
    let request = request(text);
    assert_eq!(request.authorization.as_ref().unwrap().expose(), "Bearer T");
    assert_eq!((request.query.expose(), request.user_agent.as_deref()), ("token=Q", Some("u")));
    let shown = format!("{request:?}");
    assert!(!shown.contains("Bearer") && !shown.contains("token"), "{shown}");
}

#[test]
fn a_connection_persists_as_its_version_and_the_request_say() {
    for (version, headers, is_persistent) in [
        ("1.1", "", true),
        ("1.1", "Content-Length: 0\r\n", true),
        ("1.1", "Connection: Keep-Alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: TE, Close\r\n", false),
        ("1.1", "Content-Length: 3\r\n", false),
        ("1.1", "Content-Length: +0\r\n", false),
        ("1.1", "Content-Length: \r\n", false),
        ("1.1", "Content-Length: 0\r\nContent-Length: 0\r\n", false),
        ("1.1", "Transfer-Encoding: chunked\r\n", false),
        ("1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false),
        ("1.1", "Expect: 100-continue\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let text = format!("OPTIONS / HTTP/{version}\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(request(&text).is_persistent, is_persistent, "{text}");
    }
}

#[test]
fn what_follows_a_head_belongs_to_the_next_request() {
    let (first, behind) = head("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b").split();
    assert_eq!((&first[..], &behind[..]), (&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"[..], &b"GET /b"[..]));
}

#[test]
fn the_last_request_of_a_connection_says_so_and_nothing_follows_it() {
    let closing = "POST / HTTP/1.1\r\nConnection: close\r\n";
    for (headers, behind, expected, left_bytes) in [
        ("A: b\r\n\r\n", "GET /", "A: b\r\n\r\n", 0),
        ("\n", "", "\n", 0),
        ("Content-Length: 3\r\n\r\n", "x", "Content-Length: 3\r\n\r\nx", 2),
        ("Content-Length: 3\r\n\r\n", "abcGET /", "Content-Length: 3\r\n\r\nabc", 0),
        ("Transfer-Encoding: chunked\r\n\r\n", "0", "Transfer-Encoding: chunked\r\n\r\n0", u64::MAX),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}{behind}");
        let Last { front, left_bytes: left } = head(&text).into_last();
        assert_eq!(
            (&front[..], left),
            (format!("{closing}Host: a\r\n{expected}").as_bytes(), left_bytes),
            "{text}"
        );
        assert!(!request(std::str::from_utf8(&front).unwrap()).is_persistent);
    }
    let nonsense = RequestHead { bytes: b"\x16\x03\n\n"[..].into(), request: None };
    assert_eq!(nonsense.into_last().front, b"\x16\x03\n\n"[..]);
}

#[test]
fn what_is_no_http_1_is_left_to_the_framework() {
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"PRI * HTTP/2.0\r\n\r\n", b"HELLO\r\n\r\n"] {
        assert_eq!(parse(bytes), Parsed::Nonsense);
    }
}

#[test]
fn a_head_has_a_limit_of_bytes_and_of_headers() {
    let with_cookie =
        |size| format!("GET /r.flv HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", "a".repeat(size));
    let overhead = with_cookie(0).len();
    assert_eq!(request(&with_cookie(HEAD_MAX_BYTES - overhead)).size_bytes, HEAD_MAX_BYTES);
    assert_eq!(parse(with_cookie(HEAD_MAX_BYTES - overhead + 1).as_bytes()), Parsed::TooLarge);
    assert_eq!(parse(&[b"GET /", &[b'a'; HEAD_MAX_BYTES][..]].concat()), Parsed::TooLarge);
    let with_headers =
        |count| format!("GET /r.flv HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert!(request(&with_headers(HEADERS_MAX)).is_http_1_1);
    assert_eq!(parse(with_headers(HEADERS_MAX + 1).as_bytes()), Parsed::TooLarge);
}

#[test]
fn a_request_names_one_host() {
    for (version, hosts, host) in [
        ("1.1", &["a"][..], Some("a")),
        ("1.1", &["tv.example:8080"], Some("tv.example:8080")),
        ("1.1", &["[::1]:80"], Some("[::1]:80")),
        ("1.1", &["my_host"], Some("my_host")),
        ("1.1", &[""], Some("")),
        ("1.1", &[], None),
        ("1.1", &["a", "b"], None),
        ("1.1", &["a", "a"], None),
        ("1.1", &["a b"], None),
        ("1.1", &["a/b"], None),
        ("1.1", &["me@a"], None),
        ("1.0", &[], Some("")),
        ("1.0", &["a"], Some("a")),
        ("1.0", &["a", "b"], None),
    ] {
        let hosts: String = hosts.iter().map(|host| format!("HOST: {host}\r\n")).collect();
        let text = format!("GET / HTTP/{version}\r\n{hosts}A: b\r\n\r\n");
        match (parse(text.as_bytes()), host) {
            (Parsed::Request(request), Some(host)) => assert_eq!(request.host, host, "{text}"),
            (parsed, _) => assert_eq!((parsed, host), (Parsed::Host, None), "{text}"),
        }
    }
}
