//! A server to be asked, and a client that sends what it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use mambafleet_web::{
    Broadcast, Handler, Limits, Page, Policy, Reply, Request, Server, StatusCode,
};

/// Longer than anything here takes, so that a test that hangs fails.
const LONG: Duration = Duration::from_secs(25);

/// Answers `/` and `/echo`, streams `/stream`, works on `/slow` until it is let go, panics on `/panic`.
pub(crate) struct Site {
    pub(crate) broadcast: Broadcast,
    go: Mutex<Receiver<()>>,
}

struct Answering(Arc<Site>);

impl Handler for Answering {
    fn handle(&self, request: &Request<'_>) -> Reply {
        match request.path() {
            "/" => Page::new("text/html; charset=utf-8", "hello").into(),
            "/echo" => Page::json(request.query("q").unwrap_or("none").to_owned()).into(),
            "/empty" => Page::new("text/plain", "").into(),
            "/large" => Page::new("text/plain", vec![b'x'; 8 << 20]).into(),
            "/stream" => Reply::Stream(self.0.broadcast.subscribe(": hello\n\n")),
            "/slow" => {
                let site = Arc::clone(&self.0);
                Reply::Later(Box::new(move || {
                    site.go.lock().unwrap().recv().unwrap();
                    Page::new("text/plain", "at last")
                }))
            }
            "/panic" => Reply::Later(Box::new(|| panic!("on purpose"))),
            _ => Page::refusal(StatusCode::NOT_FOUND, "there is no such page").into(),
        }
    }
}

/// A server on a port of its own.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) site: Arc<Site>,
    pub(crate) go: Sender<()>,
}

/// Limits that end what hangs while a test waits. They are long enough for a busy machine.
pub(crate) fn strict() -> Limits {
    let (head_time, write_time) = (Duration::from_secs(2), Duration::from_secs(1));
    Limits { head_time, write_time, ..Limits::default() }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default())
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        Self::with(Policy { limits, ..Policy::default() })
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let (go, gone) = channel();
        let broadcast = Broadcast::new(8, "event: page\ndata: {}\n\n");
        let site = Arc::new(Site { broadcast, go: Mutex::new(gone) });
        let handler = Arc::new(Answering(Arc::clone(&site)));
        let server = Server::start("127.0.0.1:0".parse().unwrap(), policy, handler).unwrap();
        Self { server, site, go }
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.server.address())
    }

    /// The answer to one request that says everything itself.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        client.send(request.as_bytes());
        client.answer()
    }

    /// The answer to a GET of a target, with more headers.
    pub(crate) fn get(&self, target: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
    }
}

/// A raw connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends; a server that has hung up already is no error.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads on until the text is there, and takes everything up to its end. `None` when the server
    /// hangs up before.
    pub(crate) fn until(&mut self, text: &str) -> Option<String> {
        loop {
            let found = self.read.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = found {
                let taken = self.read.drain(..at + text.len()).collect();
                return Some(String::from_utf8(taken).unwrap());
            }
            if self.more() == 0 {
                return None;
            }
        }
    }

    fn more(&mut self) -> usize {
        let mut buffer = [0; 64 << 10];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes"),
            Err(_) => 0,
        };
        self.read.extend_from_slice(&buffer[..read]);
        read
    }

    /// The head of an answer; status 0 when the server hung up without one.
    pub(crate) fn head(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer { status: status.unwrap_or(0), head, body: String::new() }
    }

    /// A whole answer to a GET.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        while self.read.len() < length && self.more() > 0 {}
        let end = length.min(self.read.len());
        answer.body = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        answer
    }

    /// Whether the server hangs up now, with nothing more to say.
    pub(crate) fn is_over(&mut self) -> bool {
        self.read.is_empty() && self.more() == 0
    }
}
