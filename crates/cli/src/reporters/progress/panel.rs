//! The lines at the bottom of the terminal: a pure function of what is known and of the room there is.

use std::time::Instant;

use mambafleet_protocol::EpochReport;

use super::board::{Attempt, Board};
use super::eta;
use crate::style::{Look, Tone, pad, width};
use crate::table::{number, seconds};

/// Room on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Blanks between columns.
const GAP: usize = 2;

/// Terminals from this height on have a line of titles.
const TITLED: usize = 8;

/// A wide terminal has longer bars and curves.
const WIDE: usize = 110;

/// Columns that a symbol takes at most; half of it on a narrow terminal.
const SYMBOL: usize = 14;
const NARROW: usize = 60;

/// A column of the attempts that run.
struct Column {
    title: &'static str,
    number: bool,
    tone: Option<Tone>,
    /// Its width at least, so that it does not change with every number.
    least: usize,
    cells: Vec<String>,
}

impl Column {
    fn toned(self, tone: Tone) -> Self {
        Self { tone: Some(tone), ..self }
    }

    fn width(&self) -> usize {
        self.cells
            .iter()
            .map(|cell| width(cell))
            .fold(width(self.title).max(self.least), usize::max)
    }
}

/// The lines: titles, one for each attempt that runs, and one for the whole run. No line is as wide as
/// the terminal, and there are fewer of them than it has.
pub(super) fn panel(board: &Board, now: Instant, room: Room, look: Look) -> Vec<String> {
    // A full line makes some terminals begin another one.
    let columns = room.width.saturating_sub(1);
    let rows = room.height.saturating_sub(1).max(1);
    let titles = usize::from(room.height >= TITLED && board.running().len() > 0);
    let mut lines =
        attempts(board, now, columns, rows.saturating_sub(1 + titles), look, titles > 0);
    lines.push(total(board, now, columns, look));
    lines
}

/// A line for each attempt, as far as there is room for so many `rows`.
fn attempts(
    board: &Board,
    now: Instant,
    columns: usize,
    rows: usize,
    look: Look,
    titled: bool,
) -> Vec<String> {
    let running = board.running().len();
    let shown = if running > rows { rows.saturating_sub(1) } else { running };
    let attempts: Vec<_> = board.running().take(shown).collect();
    let mut lines = table(&fit(all(board, &attempts, now, columns, look), columns), look, titled);
    lines.truncate(if shown == 0 { 0 } else { shown + usize::from(titled) });
    if shown < running && rows > 0 {
        let more = match shown {
            0 => format!("{running} running"),
            _ => format!("and {} more running", running - shown),
        };
        lines.push(look.paint(Tone::Faint, &look.clip(&more, columns)));
    }
    lines
}

/// All columns, the most important one first.
fn all(
    board: &Board,
    attempts: &[&Attempt],
    now: Instant,
    columns: usize,
    look: Look,
) -> Vec<Column> {
    let column = |title, number, least, cell: &dyn Fn(&Attempt) -> String| {
        let cells = attempts.iter().map(|attempt| cell(attempt)).collect();
        Column { title, number, least, tone: None, cells }
    };
    let of_epoch = |title, least, cell: &dyn Fn(&EpochReport) -> String| {
        column(title, true, least, &|one| one.epoch.as_ref().map_or_else(String::new, cell))
    };
    let symbols = board.symbol_width(if columns < NARROW { SYMBOL / 2 } else { SYMBOL });
    let spark = if columns >= WIDE { 20 } else { 8 };
    let losses = |attempt: &Attempt| {
        let Some(epoch) = &attempt.epoch else { return String::new() };
        format!("{} {}", number(epoch.validation_loss), curve(&attempt.losses, spark, look))
    };
    let symbol = |one: &Attempt| look.clip(one.symbol.as_str(), symbols);
    let epoch = |one: &Attempt| {
        let count = |epoch: &EpochReport| format!("{}/{}", epoch.epoch, epoch.epochs);
        one.epoch.as_ref().map_or_else(|| one.stage.to_owned(), count)
    };
    let attempt = |one: &Attempt| Some(one.attempt).filter(|number| *number > 1);
    let mut all = vec![
        column("SYMBOL", false, symbols, &symbol).toned(Tone::Strong),
        column("EPOCH", false, "loading".len(), &epoch),
    ];
    if attempts.iter().any(|one| attempt(one).is_some()) {
        let cell = |one: &Attempt| attempt(one).map_or_else(String::new, |n| n.to_string());
        all.push(column("TRY", true, 0, &cell).toned(Tone::Warn));
    }
    let memory = |one: &Attempt| one.memory.map_or_else(String::new, memory);
    let bar = |one: &Attempt| bar(one.share(), 24, look);
    all.extend([
        column("VALIDATION", false, "0.1234 ".len() + spark, &losses),
        column("TIME", true, "59m 59s".len(), &|one| clock(one.seconds(now))),
        of_epoch("TRAIN", "0.1234".len(), &|epoch| number(epoch.train_loss)),
        of_epoch("SAMPLES/S", 0, &|epoch| thousands(epoch.samples_per_second)),
        column("MEMORY", true, "123 MiB".len(), &memory),
        column("", false, 0, &bar).toned(Tone::Good),
    ]);
    all
}

/// The first columns, as many as fit.
fn fit(all: Vec<Column>, columns: usize) -> Vec<Column> {
    let mut used = 0;
    let fits = |column: &Column| {
        used += column.width() + if used > 0 { GAP } else { 0 };
        used <= columns
    };
    let wide = all.first().is_some_and(|first| first.width() > columns);
    let mut shown: Vec<_> = all.into_iter().take_while(fits).collect();
    if wide {
        shown.clear();
    }
    shown
}

fn table(columns: &[Column], look: Look, titled: bool) -> Vec<String> {
    let gap = " ".repeat(GAP);
    let join = |cells: Vec<String>| cells.join(&gap).trim_end().to_owned();
    let titles = columns.iter().map(|one| pad(one.title, one.width(), one.number)).collect();
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let row = |index: usize| {
        let cell = |column: &Column| {
            let cell = pad(&column.cells[index], column.width(), column.number);
            column.tone.map_or(cell.clone(), |tone| look.paint(tone, &cell))
        };
        join(columns.iter().map(cell).collect())
    };
    let titles = titled.then(|| look.paint(Tone::Faint, &join(titles)));
    titles.into_iter().chain((0..rows).map(row)).collect()
}

/// The whole run: a bar, how many are done and have failed, how long it has taken and will.
fn total(board: &Board, now: Instant, columns: usize, look: Look) -> String {
    let (done, all) = (board.done, board.total());
    let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
    let elapsed = clock(board.seconds(now));
    let left = match board.left(now) {
        _ if board.draining => Some(format!("ending, {} running", board.running().len())),
        left => left.map(eta::words),
    };
    let failed = (board.failed > 0).then(|| format!("{} failed", board.failed));
    let long = [
        Some(format!("{done} of {all} done")),
        failed.clone(),
        Some(elapsed.clone()),
        left.clone(),
    ];
    let short = [Some(format!("{done}/{all}")), failed.clone(), Some(elapsed), left.clone()];
    let shorter = [short[0].clone(), failed.clone(), left];
    let shortest = [short[0].clone(), failed.clone()];
    let text =
        |parts: &[Option<String>]| parts.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let texts = [text(&long), text(&short), text(&shorter), text(&shortest)];
    let bar_for = |text: &str| columns.saturating_sub(width(text) + GAP);
    let longest = if columns >= WIDE { 60 } else { 30 };
    let with_bar = texts.iter().find(|text| bar_for(text) >= 8);
    let Some(text) = with_bar else {
        let text = texts.iter().find(|text| width(text) <= columns).unwrap_or(&texts[3]);
        return highlight(&look.clip(text, columns), failed.as_deref(), look);
    };
    let bar = look.paint(Tone::Good, &bar(share, bar_for(text).min(longest), look));
    format!("{bar}{}{}", " ".repeat(GAP), highlight(text, failed.as_deref(), look))
}

/// The text with the number of failures in its colour.
fn highlight(text: &str, failed: Option<&str>, look: Look) -> String {
    let Some(failed) = failed else { return text.to_owned() };
    text.replacen(failed, &look.paint(Tone::Bad, failed), 1)
}

/// A bar of so many columns, full up to `share`.
fn bar(share: f64, columns: usize, look: Look) -> String {
    let share = share.clamp(0.0, 1.0);
    if !look.unicode {
        let inside = columns.saturating_sub(2);
        let full = (share * inside as f64).floor() as usize;
        let tip = if full < inside && full > 0 { ">" } else { "=" };
        let filled = if full > 0 { "=".repeat(full - 1) + tip } else { String::new() };
        return format!("[{filled:inside$}]");
    }
    let halves = (share * 2.0 * columns as f64).floor() as usize;
    let half = if halves % 2 == 1 { "╸" } else { "" };
    let full = "━".repeat(halves / 2) + half;
    let rest = columns - halves.div_ceil(2);
    full + &"┈".repeat(rest)
}

/// A curve in one line, at most so many columns wide.
fn curve(values: &[f64], columns: usize, look: Look) -> String {
    const UNICODE: &[char] = &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: &[char] = &['_', '.', '-', '=', '*', '#'];
    let levels = if look.unicode { UNICODE } else { ASCII };
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let points = thin(&values, columns);
    let low = points.iter().copied().fold(f64::INFINITY, f64::min);
    let high = points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let top = levels.len() - 1;
    let level = |value: &f64| {
        let height = if high > low { (value - low) / (high - low) } else { 0.5 };
        levels[((height * top as f64).round() as usize).min(top)]
    };
    points.iter().map(level).collect()
}

/// As many values as there is room for: means of neighbours where there are more.
fn thin(values: &[f64], columns: usize) -> Vec<f64> {
    if values.len() <= columns {
        return values.to_vec();
    }
    let bounds = |index: usize| index * values.len() / columns;
    let mean = |index: usize| {
        let part = &values[bounds(index)..bounds(index + 1)];
        part.iter().sum::<f64>() / part.len().max(1) as f64
    };
    (0..columns).map(mean).collect()
}

/// A whole number with separators: `12,345`.
fn thousands(value: f64) -> String {
    let digits = (value.max(0.0).round() as u64).to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds that go by, whole ones.
fn clock(passed: f64) -> String {
    if passed < 10.0 {
        format!("{passed:.0}s", passed = passed.floor())
    } else {
        seconds(passed.floor())
    }
}

/// Memory without decimals, which change all the time.
fn memory(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes @ 0..10_240 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes >> 10),
    }
}

#[cfg(test)]
#[path = "panel_tests.rs"]
mod tests;
