//! A directory of its own for each test, and the binary that runs in it.

pub(crate) mod mlflow;
#[cfg(unix)]
pub(crate) mod processes;
pub(crate) mod tfevents;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Tiny models on little data: an epoch takes milliseconds.
const FAST: &str = r#"
[data.synthetic]
bars = 400
[run]
backoff = "10ms"
[task]
lookback = 8
horizons = [1, 3]
[model]
d_model = 8
n_layers = 1
d_state = 4
[train]
epochs = 2
batch_size = 32
"#;

/// A directory with a fast configuration, in which the binary runs cut off from the user's own
/// files and environment.
pub(crate) struct Sandbox {
    dir: TempDir,
}

/// A call in the background. It is killed when a test ends without it, so that a failing test
/// leaves nothing running.
pub(crate) struct Running(Child);

impl Running {
    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the end; the exit code, if no signal ended it.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

#[cfg(unix)]
impl Running {
    /// The exit code, if it has ended by now.
    pub(crate) fn code_now(&mut self) -> Option<i32> {
        self.0.try_wait().unwrap().and_then(|status| status.code())
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Standard output as JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// The summary that a training run ends with.
    pub(crate) fn summary(&self) -> Value {
        let last = self.lines().pop().unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(last["type"], "run_finished", "{self:?}");
        last["summary"].clone()
    }

    /// What a training run says of one symbol.
    pub(crate) fn outcome(&self, symbol: &str) -> Value {
        let summary = self.summary();
        let symbols = summary["symbols"].as_array().unwrap();
        symbols.iter().find(|s| s["symbol"] == symbol).unwrap().clone()
    }

    /// Fails unless the call ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap() };
        sandbox.write("mambafleet.toml", FAST);
        sandbox
    }

    /// Adds to the configuration that calls find.
    pub(crate) fn configure(&self, more: &str) {
        self.write("mambafleet.toml", format!("{FAST}{more}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("mambafleet-store")
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        write(&self.path(name), text)
    }

    /// A call that has not started yet. Arguments are separated by spaces.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = self.cut_off(env!("CARGO_BIN_EXE_mambafleet"));
        command.args(args.split(' '));
        command
    }

    /// A line for a shell in the directory, as cut off as a call.
    #[cfg(unix)]
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = self.cut_off("sh");
        command.args(["-c", line]);
        command
    }

    fn cut_off(&self, program: &str) -> Command {
        let mut command = heeding_signals(program);
        command.current_dir(self.dir.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MAMBAFLEET_") {
                command.env_remove(name);
            }
        }
        command
            .env("XDG_CONFIG_HOME", self.path("no-user-config"))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &str) -> Ended {
        finish(&mut self.command(args))
    }

    /// Starts training in the background, its output thrown away.
    pub(crate) fn start(&self, args: &str) -> Running {
        let mut command = self.command(args);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Waits until the log of the newest run holds an event that `wanted` accepts.
    #[cfg_attr(windows, expect(dead_code, reason = "the tests that wait are not built there"))]
    pub(crate) fn wait_for_event(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(event) = self.events().into_iter().find(&wanted) {
                return event;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let events = self.events();
        let last = &events[events.len().saturating_sub(5)..];
        panic!("the event never came; the last of {} are {last:#?}", events.len());
    }

    /// The events of the newest run so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        let Some(run) = self.runs().pop() else { return Vec::new() };
        json_lines(&std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default())
    }

    /// The directories of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let mut runs: Vec<_> = std::fs::read_dir(self.store().join("runs"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        runs.sort();
        runs
    }

    /// The bytes of a file in a symbol's newest generation.
    pub(crate) fn newest(&self, symbol: &str, file: &str) -> Vec<u8> {
        let dir = self.store().join("symbols").join(symbol);
        // Not by way of `latest`, which is not made on Windows.
        let names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
        let generation = names.filter(|name| name.to_str().unwrap().starts_with('0')).max();
        let path = dir.join(generation.unwrap()).join(file);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

#[expect(clippy::disallowed_methods, reason = "test files need not survive a power cut")]
fn write(path: &Path, text: impl AsRef<[u8]>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whole JSON lines; a torn last one is left out.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The directory with real prices beside the checkout, or a line that says why a test is skipped.
pub(crate) fn real_prices() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/daily");
    match dir.canonicalize() {
        Ok(dir) => Some(dir),
        Err(_) => {
            println!("skipped: no real prices at {}", dir.display());
            None
        }
    }
}

/// A program that ignores no signal, although whoever started the tests may have them ignore some:
/// a shell does so in the background, and nohup does.
fn heeding_signals(program: &str) -> Command {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP, SIGINT and SIGQUIT are 1, 2 and 3.
    if ignored.is_none_or(|mask| mask & 0b111 == 0) {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT", program]);
    command
}
