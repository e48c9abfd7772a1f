//! The terminal that indicatif draws on.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use console::Term;
use indicatif::TermLike;

use super::panel::Room;
use crate::style::width;

/// Standard error. indicatif fills each line with blanks up to the edge and lets the terminal begin the
/// next one, so that for the terminal everything ever written is one long line: copied, it is full of
/// blanks, and a narrower window breaks it anew. Here lines end where their text ends; each picture is
/// written at once, and not at all if it is the one that is there.
#[derive(Debug)]
pub(super) struct Screen {
    term: Term,
    /// Whether the terminal breaks lines anew when it becomes narrower.
    reflows: bool,
    frame: Mutex<Frame>,
}

/// A picture that is being drawn, and the one that is there.
#[derive(Debug, Default)]
struct Frame {
    /// What was written last, line by line, and how wide the terminal was.
    there: Vec<String>,
    columns: usize,
    /// The cursor stands behind the last line of it.
    behind: bool,
    /// Lines, counted from the last one, that are to go.
    gone: usize,
    lines: Vec<String>,
    /// The next text is the filling behind a line.
    filling: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let term = Term::stderr();
        // On Windows this has the console understand escape sequences.
        let _ = term.features().colors_supported();
        Self { term, reflows: reflows(), frame: Mutex::default() }
    }

    fn frame(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How large the terminal is now.
pub(super) fn room() -> Room {
    let (height, width) = Term::stderr().size();
    Room { width: width.into(), height: height.into() }
}

/// Nearly all terminals do; those that do not say who they are.
fn reflows() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let set = |name| std::env::var_os(name).is_some();
    let old = ["screen", "rxvt", "linux", "vt"].iter().any(|name| term.starts_with(name));
    set("TMUX") || !(old || set("XTERM_VERSION"))
}

impl Frame {
    /// What is to be written for the new picture on a terminal that is so wide now.
    fn draw(&mut self, columns: usize, reflows: bool) -> String {
        let lines = std::mem::take(&mut self.lines);
        let gone = std::mem::take(&mut self.gone).min(self.there.len());
        let old = &self.there[self.there.len() - gone..];
        if gone > 0 && old == lines && self.columns == columns {
            return String::new();
        }
        let rows = |line: &String| match width(line) {
            wide if reflows && wide > columns => wide.div_ceil(columns.max(1)),
            _ => 1,
        };
        let up = old.iter().map(rows).sum::<usize>().saturating_sub(1);
        let mut text = match (gone, up) {
            (0, _) if self.behind => "\r\n".to_owned(),
            (0, _) => String::new(),
            (_, 0) => "\r\x1b[J".to_owned(),
            (_, up) => format!("\x1b[{up}A\r\x1b[J"),
        };
        text += &lines.join("\r\n");
        self.behind = !lines.is_empty();
        (self.there, self.columns) = (lines, columns);
        text
    }
}

/// Only what indicatif calls when it draws: it clears the lines of its bars one by one, writes each line
/// with its filling, and flushes.
impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.frame().lines.push(text.to_owned());
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame();
        if !frame.filling {
            frame.lines.push(text.to_owned());
        }
        frame.filling = !frame.filling;
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.frame().gone += 1;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = self.frame().draw(self.term.size().1.into(), self.reflows);
        if text.is_empty() {
            return Ok(());
        }
        let mut stderr = io::stderr().lock();
        stderr.write_all(text.as_bytes())?;
        stderr.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(frame: &mut Frame, gone: usize, lines: &[&str], columns: usize) -> String {
        frame.gone = gone;
        frame.lines = lines.iter().map(ToString::to_string).collect();
        frame.draw(columns, true)
    }

    #[test]
    fn lines_end_where_their_text_ends_and_old_ones_make_room() {
        let mut frame = Frame::default();
        assert_eq!(drawn(&mut frame, 0, &["one", "two"], 10), "one\r\ntwo");
        assert_eq!(drawn(&mut frame, 2, &["one", "two"], 10), "", "it is there");
        assert_eq!(drawn(&mut frame, 2, &["text", "1", "2"], 10), "\x1b[1A\r\x1b[Jtext\r\n1\r\n2");
        assert_eq!(drawn(&mut frame, 2, &[], 10), "\x1b[1A\r\x1b[J");
        assert_eq!(drawn(&mut frame, 0, &["3"], 10), "3");
        assert_eq!(drawn(&mut frame, 0, &["4"], 10), "\r\n4", "nothing goes");
    }

    #[test]
    fn lines_that_a_narrower_window_has_broken_go_whole() {
        let mut frame = Frame::default();
        drawn(&mut frame, 0, &["12345678", "1234", ""], 10);
        assert_eq!(drawn(&mut frame, 3, &["1"], 3), "\x1b[5A\r\x1b[J1");
        frame.there = vec!["12345678".to_owned()];
        (frame.gone, frame.lines) = (1, vec!["2".to_owned()]);
        assert_eq!(frame.draw(3, false), "\r\x1b[J2");
    }
}
