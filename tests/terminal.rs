//! Runs on a terminal: keys, and that it is left as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::support::processes::{kill_child, state};
use crate::support::{Running, Sandbox};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A terminal, and what was shown on it.
struct Terminal {
    keyboard: File,
    line: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn new() -> Self {
        let (keyboard, line) = pseudo_terminal(120, 40);
        let mut screen = keyboard.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { keyboard, line, shown }
    }

    /// Starts a command as the leader of a session of which this is the terminal.
    fn start(&self, mut command: Command) -> Running {
        let line = || self.line.try_clone().unwrap();
        command.env("TERM", "xterm").stdin(line()).stdout(line()).stderr(line());
        command.spawn().unwrap().into()
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.line).unwrap()
    }

    /// Everything about the terminal that a program may change.
    fn all_modes(&self) -> String {
        format!("{:?}", self.modes())
    }

    fn takes_single_keys(&self) -> bool {
        let modes = self.modes().local_modes;
        assert!(modes.contains(LocalModes::ISIG), "Ctrl-C is no signal any more");
        let (lines, echo) = (modes.contains(LocalModes::ICANON), modes.contains(LocalModes::ECHO));
        assert_eq!(lines, echo);
        !lines
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }
}

/// The end of a terminal that keys come from, and the end that a program is connected to.
pub(crate) fn pseudo_terminal(columns: u16, rows: u16) -> (File, OwnedFd) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let line = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&line, size).unwrap();
    (File::from(keyboard), line)
}

#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A call with the backend that fails by the name of the symbol, on a terminal of its own.
fn faulty(sandbox: &Sandbox, args: &str) -> Command {
    let mut command = in_session(sandbox, "", &format!("{args} --backend faulty"));
    command.env("MAMBAFLEET_TEST_BACKENDS", "1");
    command
}

/// A call, started `by` another program, that has its standard input for a terminal of its own.
pub(crate) fn in_session(sandbox: &Sandbox, by: &str, args: &str) -> Command {
    let mut command = sandbox.shell(&format!("exec setsid --ctty {by} \"$0\" \"$@\""));
    let call = sandbox.command(args);
    command.arg(call.get_program()).args(call.get_args());
    command
}

fn statuses(sandbox: &Sandbox) -> usize {
    sandbox.events().iter().filter(|event| event["type"] == "status").count()
}

#[test]
fn t_tells_what_is_running_also_after_a_pause_and_the_terminal_gets_its_modes_back() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::new();
    let before = terminal.all_modes();
    let mut child = terminal.start(faulty(&sandbox, "train --symbols SLEEPS --set run.grace=1m"));
    sandbox.wait_for_event(|e| e["type"] == "attempt_started");
    assert!(terminal.takes_single_keys() && terminal.shown().contains("press t to see"));
    terminal.press("xt");
    let status = sandbox.wait_for_event(|e| e["type"] == "status");
    assert_eq!(status["running"][0]["symbol"], "SLEEPS");
    wait_until("the status on the screen", || terminal.shown().contains("1 running, 0 waiting"));
    wait_until("the symbol", || terminal.shown().contains("SLEEPS: attempt 1 on worker 1"));

    terminal.press(CTRL_Z);
    wait_until("the stop", || state(child.id().into()) == Some('T'));
    assert_eq!(terminal.all_modes(), before, "while it is stopped");
    kill_child(&child, Signal::CONT);
    sandbox.wait_for_event(|e| e["type"] == "resumed");
    wait_until("single keys again", || terminal.takes_single_keys());
    terminal.press("t");
    wait_until("the second status", || statuses(&sandbox) == 2);

    // A stop that nobody is told of, after which the shell puts its own modes back.
    kill_child(&child, Signal::STOP);
    wait_until("the stop", || state(child.id().into()) == Some('T'));
    let shell = Command::new("stty").arg("sane").stdin(terminal.line.try_clone().unwrap()).status();
    assert!(shell.unwrap().success() && !terminal.takes_single_keys());
    let before = terminal.all_modes();
    kill_child(&child, Signal::CONT);
    wait_until("single keys again", || terminal.takes_single_keys());
    terminal.press("t");
    wait_until("the third status", || statuses(&sandbox) == 3);

    terminal.press(CTRL_C);
    sandbox.wait_for_event(|e| e["type"] == "draining");
    assert!(terminal.takes_single_keys(), "what runs may finish, and t still asks");
    std::thread::sleep(Duration::from_millis(600));
    terminal.press(CTRL_C);
    assert_eq!(child.code(), Some(130), "{}", terminal.shown());
    assert_eq!(terminal.all_modes(), before);
}

#[test]
fn a_run_that_ends_by_itself_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let terminal = Terminal::new();
    let before = terminal.all_modes();
    let mut child = terminal.start(faulty(&sandbox, "train --symbols A,ERROR"));
    assert_eq!(child.code(), Some(3), "{}", terminal.shown());
    assert!(terminal.shown().contains("press t to see"), "{}", terminal.shown());
    assert_eq!(terminal.all_modes(), before);
}

#[test]
fn in_the_background_and_before_a_pager_the_terminal_is_left_alone() {
    for line in ["\"$0\" \"$@\" & wait $!", "\"$0\" \"$@\" | cat"] {
        let sandbox = Sandbox::new();
        let mut terminal = Terminal::new();
        let before = terminal.all_modes();
        let train = "train --symbols A --epochs 40 --set train.patience=40";
        let by = format!("sh -m -c '{line}'");
        let mut child = terminal.start(in_session(&sandbox, &by, train));
        sandbox.wait_for_event(|e| e["type"] == "progress");
        terminal.press("t");
        assert_eq!(terminal.all_modes(), before, "{line}");
        sandbox.wait_for_event(|e| e["type"] == "run_finished");
        assert_eq!(child.code(), Some(0), "{line}: {}", terminal.shown());
        assert_eq!((statuses(&sandbox), terminal.all_modes()), (0, before), "{line}");
    }
}
