//! Metrics for Prometheus: at an address while a run goes on, in a file when it or a check has ended.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mambafleet_artifacts::atomic_write;
use mambafleet_metrics::{CONTENT_TYPE, Earlier, Meter, fleet_of};
use mambafleet_orchestrator::{Reporter, StampedEvent};
use mambafleet_protocol::cause_chain;
use mambafleet_web::{
    Access, Handler, Hosts, Page, Policy, Reply, Request, Server, StatusCode, WebError,
};
use serde::Serialize;

use crate::config::{Config, Observe};
use crate::error::CliError;
use crate::output::{Output, json_line};
use crate::place::check_place;

/// The ending without which a node exporter passes a file over.
const ENDING: &str = "prom";

/// The one page there is.
const PAGE: &str = "/metrics";

/// What a run counts, and where that goes.
pub(crate) struct Metrics {
    meter: Arc<Meter>,
    address: Option<SocketAddr>,
    textfile: Option<PathBuf>,
}

/// Where a run can be asked, as a line of JSON.
#[derive(Serialize)]
struct Asked<'a> {
    url: &'a str,
}

impl Metrics {
    /// What the configuration wants; `None` if that is nothing. A file that could not be written in the end is
    /// refused.
    pub(crate) fn wanted(config: &Config) -> Result<Option<Self>, CliError> {
        let observe = &config.observe;
        let address = observe.metrics().map_err(|error| CliError::usage(error.to_string()))?;
        let textfile = textfile(observe);
        if let Some(file) = &textfile {
            check_textfile("observe.textfile", file)?;
        }
        let meter = Arc::new(Meter::new(fleet(observe), env!("CARGO_PKG_VERSION")));
        let wanted = address.is_some() || textfile.is_some();
        Ok(wanted.then_some(Self { meter, address, textfile }))
    }

    /// Answers at the address, if there is one, until what comes back is dropped.
    pub(crate) fn listen(&self, output: Output) -> Result<Option<Server>, CliError> {
        let Some(address) = self.address else { return Ok(None) };
        let policy = policy(address);
        let server = Server::start(address, policy, Arc::new(Pages(Arc::clone(&self.meter))));
        let server = server.map_err(refused)?;
        let url = format!("http://{}{PAGE}", server.address());
        if output.is_json() {
            output.line(&json_line("metrics", Asked { url: &url })?)?;
        } else {
            output.say(&format!("metrics at {url}"));
        }
        Ok(Some(server))
    }

    /// Counts the events of a run.
    pub(crate) fn reporter(&self) -> Box<dyn Reporter> {
        Box::new(MeterReporter(Arc::clone(&self.meter)))
    }

    /// Writes the file, if there is to be one; tells whether that went well.
    pub(crate) fn leave(&self) -> bool {
        let Some(file) = &self.textfile else { return true };
        leave(file, |earlier| self.meter.render_onto(earlier))
    }

    /// The same when no run could begin. What went well earlier stays known.
    pub(crate) fn not_begun(&self) {
        self.meter.not_begun(Timestamp::now());
        self.leave();
    }
}

/// The file for the node exporter, if there is to be one.
pub(crate) fn textfile(observe: &Observe) -> Option<PathBuf> {
    Some(observe.textfile.clone()).filter(|file| !file.as_os_str().is_empty())
}

/// What the fleet's label says.
fn fleet(observe: &Observe) -> String {
    fleet_of(textfile(observe).as_deref().unwrap_or(Path::new("")))
}

/// The fleet whose store a check is of: what it says in the runs' file, or as the check's own is called.
pub(crate) fn fleet_of_check(observe: &Observe, file: &Path) -> String {
    textfile(observe).map_or_else(|| fleet_of(file), |of_runs| fleet_of(&of_runs))
}

/// Writes a file of metrics on top of what it holds; tells whether that went well.
pub(crate) fn leave(file: &Path, render: impl FnOnce(&Earlier) -> String) -> bool {
    let text = render(&earlier(file));
    let written = atomic_write(file, text.as_bytes());
    if let Err(error) = &written {
        tracing::warn!(error = cause_chain(error), "there is no file of metrics");
        return false;
    }
    if let Err(error) = let_others_read(file) {
        tracing::warn!(file = %file.display(), %error, "others may not read the metrics");
    }
    true
}

/// What an earlier run has left. A file that is something else is none.
fn earlier(file: &Path) -> Earlier {
    let unreadable = |error: String| {
        tracing::warn!(file = %file.display(), error, "metrics begin anew");
        Earlier::default()
    };
    match std::fs::read_to_string(file) {
        Ok(text) => Earlier::parse(&text).unwrap_or_else(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Earlier::default(),
        Err(error) => unreadable(error.to_string()),
    }
}

/// The node exporter is another user, and the umask of whoever trains may be narrow.
#[cfg(unix)]
fn let_others_read(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(file)?.permissions().mode();
    if mode & 0o444 == 0o444 {
        return Ok(());
    }
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn let_others_read(_file: &Path) -> std::io::Result<()> {
    Ok(())
}

/// [`check_place`] for a file that a node exporter is to read.
pub(crate) fn check_textfile(name: &str, file: &Path) -> Result<(), CliError> {
    check_place(name, file)?;
    if file.extension().is_some_and(|ending| ending == ENDING) {
        return Ok(());
    }
    let message = format!("{name} {}: does not end in .{ENDING}", file.display());
    let hint = format!("the node exporter's textfile collector reads *.{ENDING} and nothing else");
    Err(CliError::usage(message).with_hint(hint))
}

/// Prometheus asks over the network as a rule, by whatever name, and cannot change anything; so an address that
/// other machines reach is open to them. On loopback a browser's page could ask by a name that it bent here.
fn policy(address: SocketAddr) -> Policy {
    if address.ip().to_canonical().is_loopback() {
        return Policy::default();
    }
    Policy { access: Access::Open, hosts: Hosts::Any, ..Policy::default() }
}

fn refused(error: WebError) -> CliError {
    let hint = match error {
        WebError::InUse(_) => "--metrics with port 0 takes a free one, and says which",
        _ => "name an address of this machine with --metrics or observe.metrics",
    };
    CliError::usage(format!("metrics: {}", cause_chain(&error))).with_hint(hint)
}

/// Answers with the metrics.
struct Pages(Arc<Meter>);

impl Handler for Pages {
    fn handle(&self, request: &Request<'_>) -> Reply {
        if request.path() == PAGE {
            return Page::new(CONTENT_TYPE, self.0.render()).into();
        }
        Page::refusal(StatusCode::NOT_FOUND, "the metrics are at /metrics").into()
    }
}

/// Hands events to the meter.
struct MeterReporter(Arc<Meter>);

impl Reporter for MeterReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        self.0.on_event(event);
    }

    fn wants_pulse(&self) -> bool {
        true
    }
}
