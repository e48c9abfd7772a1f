//! All processes of one test: started, fired off together, listened to, ended.

use std::path::Path;
use std::time::Duration;

use mambafleet_protocol::Symbol;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::StressError;
use crate::plan::Workload;
use crate::process::{MemberCommand, News, Process};
use crate::signals::Signals;
use crate::tally::Tally;
use crate::ways::Way;
use crate::wire::{FromMember, Orders, Role, ToMember};

/// How far a member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not said that it is ready.
    Starting,
    /// It waits for the gun, or works.
    Working,
    /// It has said its last word.
    Finished,
    /// Its process is gone.
    Gone,
}

struct Member {
    name: String,
    writes: bool,
    stage: Stage,
    saves: u64,
    process: Process,
}

/// The processes of one test.
pub(crate) struct Fleet {
    members: Vec<Member>,
    inbox: UnboundedReceiver<(usize, News)>,
    patience: Duration,
    deadline: Instant,
    fired: Option<Instant>,
    ended: Option<Instant>,
    overdue: bool,
    tally: Tally,
}

impl Fleet {
    /// Starts all processes. Those that run already are killed if one cannot be started.
    pub(crate) async fn start(
        workload: &Workload,
        way: Way,
        dir: &Path,
        symbols: &[Symbol],
        command: &MemberCommand,
    ) -> Result<Self, StressError> {
        let (sink, inbox) = unbounded_channel();
        let writer = Role::Writer {
            iterations: workload.iterations.get(),
            bytes: workload.bytes,
            writers: workload.workers.get(),
        };
        let writers = (0..workload.workers.get()).map(|number| (writer, number, "worker"));
        let readers = (0..workload.readers).map(|number| (Role::Reader, number, "reader"));
        let mut members = Vec::new();
        for (index, (role, number, title)) in writers.chain(readers).enumerate() {
            let mut process =
                Process::spawn(index, command, sink.clone()).map_err(StressError::Processes)?;
            let orders = Orders {
                role,
                number,
                way,
                dir: dir.to_owned(),
                symbols: symbols.to_vec(),
                lock_timeout: workload.lock_timeout,
            };
            process.say(&ToMember::Orders(orders)).await;
            let writes = matches!(role, Role::Writer { .. });
            let name = format!("{title} {}", number + 1);
            members.push(Member { name, writes, stage: Stage::Starting, saves: 0, process });
        }
        let patience = workload.deadline;
        let deadline = Instant::now() + patience;
        let (fired, ended) = (None, None);
        let tally = Tally::default();
        Ok(Self { members, inbox, patience, deadline, fired, ended, overdue: false, tally })
    }

    /// Runs the test to its end, at which every process is gone. `progress` hears after each save
    /// how many were tried.
    pub(crate) async fn run(
        mut self,
        signals: &mut Signals,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Tally, StressError> {
        let mut interrupted = None;
        while self.members.iter().any(|member| member.stage != Stage::Gone) {
            tokio::select! {
                signal = signals.next(), if interrupted.is_none() => {
                    interrupted = Some(signal);
                    self.kill();
                }
                () = tokio::time::sleep_until(self.deadline), if !self.overdue => self.expire(),
                news = self.inbox.recv() => {
                    let Some((index, news)) = news else { break };
                    self.hear(index, news);
                    progress(self.tally.tried());
                }
            }
            self.advance().await;
        }
        if let Some(signal) = interrupted {
            return Err(StressError::Interrupted { signal });
        }
        let ended = self.ended.unwrap_or_else(Instant::now);
        self.tally.seconds = self.fired.map_or(0.0, |fired| (ended - fired).as_secs_f64());
        Ok(self.tally)
    }

    /// Fires the gun once nobody is missing, and stops the readers once nobody writes.
    async fn advance(&mut self) {
        let starting = self.members.iter().any(|member| member.stage == Stage::Starting);
        if self.fired.is_none() && !starting {
            self.fired = Some(Instant::now());
            self.say_to_all(&ToMember::Go, |_| true).await;
        }
        let writing = |member: &Member| {
            member.writes && matches!(member.stage, Stage::Starting | Stage::Working)
        };
        if self.fired.is_some() && self.ended.is_none() && !self.members.iter().any(writing) {
            self.ended = Some(Instant::now());
            self.say_to_all(&ToMember::Stop, |member| !member.writes).await;
        }
    }

    async fn say_to_all(&mut self, message: &ToMember, to: impl Fn(&Member) -> bool) {
        let there = self.members.iter_mut().filter(|member| member.stage != Stage::Gone);
        for member in there.filter(|member| to(member)) {
            member.process.say(message).await;
        }
    }

    fn hear(&mut self, index: usize, news: News) {
        let Some(member) = self.members.get_mut(index) else { return };
        let tally = &mut self.tally;
        match news {
            News::Said(FromMember::Ready) => member.stage = Stage::Working,
            News::Said(FromMember::Saved { symbol, receipt, lock, took }) => {
                member.saves += 1;
                tally.saved(symbol, receipt, lock, took);
            }
            News::Said(FromMember::Failed { timeout, cause }) => {
                tally.failed(timeout, format!("{}: {cause}", member.name));
            }
            News::Said(FromMember::Observed(seen)) => {
                member.stage = Stage::Finished;
                tally.observed(&member.name, seen);
            }
            News::Said(FromMember::Done) => member.stage = Stage::Finished,
            News::Rubbish(text) => tally.error(format!("{} wrote: {text}", member.name)),
            News::Gone { well, how } => {
                let in_order = well && member.stage == Stage::Finished;
                // The late ones were counted when they were killed.
                if !in_order && !self.overdue {
                    tally.error(death(member, &how));
                }
                member.stage = Stage::Gone;
            }
        }
    }

    /// Breaks off what takes too long.
    fn expire(&mut self) {
        self.overdue = true;
        let late = |member: &&Member| !matches!(member.stage, Stage::Finished | Stage::Gone);
        for member in self.members.iter().filter(late) {
            let (name, patience) = (&member.name, self.patience);
            self.tally.error(format!("{name} had not finished after {patience:?} and was killed"));
        }
        self.kill();
    }

    fn kill(&mut self) {
        for member in &mut self.members {
            member.process.kill();
        }
    }
}

fn death(member: &Member, how: &str) -> String {
    if member.writes {
        format!("{} died after {} saves ({how})", member.name, member.saves)
    } else {
        format!("{} died ({how})", member.name)
    }
}
