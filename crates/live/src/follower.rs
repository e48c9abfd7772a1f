//! A run that is followed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_artifacts::Store;
use mambafleet_orchestrator::RunRecord;
use mambafleet_protocol::RunId;
use mambafleet_report::Follower as Inner;
use mambafleet_report::model::{Compare, Counts, Detail, LastSuccess, Page, RunLine, RunState};
use mambafleet_web::Bytes;
use serde_json::Value;

use crate::messages::{self, Update};

/// The record is not looked at again within this time, whoever asks.
const FRESH: Duration = Duration::from_millis(200);

/// An evaluation that was not there when the run had ended is not looked for again within this time.
const EXTRAS: Duration = Duration::from_secs(5);

/// Who joins gets what has changed within this time: the page they have is not older.
const CAUGHT_UP: Duration = Duration::from_secs(15);

/// Bytes of timelines that clients get per second, about: a long run's is large, and changes often.
const TIMELINE_RATE: f64 = 64e3;

/// A run, and what clients have of it.
pub(crate) struct Follower {
    inner: Inner,
    record: std::path::PathBuf,
    looked: Instant,
    extras: Extras,
    page: Option<Made>,
    sent: Sent,
    /// Versions of the page, and when they were new; the oldest first.
    versions: VecDeque<(Instant, u64)>,
}

/// What of a page neither events nor rows tell.
struct Extras {
    made: Instant,
    /// The state of the run by then.
    state: RunState,
    compare: Option<Compare>,
    evaluation: Option<Value>,
    last_success: Option<LastSuccess>,
}

/// A page as JSON.
struct Made {
    of: (u64, u64, Instant),
    json: Bytes,
}

/// What clients were told last.
struct Sent {
    version: u64,
    counts: Counts,
    of: (RunState, Option<String>),
    evaluated: bool,
    timeline_due: bool,
    timeline_from: Instant,
}

impl Follower {
    /// Reads what there is of a run; `None` if it has not begun.
    pub(crate) fn open(store: &Store, run: &RunId) -> Option<Self> {
        let record = RunRecord::dir_of(&store.runs_dir(), run);
        if !record.join("plan.json").is_file() {
            return None;
        }
        let inner = Inner::open(store, run)?;
        let now = Instant::now();
        let extras = Extras::of(&inner, now);
        let view = inner.view();
        let sent = Sent {
            version: view.version(),
            counts: view.counts(),
            of: (view.state(), view.run().signal),
            evaluated: extras.evaluation.is_some(),
            timeline_due: false,
            timeline_from: now,
        };
        let versions = VecDeque::from([(now, view.version())]);
        Some(Self { record, looked: now, extras, page: None, sent, versions, inner })
    }

    /// Reads on, unless that was done a moment ago.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.looked) < FRESH || self.is_over() {
            return;
        }
        self.looked = now;
        self.inner.poll();
        self.versions.push_back((now, self.inner.view().version()));
        while self.versions.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= CAUGHT_UP) {
            self.versions.pop_front();
        }
    }

    /// Whether nothing more will come.
    fn is_over(&self) -> bool {
        self.inner.view().has_ended()
    }

    /// The page as JSON, beside these runs, of which this is the version.
    pub(crate) fn page(
        &mut self,
        runs: &[RunLine],
        runs_version: u64,
    ) -> Result<Bytes, serde_json::Error> {
        let now = Instant::now();
        let state = self.inner.view().state();
        let missing = self.is_over() && self.extras.evaluation.is_none();
        let old = missing && now.duration_since(self.extras.made) >= EXTRAS;
        if old || self.extras.state != state {
            self.extras = Extras::of(&self.inner, now);
        }
        let of = (self.inner.view().version(), runs_version, self.extras.made);
        if let Some(made) = self.page.as_ref().filter(|made| made.of == of) {
            return Ok(made.json.clone());
        }
        let mut page = Page {
            live: true,
            compare: self.extras.compare.clone(),
            evaluation: self.extras.evaluation.clone(),
            last_success: self.extras.last_success.clone(),
            runs: runs.to_vec(),
            ..self.inner.view().page(Timestamp::now())
        };
        let of_this = page.runs.iter_mut().find(|line| line.id == page.run.id);
        if let Some(line) = of_this {
            line.good = page.counts.trained + page.counts.up_to_date + page.counts.kept;
            line.failed = page.counts.failed;
        }
        let json = Bytes::from(serde_json::to_vec(&page)?);
        self.page = Some(Made { of, json: json.clone() });
        Ok(json)
    }

    /// The row of a symbol as JSON, which changes when its details do; `None` if it is not in the run.
    pub(crate) fn row(&self, symbol: &mambafleet_protocol::Symbol) -> Option<String> {
        let view = self.inner.view();
        serde_json::to_string(&view.row(view.place_of(symbol)?)?).ok()
    }

    /// A symbol in detail.
    pub(crate) fn detail(&self, symbol: &mambafleet_protocol::Symbol) -> Option<Detail> {
        self.inner.detail(symbol)
    }

    /// What clients are to be told now. `joined`: some have a page that may be older than what was
    /// told last.
    pub(crate) fn news(&mut self, joined: bool) -> Vec<Bytes> {
        let mut news = Vec::new();
        if self.has_turned() {
            news.push(Bytes::from_static(messages::PAGE));
        }
        news.extend(self.update(joined));
        news
    }

    /// Whether the page must be loaded anew: the run has ended, or is about to, or was judged.
    fn has_turned(&mut self) -> bool {
        let view = self.inner.view();
        let of = (view.state(), view.run().signal);
        let over = view.has_ended();
        let mut turned = std::mem::replace(&mut self.sent.of, of.clone()) != of;
        if over && !self.sent.evaluated && self.record.join("evaluation.json").is_file() {
            (self.sent.evaluated, turned) = (true, true);
        }
        turned
    }

    fn update(&mut self, joined: bool) -> Option<Bytes> {
        let view = self.inner.view();
        let since = match self.versions.front() {
            Some((_, version)) if joined => self.sent.version.min(*version),
            _ => self.sent.version,
        };
        let now = Instant::now();
        let mut changes = view.changed_since(since);
        self.sent.version = changes.v;
        self.sent.timeline_due |= changes.timeline.is_some();
        changes.timeline = if !self.sent.timeline_due || now < self.sent.timeline_from {
            None
        } else {
            changes.timeline.or_else(|| Some(view.timeline()))
        };
        let counts = std::mem::replace(&mut self.sent.counts, changes.counts);
        let more = changes.timeline.is_some() || changes.time.is_some();
        if changes.rows.is_empty() && counts == changes.counts && !more {
            return None;
        }
        if let Some(timeline) = &changes.timeline {
            self.sent.timeline_due = false;
            let bytes = serde_json::to_vec(timeline).map_or(0, |json| json.len());
            self.sent.timeline_from = now + Duration::from_secs_f64(bytes as f64 / TIMELINE_RATE);
        }
        Some(messages::update(&Update {
            v: changes.v,
            run: self.inner.run().as_str(),
            counts: changes.counts,
            rows: &changes.rows,
            timeline: changes.timeline.as_ref(),
            time: changes.time,
        }))
    }
}

impl Extras {
    fn of(inner: &Inner, made: Instant) -> Self {
        let state = inner.view().state();
        let Page { compare, evaluation, last_success, .. } = inner.page(None);
        Self { made, state, compare, evaluation, last_success }
    }
}
