//! Who did what when.

use mambafleet_protocol::{FailureKind, Outcome};

use crate::Num;
use crate::model::{Lane, Millis, Retry, Span, SpanState, Timeline};

/// The lanes of a run's workers, as events tell them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    retries: Vec<Retry>,
    pauses: Vec<(Millis, Option<Millis>)>,
    /// Where the newest attempt at each symbol is, if it is not known yet what came of it; by place.
    open: Vec<Option<At>>,
    /// Why workers are being killed, if they are.
    pub(crate) killing: Option<String>,
}

/// Where a span is.
#[derive(Debug, Clone, Copy)]
struct At {
    lane: usize,
    span: usize,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    /// There is a generation.
    Good,
    /// There was nothing to do.
    UpToDate,
    /// There was no time.
    Skipped,
    /// It failed.
    Failed { kind: FailureKind, cause: &'a str },
    /// The run ended first.
    Interrupted,
}

impl<'a> End<'a> {
    pub(crate) fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Trained { .. } | Outcome::Kept { .. } => Self::Good,
            Outcome::UpToDate { .. } => Self::UpToDate,
            Outcome::Skipped { .. } => Self::Skipped,
            Outcome::Failed { kind, cause, .. } => Self::Failed { kind: *kind, cause },
            Outcome::Interrupted { .. } => Self::Interrupted,
        }
    }
}

/// What is said of an attempt whose worker took the next one without telling how it ended.
const UNTOLD: &str = "how it ended is not in the log";

impl Lanes {
    /// A worker said hello, of so many at most that live at a time.
    pub(crate) fn start(&mut self, worker: u64, pid: Option<u32>, at: Millis, most: usize) {
        self.make_room(worker, most);
        let lane = self.lane(worker, at);
        let lane = &mut self.lanes[lane];
        lane.pid = pid.or(lane.pid);
    }

    /// The end of a worker that was told to end is no event; that another one takes its place tells of it.
    fn make_room(&mut self, worker: u64, most: usize) {
        let live = || self.lanes.iter().filter(|lane| lane.ended.is_none());
        if most == 0 || live().count() < most || live().any(|lane| lane.worker == worker) {
            return;
        }
        let last = |lane: &Lane| match lane.spans.last() {
            Some(span) => span.to,
            None => Some(lane.started),
        };
        let idle = self.lanes.iter_mut().filter(|lane| lane.ended.is_none());
        let idle = idle.filter_map(|lane| Some((last(lane)?, lane)));
        if let Some((end, lane)) = idle.min_by_key(|(end, _)| *end) {
            lane.ended = Some(end);
        }
    }

    /// A worker is gone that was not told to go.
    pub(crate) fn lose(&mut self, worker: u64, pid: Option<u32>, at: Millis, cause: &str) {
        let lane = self.lane(worker, at);
        let lane = &mut self.lanes[lane];
        lane.pid = pid.or(lane.pid);
        (lane.ended, lane.lost) = (Some(at), Some(cause.to_owned()));
        for span in lane.spans.iter_mut().filter(|span| span.state == SpanState::Running) {
            (span.to, span.state) = (Some(at), SpanState::Lost);
            span.cause = Some(cause.to_owned());
        }
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, worker: u64, pid: u32, i: usize, attempt: u32, at: Millis) {
        let lane = self.lane(worker, at);
        // The end of an earlier attempt, on this lane or at this symbol, may have been lost.
        self.lanes[lane].spans.iter_mut().for_each(|span| give_up(span, at));
        if let Some(span) = self.open_span(i) {
            give_up(span, at);
        }
        let of = &mut self.lanes[lane];
        of.pid = of.pid.or(Some(pid));
        of.spans.push(Span { i, attempt, from: at, ..Span::default() });
        let span = of.spans.len() - 1;
        if self.open.len() <= i {
            self.open.resize(i + 1, None);
        }
        self.open[i] = Some(At { lane, span });
    }

    /// The attempt at a symbol waited for the symbol's lock.
    pub(crate) fn waited(&mut self, i: usize, seconds: f64) {
        if let Some(span) = self.open_span(i) {
            span.lock = Num(seconds);
        }
    }

    /// The attempt at a symbol ended by itself; what came of it is to be told.
    pub(crate) fn end(&mut self, i: usize, at: Millis) {
        if let Some(span) = self.open_span(i)
            && span.state == SpanState::Running
        {
            (span.to, span.state) = (Some(at.max(span.from)), SpanState::Ok);
        }
    }

    /// It is known what came of the newest attempt at a symbol. Gives its time in seconds if it ended
    /// without telling.
    pub(crate) fn settle(&mut self, i: usize, at: Millis, end: End<'_>) -> Option<f64> {
        let killing = self.killing.clone();
        let open = self.open.get_mut(i)?.take()?;
        let span = self.lanes.get_mut(open.lane)?.spans.get_mut(open.span)?;
        let told = span.state == SpanState::Ok;
        let lost = span.state == SpanState::Lost;
        span.to = span.to.or(Some(at.max(span.from)));
        match end {
            End::Good => span.state = SpanState::Ok,
            End::UpToDate => span.state = SpanState::UpToDate,
            End::Skipped => span.state = SpanState::Skipped,
            End::Failed { kind, cause } => {
                (span.kind, span.cause) = (Some(kind), Some(cause.to_owned()));
                span.state = if lost { SpanState::Lost } else { SpanState::Failed };
            }
            End::Interrupted => {
                span.state = SpanState::Lost;
                span.cause = span.cause.take().or(killing);
            }
        }
        let spent = span.to.unwrap_or(at).saturating_sub(span.from) as f64 / 1000.0;
        (!told).then_some(spent.max(0.0))
    }

    /// The next attempt at a symbol waits.
    pub(crate) fn retry(&mut self, i: usize, attempt: u32, at: Millis, seconds: f64) {
        let until = at.saturating_add((seconds * 1000.0) as Millis);
        self.retries.push(Retry { i, attempt, at, until });
    }

    /// The run stops.
    pub(crate) fn pause(&mut self, at: Millis) {
        self.pauses.push((at, None));
    }

    /// The run goes on; tells how long it stood still, in milliseconds.
    pub(crate) fn resume(&mut self, at: Millis, seconds: f64) -> Millis {
        let length = (seconds * 1000.0) as Millis;
        match self.pauses.last_mut() {
            Some((_, to @ None)) => *to = Some(at),
            _ => self.pauses.push((at.saturating_sub(length), Some(at))),
        }
        length.max(0)
    }

    /// The attempts at a symbol, in their order, with their workers.
    pub(crate) fn attempts(&self, i: usize) -> Vec<(u64, &Span)> {
        let all = self.lanes.iter().flat_map(|lane| {
            lane.spans.iter().filter(|span| span.i == i).map(|span| (lane.worker, span))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, span)| (span.from, span.attempt));
        all
    }

    /// What is to be shown of a run that began and, unless it still runs, ended then.
    pub(crate) fn timeline(&self, start: Millis, end: Option<Millis>) -> Timeline {
        let mut lanes = self.lanes.clone();
        lanes.sort_by_key(|lane| lane.worker);
        if let Some(end) = end {
            let spans = lanes.iter_mut().flat_map(|lane| &mut lane.spans);
            for span in spans.filter(|span| span.state == SpanState::Running) {
                (span.to, span.state) = (Some(end.max(span.from)), SpanState::Lost);
                span.cause = Some("the run ended first".to_owned());
            }
        }
        Timeline { start, end, lanes, retries: self.retries.clone(), pauses: self.pauses.clone() }
    }

    /// The lane of a worker; a new one, if its hello was not heard.
    fn lane(&mut self, worker: u64, at: Millis) -> usize {
        // Workers are numbered as they are started.
        if let Some(lane) = self.lanes.iter().rposition(|lane| lane.worker == worker) {
            return lane;
        }
        self.lanes.push(Lane { worker, started: at, ..Lane::default() });
        self.lanes.len() - 1
    }

    fn open_span(&mut self, i: usize) -> Option<&mut Span> {
        let At { lane, span } = (*self.open.get(i)?)?;
        self.lanes.get_mut(lane)?.spans.get_mut(span)
    }
}

/// Closes an attempt whose end was lost.
fn give_up(span: &mut Span, at: Millis) {
    if span.state == SpanState::Running {
        (span.to, span.state) = (Some(at.max(span.from)), SpanState::Lost);
        span.cause = Some(UNTOLD.to_owned());
    }
}
