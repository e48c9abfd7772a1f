//! The server: a thread, a listener, connections.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::body::ReplyBody;
use crate::gate::{Gate, Refused};
use crate::patient::Patient;
use crate::{Handler, Limits, Page, Policy, Reply, Request, WebError};

/// Connections that the system may keep before they are accepted.
const BACKLOG: u32 = 128;

/// How long accepting rests when the system refuses, as for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long the end of the server is waited for.
const END: Duration = Duration::from_millis(500);

/// Connections that are told at the same time that there are too many; others are dropped.
const TURNED_AWAY: usize = 32;

/// How long a client that was turned away may take to go.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client that was turned away is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
    X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'\r\n\
    Cache-Control: no-store\r\nRetry-After: 5\r\nContent-Length: 31\r\nConnection: close\r\n\r\n\
    503: there are too many clients";

/// Headers of every answer.
const SAFE: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
         connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// A server that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Shared {
    gate: Gate,
    limits: Limits,
    handler: Arc<dyn Handler>,
    connections: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Server {
    /// Starts to listen, in a thread of its own. With port 0 the system chooses one.
    ///
    /// # Errors
    /// [`WebError`] when the policy does not let everybody ask who could, when the address is in use
    /// or not this machine's, or when no thread can be started.
    pub fn start(
        address: SocketAddr,
        policy: Policy,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, WebError> {
        policy.check(address)?;
        let limits = policy.limits;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(limits.slow.max(1))
            .build()
            .map_err(WebError::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            listen(address, limits.send_buffer)?
        };
        let refused = |source| WebError::Listen { address, source };
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            gate: Gate::new(policy, address.port()),
            limits,
            handler,
            connections: Arc::new(Semaphore::new(limits.connections)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            queue: Arc::new(Semaphore::new(limits.queue)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        });
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("web".into());
        let thread = thread.spawn(move || serve(runtime, listener, &shared, stopped, &end));
        let thread = thread.map_err(WebError::Thread)?;
        Ok(Self { address, stop: Some(stop), ended, thread: Some(thread) })
    }

    /// Where it listens, with the port that was chosen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.ended.recv_timeout(END).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| ended)
            && thread.join().is_err()
        {
            tracing::error!("the server's thread has panicked");
        }
    }
}

/// The life of the server's thread.
fn serve(
    runtime: Runtime,
    listener: TcpListener,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
    end: &mpsc::Sender<()>,
) {
    runtime.block_on(async {
        tokio::select! {
            () = accept(listener, shared) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
    // An error says that nobody waits for the end.
    let _ = end.send(());
}

fn listen(address: SocketAddr, send_buffer: u32) -> Result<TcpListener, WebError> {
    let refused = |source: std::io::Error| match source.kind() {
        ErrorKind::AddrInUse => WebError::InUse(address),
        _ => WebError::Listen { address, source },
    };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(refused)?;
    // Elsewhere it would let two programs listen at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true).map_err(refused)?;
    // Connections inherit it; a system that does not have it so keeps what it likes.
    let _ = socket.set_send_buffer_size(send_buffer);
    socket.bind(address).map_err(refused)?;
    socket.listen(BACKLOG).map_err(refused)
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, shared),
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn admit(stream: TcpStream, shared: &Arc<Shared>) {
    if let Ok(place) = Arc::clone(&shared.connections).try_acquire_owned() {
        tokio::spawn(connection(stream, Arc::clone(shared), place));
    } else if let Ok(place) = Arc::clone(&shared.turned_away).try_acquire_owned() {
        tokio::spawn(turn_away(stream, place));
    }
}

/// Says that there are too many clients. The rest of the request is read, for closing a connection
/// with something unread takes back what was sent.
async fn turn_away(mut stream: TcpStream, _place: OwnedSemaphorePermit) {
    let farewell = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(64 << 10), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, _place: OwnedSemaphorePermit) {
    let Ok(to) = stream.local_addr() else { return };
    // Messages are small, and are wanted at once.
    let _ = stream.set_nodelay(true);
    let limits = shared.limits;
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request, to.ip()).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head.max(8 << 10))
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.write_time)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection has ended");
    }
}

type Response = hyper::Response<ReplyBody>;

impl Shared {
    async fn answer(&self, request: hyper::Request<Incoming>, to: IpAddr) -> Response {
        let (request, body) = request.into_parts();
        let query = match self.gate.judge(&request, !body.is_end_stream(), to) {
            Ok(query) => query,
            Err(Refused { page, header }) => {
                let mut response = whole(page);
                response.headers_mut().extend(header);
                return response;
            }
        };
        let reply = self.handler.handle(&Request::new(request.uri.path(), query, &request.headers));
        match reply {
            Reply::Page(page) => whole(page),
            Reply::Later(work) => whole(self.later(work).await),
            Reply::Stream(messages) => {
                let body = if request.method == Method::HEAD {
                    ReplyBody::Untold
                } else if let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() {
                    ReplyBody::stream(messages, place)
                } else {
                    return whole(busy("there are too many clients"));
                };
                let mut response = response(StatusCode::OK, "text/event-stream", body);
                // What some proxies understand: hand on at once what comes.
                let name = HeaderName::from_static("x-accel-buffering");
                response.headers_mut().insert(name, HeaderValue::from_static("no"));
                response
            }
        }
    }

    async fn later(&self, work: Box<dyn FnOnce() -> Page + Send>) -> Page {
        let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() else {
            return busy("too much is asked at once");
        };
        let done = tokio::task::spawn_blocking(move || {
            let page = work();
            drop(place);
            page
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer has failed");
            Page::refusal(StatusCode::INTERNAL_SERVER_ERROR, "this went wrong")
        })
    }
}

fn busy(words: &str) -> Page {
    Page::refusal(StatusCode::SERVICE_UNAVAILABLE, words)
}

fn whole(page: Page) -> Response {
    response(page.status, page.content_type, ReplyBody::whole(page.body))
}

fn response(status: StatusCode, content_type: &'static str, body: ReplyBody) -> Response {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in SAFE {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
