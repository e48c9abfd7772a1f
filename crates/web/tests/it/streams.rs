//! Server-sent events.

use std::time::Duration;

use mambafleet_web::Limits;

use crate::support::{Client, Fixture, strict};

fn listen(site: &Fixture) -> Client {
    let mut client = site.client();
    client.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    client.until(": hello\n\n").unwrap();
    client
}

#[test]
fn messages_come_to_everybody_in_order() {
    let site = Fixture::new();
    let mut clients: Vec<Client> = (0..20).map(|_| listen(&site)).collect();
    assert_eq!(site.site.broadcast.clients(), 20);
    for number in 0..50 {
        let message = format!("event: update\ndata: {number}\n\n");
        site.site.broadcast.send(message.clone());
        for client in &mut clients {
            let got = client.until("\n\n").unwrap();
            assert!(got.ends_with(&message), "{got} in place of {message}");
        }
    }
}

#[test]
fn who_leaves_costs_nothing_any_more() {
    let site = Fixture::new();
    let clients: Vec<Client> = (0..10).map(|_| listen(&site)).collect();
    assert_eq!(site.site.broadcast.clients(), 10);
    drop(clients);
    // The server hears of it without having to send anything.
    let mut tries = 0..10_000;
    while site.site.broadcast.clients() > 0 {
        assert!(tries.next().is_some(), "they are never missed");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn one_stream_too_many_is_told_so_and_pages_still_come() {
    let site = Fixture::limited(Limits { streams: 2, ..Limits::default() });
    let _inside = [listen(&site), listen(&site)];
    assert_eq!(site.get("/stream", "").status, 503);
    assert_eq!(site.get("/", "").status, 200);
    assert_eq!(site.site.broadcast.clients(), 2);
}

#[test]
fn who_does_not_read_loses_messages_or_the_connection_and_others_lose_nothing() {
    let site = Fixture::limited(strict());
    let mut lazy = listen(&site);
    let mut quick = listen(&site);
    let filler = "x".repeat(64 << 10);
    let mut number = 0;
    // Until the lazy one is dropped, for its part of the system's buffers is full.
    while site.site.broadcast.clients() == 2 {
        site.site.broadcast.send(format!("data: {number} {filler}\n\n"));
        let got = quick.until("\n\n").unwrap();
        assert!(got.contains(&format!("data: {number} ")));
        number += 1;
        assert!(number < 10_000, "the lazy one is never dropped");
    }
    assert!(number > 1);
    site.site.broadcast.send("data: end\n\n");
    assert!(quick.until("data: end\n\n").is_some());
    assert!(lazy.until("data: end\n\n").is_none());
}

#[test]
fn who_falls_behind_is_told_to_load_anew() {
    let site = Fixture::new();
    let mut lazy = listen(&site);
    let filler = "x".repeat(1 << 20);
    // More than the system takes in for a client that does not read, and more messages than are kept.
    for _ in 0..64 {
        site.site.broadcast.send(format!("data: {filler}\n\n"));
        assert_eq!(site.get("/", "").status, 200);
    }
    assert!(lazy.until("event: page\ndata: {}\n\n").is_some());
    site.site.broadcast.send("data: end\n\n");
    assert!(lazy.until("data: end\n\n").is_some());
}
