//! Clients that are slow, many, or gone.

use std::io::Write;

use mambafleet_web::Limits;

use crate::support::{Client, Fixture, strict};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let site = Fixture::limited(strict());
    let mut silent = site.client();
    let mut stopped = site.client();
    stopped.send(b"GET / HTTP/1.1\r\nHost: local");
    let mut idle = site.client();
    idle.send(GET);
    assert_eq!(idle.answer().status, 200);
    for client in [&mut silent, &mut stopped, &mut idle] {
        assert!(client.is_over() || client.head().status == 408);
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let site = Fixture::limited(strict());
    let mut drip = site.client();
    drip.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Drip: ");
    // Ends when the server has hung up; each byte comes long before the time-out.
    let mut bytes = 0;
    while drip.stream.write_all(b"a").is_ok() {
        bytes += 1;
        assert!(bytes < 300, "it is waited for");
        std::thread::sleep(strict().head_time / 30);
        assert_eq!(site.get("/", "").status, 200);
    }
    assert_eq!(drip.head().status, 0);
}

#[test]
fn who_does_not_take_the_answer_is_dropped_and_others_go_on() {
    let site = Fixture::limited(strict());
    let mut lazy: Vec<Client> = (0..4).map(|_| site.client()).collect();
    for client in &mut lazy {
        client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    // Once all of them are gone, as the server sees it, their places are free: nothing of the answer
    // comes but what the system had taken in by then.
    for client in &mut lazy {
        assert_eq!(site.get("/large", "").body.len(), 8 << 20);
        client.stream.peek(&mut [0]).unwrap();
        std::thread::sleep(strict().write_time * 2);
        let answer = client.answer();
        assert!(answer.body.len() < 8 << 20, "the client was waited for");
    }
}

#[test]
fn one_client_too_many_is_told_so() {
    let site = Fixture::limited(Limits { connections: 3, ..Limits::default() });
    let mut inside: Vec<Client> = (0..3).map(|_| site.client()).collect();
    for client in &mut inside {
        client.send(GET);
        assert_eq!(client.answer().status, 200);
    }
    let answer = site.get("/", "");
    assert_eq!((answer.status, answer.body.as_str()), (503, "503: there are too many clients"));
    // Those inside go on.
    inside[0].send(GET);
    assert_eq!(inside[0].answer().status, 200);
    drop(inside.pop());
    let mut tries = 0..1000;
    while site.get("/", "").status != 200 {
        assert!(tries.next().is_some(), "the place is never free again");
    }
}

#[test]
fn slow_answers_hold_up_nothing_else_and_are_limited() {
    let site = Fixture::limited(Limits { slow: 1, queue: 2, ..Limits::default() });
    let slow = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut waiting = [site.client(), site.client()];
    for client in &mut waiting {
        client.send(slow);
    }
    // Both places are taken at some time; from then on one more is refused.
    let refused = || {
        let mut client = site.client();
        client.stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        client.send(b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.answer()
    };
    let mut answer = refused();
    while answer.status != 503 {
        answer = refused();
    }
    assert_eq!(answer.body, "503: too much is asked at once\n");
    assert_eq!(site.get("/", "").status, 200);
    for client in &mut waiting {
        site.go.send(()).unwrap();
        assert_eq!(client.answer().body, "at last");
    }
    // What goes wrong costs one answer.
    let answer = site.get("/panic", "");
    assert_eq!((answer.status, answer.body.as_str()), (500, "500: this went wrong\n"));
    assert_eq!(site.get("/", "").status, 200);
}

#[test]
fn the_end_of_the_server_is_the_end_of_its_connections() {
    let site = Fixture::new();
    let mut idle = site.client();
    idle.send(GET);
    assert_eq!(idle.answer().status, 200);
    let mut stream = site.client();
    stream.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(stream.head().status, 200);
    let mut slow = site.client();
    slow.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let Fixture { server, site: _site, go } = site;
    drop(server);
    assert!(idle.is_over());
    assert!(stream.until("never said").is_none());
    assert!(slow.is_over());
    // Its work goes on until it notices; nobody waited for it.
    drop(go);
}
