//! `predict`: which day it forecasts from, what it warns of, and what it writes.

use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Sandbox};

/// The last day of the generator's market.
const LAST: &str = "2025-12-31";

const HEADER: &str =
    "symbol,generation,as_of,close,volatility,horizon,level,log_return,price,synthetic";

/// A directory with files of prices, and a model of each.
fn trained(symbols: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&format!("data synth prices --symbols {symbols}")).expect(0);
    sandbox.run(&format!("train --symbols {symbols} --data prices")).expect(0);
    sandbox
}

/// The rows of a symbol's file, oldest first, without the header.
fn rows(sandbox: &Sandbox, symbol: &str) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path(&format!("prices/{symbol}.csv"))).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

fn day(row: &str) -> &str {
    row.split(',').next().unwrap()
}

/// Writes a file of prices with these rows.
fn store(sandbox: &Sandbox, name: &str, rows: &[String]) {
    sandbox.write(name, format!("date,open,high,low,close,volume\n{}\n", rows.join("\n")));
}

/// The lines that JSON has for the forecasts, but for their warnings: to the byte, as numbers that are
/// read again need not be.
fn forecasts(ended: &Ended) -> String {
    let (_, behind) = ended.stdout.split_once("\"forecasts\": [").unwrap();
    let (forecast, _) = behind.split_once("\"warnings\"").unwrap();
    assert!(forecast.contains("\"log_returns\""), "{forecast}");
    forecast.to_owned()
}

/// Kind and days of the warnings of the first forecast.
fn warnings(ended: &Value) -> Vec<(String, i64)> {
    let warnings = ended["forecasts"][0]["warnings"].as_array().unwrap();
    let one = |warning: &Value| {
        assert!(warning["message"].as_str().unwrap().len() > 20, "{warning}");
        (warning["kind"].as_str().unwrap().to_owned(), warning["days"].as_i64().unwrap())
    };
    warnings.iter().map(one).collect()
}

#[test]
fn what_comes_after_the_day_asked_for_changes_nothing() {
    let sandbox = trained("AAPL");
    let rows = rows(&sandbox, "AAPL");
    for back in [2, 30] {
        let end = rows.len() - back;
        store(&sandbox, "cut/AAPL.csv", &rows[..end]);
        let as_of = day(&rows[end - 1]);
        let predict = "predict --symbols AAPL --format json";
        let cut = sandbox.run(&format!("{predict} --data cut")).expect(0);
        assert_eq!(cut.json()["forecasts"][0]["as_of"], as_of);
        let whole = sandbox.run(&format!("{predict} --data prices --as-of {as_of}")).expect(0);
        assert_eq!(whole.json()["as_of"], as_of);
        assert_eq!(forecasts(&whole), forecasts(&cut));
        let newest = sandbox.run(&format!("{predict} --data prices")).expect(0);
        assert_ne!(forecasts(&newest), forecasts(&cut));
    }
}

#[test]
fn a_day_without_a_bar_takes_the_newest_one_before_it() {
    let sandbox = trained("AAPL");
    // A Sunday.
    let predict = "predict --symbols AAPL --as-of 2025-12-28";
    let json = sandbox.run(&format!("{predict} --format json")).expect(0).json();
    assert_eq!(
        (&json["as_of"], &json["forecasts"][0]["as_of"]),
        (&"2025-12-28".into(), &"2025-12-26".into())
    );
    let told = sandbox.run(predict).expect(0).stdout;
    let note = "no bar on 2025-12-28 for 1 symbol: the newest one before it counts";
    assert!(told.contains(note), "{told}");
    let told = sandbox.run("predict --symbols AAPL --as-of 2025-12-26").expect(0).stdout;
    assert!(!told.contains("no bar on"), "{told}");
}

#[test]
fn days_before_the_first_bar_are_named_and_what_is_no_day_is_refused() {
    let sandbox = trained("AAPL");
    let first = day(&rows(&sandbox, "AAPL")[0]).to_owned();
    let none = sandbox.run("predict --symbols AAPL --as-of 1990-01-01").expect(3);
    let cause = format!("AAPL has no bar up to 1990-01-01: the first is of {first}");
    assert!(none.stderr.contains(&cause), "{}", none.stderr);
    let none = sandbox.run("predict --symbols AAPL --as-of 1990-01-01 --format json").expect(3);
    let failure = &none.json()["failures"][0];
    assert_eq!((&failure["symbol"], &failure["cause"]), (&"AAPL".into(), &cause.into()));
    for wrong in ["yesterday", "2025-02-30", "31.12.2025"] {
        let refused = sandbox.run(&format!("predict --symbols AAPL --as-of {wrong}")).expect(2);
        assert!(refused.stderr.contains(wrong), "{}", refused.stderr);
    }
}

#[test]
fn old_bars_are_warned_of_beyond_the_age_that_is_given() {
    let sandbox = trained("AAPL");
    // Thirty-two days after the last bar.
    let predict = "predict --symbols AAPL --as-of 2026-02-01";
    let json = |more: &str| sandbox.run(&format!("{predict} --format json {more}")).expect(0);
    assert_eq!(warnings(&json("--max-age 31").json()), [("old_bars".to_owned(), 32)]);
    for enough in ["--max-age 32", "--max-age none", "--set predict.max_age_days=32"] {
        assert_eq!(warnings(&json(enough).json()), [], "{enough}");
    }
    let told = sandbox.run(&format!("{predict} --max-age 31")).expect(0);
    let warning = format!(
        "warning: 1 of 1 forecasts are from bars that end more than 31 days before 2026-02-01: \
         AAPL ends {LAST}"
    );
    assert!(told.stderr.contains(&warning), "{}", told.stderr);
    assert!(!told.stdout.contains("warning"), "{}", told.stdout);
    let told = sandbox.run(&format!("{predict} --max-age 32")).expect(0);
    assert!(!told.stderr.contains("warning"), "{}", told.stderr);
    let refused = sandbox.run(&format!("{predict} --max-age soon")).expect(2);
    assert!(refused.stderr.contains("--max-age"), "{}", refused.stderr);
}

#[test]
fn old_models_and_days_that_a_model_knew_are_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL").expect(0);
    let all = rows(&sandbox, "AAPL");
    let at = all.iter().position(|row| day(row) == "2025-11-28").unwrap();
    store(&sandbox, "cut/AAPL.csv", &all[..=at]);
    sandbox.run("train --symbols AAPL --data cut").expect(0);
    // The last bar is 33 days newer than the last one of training.
    let predict = format!("predict --symbols AAPL --data prices --as-of {LAST}");
    let limit = |days: u32| format!("{predict} --set predict.max_model_age_days={days}");
    let old = sandbox.run(&format!("{} --format json", limit(32))).expect(0).json();
    assert_eq!(warnings(&old), [("old_model".to_owned(), 33)]);
    let young = sandbox.run(&format!("{} --format json", limit(33))).expect(0).json();
    assert_eq!(warnings(&young), []);
    let told = sandbox.run(&limit(32)).expect(0).stderr;
    let warning = format!(
        "a model more than 32 days older than its bars: AAPL trained to 2025-11-28, forecast \
         from {LAST}"
    );
    assert!(told.contains(&warning), "{told}");

    let unseen = old["forecasts"][0]["unseen_from"].as_str().unwrap().to_owned();
    let first = all.iter().position(|row| day(row) == unseen).unwrap();
    let as_of = |row: usize| format!("predict --symbols AAPL --as-of {}", day(&all[row]));
    let honest = sandbox.run(&format!("{} --format json", as_of(first))).expect(0).json();
    assert_eq!(warnings(&honest), []);
    let early = sandbox.run(&format!("{} --format json", as_of(first - 5))).expect(0).json();
    // Five weekdays are a week.
    assert_eq!(warnings(&early), [("in_sample".to_owned(), 7)]);
    let told = sandbox.run(&as_of(first - 5)).expect(0).stderr;
    let warning = format!("days that the model was trained on: AAPL unseen from {unseen} on");
    assert!(told.contains(&warning), "{told}");
}

#[test]
fn csv_has_a_row_for_each_symbol_horizon_and_level() {
    let sandbox = trained("AAPL,MSFT");
    let csv = sandbox.run("predict --format csv").expect(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    // Two symbols, two horizons, five levels.
    assert_eq!((lines[0], lines.len()), (HEADER, 1 + 2 * 2 * 5));
    let json = sandbox.run("predict --format json").expect(0).json();
    let mut lines = lines[1..].iter();
    for forecast in json["forecasts"].as_array().unwrap() {
        for horizon in forecast["horizons"].as_array().unwrap() {
            for (place, level) in forecast["levels"].as_array().unwrap().iter().enumerate() {
                let cells: Vec<&str> = lines.next().unwrap().split(',').collect();
                let texts = [forecast["symbol"].as_str(), forecast["as_of"].as_str()];
                assert_eq!([Some(cells[0]), Some(cells[2])], texts);
                assert_eq!((cells[1], cells[9]), ("1", "false"));
                let numbers = [
                    (3, &forecast["close"]),
                    (4, &forecast["volatility"]),
                    (5, &horizon["horizon"]),
                    (6, level),
                    (7, &horizon["log_returns"][place]),
                    (8, &horizon["prices"][place]),
                ];
                for (cell, expected) in numbers {
                    let (read, expected): (f64, _) =
                        (cells[cell].parse().unwrap(), expected.as_f64().unwrap());
                    assert!((read - expected).abs() <= 1e-15 * expected.abs(), "{cells:?}");
                }
            }
        }
    }
}

#[test]
fn the_ending_of_a_file_tells_its_format() {
    let sandbox = trained("AAPL,MSFT");
    let read = |name: &str| std::fs::read(sandbox.path(name)).unwrap();
    sandbox.write("out/here", "");
    for (name, format) in [("out/a.csv", "csv"), ("out/a.json", "json")] {
        let told = sandbox.run(&format!("predict --output {name}")).expect(0);
        let line = format!("2 forecasts (20 rows) written to {name}");
        assert!(told.stderr.contains(&line) && told.stdout.is_empty(), "{told:?}");
        let shown = sandbox.run(&format!("predict --format {format}")).expect(0).stdout;
        assert_eq!(String::from_utf8(read(name)).unwrap(), shown);
    }
    sandbox.run("predict --output out/a.parquet").expect(0);
    let table = read("out/a.parquet");
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
    // The reader of prices knows its columns, and that these are none.
    let found = sandbox.run("data check out/a.parquet --format json").expect(3).stdout;
    for name in HEADER.split(',') {
        assert!(found.contains(&format!("\\\"{name}\\\"")), "{name}: {found}");
    }
    // The format counts before the ending; without either there is nothing to go by.
    sandbox.run("predict --format csv --output out/b.json").expect(0);
    assert_eq!(read("out/b.json"), read("out/a.csv"));
    let written = sandbox.run("predict --format json --output out/forecasts").expect(0).json();
    assert_eq!((&written["forecasts"], &written["rows"]), (&2.into(), &20.into()));
    assert_eq!(read("out/forecasts"), read("out/a.json"));
    let refused = sandbox.run("predict --output out/a.xlsx").expect(2);
    assert!(refused.stderr.contains("in which format?"), "{}", refused.stderr);
    let refused = sandbox.run("predict --output none/a.csv").expect(2);
    assert!(refused.stderr.contains("none is not a directory"), "{}", refused.stderr);
    let refused = sandbox.run("predict --format csv --output out").expect(2);
    assert!(refused.stderr.contains("is not a file"), "{}", refused.stderr);
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn where_all_fail_the_file_is_left_as_it_is() {
    let sandbox = trained("AAPL");
    sandbox.write("out/old.csv", "what was forecast before\n");
    for name in ["old.csv", "new.csv", "new.json", "new.parquet"] {
        let output = format!("predict --symbols AAPL --as-of 1990-01-01 --output out/{name}");
        let failed = sandbox.run(&output).expect(3);
        assert!(failed.stderr.contains("is left as it is: there is no forecast"), "{failed:?}");
    }
    assert_eq!(names(&sandbox.path("out")), ["old.csv"]);
    let left = std::fs::read_to_string(sandbox.path("out/old.csv")).unwrap();
    assert_eq!(left, "what was forecast before\n");
    sandbox.run("predict --symbols AAPL --output out/old.csv").expect(0);
    let new = std::fs::read_to_string(sandbox.path("out/old.csv")).unwrap();
    assert!(new.starts_with(HEADER), "{new}");
    assert_eq!(names(&sandbox.path("out")), ["old.csv"]);
}

#[test]
fn one_file_serves_all_symbols_and_one_that_it_lacks_costs_the_others_nothing() {
    let sandbox = trained("AAPL,IBM,MSFT");
    let mut long = "symbol,date,open,high,low,close,volume\n".to_owned();
    for symbol in ["MSFT", "AAPL"] {
        for row in rows(&sandbox, symbol) {
            long += &format!("{symbol},{row}\n");
        }
    }
    sandbox.write("long.csv", long);
    let both = "predict --symbols AAPL,MSFT --format json --data";
    let alone = sandbox.run(&format!("{both} prices")).expect(0).json();
    let served = sandbox.run(&format!("{both} long.csv")).expect(0).json();
    assert_eq!(alone["forecasts"].as_array().unwrap().len(), 2);
    assert_eq!(served["forecasts"], alone["forecasts"]);

    let bad = sandbox.run("predict --data long.csv --format json").expect(3).json();
    assert_eq!(bad["forecasts"], alone["forecasts"]);
    assert_eq!(bad["failures"].as_array().unwrap().len(), 1);
    assert_eq!(bad["failures"][0]["symbol"], "IBM");
    let cause = bad["failures"][0]["cause"].as_str().unwrap();
    assert!(cause.contains("IBM") && cause.contains("long.csv"), "{cause}");
    let csv = sandbox.run("predict --data long.csv --format csv").expect(3);
    assert_eq!(csv.stdout.lines().count(), 1 + 2 * 2 * 5);
    assert!(csv.stderr.contains("IBM: "), "{}", csv.stderr);
    // A file that takes them holds the others', whole.
    let written = sandbox.run("predict --data long.csv --output some.csv").expect(3);
    assert!(written.stderr.contains("2 forecasts (20 rows) written"), "{}", written.stderr);
    assert_eq!(std::fs::read_to_string(sandbox.path("some.csv")).unwrap(), csv.stdout);
}
