//! Posts JSON over plain HTTP: as much of the protocol as a notification needs.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

/// What of an answer is read until its first line has ended.
const MAX_STATUS_LINE: usize = 1024;

/// Where JSON can be posted to: an `http://` URL. Shown without what follows the host, which is
/// often the secret of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Host and port as written; what the `Host` header says.
    authority: String,
    host: String,
    port: u16,
    /// Path and query.
    target: String,
}

/// A text is no URL that can be posted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpUrl {
    /// It wants encryption.
    #[error("https is not spoken here")]
    Https,
    /// It begins with something else.
    #[error("does not begin with http://")]
    Scheme,
    /// It holds a name and a password.
    #[error("names a user, which is not supported")]
    User,
    /// It names no host.
    #[error("names no host")]
    Host,
    /// What follows the host is no port.
    #[error("\"{0}\" is no port")]
    Port(String),
    /// It holds a character that must be escaped.
    #[error("contains {0:?}, which must be escaped, as in %20")]
    Character(char),
}

/// A post that did not arrive, or was not welcome.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host's name has no address.
    #[error("has no address")]
    Resolve(#[source] std::io::Error),
    /// Nobody answers there.
    #[error("cannot be reached")]
    Connect(#[source] std::io::Error),
    /// The connection broke.
    #[error("broke off")]
    Broken(#[source] std::io::Error),
    /// What came back is not HTTP.
    #[error("does not speak HTTP")]
    Foreign,
    /// The answer is a refusal.
    #[error("answered {status}{}", redirect(*.status))]
    Refused {
        /// The status code.
        status: u16,
    },
}

fn redirect(status: u16) -> &'static str {
    if (300..400).contains(&status) { ", and redirects are not followed" } else { "" }
}

impl FromStr for HttpUrl {
    type Err = InvalidHttpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHttpUrl> {
        use InvalidHttpUrl as E;
        let scheme = |name: &str| {
            let start = text.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
            start.map(|_| &text[name.len()..])
        };
        if scheme("https://").is_some() {
            return Err(E::Https);
        }
        let rest = scheme("http://").ok_or(E::Scheme)?;
        if let Some(odd) = rest.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(E::Character(odd));
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(E::User);
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(E::Host);
        }
        let port = match port {
            None => 80,
            Some(port) => port.parse().map_err(|_| E::Port(port.to_owned()))?,
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            target: format!("{slash}{target}"),
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self}/...)")
    }
}

impl HttpUrl {
    /// Posts JSON. Each step may take `patience`; looking the name up takes what the system wants.
    pub(crate) fn post(&self, json: &str, patience: Duration) -> Result<(), HttpError> {
        let mut stream = self.connect(patience)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mambafleet/{}\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.target,
            self.authority,
            env!("CARGO_PKG_VERSION"),
            json.len()
        );
        let patient = stream
            .set_read_timeout(Some(patience))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        patient.map_err(HttpError::Broken)?;
        let sent =
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(json.as_bytes()));
        // Whoever refuses early hangs up before everything was sent, and says why.
        match (status(&mut stream), sent) {
            (Ok(status), _) if (200..300).contains(&status) => Ok(()),
            (Ok(status), _) => Err(HttpError::Refused { status }),
            (Err(HttpError::Broken(_)), Err(error)) => Err(HttpError::Broken(error)),
            (Err(error), _) => Err(error),
        }
    }

    /// Tries each address of the host.
    fn connect(&self, patience: Duration) -> Result<TcpStream, HttpError> {
        let addresses =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(HttpError::Resolve)?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let last = last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
        Err(HttpError::Connect(last))
    }
}

/// The status code in the first line of an answer.
fn status(stream: &mut impl Read) -> Result<u16, HttpError> {
    let mut line = Vec::new();
    let mut buffer = [0; 128];
    while !line.contains(&b'\n') && line.len() < MAX_STATUS_LINE {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => line.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HttpError::Broken(error)),
        }
    }
    if line.is_empty() {
        return Err(HttpError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let text = String::from_utf8_lossy(&line);
    let code = text.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    let code = code.and_then(|code| code.trim_end().parse().ok());
    code.filter(|code| (100..1000).contains(code)).ok_or(HttpError::Foreign)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn parts(text: &str) -> Result<(String, u16, String), InvalidHttpUrl> {
        text.parse().map(|HttpUrl { host, port, target, .. }| (host, port, target))
    }

    #[test]
    fn urls_are_taken_apart_and_what_cannot_be_posted_to_is_refused() {
        let ok = |host: &str, port, target: &str| Ok((host.to_owned(), port, target.to_owned()));
        assert_eq!(parts("http://localhost"), ok("localhost", 80, "/"));
        assert_eq!(parts("HTTP://a.b:8080/x/y?z=1#w"), ok("a.b", 8080, "/x/y?z=1"));
        assert_eq!(parts("http://[::1]:81?q"), ok("::1", 81, "/?q"));
        assert_eq!(parts("http://[::1]"), ok("::1", 80, "/"));
        use InvalidHttpUrl as E;
        for (text, error) in [
            ("https://a", E::Https),
            ("ftp://a", E::Scheme),
            ("a", E::Scheme),
            ("", E::Scheme),
            ("http://", E::Host),
            ("http://:80/", E::Host),
            ("http://a:b/", E::Port("b".into())),
            ("http://a:70000/", E::Port("70000".into())),
            ("http://[::1]x/", E::Port("x".into())),
            ("http://me:secret@a/", E::User),
            ("http://a/b c", E::Character(' ')),
            ("http://a/\r\nX: y", E::Character('\r')),
            ("http://ä/", E::Character('ä')),
        ] {
            assert_eq!(parts(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let url: HttpUrl = "http://hooks.example:8080/T0/secret?key=secret".parse().unwrap();
        assert_eq!(url.to_string(), "http://hooks.example:8080");
        assert!(!format!("{url:?}").contains("secret"));
    }

    /// Posts to a server that reads everything, answers this and hangs up.
    fn answered(answer: &'static str) -> Result<(), HttpError> {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: HttpUrl = format!("http://{}/x", server.local_addr().unwrap()).parse().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 64];
            while !heard.ends_with(b"{}") {
                let read = stream.read(&mut buffer).unwrap();
                heard.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let posted = url.post("{}", Duration::from_secs(5));
        serving.join().unwrap();
        posted
    }

    #[test]
    fn only_a_welcome_is_a_success() {
        assert!(answered("HTTP/1.1 204 No Content\r\n\r\n").is_ok());
        assert!(answered("HTTP/1.0 200\r\n\r\n").is_ok());
        for (answer, error) in [
            ("HTTP/1.1 500 Oh\r\n\r\n", "answered 500"),
            ("HTTP/1.1 301 Over there\r\n\r\n", "answered 301, and redirects are not followed"),
            ("SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
            ("HTTP/1.1 20\r\n\r\n", "does not speak HTTP"),
            ("", "broke off"),
        ] {
            assert_eq!(answered(answer).unwrap_err().to_string(), error, "{answer}");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url: HttpUrl = format!("http://{nobody}").parse().unwrap();
        let error = url.post("{}", Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, HttpError::Connect(_)), "{error}");
    }
}
