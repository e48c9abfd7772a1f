//! Clients that do what they should not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections that send a head a byte at a time.
const DRIPS: usize = 100;

/// Between two bytes, and between two bursts of requests.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that ask for a large answer and do not read it.
const LAZY: usize = 20;

/// Starts all of them; the thread ends when the run is over, and says what came of it.
pub(crate) fn start(address: SocketAddr, over: &Arc<AtomicBool>) -> JoinHandle<String> {
    let over = Arc::clone(over);
    std::thread::spawn(move || {
        let mut drips: Vec<TcpStream> = (0..DRIPS).map(|_| drip(address)).collect();
        let mut lazy: Vec<TcpStream> =
            (0..LAZY).map(|_| ask(address, "GET /uplot.js", "")).collect();
        let (mut refused, mut dropped) = (0, 0);
        while !over.load(Ordering::Acquire) {
            for stream in &mut drips {
                if stream.write_all(b"x").is_err() {
                    *stream = drip(address);
                    dropped += 1;
                }
            }
            for stream in &mut lazy {
                // Asks on and on, and reads nothing.
                if stream.write_all(b"GET /uplot.js HTTP/1.1\r\nHost: localhost\r\n\r\n").is_err() {
                    *stream = ask(address, "GET /uplot.js", "");
                    dropped += 1;
                }
            }
            refused += burst(address);
            std::thread::sleep(PAUSE);
        }
        format!("; {refused} bad requests refused, {dropped} slow clients dropped")
    })
}

fn ask(address: SocketAddr, line: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(5))).unwrap();
    let _ = write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream
}

fn drip(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    stream
}

/// Some requests that must be refused; how many were.
fn burst(address: SocketAddr) -> usize {
    let long = "a".repeat(100 << 10);
    let close = "Connection: close\r\n";
    let requests = [
        (format!("GET /{long}"), String::new()),
        ("GET /".to_owned(), format!("X: {long}\r\n")),
        ("GET /".to_owned(), "X: y\r\n".repeat(500)),
        ("GET /../../etc/passwd".to_owned(), close.to_owned()),
        ("GET /api/page?run=../..".to_owned(), close.to_owned()),
        ("GET /api/symbol?run=none&symbol=NONE".to_owned(), close.to_owned()),
        ("POST /".to_owned(), close.to_owned()),
    ];
    let refused = requests.iter().filter(|(line, headers)| {
        let mut stream = ask(address, line, headers);
        let mut answer = Vec::new();
        // A server that hangs up on what it does not read is a refusal too.
        let _ = stream.read_to_end(&mut answer);
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 4")
    });
    refused.count()
}
