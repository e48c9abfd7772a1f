//! MLflow's REST interface, as much of it as is used here, with patience.

use std::fmt::Display;
use std::time::Duration;

use mambafleet_orchestrator::{Answer, HttpError, HttpUrl};
use mambafleet_protocol::cause_chain;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::batch::Batch;
use crate::lane::Shared;

/// The longest time that one request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// The wait before a request is repeated; doubled for each further time, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait before a request is repeated.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// So often is a request sent that the server fails over. A server that cannot be reached is asked as
/// long as there is time.
const TRIES: u32 = 6;

/// Longer answers are not read.
const MOST_BYTES: usize = 1 << 20;

/// So much of what a server says is told.
const MOST_SAID: usize = 300;

/// The tag by which a run of ours is found again.
pub(super) const KEY_TAG: &str = "mambafleet.key";

/// A request came to nothing. Why is in the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

/// Why a request came to nothing this time.
#[derive(Debug)]
enum Trouble {
    /// Nobody is there: it is worth another try at any time.
    Away(String),
    /// The server fails over it: it is worth a few tries.
    Fault(String),
    /// It will be the same next time.
    Refused {
        /// MLflow's name for it.
        code: String,
        /// All of it.
        text: String,
    },
}

/// What is needed to make a run.
pub(super) struct NewRun<'a> {
    pub(super) experiment: &'a str,
    pub(super) name: &'a str,
    /// Milliseconds since 1970.
    pub(super) began: i64,
    /// What no other run has.
    pub(super) key: &'a str,
    /// Further tags.
    pub(super) tags: Vec<(String, String)>,
}

/// A server.
pub(super) struct Client {
    url: HttpUrl,
    shared: Shared,
}

impl Client {
    pub(super) fn new(url: HttpUrl, shared: Shared) -> Self {
        Self { url, shared }
    }

    /// The identifier of the experiment of this name, which is made if there is none.
    pub(super) fn experiment(&self, name: &str) -> Result<String, Lost> {
        let escaped = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let path = format!("experiments/get-by-name?experiment_name={escaped}");
        let find = || {
            let found = self.ask(&path, None)?;
            let deleted = found["experiment"]["lifecycle_stage"] == "deleted";
            if deleted {
                let text =
                    format!("the experiment {name:?} is deleted; restore it or name another");
                return Err(Trouble::Refused { code: String::new(), text });
            }
            text_at(&found, "/experiment/experiment_id")
        };
        self.insist(|_| match find() {
            Err(Trouble::Refused { code, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {
                match self.ask("experiments/create", Some(&json!({ "name": name }))) {
                    // Another was faster.
                    Err(Trouble::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => {
                        find()
                    }
                    made => text_at(&made?, "/experiment_id"),
                }
            }
            found => found,
        })
    }

    /// Makes a run; its identifier. Whether a request that broke off has made it already is found out
    /// before it is repeated.
    pub(super) fn create(&self, new: &NewRun<'_>) -> Result<String, Lost> {
        let key = (KEY_TAG.to_owned(), new.key.to_owned());
        let tags =
            new.tags.iter().chain([&key]).map(|(key, value)| json!({ "key": key, "value": value }));
        let body = json!({
            "experiment_id": new.experiment,
            "run_name": new.name,
            "start_time": new.began,
            "tags": tags.collect::<Vec<_>>(),
        });
        let search = json!({
            "experiment_ids": [new.experiment],
            "filter": format!("tags.`{KEY_TAG}` = '{}'", new.key),
            "max_results": 1,
        });
        self.insist(|again| {
            if again
                && let Ok(id) =
                    text_at(&self.ask("runs/search", Some(&search))?, "/runs/0/info/run_id")
            {
                return Ok(id);
            }
            text_at(&self.ask("runs/create", Some(&body))?, "/run/info/run_id")
        })
    }

    /// Logs all of a batch, in as many requests as MLflow's limits want.
    pub(super) fn log(&self, run: &str, batch: &Batch) -> Result<(), Lost> {
        let mut result = Ok(());
        // What is refused in one piece is no reason to keep back the others.
        for body in batch.requests(run) {
            result = self.insist(|_| self.ask("runs/log-batch", Some(&body)).map(drop)).and(result);
        }
        result
    }

    /// Ends a run.
    pub(super) fn end(&self, run: &str, status: &str, ended: i64) -> Result<(), Lost> {
        let body = json!({ "run_id": run, "status": status, "end_time": ended });
        self.insist(|_| self.ask("runs/update", Some(&body)).map(drop))
    }

    /// Repeats what fails as long as it makes sense and there is time. Tells the attempt whether it is a
    /// repetition.
    fn insist<T>(&self, mut attempt: impl FnMut(bool) -> Result<T, Trouble>) -> Result<T, Lost> {
        let (mut wait, mut faults, mut again) = (FIRST_WAIT, 0, false);
        while self.shared.closing.within(REQUEST).is_some() {
            match attempt(again) {
                Ok(found) => return Ok(found),
                Err(Trouble::Refused { text, .. }) => return self.lose(text),
                Err(Trouble::Fault(text)) => {
                    faults += 1;
                    if faults == TRIES {
                        return self.lose(text);
                    }
                    self.shared.tally.trouble(text);
                }
                Err(Trouble::Away(text)) => self.shared.tally.trouble(text),
            }
            again = true;
            self.shared.closing.pause(wait);
            wait = (2 * wait).min(LONGEST_WAIT);
        }
        Err(Lost)
    }

    fn lose<T>(&self, why: impl Display) -> Result<T, Lost> {
        self.shared.tally.trouble(why);
        Err(Lost)
    }

    /// One request, once.
    fn ask(&self, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let url = self.url.below(&format!("api/2.0/mlflow/{path}"));
        let patience = self.shared.closing.within(REQUEST).unwrap_or(Duration::from_millis(1));
        let json = body.map(Value::to_string);
        let answer = url.ask(json.as_deref(), patience, MOST_BYTES).map_err(|error| {
            let text = cause_chain(&error);
            match error {
                HttpError::Foreign | HttpError::Long(_) | HttpError::Refused { .. } => {
                    Trouble::Refused { code: String::new(), text }
                }
                HttpError::Resolve(_)
                | HttpError::Connect(_)
                | HttpError::Broken(_)
                | HttpError::Late(_) => Trouble::Away(text),
            }
        })?;
        judge(path, &answer)
    }
}

/// What an answer means.
fn judge(path: &str, Answer { status, body }: &Answer) -> Result<Value, Trouble> {
    let json = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    let call = path.split('?').next().unwrap_or(path);
    if (200..300).contains(status) {
        let text = format!("does not answer {call} as MLflow does");
        return json.ok_or(Trouble::Refused { code: String::new(), text });
    }
    let said = |name| json.as_ref().and_then(|json| json[name].as_str()).unwrap_or_default();
    let (code, message) = (said("error_code"), said("message"));
    let mut text = format!("answered {call} with {status}");
    if (300..400).contains(status) {
        text += ", and redirects are not followed";
    }
    for part in [code, message].into_iter().filter(|part| !part.is_empty()) {
        text += &format!(": {}", cut(&part.replace(['\r', '\n'], " "), MOST_SAID));
    }
    Err(match status {
        408 | 429 | 502..=504 => Trouble::Away(text),
        500.. => Trouble::Fault(text),
        _ => Trouble::Refused { code: code.to_owned(), text },
    })
}

/// The text at a place in an answer.
fn text_at(answer: &Value, place: &str) -> Result<String, Trouble> {
    let found = answer.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let text = format!("answers without {place}, which MLflow has");
    found.ok_or(Trouble::Refused { code: String::new(), text })
}

/// No more than so many bytes of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let dots = "...";
    let end = (0..=most - dots.len()).rev().find(|end| text.is_char_boundary(*end));
    format!("{}{dots}", &text[..end.unwrap_or(0)])
}
