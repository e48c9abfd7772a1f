//! Every row of the page's table of what goes wrong, and what costs nothing.

use serde_json::Value;

use super::{Script, sandbox};
use crate::support::Sandbox;

/// A program fails in one way.
struct Row {
    /// What it does in place of training.
    train: &'static str,
    /// What it does in place of forecasting, if training went well.
    predict: &'static str,
    kind: &'static str,
    /// What the cause says, beside the program.
    cause: &'static str,
}

const fn training(train: &'static str, kind: &'static str, cause: &'static str) -> Row {
    Row { train, predict: "", kind, cause }
}

const fn forecasting(predict: &'static str, kind: &'static str, cause: &'static str) -> Row {
    Row { train: "leave(1.0)\nsay('done')", predict, kind, cause }
}

/// Fails unless each row's symbol fails in its way, after that many attempts of two.
fn check(attempts: usize, rows: &[Row]) {
    for row in rows {
        let script = Script { train: row.train, predict: row.predict };
        let Some(sandbox) = sandbox(&script.text()) else { return };
        check_one(&sandbox, attempts, row.kind, row.cause);
    }
}

fn check_one(sandbox: &Sandbox, attempts: usize, kind: &str, cause: &str) {
    let train =
        "train --symbols AAPL --format json --set run.retries=1 --set train.command_timeout=";
    // Long enough for a busy machine, where silence is not what is tested.
    let timeout = if cause.contains("command_timeout") { "700ms" } else { "30s" };
    let aapl = sandbox.run(&format!("{train}{timeout}")).expect(3).outcome("AAPL");
    assert_eq!((&aapl["kind"], &aapl["attempts"]), (&kind.into(), &attempts.into()), "{aapl}");
    let text = aapl["cause"].as_str().unwrap();
    assert!(text.contains(cause), "not {cause:?}: {text}");
    assert!(std::path::Path::new(aapl["log"].as_str().unwrap()).is_file(), "{aapl}");
}

#[test]
fn what_a_program_says_of_itself_decides() {
    check(
        1,
        &[
            training("say('error', kind='data', message='no good')", "data", "train.py: no good"),
            training("say('error', kind='diverged', message='NaN')", "diverged", "train.py: NaN"),
            training("say('error', kind='other', message='no GPU')", "backend", "train.py: no GPU"),
            forecasting("say('error', kind='other', message='no')", "backend", "train.py: no"),
            training("say('error', kind='bored', message='')", "backend", "bored"),
        ],
    );
}

#[test]
fn an_end_without_an_answer_is_not_repeated() {
    let without = "before its answer";
    check(
        1,
        &[
            training("sys.exit(0)", "backend", "train.py: exited with code 0 before its answer"),
            training("sys.exit(3)", "backend", "exited with code 3 before its answer"),
            training("print('no newline', end='', flush=True)\nsys.exit(0)", "backend", without),
            forecasting("sys.exit(1)", "backend", "exited with code 1 before its answer"),
        ],
    );
    let Some(sandbox) = sandbox("print('rubbish')") else { return };
    check_one(&sandbox, 1, "backend", without);
    sandbox.write("train.py", super::LINEAR.replace("in range(1,", "in mistaken(1,"));
    check_one(&sandbox, 1, "backend", "train.py: NameError: name 'mistaken'");
    // A file that cannot be run.
    let config = std::fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    sandbox.write("mambafleet.toml", config.replace("\"python3\", \"", "\"./"));
    check_one(&sandbox, 1, "backend", "cannot start ./train.py: ");
}

#[cfg(unix)]
#[test]
fn death_by_a_signal_and_silence_are_tried_again() {
    let silence = "raise train.command_timeout";
    check(
        2,
        &[
            training("os.kill(os.getpid(), 9)", "crashed", "was killed by signal 9 (SIGKILL)"),
            training("os.abort()", "crashed", "was killed by signal 6 (SIGABRT)"),
            forecasting("os.kill(os.getpid(), 15)", "crashed", "killed by signal 15 (SIGTERM)"),
            training("time.sleep(600)", "crashed", silence),
            training("os.close(1)\ntime.sleep(600)", "crashed", silence),
            forecasting("time.sleep(600)", "crashed", silence),
        ],
    );
}

#[test]
fn a_broken_protocol_is_named() {
    const EPOCH: &str = "say('progress', epoch=2, train_loss=1.0, validation_loss=1.0)\n";
    let more = r#"say('progress', epoch=3, train_loss=1.0, validation_loss=1.0)"#;
    let Some(sandbox) = sandbox(&Script { train: EPOCH, predict: "" }.text()) else { return };
    sandbox.write("train.py", Script { train: &format!("{EPOCH}{EPOCH}"), predict: "" }.text());
    check_one(&sandbox, 1, "backend", "reported epoch 2 after epoch 2 of 2");
    sandbox.write("train.py", Script { train: more, predict: "" }.text());
    check_one(&sandbox, 1, "backend", "reported epoch 3 after epoch 0 of 2");
    sandbox.write("train.py", "print('{\"mambafleet\":2,\"type\":\"hello\"}')");
    check_one(&sandbox, 1, "backend", "speaks protocol 2, not 1");
    sandbox.write("train.py", "print('{\"mambafleet\":1,\"type\":\"done\"}')");
    check_one(&sandbox, 1, "backend", "out of turn: Done");
    check(
        1,
        &[
            training(r#"print('{"mambafleet":1,"x":NaN}', flush=True)"#, "backend", "not JSON"),
            training("say('predicted')", "backend", "out of turn: Predicted"),
            training("say('nonsense')", "backend", "nonsense"),
            forecasting("say('done')", "backend", "out of turn: Done"),
        ],
    );
}

#[test]
fn weights_and_forecasts_are_looked_at() {
    let weights = "weights that the program left";
    let forecasts = "forecasts that the program left";
    check(
        1,
        &[
            training("say('done')", "backend", "weights that the program left: not there"),
            training("os.mkdir(ask['weights'])\nsay('done')", "backend", weights),
            training("open(ask['weights'], 'w').write('x')\nsay('done')", "backend", "safetensors"),
            training("leave()\nsay('done')", "backend", "no tensor"),
            training("leave(1.0, dtype='I32')\nsay('done')", "backend", "I32, not F32"),
            training("leave(1.0, float('nan'))\nsay('done')", "diverged", weights),
            forecasting(
                "say('predicted')",
                "backend",
                "forecasts that the program left: not there",
            ),
            forecasting("forecast([0.0, 1.0, 2.0, 3.0, float('inf')])", "diverged", forecasts),
            forecasting(
                "forecast([0.0, 2.0, 1.0, 3.0, 4.0])",
                "backend",
                "quantiles of a forecast cross",
            ),
            forecasting("forecast([0.0])", "backend", "expected shape"),
        ],
    );
}

fn trained(script: &Script<'_>) -> Option<(Sandbox, Value)> {
    let sandbox = sandbox(&script.text())?;
    let started = std::time::Instant::now();
    let ended = sandbox.run("train --symbols AAPL --format json --set train.command_timeout=5m");
    let aapl = ended.expect(0).outcome("AAPL");
    assert!(started.elapsed().as_secs() < 60, "something was waited for");
    Some((sandbox, aapl))
}

const FORECAST: &str = "forecast([-2.0, -1.0, 0.0, 1.0, 2.0])";

#[test]
fn stray_text_costs_nothing_and_is_in_the_log() {
    let train = "
print('epoch 1 of', 2)
print('{\"type\": \"done\"}')
print('to standard error', file=sys.stderr)
print('x' * 5_000_000)
sys.stdout.buffer.write(b'\\xff\\xfe not UTF-8\\n')
say('progress', epoch=1, train_loss=0.5, validation_loss=0.25, more='ignored')
leave(1.0)
say('done')
print('and afterwards', flush=True)";
    let Some((sandbox, _)) = trained(&Script { train, predict: FORECAST }) else { return };
    let log =
        std::fs::read_to_string(sandbox.runs().pop().unwrap().join("logs/AAPL.1.log")).unwrap();
    for text in ["epoch 1 of 2", "to standard error", "xxxx", "not UTF-8"] {
        assert!(log.contains(text), "{text}");
    }
    assert!(log.len() < 100_000, "{}", log.len());
}

#[test]
fn the_best_epoch_is_the_one_that_the_program_names() {
    let train = "
say('progress', epoch=1, train_loss=0.5, validation_loss=0.25, learning_rate=0.125)
say('progress', epoch=2, train_loss=0.4, validation_loss=0.35)
leave(1.0)
say('done', best_epoch=1, metrics={'anything': [0.5]})";
    let Some((sandbox, _)) = trained(&Script { train, predict: FORECAST }) else { return };
    let metrics: Value = serde_json::from_slice(&sandbox.newest("AAPL", "metrics.json")).unwrap();
    assert_eq!(
        (&metrics["best_epoch"], metrics["epochs"].as_array().unwrap().len()),
        (&1.into(), 2)
    );
    assert_eq!(metrics["epochs"][0]["learning_rate"], 0.125);
    assert_eq!(metrics["reported"]["metrics"]["anything"][0], 0.5);
    // Measured, not reported.
    assert_ne!(metrics["headline"]["best_validation_loss"], 0.25);
}

#[test]
fn a_program_that_does_not_leave_after_its_answer_has_answered() {
    let stay = "\ntime.sleep(600)";
    let (train, predict) = (format!("leave(1.0)\nsay('done'){stay}"), format!("{FORECAST}{stay}"));
    // A forecast is asked for three times: the first answer is the last.
    let script = Script { train: &train, predict: FORECAST };
    let Some((sandbox, aapl)) = trained(&script) else { return };
    assert_eq!(aapl["outcome"], "trained");
    sandbox.write("train.py", Script { train: &train, predict: &predict }.text());
    sandbox.run("predict --symbols AAPL").expect(0);
}

#[cfg(unix)]
#[test]
fn another_attempt_may_succeed() {
    let train = "
if ask['job']['attempt'] == 1:
    os.kill(os.getpid(), 11)
leave(1.0)
say('done')";
    let Some((_sandbox, aapl)) = trained(&Script { train, predict: FORECAST }) else { return };
    assert_eq!((&aapl["outcome"], &aapl["attempts"]), (&"trained".into(), &2.into()));
}

#[cfg(unix)]
#[test]
fn the_first_interrupt_lets_a_program_finish() {
    use crate::support::processes::kill_child;
    let train = "
say('progress', epoch=1, train_loss=0.5, validation_loss=0.25)
while not os.path.exists('go'):
    time.sleep(0.01)
leave(1.0)
say('done')";
    let Some(sandbox) = sandbox(&Script { train, predict: FORECAST }.text()) else { return };
    let mut child = sandbox.start("train --symbols AAPL,MSFT --parallel 1");
    sandbox.wait_for_event(|event| event["type"] == "progress");
    kill_child(&child, rustix::process::Signal::INT);
    sandbox.wait_for_event(|event| event["type"] == "draining");
    sandbox.write("go", "");
    assert_eq!(child.code(), Some(130));
    let events = sandbox.events();
    let symbols = &events.last().unwrap()["summary"]["symbols"];
    assert_eq!(
        (&symbols[0]["outcome"], &symbols[1]["outcome"]),
        (&"trained".into(), &"interrupted".into())
    );
    sandbox.run("verify --all").expect(0);
}
