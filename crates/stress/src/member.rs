//! A member of a test: a process that saves sets, or one that reads them.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mambafleet_protocol::codec::{self, Line};
use mambafleet_protocol::{Symbol, cause_chain};

use crate::set::{Set, judge};
use crate::ways::{Loaded, Receipt, SaveError, Saver};
use crate::wire::{FromMember, Observations, Orders, Role, ToMember};
use crate::{StressError, Verdict};

/// How many faults a reader remembers in words.
const FAULTS: usize = 3;

/// The longest pause between two reads; the pauses are of random length, so that reads meet writes
/// in every phase. Without any, readers would take the processors away from the writers, and the
/// waits for the lock would be waits for a processor.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes part in a test: orders come from `input`, what happens goes to `output`.
///
/// The end of `input` means that the parent is gone: the member ends after the save or read that
/// it is in, and `on_parent_gone` is called on a thread of its own, which may end the process
/// should that take too long.
///
/// # Errors
/// [`StressError`] when the orders make no sense or cannot be carried out at all; a save that
/// fails is reported to the parent instead.
pub fn serve(
    input: impl BufRead + Send + 'static,
    output: impl Write,
    on_parent_gone: impl FnOnce() + Send + 'static,
) -> Result<(), StressError> {
    let stopped = Arc::new(AtomicBool::new(false));
    let (sender, lines) = channel();
    let listener = Listener { sender, stopped: Arc::clone(&stopped) };
    thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || listener.listen(input, on_parent_gone))
        .map_err(StressError::Processes)?;
    let Some(orders) = first_orders(&lines)? else { return Ok(()) };
    let saver = orders.way.open(&orders.dir, orders.lock_timeout)?;
    let mut member = Member { orders, saver, output, stopped, lines };
    match member.take_part() {
        // Nobody listens any longer, so there is nobody to complain to either.
        Err(Ending::ParentGone) | Ok(()) => Ok(()),
        Err(Ending::Failed(error)) => Err(error),
    }
}

/// Waits for the first line; `None` when the parent left without one.
fn first_orders(lines: &Receiver<Heard>) -> Result<Option<Orders>, StressError> {
    match lines.recv() {
        Ok(Heard::Message(ToMember::Orders(orders))) => Ok(Some(orders)),
        Ok(Heard::Message(other)) => Err(StressError::Orders(format!("{other:?} came first"))),
        Ok(Heard::Rubbish(text)) => Err(StressError::Orders(text)),
        Err(_) => Ok(None),
    }
}

/// What came from the parent.
enum Heard {
    Message(ToMember),
    Rubbish(String),
}

/// The thread that listens to the parent.
struct Listener {
    sender: Sender<Heard>,
    stopped: Arc<AtomicBool>,
}

impl Listener {
    fn listen(self, mut input: impl BufRead, on_parent_gone: impl FnOnce()) {
        let mut line = Vec::new();
        while matches!(input.read_until(b'\n', &mut line), Ok(1..)) {
            let heard = match codec::decode::<ToMember>(&line) {
                Line::Message { message, .. } => Heard::Message(message),
                Line::Stray(text) => Heard::Rubbish(text.chars().take(200).collect()),
                Line::Version(version) => Heard::Rubbish(format!("protocol version {version}")),
            };
            if matches!(heard, Heard::Message(ToMember::Stop)) {
                self.stopped.store(true, Ordering::Relaxed);
            }
            if self.sender.send(heard).is_err() {
                return;
            }
            line.clear();
        }
        self.stopped.store(true, Ordering::Relaxed);
        drop(self.sender);
        on_parent_gone();
    }
}

/// Why a member ends early.
enum Ending {
    ParentGone,
    Failed(StressError),
}

impl From<StressError> for Ending {
    fn from(error: StressError) -> Self {
        Self::Failed(error)
    }
}

struct Member<W> {
    orders: Orders,
    saver: Box<dyn Saver>,
    output: W,
    stopped: Arc<AtomicBool>,
    lines: Receiver<Heard>,
}

impl<W: Write> Member<W> {
    fn take_part(&mut self) -> Result<(), Ending> {
        self.say(&FromMember::Ready)?;
        match self.lines.recv() {
            Ok(Heard::Message(ToMember::Go)) => {}
            Ok(Heard::Message(ToMember::Stop)) | Err(_) => return Err(Ending::ParentGone),
            Ok(_) => return Err(StressError::Orders("no starting gun".to_owned()).into()),
        }
        match self.orders.role {
            Role::Writer { iterations, bytes, writers } => self.write(iterations, bytes, writers),
            Role::Reader => self.read(),
        }
    }

    fn write(&mut self, iterations: u32, bytes: usize, writers: u32) -> Result<(), Ending> {
        let number = self.orders.number;
        for iteration in 0..iterations {
            if self.is_stopped() {
                return Err(Ending::ParentGone);
            }
            // People count from one.
            let set = Set::new(number + 1, iteration + 1, bytes)?;
            let symbol = turn(&self.orders.symbols, number, iteration, writers).clone();
            let message = attempt(&*self.saver, number, &symbol, set);
            self.say(&message)?;
        }
        self.say(&FromMember::Done)
    }

    fn read(&mut self) -> Result<(), Ending> {
        let mut seen = Observations::default();
        for iteration in 0.. {
            if self.is_stopped() {
                break;
            }
            let Orders { symbols, number, .. } = &self.orders;
            let symbol = turn(symbols, *number, iteration, 1);
            observe(&*self.saver, symbol, &mut seen);
            thread::sleep(PAUSE.mul_f64(rand::random()));
        }
        self.say(&FromMember::Observed(seen))
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn say(&mut self, message: &FromMember) -> Result<(), Ending> {
        let encode = |error: codec::EncodeError| StressError::Encode(error.to_string());
        let line = codec::encode(message).map_err(encode)?;
        let written = self.output.write_all(line.as_bytes()).and_then(|()| self.output.flush());
        written.map_err(|_| Ending::ParentGone)
    }
}

/// Whose turn it is: with W writers on S symbols, as many at each symbol as at any other, and the
/// same ones all the time where S divides W.
fn turn(symbols: &[Symbol], number: u32, iteration: u32, members: u32) -> &Symbol {
    let step = u64::from(number) + u64::from(iteration) * u64::from(members);
    &symbols[(step % symbols.len() as u64) as usize]
}

fn attempt(saver: &dyn Saver, worker: u32, symbol: &Symbol, set: Set) -> FromMember {
    let started = Instant::now();
    let failed = |timeout, error: &(dyn std::error::Error + 'static)| FromMember::Failed {
        timeout,
        cause: format!("{symbol}: {}", cause_chain(error)),
    };
    match saver.save(symbol, &set) {
        Ok(saved) => FromMember::Saved {
            symbol: symbol.clone(),
            receipt: Receipt { id: set.id, worker, generation: saved.generation },
            lock: saved.lock,
            took: started.elapsed(),
        },
        Err(SaveError::Timeout(error)) => failed(true, &error),
        Err(SaveError::Other(error)) => failed(false, &error),
    }
}

/// Reads once and counts what is seen.
fn observe(saver: &dyn Saver, symbol: &Symbol, seen: &mut Observations) {
    let fault = match saver.load(symbol) {
        Ok(Loaded::Absent) => return,
        Ok(Loaded::Damaged(fault)) => {
            seen.torn += 1;
            fault
        }
        Ok(Loaded::Set(contents)) => match judge(&contents) {
            Verdict::Whole { .. } => String::new(),
            Verdict::Torn { files } => {
                seen.torn += 1;
                files.join("; ")
            }
            Verdict::Mixed { ids } => {
                seen.mixed += 1;
                format!("files of different writers: {}", ids.join(", "))
            }
        },
        Err(error) => {
            seen.errors += 1;
            cause_chain(&error)
        }
    };
    seen.reads += 1;
    if !fault.is_empty() && seen.faults.len() < FAULTS {
        seen.faults.push(format!("read of {symbol}: {fault}"));
    }
}

#[cfg(test)]
mod tests;
