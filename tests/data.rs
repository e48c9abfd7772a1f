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
    let other = format!("{},{},{},{},{},7", fields[0], fields[1], fields[2], fields[3], fields[4]);
    let cases: [(&str, String, &[&str]); 3] = [
        ("TEXT", replace(10, &text), &["TEXT.csv", "line 10", "high", "n/a"]),
        ("TWICE", replace(9, &other), &["line 10", "line 9", "other values"]),
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

/// AAPL's synthetic prices with three blemishes that training mends.
fn blemished(sandbox: &Sandbox) -> String {
    let good = std::fs::read_to_string(sandbox.path("prices/AAPL.csv")).unwrap();
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    let cells: Vec<&str> = lines[50].split(',').collect();
    lines[50] = format!("{},,{},{},{},{}", cells[0], cells[2], cells[3], cells[4], cells[5]);
    lines.insert(70, lines[69].clone());
    lines.swap(90, 91);
    lines.join("\n")
}

#[test]
fn blemishes_are_mended_and_recorded_or_refused_if_so_configured() {
    let sandbox = with_prices();
    let content = blemished(&sandbox);
    sandbox.write("prices/BAD.csv", &content);
    sandbox.run("train --symbols BAD --data prices").expect(0);
    let shown = sandbox.run("show BAD --format json").expect(0).json();
    let reading = &shown["metadata"]["data"]["reading"];
    for (key, value) in
        [("blank_cells", 1), ("blank_rows", 1), ("duplicates", 1), ("unsorted", 1), ("dropped", 1)]
    {
        assert_eq!(reading[key], value, "{key}: {reading}");
    }
    assert_eq!(shown["metadata"]["source"]["policy"]["blank"], "drop");
    let human = sandbox.run("show BAD").expect(0).stdout;
    assert!(human.contains("mended: 1 row with blank cells, 1 row repeated"), "{human}");
    for (key, line) in [("blank", "line 51"), ("duplicates", "line 71"), ("unsorted", "line 92")] {
        let args =
            format!("train --symbols BAD --data prices --set data.{key}=refuse --format json");
        let outcome = sandbox.run(&args).expect(3).outcome("BAD");
        assert!(outcome["cause"].as_str().unwrap().contains(line), "{key}: {outcome}");
    }
}

#[test]
fn one_long_file_serves_all_its_symbols() {
    let sandbox = with_prices();
    let mut long = "ticker;date;open;high;low;close;volume\r\n".to_owned();
    for symbol in ["AAPL", "MSFT"] {
        let text = std::fs::read_to_string(sandbox.path(&format!("prices/{symbol}.csv"))).unwrap();
        for row in text.lines().skip(1) {
            long += &format!("{symbol};{}\r\n", row.replace(',', ";").replace('.', ","));
        }
    }
    sandbox.write("long.csv", &long);
    sandbox.run("train --symbols AAPL,MSFT --data prices").expect(0);
    let again = sandbox.run("train --symbols AAPL,MSFT --data long.csv --format json").expect(0);
    for symbol in ["AAPL", "MSFT"] {
        assert_eq!(again.outcome(symbol)["outcome"], "up_to_date");
    }
    let absent = sandbox.run("train --symbols AAPL,MSFTX --data long.csv --format json").expect(3);
    let outcome = absent.outcome("MSFTX");
    assert!(outcome["cause"].as_str().unwrap().contains("none of the 2 symbols"), "{outcome}");
    assert!(outcome["hint"].as_str().unwrap().contains("MSFT"), "{outcome}");
    let checked = sandbox.run("data check long.csv --format json").expect(0).json();
    assert_eq!(checked["symbols"].as_array().unwrap().len(), 2);
}

#[test]
fn every_file_gets_a_verdict() {
    let sandbox = with_prices();
    let good = std::fs::read_to_string(sandbox.path("prices/AAPL.csv")).unwrap();
    let semicolons = good.replace(',', ";");
    sandbox.write("prices/BOM.csv", format!("\u{feff}{good}"));
    sandbox.write("prices/CRLF.csv", good.replace('\n', "\r\n"));
    sandbox.write("prices/SEMI.csv", &semicolons);
    sandbox.write("prices/COMMA.csv", semicolons.replace('.', ","));
    sandbox.write("prices/EMPTY.csv", "");
    sandbox.write("prices/BINARY.csv", [0x7f, b'E', b'L', b'F', 0, 1, 2, 0xff]);
    sandbox.write("prices/TORN.csv.gz", [0x1f, 0x8b, 8, 0, 0]);
    sandbox.write("prices/MENDED.csv", blemished(&sandbox));
    sandbox.write("prices/notes.txt", "bought from a friend");
    let ended = sandbox.run("data check prices --format json").expect(3).json();
    let symbols = ended["symbols"].as_array().unwrap();
    let of = |name: &str| symbols.iter().find(|one| one["symbol"] == name).unwrap();
    for name in ["AAPL", "MSFT", "BOM", "CRLF", "SEMI", "COMMA"] {
        assert_eq!(of(name)["verdict"], "clean", "{}", of(name));
        assert_eq!(of(name)["bars"], 400);
    }
    assert_eq!(of("MENDED")["verdict"], "mended");
    for (name, cause) in
        [("EMPTY", "is empty"), ("BINARY", "holds binary data"), ("TORN", "cannot unpack")]
    {
        assert_eq!(of(name)["verdict"], "refused");
        assert!(of(name)["cause"].as_str().unwrap().contains(cause), "{}", of(name));
        assert!(of(name)["hint"].is_string());
    }
    assert_eq!(symbols.len(), 10);
    assert!(ended["other_files"][0].as_str().unwrap().ends_with("notes.txt"));
    let human = sandbox.run("data check prices").expect(3).stdout;
    for part in ["EMPTY: refused: ", "BINARY: refused: ", "MENDED: 1 blank cell", "3 refused"] {
        assert!(human.contains(part), "{part} is missing:\n{human}");
    }
}

#[test]
fn what_cannot_be_checked_is_said() {
    let sandbox = Sandbox::new();
    sandbox.run("data check absent").expect(2);
    sandbox.run("data check").expect(2);
    sandbox.write("empty/notes.md", "nothing");
    sandbox.run("data check empty").expect(4);
}

#[test]
fn files_of_three_vendors_are_checked() {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let raw = dir.join("../../../shared/data/daily/raw");
    if !raw.is_dir() {
        println!("skipped: no sample of daily prices at {}", raw.display());
        return;
    }
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&format!("data check {} --format json", raw.display())).expect(0);
    let symbols = ended.json()["symbols"].as_array().unwrap().clone();
    let of = |name: &str| symbols.iter().find(|one| one["symbol"] == name).unwrap().clone();
    let dhr = of("DHR.kaggle");
    let findings = dhr["findings"].as_array().unwrap();
    let number = |kind: &str| findings.iter().find(|f| f["kind"] == kind).unwrap()["count"].clone();
    let counts = ["blank_cells", "missing_sessions", "inconsistent"].map(number);
    assert_eq!(counts, [4, 16, 1]);
    for name in ["AAPL.yahoo", "TSLA.alphavantage"] {
        assert_eq!(of(name)["reading"]["adjustment"], "adjusted_close");
        assert_eq!(of(name)["verdict"], "clean");
    }
    let as_traded = format!("data check {} --set data.adjust=none", raw.display());
    let human = sandbox.run(&as_traded).expect(3).stdout;
    assert!(human.contains("on 2020-08-31") && human.contains("5-for-1 split"), "{human}");
}
