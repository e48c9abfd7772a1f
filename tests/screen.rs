//! How a run looks: the real binary on a terminal that is a program, and keeps what it is told.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Running, Sandbox, finish};
use crate::terminal::{in_session, pseudo_terminal, wait_until};

const CTRL_C: &[u8] = b"\x03";

/// One symbol is trained, one fails, and one stays in training until it is killed.
const BUSY: &str =
    "train --backend faulty --symbols SLEEPS,A,ERROR --parallel 2 --set run.grace=200ms";

/// A terminal, and the picture on it.
struct Screen {
    keyboard: File,
    line: OwnedFd,
    picture: Arc<Mutex<vt100::Parser>>,
    /// Every byte, for what no picture tells.
    raw: Arc<Mutex<Vec<u8>>>,
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let (keyboard, line) = pseudo_terminal(columns, rows);
        let parser = vt100::Parser::new(cells(rows), cells(columns), 500);
        let (picture, raw) = (Arc::new(Mutex::new(parser)), Arc::new(Mutex::new(Vec::new())));
        let (drawn, bytes) = (Arc::clone(&picture), Arc::clone(&raw));
        let mut output = keyboard.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut read = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut read) {
                drawn.lock().unwrap().process(&read[..length]);
                bytes.lock().unwrap().extend_from_slice(&read[..length]);
            }
        });
        Self { keyboard, line, picture, raw }
    }

    fn resize(&self, columns: u16, rows: u16) {
        self.picture.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.line, size).unwrap();
    }

    /// Starts a run on this terminal, which breaks no line anew when it is made narrower.
    fn start(&self, sandbox: &Sandbox, args: &str, variables: &[(&str, &str)]) -> Running {
        let mut command = in_session(sandbox, "", args);
        command.env("MAMBAFLEET_TEST_BACKENDS", "1");
        command.env("TERM", "xterm-256color").env("XTERM_VERSION", "XTerm(390)");
        command.env("LC_ALL", "C.UTF-8");
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "TMUX"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let line = || self.line.as_fd().try_clone_to_owned().unwrap();
        command.stdin(line()).stdout(line()).stderr(line());
        command.spawn().unwrap().into()
    }

    fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    /// The lines that can be seen, without blanks and empty lines at their ends.
    fn lines(&self) -> Vec<String> {
        let parser = self.picture.lock().unwrap();
        let (_, columns) = parser.screen().size();
        let rows = parser.screen().rows(0, columns.get());
        let mut lines: Vec<_> = rows.map(|row| row.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    fn shows(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// Fails if a line was too long for the terminal, apart from paths.
    #[track_caller]
    fn assert_nothing_is_wrapped(&self) {
        let lines = self.lines();
        let parser = self.picture.lock().unwrap();
        for (row, line) in lines.iter().enumerate() {
            let wrapped = parser.screen().row_wrapped(u16::try_from(row).unwrap());
            assert!(!wrapped || line.contains('/'), "{row} is wrapped: {lines:#?}");
        }
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }

    /// Waits until the run can get no further, and looks.
    fn busy(&self) -> String {
        let text = "1 failed";
        wait_until("the failure", || self.shows(text) && self.shows("epoch 1"));
        masked(&self.lines())
    }
}

/// Lines with letters for what is never the same: identifiers, times, losses. Memory, forecasts of the
/// end and blanks are left out.
fn masked(lines: &[String]) -> String {
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(['s', 'm', 'h', ',']);
        let numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        digits.len() < word.len() && digits.bytes().all(numeric) && !digits.is_empty()
    };
    let word = |word: &str| match word {
        word if word.starts_with("20") && word.contains('-') => "RUN".to_owned(),
        word if word.ends_with(".log") => "LOG".to_owned(),
        word if is_time(word) => "T".to_owned(),
        word if word.contains('.') && word.bytes().any(|b| b.is_ascii_digit()) => "N".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &String| {
        let mut words: Vec<String> = line.split_whitespace().map(word).collect();
        words.dedup_by(|a, b| a == "T" && a == b);
        if let Some(memory) = words.iter().position(|word| word == "MiB") {
            words.drain(memory - 1..=memory);
        }
        let line = words.join(" ");
        let end = [" about ", " seconds "].iter().find_map(|word| line.find(word));
        line[..end.unwrap_or(line.len())].to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn in_the_middle_of_a_run_what_is_over_stands_above_what_goes_on_and_in_the_end_nothing_is_left() {
    let sandbox = Sandbox::new();
    let mut screen = Screen::new(100, 40);
    let mut child = screen.start(&sandbox, BUSY, &[]);
    insta::assert_snapshot!(screen.busy(), @"
    press t to see what is running
    run RUN 3 symbols on synthetic demo data, 2 workers of 1 thread each
    A trained test N N %), T generation T validation N -> N
    ERROR failed (backend) this symbol is to fail
    log: LOG
    SYMBOL EPOCH VALIDATION TIME TRAIN SAMPLES/S MEMORY
    SLEEPS epoch 1 T ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
    ━━━━━━━━━━━━━━━━━━━━┈┈┈┈┈┈┈┈┈┈ 2 of 3 done, 1 failed, T
    ");
    screen.assert_nothing_is_wrapped();
    let raw = screen.raw();
    for colour in ["\x1b[32mtrained", "\x1b[31mfailed", "\x1b[31m1 failed"] {
        assert!(raw.contains(colour), "{colour:?}: {raw:?}");
    }
    // A line ends where its text ends: nothing but the panel is ever drawn over.
    assert!(!raw.contains("     \r\n") && !raw.contains("\x1b[2J"), "{raw:?}");
    screen.press(CTRL_C);
    assert_eq!(child.code(), Some(130), "{:#?}", screen.lines());
    wait_until("the summary", || screen.shows("record: "));
    screen.assert_nothing_is_wrapped();
    let lines = screen.lines();
    assert!(
        !lines.iter().any(|line| line.contains("of 3 done") || line.contains("EPOCH ")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("A       trained     test ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("SLEEPS  interrupted")), "{lines:#?}");
}

#[test]
fn every_size_has_the_run_at_the_bottom_and_no_line_too_long() {
    for (columns, rows) in [(80, 24), (200, 50), (40, 10), (20, 5)] {
        let sandbox = Sandbox::new();
        let mut screen = Screen::new(columns, rows);
        let mut child = screen.start(&sandbox, BUSY, &[]);
        let total = || screen.lines().last().cloned().unwrap_or_default();
        wait_until("the failure", || total().contains("1 failed"));
        let (all, last) = (screen.lines(), total());
        assert!(last.contains("2 of 3") || last.contains("2/3"), "{columns}x{rows}: {all:#?}");
        assert_eq!(last.contains('━'), columns >= 40, "{columns}x{rows}: {all:#?}");
        if rows >= 10 {
            let above = &all[all.len() - 2];
            assert!(above.starts_with("SLEEPS  epoch 1"), "{columns}x{rows}: {all:#?}");
        }
        screen.assert_nothing_is_wrapped();
        screen.press(CTRL_C);
        assert_eq!(child.code(), Some(130), "{:#?}", screen.lines());
        wait_until("the summary", || screen.raw().contains("record: "));
        assert!(!screen.shows("2 of 3") && !screen.shows("2/3"), "{:#?}", screen.lines());
    }
}

#[test]
fn a_window_that_is_made_smaller_and_larger_again_is_drawn_anew() {
    let sandbox = Sandbox::new();
    let mut screen = Screen::new(120, 30);
    let mut child = screen.start(&sandbox, BUSY, &[]);
    screen.busy();
    for (columns, rows) in [(44, 20), (120, 30)] {
        screen.resize(columns, rows);
        let fits = |line: &String| line.contains("of 3 done, 1 failed, ");
        wait_until("the new picture", || {
            let bar = screen.lines().last().is_some_and(fits);
            bar && screen.shows("TRAIN") == (columns > 100)
        });
        let lines = screen.lines();
        for once in ["EPOCH", "epoch 1", "1 failed,"] {
            let found = lines.iter().filter(|line| line.contains(once)).count();
            assert_eq!(found, 1, "{once} at {columns}: {lines:#?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("A       trained")), "{lines:#?}");
    }
    screen.press(CTRL_C);
    assert_eq!(child.code(), Some(130), "{:#?}", screen.lines());
}

#[test]
fn without_colours_and_without_other_characters_than_ascii_it_is_the_same() {
    for (variables, ascii) in [
        (&[("NO_COLOR", "1")][..], false),
        (&[("LC_ALL", "C")], true),
        (&[("TERM", "linux")], true),
    ] {
        let sandbox = Sandbox::new();
        let mut screen = Screen::new(100, 40);
        let mut child = screen.start(&sandbox, BUSY, variables);
        let picture = screen.busy();
        assert!(picture.contains("SLEEPS epoch 1 T"), "{variables:?}: {picture}");
        assert!(picture.contains("2 of 3 done, 1 failed"), "{variables:?}: {picture}");
        assert_eq!(picture.contains("[==="), ascii, "{variables:?}: {picture}");
        screen.press(CTRL_C);
        assert_eq!(child.code(), Some(130), "{:#?}", screen.lines());
        let raw = screen.raw();
        assert_eq!(raw.is_ascii(), ascii, "{variables:?}: {raw:?}");
        assert_eq!(raw.contains("\x1b[3"), ascii, "{variables:?}: {raw:?}");
    }
}

#[test]
fn a_dumb_terminal_and_a_pipe_get_a_line_for_each_event_and_nothing_else() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(80, 24);
    let args = "train --backend faulty --symbols A,ERROR";
    let mut child = screen.start(&sandbox, args, &[("TERM", "dumb")]);
    assert_eq!(child.code(), Some(3), "{}", screen.raw());
    wait_until("the end", || screen.raw().contains("record: "));
    let mut piped =
        sandbox.shell(&format!("{} {args} 2>&1 | cat", env!("CARGO_BIN_EXE_mambafleet")));
    piped.env("MAMBAFLEET_TEST_BACKENDS", "1").env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    let piped = finish(&mut piped).stdout;
    for text in [screen.raw(), piped] {
        assert!(!text.contains('\x1b') && text.is_ascii(), "{text:?}");
        for line in
            ["ERROR: attempt 1 on worker ", "ERROR: failed (backend): this symbol is to fail"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
