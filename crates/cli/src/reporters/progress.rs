//! A live display on a terminal: a line for each symbol in training, one for the whole run, and above
//! them what is over.
//!
//! A thread draws. Events only change what it knows, so that a terminal that takes no more output
//! (Ctrl-S) holds up no run.

mod above;
mod board;
mod eta;
mod panel;
mod screen;
mod scroll;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mambafleet_orchestrator::{Reporter, RunEvent, RunPlan, StampedEvent};

pub(crate) use self::above::{line_writer, put_above};
use self::board::Board;
use self::screen::{Screen, room};
use crate::style::{Look, Page};

/// Redraws per second at most.
const REFRESH_HZ: u8 = 10;

/// The time between two redraws at least.
const REFRESH: Duration = Duration::from_millis(1000 / REFRESH_HZ as u64);

/// How often it is looked whether clocks or the size of the terminal have changed.
const IDLE: Duration = Duration::from_millis(250);

/// How long a stop of the process waits for the lines to be cleared away.
const PATIENCE: Duration = Duration::from_secs(1);

/// Columns that a symbol takes above the live lines at most before what follows is out of line.
const SYMBOL: usize = 14;

/// Draws on standard error.
pub(crate) struct ProgressReporter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to draw.
    news: Condvar,
    /// The lines are cleared away.
    cleared: Condvar,
}

struct State {
    board: Board,
    /// What is to stand above the live lines.
    scroll: Vec<Above>,
    wish: Wish,
    /// Nothing is drawn now.
    is_clear: bool,
    /// Something has changed since it was drawn.
    news: bool,
}

enum Above {
    Event(Box<RunEvent>),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Show,
    /// The terminal is somebody else's for a while.
    Pause,
    End,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.news = true;
        self.news.notify_all();
    }

    /// Waits until something is to be drawn, or a moment: what goes above, and what is wished.
    fn wait(&self) -> (Vec<Above>, Wish) {
        let state = self.lock();
        let idle = |state: &mut State| !state.news;
        let waited = self.news.wait_timeout_while(state, IDLE, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.news = false;
        (std::mem::take(&mut state.scroll), state.wish)
    }

    /// Waits for the time of the next redraw, or until another wish than this one comes.
    fn rest(&self, wish: Wish) {
        let state = self.lock();
        let same = |state: &mut State| state.wish == wish;
        drop(self.news.wait_timeout_while(state, REFRESH, same));
    }

    fn clear(&self) {
        self.lock().is_clear = true;
        self.cleared.notify_all();
    }
}

impl ProgressReporter {
    pub(crate) fn new(plan: &RunPlan) -> Self {
        let state = State {
            board: Board::new(plan, Instant::now()),
            scroll: Vec::new(),
            wish: Wish::Show,
            is_clear: true,
            news: false,
        };
        let (news, cleared) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { state: Mutex::new(state), news, cleared });
        Self { shared, thread: None }
    }

    fn begin(&mut self) {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("display".to_owned());
        // Without it the run goes on unseen.
        self.thread = thread.spawn(move || draw(&shared)).ok();
        if self.thread.is_some() {
            above::send_to(Arc::downgrade(&self.shared));
        }
    }

    /// Clears the lines away before the process stops.
    fn pause(&self) {
        self.shared.tell(|state| (state.wish, state.is_clear) = (Wish::Pause, false));
        let drawn = |state: &mut State| !state.is_clear;
        drop(self.shared.cleared.wait_timeout_while(self.shared.lock(), PATIENCE, drawn));
    }

    fn end(&mut self) {
        above::send_to(Weak::new());
        self.shared.tell(|state| state.wish = Wish::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ProgressReporter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Reporter for ProgressReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        let now = Instant::now();
        self.shared.tell(|state| {
            state.board.on(&event.event, now);
            if !matches!(event.event, RunEvent::Pulse(_) | RunEvent::Progress(_)) {
                state.scroll.push(Above::Event(Box::new(event.event.clone())));
            }
        });
        match event.event {
            RunEvent::RunStarted { .. } => self.begin(),
            RunEvent::Suspended => self.pause(),
            RunEvent::Resumed { .. } => self.shared.tell(|state| state.wish = Wish::Show),
            RunEvent::RunFinished { .. } => self.end(),
            _ => {}
        }
    }

    fn wants_pulse(&self) -> bool {
        true
    }
}

/// Draws until the end is wished for.
fn draw(shared: &Arc<Shared>) {
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(Screen::new()), REFRESH_HZ);
    let bars = MultiProgress::with_draw_target(target);
    let look = Look::of_stderr();
    // A bar that is not part of the group yet would draw itself.
    let bar = bars.add(ProgressBar::no_length());
    bar.set_style(live(shared, look));
    loop {
        let (above, wish) = shared.wait();
        let text = text(&above, shared, look);
        match (wish, text) {
            (Wish::Show, Some(text)) => bar.println(text),
            (Wish::Show, None) => bar.tick(),
            (Wish::Pause | Wish::End, text) => {
                // A terminal that is gone is no reason to stop a run.
                let _ = text.map(|text| bars.println(text));
                let _ = bars.clear();
                shared.clear();
            }
        }
        if wish == Wish::End {
            break;
        }
        shared.rest(wish);
    }
    bar.finish_and_clear();
}

/// What goes above the live lines; none if that is nothing.
fn text(above: &[Above], shared: &Shared, look: Look) -> Option<String> {
    let symbols = shared.lock().board.symbol_width(SYMBOL);
    let page = Page { look, width: Some(room().width) };
    let texts = above.iter().filter_map(|above| match above {
        Above::Event(event) => scroll::scrolled(event, symbols, page),
        Above::Text(text) => Some(page.wrap(text.trim_end(), 2)),
    });
    let texts: Vec<_> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// The live lines as a style: what they say is found out when they are drawn.
fn live(shared: &Arc<Shared>, look: Look) -> ProgressStyle {
    let shared = Arc::clone(shared);
    let lines = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let lines = panel::panel(&shared.lock().board, Instant::now(), room(), look);
        let _ = out.write_str(&lines.join("\n"));
    };
    template("{lines}").with_key("lines", lines)
}

/// A bar as other commands have it.
pub(super) fn style(template_text: &str) -> ProgressStyle {
    template(template_text).progress_chars("=> ")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_bar())
}
