//! The contention test as people read it.

use mambafleet_stress::{LockWait, Report, Turns, WayReport};

use super::count;
use crate::table::{Column, render, seconds};

/// The table, and below it what it means.
pub(crate) fn stress_text(report: &Report) -> String {
    let mut parts = vec![table(report), String::new(), found(report)];
    parts.extend(report.ours.lock_wait_ms.map(|wait| queueing(report, wait)));
    parts.extend(costs(report));
    parts.extend(report.ways().filter_map(faults));
    parts.join("\n")
}

fn table(report: &Report) -> String {
    const COLUMNS: [Column<'_>; 12] = [
        ("way", false),
        ("commits", true),
        ("errors", true),
        ("time-outs", true),
        ("reads", true),
        ("torn", true),
        ("mixed", true),
        ("corrupt files", true),
        ("commits/s", true),
        ("wait p50", true),
        ("p99", true),
        ("max", true),
    ];
    render(&COLUMNS, report.ways().map(row).collect())
}

fn row(way: &WayReport) -> Vec<String> {
    let waits = way.lock_wait_ms.map(|LockWait { waited, .. }| {
        [waited.p50, waited.p99, waited.max].map(|wait| format!("{wait:.1} ms"))
    });
    let counts = [
        way.commits,
        way.errors,
        way.timeouts,
        way.reads,
        way.torn_reads,
        way.mixed_reads,
        way.corrupt_files,
    ];
    let mut row = vec![way.way.name().to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(format!("{:.1}", way.commits_per_s));
    row.extend(waits.unwrap_or_else(|| ["-"; 3].map(str::to_owned)));
    row
}

/// Who did what, and what was there in the end.
fn found(report: &Report) -> String {
    let (load, ours) = (&report.workload, &report.ours);
    let workers = count(load.workers.get() as usize, "worker");
    let readers = count(load.readers as usize, "reader");
    let symbols = count(load.symbols.get() as usize, "symbol");
    let sets = count(ours.sets_checked as usize, "generation");
    let time = seconds(ours.seconds);
    let whole = if ours.corrupt_files + ours.mixed_sets + ours.lost_commits == 0 {
        "each whole and one writer's own".to_owned()
    } else {
        let (files, mixed) = (ours.corrupt_files, ours.mixed_sets);
        format!("{files} corrupt files, {mixed} mixed, {} lost", ours.lost_commits)
    };
    format!("{workers} and {readers} on {symbols} for {time}; {sets} verified: {whole}")
}

/// The queue at the lock beside the ideal one.
fn queueing(report: &Report, wait: LockWait) -> String {
    let LockWait { waited, held, ideal, p99_to_ideal, others_between } = wait;
    let (workers, symbols) = (report.workload.workers, report.workload.symbols);
    let ratio = p99_to_ideal.map_or_else(
        || "there is no queue".to_owned(),
        |ratio| format!("p99 {:.1} ms is {ratio:.2} times that", waited.p99),
    );
    let mut text = format!(
        "ideal wait: ({workers} / {symbols} - 1) x {:.2} ms that the lock is held = {ideal:.1} ms; \
         {ratio}\nlock held: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        held.mean, held.p50, held.p99, held.max
    );
    if let Some(turns) = others_between {
        let Turns { p50, p99, max } = turns;
        text +=
            &format!("; others between two commits of a worker: p50 {p50}, p99 {p99}, max {max}");
    }
    text
}

fn costs(report: &Report) -> Option<String> {
    let costs = report.costs.as_ref()?;
    Some(format!(
        "one commit alone, medians of {} rounds in turns: ours {:.2} ms, three renames {:.2} ms, \
         unsafe {:.2} ms\n\
         ours costs {:.2} times three renames (as durable), {:.1} times unsafe (not durable)\n\
         locking {:.3} ms and hashing {:.3} ms are {:.1} % of our commit",
        costs.rounds,
        costs.ours_ms,
        costs.three_renames_ms,
        costs.unsafe_ms,
        costs.ours_to_three_renames,
        costs.ours_to_unsafe,
        costs.locking_ms,
        costs.hashing_ms,
        costs.locking_and_hashing_share * 100.0
    ))
}

/// Some of what went wrong in one way.
fn faults(way: &WayReport) -> Option<String> {
    const SHOWN: usize = 5;
    if way.faults.is_empty() {
        return None;
    }
    let shown: Vec<String> =
        way.faults.iter().take(SHOWN).map(|fault| format!("  {fault}")).collect();
    let what = if way.faults.len() > SHOWN { "for example" } else { "namely" };
    Some(format!("what went wrong with {}, {what}:\n{}", way.way.name(), shown.join("\n")))
}
