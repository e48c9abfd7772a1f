//! An MLflow server as far as a run needs one, and servers that are not what they should be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path, as in `POST /api/2.0/mlflow/runs/create`.
    pub(crate) what: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The body; null if there is none.
    pub(crate) body: Value,
}

/// What is answered.
pub(crate) enum Reply {
    /// A status and a body.
    Says(u16, String),
    /// Nothing, ever.
    Hangs,
    /// The end of the connection.
    HangsUp,
    /// These bytes.
    Raw(Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Says(status, body.to_string())
    }
}

/// A server that writes down what it is asked.
pub(crate) struct FakeMlflow {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeMlflow {
    /// Answers as MLflow does, with no experiment at first.
    pub(crate) fn start() -> Self {
        Self::answering(|_, usual| usual)
    }

    /// Answers whatever `reply` makes of a request and the usual answer to it.
    pub(crate) fn answering(
        mut reply: impl FnMut(&Asked, Reply) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut usual = Usual::default();
            // Connections that nothing is said on stay open.
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = hear(&stream) else { continue };
                notes.lock().unwrap().push(request.clone());
                match reply(&request, usual.answer(&request)) {
                    Reply::Says(status, body) => say(&mut stream, status, &body),
                    Reply::Raw(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Hangs => silent.push(stream),
                    Reply::HangsUp => {}
                }
            }
        });
        Self { address, asked }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The bodies of all requests to paths that end with this.
    pub(crate) fn bodies(&self, path: &str) -> Vec<Value> {
        let asked = self.asked().into_iter().filter(|asked| asked.what.ends_with(path));
        asked.map(|asked| asked.body).collect()
    }
}

/// What a server that works remembers.
#[derive(Default)]
struct Usual {
    experiment: bool,
    /// The keys of the runs in the order of their making.
    keys: Vec<String>,
}

impl Usual {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let path = asked.what.split("/api/2.0/mlflow/").nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let run = |number: usize| json!({ "info": { "run_id": format!("run-{number}") } });
        let answer = match path {
            "experiments/get-by-name" if self.experiment => {
                json!({ "experiment": { "experiment_id": "7", "lifecycle_stage": "active" } })
            }
            "experiments/get-by-name" => {
                let code = "RESOURCE_DOES_NOT_EXIST";
                return Reply::json(404, &json!({ "error_code": code, "message": "none" }));
            }
            "experiments/create" => {
                self.experiment = true;
                json!({ "experiment_id": "7" })
            }
            "runs/create" => {
                let tags = asked.body["tags"].as_array().unwrap();
                let key = tags.iter().find(|tag| tag["key"] == "mambafleet.key").unwrap();
                self.keys.push(key["value"].as_str().unwrap().to_owned());
                json!({ "run": run(self.keys.len()) })
            }
            "runs/search" => {
                let filter = asked.body["filter"].as_str().unwrap();
                let known = self.keys.iter().position(|key| filter.contains(&format!("'{key}'")));
                known.map_or(json!({}), |place| json!({ "runs": [run(place + 1)] }))
            }
            "runs/log-batch" | "runs/update" => json!({}),
            _ => return Reply::Says(404, "<html>not found</html>".to_owned()),
        };
        Reply::json(200, &answer)
    }
}

/// Reads one request.
fn hear(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let what = first.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Asked { what, authorization, body })
}

/// Says all of it, unless nobody listens.
fn say(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes());
}
