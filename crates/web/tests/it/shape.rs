//! What requests may look like.

use mambafleet_web::{Hosts, Limits, Policy};

use crate::support::Fixture;

#[test]
fn what_is_asked_for_comes() {
    let site = Fixture::new();
    let answer = site.get("/", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(site.get("/echo?q=%5EGSPC", "").body, "^GSPC");
    assert_eq!(site.get("/empty", "").header("content-length"), Some("0"));
    assert_eq!(site.get("/large", "").body.len(), 8 << 20);
    assert_eq!(site.get("/nothing", "").status, 404);
    // The next request on the same connection.
    let mut client = site.client();
    for _ in 0..3 {
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().body, "hello");
    }
    // All at once.
    client.send(b"GET /echo?q=1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /echo?q=2 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!([client.answer().body, client.answer().body], ["1", "2"]);
}

#[test]
fn head_tells_the_same_without_a_body() {
    let site = Fixture::new();
    for (target, length) in
        [("/", Some("5")), ("/large", Some("8388608")), ("/nothing", Some("27")), ("/stream", None)]
    {
        let mut client = site.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let answer = client.head();
        assert_eq!(answer.header("content-length"), length, "{target}");
        assert_eq!(answer.status == 404, target == "/nothing");
        // No body came in between.
        client.send(b"GET /echo?q=next HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().body, "next", "{target}");
    }
    assert_eq!(site.site.broadcast.clients(), 0);
}

#[test]
fn paths_beyond_the_plain_ones_reach_nothing() {
    let site = Fixture::new();
    let odd = [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%2e%2e%2fetc%2fpasswd",
        "/..%2f..%2fetc%2fpasswd",
        "/%252e%252e%252fetc%252fpasswd",
        "/..%c0%af..%c0%afetc/passwd",
        "/..\\..\\etc\\passwd",
        "/..%5c..%5cetc%5cpasswd",
        "/....//....//etc/passwd",
        "/.;/etc/passwd",
        "//etc/passwd",
        "/a/..",
        "/./",
        "/.git/config",
        "/app.js%00.html",
        "/%00",
        "/%0d%0aX-Odd:%20yes",
        "/ech%6f",
    ];
    for target in odd {
        let answer = site.get(target, "");
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.body, "404: there is no such page\n", "{target}");
        assert_eq!(answer.header("x-odd"), None);
    }
    for target in ["../etc/passwd", "etc/passwd", "*", "?q=1", "#", ""] {
        let status = site.get(target, "").status;
        assert!([0, 400, 404].contains(&status), "{target}: {status}");
    }
    for query in ["q=%00", "q=%zz", "q=%", "q=%ff", "q=1&q=2", "q=%0a"] {
        assert_eq!(site.get(&format!("/echo?{query}"), "").status, 400, "{query}");
    }
}

#[test]
fn a_server_is_no_proxy() {
    let site = Fixture::new();
    for target in [
        "http://localhost/",
        "http://evil.example/",
        "https://localhost/echo",
        "file:///etc/passwd",
    ] {
        let status = site.get(target, "").status;
        assert!([0, 400].contains(&status), "{target}: {status}");
    }
    let connect = site.ask("CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connect.status, 405);
}

#[test]
fn nothing_but_reading_is_allowed_and_nothing_is_taken() {
    let site = Fixture::new();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = site.ask(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let sized = site.get("/", "Content-Length: 3\r\n");
    let chunked = site.get("/", "Transfer-Encoding: chunked\r\n");
    assert_eq!((sized.status, chunked.status), (413, 413));
    // A body's announcement is no way around the limit, either.
    let mut client = site.client();
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nxxx");
    assert_eq!(client.answer().status, 405);
    assert!(client.is_over());
    // Two lengths, or a length beside chunks, smuggle nothing.
    let both = "Content-Length: 30\r\nTransfer-Encoding: chunked\r\n";
    let two = "Content-Length: 1\r\nContent-Length: 2\r\n";
    assert!([0, 400, 413].contains(&site.get("/", both).status));
    assert!([0, 400, 413].contains(&site.get("/", two).status));
}

#[test]
fn heads_are_limited() {
    let limits = Limits { head: 8 << 10, target: 100, headers: 10, ..Limits::default() };
    let site = Fixture::limited(limits);
    let target = |length: usize| format!("/echo?q={}", "a".repeat(length - 8));
    assert_eq!(site.get(&target(100), "").status, 200);
    assert_eq!(site.get(&target(101), "").status, 414);
    assert!([414, 431].contains(&site.get(&target(100_000), "").status));
    let headers = |count: usize| "X-Many: 1\r\n".repeat(count);
    assert_eq!(site.get("/", &headers(9)).status, 200);
    assert_eq!(site.get("/", &headers(10)).status, 431);
    let long = |length: usize| format!("X-Long: {}\r\n", "a".repeat(length));
    assert_eq!(site.get("/", &long(7000)).status, 200);
    assert_eq!(site.get("/", &long(9000)).status, 431);
    // Without an end in sight.
    let mut client = site.client();
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: ");
    client.send(&vec![b'a'; 1 << 20]);
    assert!([0, 431].contains(&client.answer().status));
    let mut client = site.client();
    client.send(&vec![b'G'; 1 << 20]);
    assert!([0, 400, 414, 431].contains(&client.answer().status));
    assert_eq!(site.get("/", "").status, 200);
}

#[test]
fn what_is_no_http_costs_one_connection() {
    let site = Fixture::new();
    let odd: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: evil.example\n\n",
        b"GET \xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for bytes in odd {
        let mut client = site.client();
        client.send(bytes);
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let status = client.answer().status;
        assert!([0, 400, 404, 421, 505].contains(&status), "{bytes:?}: {status}");
    }
    assert_eq!(site.get("/", "").status, 200);
}

#[test]
fn a_request_must_name_this_server() {
    let site = Fixture::new();
    let host = |line: &str| site.ask(&format!("GET / HTTP/1.1\r\n{line}\r\n")).status;
    let own = site.server.address();
    for good in ["localhost", "localhost:9999", "127.0.0.1", "[::1]:80", &own.to_string()] {
        assert_eq!(host(&format!("Host: {good}\r\n")), 200, "{good}");
    }
    for bad in ["evil.example", "localhost.evil.example", "192.0.2.1", "", "a b", "localhost:x"] {
        assert_eq!(host(&format!("Host: {bad}\r\n")), 421, "{bad}");
    }
    assert_eq!(host(""), 421);
    assert_eq!(host("Host: localhost\r\nHost: localhost\r\n"), 421);
    assert_eq!(site.ask("GET / HTTP/1.0\r\n\r\n").status, 421);

    let named = Policy { hosts: Hosts::Own(vec!["fleet.example".into()]), ..Policy::default() };
    let named = Fixture::with(named);
    let host = |name: &str| named.ask(&format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).status;
    assert_eq!(
        [host("fleet.example:443"), host("localhost"), host("evil.example")],
        [200, 200, 421]
    );
    let open = Fixture::with(Policy { hosts: Hosts::Any, ..Policy::default() });
    assert_eq!(open.ask("GET / HTTP/1.1\r\nHost: any.example\r\n\r\n").status, 200);
}

#[test]
fn every_answer_has_safe_headers_and_tells_nothing_of_this_machine() {
    let site = Fixture::new();
    for target in ["/", "/echo?q=1", "/stream", "/nothing", "/..", "/echo?q=%00", "/panic"] {
        check(&site, &format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    check(&site, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    check(&site, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    check(&site, "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}");
    check(&site, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

fn check(site: &Fixture, request: &str) {
    let mut client = site.client();
    client.send(request.as_bytes());
    let answer = client.head();
    assert_ne!(answer.status, 0, "{request}");
    let safe = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in safe {
        assert_eq!(answer.header(name), Some(value), "{name} of {request}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(answer.header("server"), None);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
