//! Tokens.

use mambafleet_web::{Access, Handler, Page, Policy, Reply, Request, Server, Token, WebError};
use std::sync::Arc;

use crate::support::{Answer, Fixture};

const SECRET: &str = "correct-horse+battery";

fn guarded() -> Fixture {
    Fixture::with(Policy {
        access: Access::Token(Token::new(SECRET).unwrap()),
        ..Policy::default()
    })
}

#[test]
fn nothing_is_answered_without_the_token() {
    let site = guarded();
    let cookie = format!("mambafleet-{}", site.server.address().port());
    let wrong = [
        String::new(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Basic {SECRET}\r\n"),
        format!("Authorization: {SECRET}\r\n"),
        format!("Cookie: {cookie}={SECRET}\r\n"),
        format!("Cookie: {cookie}=\r\n"),
        format!("Cookie: token={SECRET}; x\r\n"),
        format!("X-Token: {SECRET}\r\n"),
    ];
    for headers in &wrong {
        for target in ["/", "/echo?q=1", "/stream", "/nothing"] {
            let answer = site.get(target, headers);
            assert_eq!(answer.status, 401, "{target} with {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.body.contains(SECRET));
        }
    }
    for query in [
        "token=wrong",
        "token=",
        "token",
        "token=correct-horse%2Bbatter",
        "token=correct-horse+battery",
    ] {
        assert_eq!(site.get(&format!("/?{query}"), "").status, 401, "{query}");
    }
    // Shown twice is not shown.
    assert_eq!(site.get("/?token=wrong&token=correct-horse%2Bbattery", "").status, 400);
}

#[test]
fn the_token_becomes_a_cookie_and_leaves_the_address() {
    let site = guarded();
    let answer = site.get("/echo?q=%5EA&token=correct-horse%2Bbattery", "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/echo?q=%5EA")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains("horse"));
    let pair = cookie.split(';').next().unwrap();
    let with = |cookies: &str| site.get("/echo?q=%5EA", &format!("Cookie: {cookies}\r\n"));
    assert_eq!(with(pair).body, "^A");
    assert_eq!(with(&format!("a=b; {pair}; c")).body, "^A");
    assert_eq!(with(&format!("{pair}0")).status, 401);
    // Another server's cookie is of no use here.
    assert_eq!(guarded().get("/", &format!("Cookie: {pair}\r\n")).status, 401);
    let bearer = |scheme: &str| site.get("/", &format!("Authorization: {scheme} {SECRET}\r\n"));
    assert_eq!([bearer("Bearer").status, bearer("bearer").status], [200, 200]);
}

#[test]
fn nobody_is_led_elsewhere_by_showing_a_token() {
    let site = guarded();
    for target in
        ["//evil.example/", "/\\evil.example/", "/%2f/evil.example", "/%0d%0aLocation:%20x"]
    {
        let answer = site.get(&format!("{target}?token=correct-horse%2Bbattery"), "");
        assert_eq!((answer.status, answer.header("location")), (404, None), "{target}");
    }
}

#[test]
fn pages_of_other_sites_may_lead_here_but_not_ask() {
    let site = Fixture::new();
    let from = |place: &str, mode: &str| -> Answer {
        site.get("/", &format!("Sec-Fetch-Site: {place}\r\nSec-Fetch-Mode: {mode}\r\n"))
    };
    assert_eq!(from("cross-site", "no-cors").status, 403);
    assert_eq!(from("cross-site", "cors").status, 403);
    // Another port of this machine is another site's page, too.
    assert_eq!(from("same-site", "cors").status, 403);
    assert_eq!(from("cross-site", "navigate").status, 200);
    assert_eq!(from("same-origin", "cors").status, 200);
    assert_eq!(from("none", "navigate").status, 200);
}

struct Nothing;

impl Handler for Nothing {
    fn handle(&self, _: &Request<'_>) -> Reply {
        Page::new("text/plain", "").into()
    }
}

#[test]
fn addresses_that_others_reach_need_a_token() {
    let start = |address: &str, access| {
        let policy = Policy { access, ..Policy::default() };
        Server::start(address.parse().unwrap(), policy, Arc::new(Nothing))
    };
    let open = start("0.0.0.0:0", Access::Local).unwrap_err();
    assert!(matches!(open, WebError::Open(_)), "{open}");
    assert!(start("0.0.0.0:0", Access::Token(Token::random().0)).is_ok());
    let first = start("127.0.0.1:0", Access::Local).unwrap();
    let second = start(&first.address().to_string(), Access::Local).unwrap_err();
    assert!(matches!(second, WebError::InUse(address) if address == first.address()), "{second}");
    // It is free again when the server is gone.
    let address = first.address().to_string();
    drop(first);
    assert!(start(&address, Access::Local).is_ok());
    let elsewhere = start("192.0.2.1:0", Access::Open).unwrap_err();
    assert!(matches!(elsewhere, WebError::Listen { .. }), "{elsewhere}");
}
