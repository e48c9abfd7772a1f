//! Bad data costs its own symbol and no other, and says where it is bad.

use crate::support::Sandbox;

/// A sandbox with good prices for AAPL and MSFT.
fn with_prices() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL,MSFT").expect(0);
    sandbox
}

#[test]
fn a_symbol_without_data_is_named_and_the_others_are_committed() {
    let sandbox = with_prices();
    let train = "train --symbols AAPL,NOPE,MSFT --data prices";
    let human = sandbox.run(train).expect(3);
    for part in ["NOPE failed (data, 1 attempt)", "NOPE.csv", "hint:", "log:", "1 failed"] {
        assert!(human.stdout.contains(part), "{part} is missing:\n{}", human.stdout);
    }
    sandbox.run("verify AAPL MSFT").expect(0);
    let json = sandbox.run(&format!("{train} --format json")).expect(3);
    let nope = json.outcome("NOPE");
    assert_eq!((&nope["outcome"], &nope["kind"]), (&"failed".into(), &"data".into()));
    assert!(nope["cause"].as_str().unwrap().contains("NOPE.csv"), "{nope}");
    assert!(nope["hint"].is_string(), "{nope}");
    assert_eq!(json.outcome("AAPL")["outcome"], "up_to_date");
}

#[test]
fn a_spelling_mistake_finds_its_file() {
    let sandbox = with_prices();
    let ended = sandbox.run("train --symbols aapl --data prices --format json").expect(3);
    let hint = ended.outcome("aapl")["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("AAPL"), "{hint}");
}

#[test]
fn malformed_files_are_refused_with_line_numbers() {
    let sandbox = with_prices();
    let good = std::fs::read_to_string(sandbox.path("prices/AAPL.csv")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let replace = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n")
    };
    let fields: Vec<&str> = lines[9].split(',').collect();
    let text = format!("{},{},n/a,{},{},{}", fields[0], fields[1], fields[3], fields[4], fields[5]);
    let blank = format!("{},,{},{},{},{}", fields[0], fields[2], fields[3], fields[4], fields[5]);
    let cases: [(&str, String, &[&str]); 5] = [
        ("TEXT", replace(10, &text), &["TEXT.csv", "line 10", "high", "n/a"]),
        ("BLANK", replace(10, &blank), &["BLANK.csv", "line 10", "open"]),
        ("TWICE", replace(10, lines[8]), &["line 10", "line 9"]),
        ("UNSORTED", replace(10, lines[5]), &["line 10"]),
        ("SHORT", lines[..30].join("\n"), &["29"]),
    ];
    for (name, content, _) in &cases {
        sandbox.write(&format!("prices/{name}.csv"), content);
    }
    let symbols = cases.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(",");
    let args = format!("train --symbols {symbols},MSFT --data prices --format json");
    let ended = sandbox.run(&args).expect(3);
    for (name, _, parts) in cases {
        let outcome = ended.outcome(name);
        let cause = outcome["cause"].as_str().unwrap();
        for part in parts {
            assert!(cause.contains(part), "{name}: {part} is missing in: {cause}");
        }
        assert_eq!(outcome["attempts"], 1, "bad data was tried again");
    }
    assert_eq!(ended.outcome("MSFT")["outcome"], "trained");
}

#[test]
fn forecasts_name_what_is_missing() {
    let sandbox = with_prices();
    sandbox.run("train --symbols AAPL --data prices").expect(0);
    let ended = sandbox.run("predict --symbols AAPL,MSFT --format json").expect(3).json();
    assert_eq!(ended["forecasts"][0]["symbol"], "AAPL");
    assert_eq!(ended["failures"][0]["symbol"], "MSFT");
}

#[test]
fn the_generator_never_overwrites_prices() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols AAPL").expect(0);
    sandbox.run("data synth prices --symbols AAPL").expect(0);
    let mine = "date,open,high,low,close,volume\n2005-01-03,1,1,1,1,1\n";
    let path = sandbox.write("prices/AAPL.csv", mine);
    let ended = sandbox.run("data synth prices --symbols AAPL").expect(2);
    assert!(ended.stderr.contains("AAPL.csv is there already"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(path).unwrap(), mine);
}
