#[path = "../../../../tests/support/tfevents.rs"]
mod tfevents;

use std::path::Path;

use mambafleet_orchestrator::RunPolicy;
use mambafleet_protocol::{FailureKind, Headline, JobSpec};
use proptest::prelude::*;

use super::event::Event;
use super::record::frame;
use super::*;
use tfevents::{Field, bytes_of, fields, found, records};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes are those of TensorBoard 2.21's own `RecordWriter` for the same events.
#[test]
fn events_have_the_bytes_that_tensorboard_writes_itself() {
    let encoded = |wall_time, step, what| hex(&frame(&Event { wall_time, step, what }.encode()));
    let at = 1.7e9 + 0.25;
    assert_eq!(
        encoded(at, 0, What::Version),
        "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9"
    );
    assert_eq!(
        encoded(at, 0, What::Start),
        "0d000000000000003c37b8340900001040fc54d9413a0208018c8e54cd"
    );
    let scalars = [("loss/train", 0.625), ("loss/validation", -1.5e-3)];
    assert_eq!(
        encoded(1_700_000_001.5, 300, What::Scalars(&scalars)),
        "39000000000000008b0737f10900006040fc54d94110ac022a2b0a110a0a6c6f73732f747261696e150000203f\
         0a160a0f6c6f73732f76616c69646174696f6e15a69bc4baeed1387a"
    );
    let text = format!("| a | b |\n{}", "x".repeat(150));
    let start = "d1000000000000009fc921d90900006040fc54d9412ac5010ac2010a0873657474696e677342ab0108\
                 0712041202080142a0017c2061207c2062207c0a";
    let end = "4a080a060a0474657874803e93f4";
    assert_eq!(
        encoded(1_700_000_001.5, 0, What::Text("settings", &text)),
        format!("{start}{}{end}", "78".repeat(150))
    );
}

proptest! {
    #[test]
    fn records_are_read_back_and_any_change_is_noticed(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut bytes: Vec<u8> = contents.iter().flat_map(|content| frame(content)).collect();
        prop_assert_eq!(records(&bytes), Ok(contents.clone()));
        let whole: Vec<usize> = contents.iter().scan(0, |end, content| {
            *end += content.len() + 16;
            Some(*end)
        }).collect();
        let place = place.index(bytes.len());
        prop_assert_eq!(records(&bytes[..place]).is_ok(), place == 0 || whole.contains(&place));
        bytes[place] ^= 1 << bit;
        prop_assert!(records(&bytes).is_err());
    }

    #[test]
    fn numbers_are_read_back(step in 0..i64::MAX, at in 0.0..1e11, value in any::<f32>()) {
        let scalars = [("a", f64::from(value)), ("b", 0.0)];
        let event = Event { wall_time: at, step, what: What::Scalars(&scalars) };
        let event = fields(&event.encode());
        prop_assert_eq!(&event[0], &(1, Field::Double(at)));
        if step > 0 {
            prop_assert_eq!(&event[1], &(2, Field::Integer(step as u64)));
        }
        let summary = bytes_of(&event, 5).remove(0);
        let values: Vec<_> = bytes_of(&fields(&summary), 1).iter().map(|one| fields(one)).collect();
        let Field::Float(found) = values[0][1].1 else { panic!("{values:?}") };
        prop_assert!(found == value || found.is_nan() && value.is_nan());
        prop_assert_eq!(&values[1][1], &(2, Field::Float(0.0)));
    }
}

fn plan(symbols: &[&str]) -> RunPlan {
    let run: mambafleet_protocol::RunId = "20260301-041500-123-3f9a".parse().unwrap();
    let job = |symbol: &&str| JobSpec::usual(run.clone(), symbol.parse().unwrap(), "s".into());
    let jobs = symbols.iter().map(job).collect();
    RunPlan::new(run.clone(), "0".into(), "s".into(), RunPolicy::plain(1), jobs)
}

fn started(symbol: &str, attempt: u32) -> RunEvent {
    RunEvent::AttemptStarted { symbol: symbol.parse().unwrap(), attempt, worker: 1, pid: 1 }
}

fn epoch(symbol: &str, epoch: usize, train_loss: f64) -> RunEvent {
    RunEvent::Progress(EpochReport {
        symbol: symbol.parse().unwrap(),
        epoch,
        epochs: 9,
        train_loss,
        validation_loss: 2.0 * train_loss,
        samples_per_second: 100.0,
    })
}

fn trained(symbol: &str) -> RunEvent {
    let headline = Headline {
        epochs: 2,
        first_validation_loss: 1.0,
        best_validation_loss: 0.5,
        test_loss: 0.75,
        baseline_loss: 1.0,
    };
    let outcome = Outcome::Trained { generation: 7, attempts: 2, seconds: 1.0, headline };
    RunEvent::SymbolFinished { symbol: symbol.parse().unwrap(), outcome }
}

/// Hands events to a tracker of this directory; what it has to complain of.
fn track(dir: &Path, plan: RunPlan, events: Vec<RunEvent>) -> Option<String> {
    let tally = Arc::new(Tally::default());
    let mut tracker = TensorBoard::new(dir.to_owned(), Arc::new(plan), Arc::clone(&tally));
    for event in events {
        let counts = Counts::of(&event).unwrap();
        tally.given(counts);
        tracker.on_event(&StampedEvent::now(event), counts);
    }
    tally.missing()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_attempt_has_a_file_of_its_own_with_all_its_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let failed = RunEvent::AttemptFailed {
        symbol: "^A".parse().unwrap(),
        attempt: 1,
        kind: FailureKind::Crashed,
        cause: "killed\nby | something".into(),
        retry_in: Some(0.1),
    };
    let events = vec![
        started("^A", 1),
        epoch("^A", 1, 0.5),
        failed,
        started("^A", 2),
        started("B", 1),
        epoch("^A", 1, 0.25),
        epoch("^A", 2, 0.125),
        trained("^A"),
    ];
    assert_eq!(track(dir.path(), plan(&["^A", "B"]), events), None);
    // B has no epoch yet.
    assert_eq!(files(dir.path()), [dir.path().join("%5EA")]);
    let files = files(&dir.path().join("%5EA"));
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.to_str().unwrap().contains("events.out.tfevents.")));

    let (scalars, texts) = found(&files[0]);
    let own = |step, tag: &str, value| (step, tag.to_owned(), value);
    let first = [
        own(1, "loss/train", 0.5),
        own(1, "loss/validation", 1.0),
        own(1, "samples_per_second", 100.0),
    ];
    assert_eq!(scalars, first);
    assert!(texts[0].1 == "settings" && texts[0].2.contains("| train.learning_rate | 0.0003 |\n"));
    let outcome = "| name | value |\n| --- | --- |\n| cause | killed by \\| something |\n\
                   | failure | crashed |\n";
    assert_eq!(texts[1], (1, "outcome".to_owned(), outcome.to_owned()));

    // The second takes the place of the first.
    let second = records(&std::fs::read(&files[1]).unwrap()).unwrap();
    assert_eq!(bytes_of(&fields(&second[1]), 7), [[0x08, 0x01]]);
    let (scalars, texts) = found(&files[1]);
    assert_eq!(scalars[3], own(2, "loss/train", 0.125));
    let last = [
        own(2, "loss/test", 0.75),
        own(2, "loss/baseline", 1.0),
        own(2, "loss/best_validation", 0.5),
        own(2, "skill", 0.25),
    ];
    assert_eq!(scalars[6..], last);
    assert!(texts[1].2.contains("| generation | 7 |\n"), "{texts:?}");
}

#[test]
fn what_cannot_be_written_costs_the_tracker_and_is_said() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory should be.
    let blocked = dir.path().join("blocked");
    drop(mambafleet_artifacts::append_file(&blocked).unwrap());
    let events = vec![started("A", 1), epoch("A", 1, 0.5), epoch("A", 2, 0.5), trained("A")];
    let missing = track(&blocked, plan(&["A"]), events).unwrap();
    let expected = "2 of 2 epochs and 1 of 2 other events are missing: cannot create the directory";
    assert!(missing.starts_with(expected), "{missing}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_tracker_and_is_said() {
    let mut file = EventFile::full_disk().unwrap();
    let error = file.write(1.0, 1, What::Scalars(&[("a", 1.0)])).unwrap_err();
    assert_eq!(
        cause_chain(&error),
        "cannot write /dev/full: No space left on device (os error 28)"
    );
}
