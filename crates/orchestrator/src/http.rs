//! Plain HTTP, as much of it as a notification or a tracking server needs: one request per
//! connection, over hyper.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;

/// An `http://` URL. Shown without credentials and without what follows the host, which is often the
/// secret of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Host and port as written; what the `Host` header says.
    authority: String,
    host: String,
    port: u16,
    /// Path and query.
    target: String,
    /// What the `Authorization` header says, if the URL names a user.
    credentials: Option<String>,
}

/// A text is no URL that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHttpUrl {
    /// It wants encryption.
    #[error("https is not spoken here")]
    Https,
    /// It begins with something else.
    #[error("does not begin with http://")]
    Scheme,
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

/// A request that did not arrive, or was not welcome.
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
    /// It took too long.
    #[error("did not answer within {0:?}")]
    Late(Duration),
    /// What came back is not HTTP.
    #[error("does not speak HTTP")]
    Foreign,
    /// The answer is longer than was allowed.
    #[error("answers with more than {0} bytes")]
    Long(usize),
    /// The answer is a refusal.
    #[error("answered {status}{}", redirect(*.status))]
    Refused {
        /// The status code.
        status: u16,
    },
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body; empty if it was not asked for.
    pub body: Vec<u8>,
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
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
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
            credentials: user.map(basic),
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

/// The `Authorization` header for `user:password`, in which `%` escapes.
fn basic(user: &str) -> String {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    format!("Basic {}", STANDARD.encode(plain))
}

impl HttpUrl {
    /// This URL with a path below its own instead of path and query. The path may have a query.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        let own = self.target.split('?').next().unwrap_or_default().trim_end_matches('/');
        Self { target: format!("{own}/{path}"), ..self.clone() }
    }

    /// Posts JSON, and looks at nothing but the status of the answer.
    pub(crate) fn post(&self, json: &str, patience: Duration) -> Result<(), HttpError> {
        match self.ask(Some(json), patience, 0)?.status {
            status if (200..300).contains(&status) => Ok(()),
            status => Err(HttpError::Refused { status }),
        }
    }

    /// Posts JSON, or gets what there is if there is none, and waits for the answer, whatever its
    /// status. Of its body so many bytes are allowed; with zero, it is not read. What is started to
    /// look up the host's name may outlast the call.
    ///
    /// # Errors
    /// [`HttpError`], but never [`HttpError::Refused`].
    pub fn ask(
        &self,
        json: Option<&str>,
        patience: Duration,
        most: usize,
    ) -> Result<Answer, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(HttpError::Connect)?;
        let request = self.request(json)?;
        let answer = runtime.block_on(async {
            let exchange = self.exchange(request, most);
            let answer = tokio::time::timeout(patience, exchange).await;
            answer.unwrap_or(Err(HttpError::Late(patience)))
        });
        // The system cannot be told to stop looking up a name.
        runtime.shutdown_background();
        answer
    }

    fn request(&self, json: Option<&str>) -> Result<Request<Full<Bytes>>, HttpError> {
        let method = if json.is_some() { Method::POST } else { Method::GET };
        let agent = concat!("mambafleet/", env!("CARGO_PKG_VERSION"));
        let mut builder = Request::builder().method(method).uri(&self.target);
        builder = builder.header(HOST, &self.authority).header(USER_AGENT, agent);
        builder = builder.header(ACCEPT, "*/*").header(CONNECTION, "close");
        if let Some(credentials) = &self.credentials {
            builder = builder.header(AUTHORIZATION, credentials);
        }
        if json.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(json.unwrap_or_default().to_owned()));
        let odd = |error| HttpError::Connect(std::io::Error::other(error));
        builder.body(body).map_err(odd)
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Answer, HttpError> {
        let io = TokioIo::new(self.connect().await?);
        let mut builder = hyper::client::conn::http1::Builder::new();
        let (mut sender, connection) =
            builder.title_case_headers(true).handshake(io).await.map_err(broken)?;
        let answered = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            read(answer, most).await
        };
        // The connection does the work, and may end before the answer was looked at.
        tokio::pin!(connection, answered);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            _ = &mut connection => answered.await,
        }
    }

    /// Tries each address of the host.
    async fn connect(&self) -> Result<TcpStream, HttpError> {
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut last = None;
        for address in addresses.map_err(HttpError::Resolve)? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let last = last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
        Err(HttpError::Connect(last))
    }
}

/// The answer with so much of its body.
async fn read(answer: Response<Incoming>, most: usize) -> Result<Answer, HttpError> {
    let status = answer.status().as_u16();
    if most == 0 {
        return Ok(Answer { status, body: Vec::new() });
    }
    match Limited::new(answer.into_body(), most).collect().await {
        Ok(body) => Ok(Answer { status, body: body.to_bytes().into() }),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpError::Long(most)),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => broken(*error),
            Err(error) => HttpError::Broken(std::io::Error::other(error)),
        }),
    }
}

/// What hyper met with.
fn broken(error: hyper::Error) -> HttpError {
    if error.is_parse() {
        return HttpError::Foreign;
    }
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    HttpError::Broken(source.map_or_else(
        || std::io::ErrorKind::UnexpectedEof.into(),
        |source| std::io::Error::new(source.kind(), source.to_string()),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
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
        assert_eq!(parts("http://me:secret@a:82/x"), ok("a", 82, "/x"));
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
            ("http://a/b c", E::Character(' ')),
            ("http://a/\r\nX: y", E::Character('\r')),
            ("http://ä/", E::Character('ä')),
        ] {
            assert_eq!(parts(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let url = "http://secret:secret@hooks.example:8080/T0/secret?key=secret";
        let url: HttpUrl = url.parse().unwrap();
        assert_eq!(url.to_string(), "http://hooks.example:8080");
        assert!(!format!("{url:?}").contains("secret"));
    }

    /// A server that reads everything, answers this and hangs up; what it reads.
    fn server(answer: impl Into<Vec<u8>>) -> (HttpUrl, std::thread::JoinHandle<String>) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://me:a%3Ab@{}/x/?y=1", server.local_addr().unwrap());
        let answer = answer.into();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
            let end = |heard: &[u8]| if heard.starts_with(b"GET ") { "\r\n\r\n" } else { "{}" };
            while !heard.ends_with(end(&heard).as_bytes()) {
                let read = stream.read(&mut buffer).unwrap();
                heard.extend_from_slice(&buffer[..read]);
            }
            // Whoever has heard enough may be gone.
            let _ = stream.write_all(&answer);
            String::from_utf8(heard).unwrap()
        });
        (url.parse().unwrap(), serving)
    }

    const LONG: Duration = Duration::from_secs(60);

    /// Posts to a server that answers this.
    fn answered(answer: &str) -> Result<(), HttpError> {
        let (url, serving) = server(answer);
        let posted = url.post("{}", LONG);
        serving.join().unwrap();
        posted
    }

    #[test]
    fn requests_say_what_they_should() {
        let (url, serving) = server("HTTP/1.1 200 OK\r\n\r\nall of it");
        let answer = url.below("api/a?b=c").ask(None, LONG, 9).unwrap();
        assert_eq!(answer, Answer { status: 200, body: b"all of it".to_vec() });
        let heard = serving.join().unwrap();
        assert!(heard.starts_with("GET /x/api/a?b=c HTTP/1.1\r\n"), "{heard}");
        // me:a:b
        assert!(heard.contains("\r\nAuthorization: Basic bWU6YTpi\r\n"), "{heard}");
        assert!(!heard.contains('@'), "{heard}");

        let (url, serving) = server("HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(url.ask(Some("{}"), LONG, 9).unwrap().status, 404);
        let heard = serving.join().unwrap();
        assert!(heard.starts_with("POST /x/?y=1 HTTP/1.1\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\n{}"), "{heard}");
    }

    #[test]
    fn answers_end_where_they_may() {
        for (answer, error) in [
            ("HTTP/1.1 200 OK\r\n\r\n0123456789".to_owned(), "answers with more than 9 bytes"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789".to_owned(),
                "answers with more than 9",
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n012".to_owned(), "broke off"),
            (
                format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
                "does not speak HTTP",
            ),
        ] {
            let (url, serving) = server(answer);
            let found = url.ask(Some("{}"), LONG, 9).unwrap_err().to_string();
            assert!(found.starts_with(error), "{error}: {found}");
            serving.join().unwrap();
        }
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: HttpUrl = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let error = url.ask(None, Duration::from_millis(30), 9).unwrap_err();
        assert_eq!(error.to_string(), "did not answer within 30ms");
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
