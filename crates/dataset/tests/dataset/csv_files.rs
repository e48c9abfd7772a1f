//! What the CSV reader takes, and how it refuses.

use std::path::Path;

use jiff::civil::{Date, date};
use mambafleet_dataset::{Bar, Bars, DataError, Origin, parse_csv, write_csv};
use mambafleet_protocol::{PolicySpec, SuspectedSplitSpec};
use proptest::prelude::*;

use crate::symbol;

const HEADER: &str = "date,open,high,low,close,volume\n";

/// Nothing is mended; prices may do anything.
const POLICY: PolicySpec =
    PolicySpec { suspected_splits: SuspectedSplitSpec::Keep, ..PolicySpec::STRICT };

fn parse(text: impl AsRef<[u8]>) -> Result<Vec<Bar>, DataError> {
    parse_csv(Path::new("A.csv"), text.as_ref(), &POLICY)
}

fn refusal(text: impl AsRef<[u8]>) -> DataError {
    parse(text).unwrap_err()
}

/// The message about a file with this row between two good ones.
fn row_refusal(row: &str) -> String {
    let text = format!("{HEADER}2024-01-02,1,2,1,2,9\n{row}\n2024-01-04,1,2,1,2,9\n");
    refusal(text).to_string()
}

#[test]
fn harmless_spellings_make_no_difference() {
    let plain = parse("date,open,high,low,close,volume\n2024-01-02,1,3,0.5,2,0\n").unwrap();
    let expected =
        Bar { date: date(2024, 1, 2), open: 1.0, high: 3.0, low: 0.5, close: 2.0, volume: 0.0 };
    assert_eq!(plain, [expected]);
    for same in [
        "\u{feff}date,open,high,low,close,volume\r\n2024-01-02,1,3,0.5,2,0\r\n",
        "\n\n Date , OPEN,High,low,\"close\",Volume\n\n  \n2024-01-02 , 1.0,3e0, .5,\"2\",-0",
        "volume,x,close,low,high,open,date,name\r0,,2,0.5,3,1,2024-01-02,\"a, b\"\r",
    ] {
        let parsed = parse(same).unwrap();
        assert_eq!(parsed, [expected], "{same:?}");
        assert!(parsed[0].volume.is_sign_positive());
    }
}

#[test]
fn every_bad_number_is_named() {
    for (row, message) in [
        ("2024-01-03,1,2,1,abc,9", "line 3, column close: \"abc\" is not a number"),
        (
            "2024-01-03,\"1,5\",2,1,2,9",
            "line 3, column open: \"1,5\" is not a number; \
             use a decimal point and no thousands separator",
        ),
        (
            "2024-01-03,1,2,NaN,2,9",
            "line 3, column low: \"NaN\" is not a finite number; remove the row",
        ),
        (
            "2024-01-03,1,inf,1,2,9",
            "line 3, column high: \"inf\" is not a finite number; remove the row",
        ),
        (
            "2024-01-03,1,2, ,2,9",
            "line 3, column low: the cell is blank; fill it in or remove the row",
        ),
        ("2024-01-03,0,2,1,2,9", "line 3, column open: \"0\" is not a price: it must be above 0"),
        ("2024-01-03,1,2,-1,2,9", "line 3, column low: \"-1\" is not a price: it must be above 0"),
        (
            "2024-01-03,1,2,1,2,-9",
            "line 3, column volume: \"-9\" is negative; use 0 where the volume is not known",
        ),
        (
            "2024-01-03,1,1e200,1,2,9",
            "line 3, column high: \"1e200\" is implausibly large or small; check the unit",
        ),
    ] {
        assert_eq!(row_refusal(row), format!("A.csv, {message}"));
    }
}

#[test]
fn every_bad_date_and_row_is_named() {
    for (row, message) in [
        (",1,2,1,2,9", "line 3, column date: the cell is blank; fill it in or remove the row"),
        (
            "03.01.2024,1,2,1,2,9",
            "line 3, column date: \"03.01.2024\" is not a date; write it as 2024-12-31",
        ),
        (
            "2024-02-30,1,2,1,2,9",
            "line 3, column date: \"2024-02-30\" is not a date; write it as 2024-12-31",
        ),
        (
            "2024-01-02,1,2,1,2,9",
            "line 3, column date: 2024-01-02 stands already on line 2; keep one of the two",
        ),
        (
            "2024-01-01,1,2,1,2,9",
            "line 3, column date: 2024-01-01 comes after 2024-01-02 of line 2; \
             sort the rows, oldest first",
        ),
        (
            "2024-01-03,2,1,2,2,9",
            "line 3, column high: high 1 is below low 2; correct the row or remove it",
        ),
        (
            "2024-01-03,1,2,1,2.1,9",
            "line 3, column close: close 2.1 is outside the day's range 1 to 2; \
             correct the row or remove it",
        ),
        (
            "2024-01-03,0.9,2,1,2,9",
            "line 3, column open: open 0.9 is outside the day's range 1 to 2; \
             correct the row or remove it",
        ),
        (
            "2024-01-03,1,2,1,2",
            "line 3: 5 cells where the header has 6; \
             one value per column, no thousands separators",
        ),
        (
            "2024-01-03,1,2,1,2,9,",
            "line 3: 7 cells where the header has 6; \
             one value per column, no thousands separators",
        ),
    ] {
        assert_eq!(row_refusal(row), format!("A.csv, {message}"));
    }
}

#[test]
fn rounding_is_no_inconsistency() {
    let row = |close: f64| format!("{HEADER}2024-01-02,100,100,99,{close},1\n");
    assert!(parse(row(100.0099)).is_ok());
    assert!(parse(row(100.011)).is_err());
    assert!(parse(row(98.9901)).is_ok());
    assert!(parse(row(98.989)).is_err());
}

#[test]
fn lines_are_counted_with_blank_ones_and_inside_quotes() {
    for (text, line) in [
        ("\n\nH\n\n2024-01-02,1,2,1,x,9\n", 5),
        ("H\r\n\r\n2024-01-02,1,2,1,x,9", 3),
        ("H\r2024-01-02,1,2,1,2,9\r\r2024-01-03,1,2,1,x,9", 4),
        ("H\n  \n \t\n2024-01-02,1,2,1,x,9\n", 4),
        ("H\n2024-01-02,1,2,1,2,\"\n9\"\n2024-01-03,1,2,1,x,9\n", 4),
    ] {
        let error = refusal(text.replacen('H', HEADER.trim_end(), 1));
        assert_eq!(error.problems()[0].line, line, "{text:?}: {error}");
    }
}

#[test]
fn the_first_problems_are_listed_and_all_are_counted() {
    let rows = (1..=9).map(|day| format!("2024-01-0{day},1,2,1,x,-1\n")).collect::<String>();
    let error = refusal(format!("{HEADER}{rows}"));
    assert_eq!(error.problems().len(), 5);
    let problem = error.problems()[4].to_string();
    assert_eq!(problem, "line 4, column close: \"x\" is not a number");
    assert!(error.to_string().ends_with("\"x\" is not a number (and 17 more problems)"));
    assert!(error.hint().is_some());
}

#[test]
fn a_date_repeated_later_is_a_repetition_and_not_a_disorder() {
    let text = format!(
        "{HEADER}2024-01-02,1,2,1,2,9\n2024-01-03,1,2,1,2,9\n2024-01-04,1,2,1,2,9\n\
         2024-01-03,1,2,1,2,9\n2024-01-01,1,2,1,2,9\n2024-01-05,1,2,1,2,9\n"
    );
    let problems = refusal(text).problems().to_vec();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "2024-01-03 stands already on line 3; keep one of the two",
            "2024-01-01 comes after 2024-01-04 of line 4; sort the rows, oldest first",
        ]
    );
}

#[test]
fn a_header_that_is_none_is_told_apart() {
    for (text, message) in [
        ("", "A.csv is empty"),
        ("\u{feff}", "A.csv is empty"),
        ("\r\n  \n", "A.csv is empty"),
        (HEADER, "A.csv holds a header but no bars"),
        (
            "\ndate|open|high|low|close|volume\n2024-01-02|1|2|1|2|9\n",
            "A.csv, line 2: cells are separated by '|', not by commas, semicolons or tabs",
        ),
        (
            "Date,Open,High,Low,Last,Volume\n",
            "A.csv, line 1: no column \"close\" in the header \
             (found \"Date\", \"Open\", \"High\", \"Low\", \"Last\", \"Volume\")",
        ),
        (
            "date,open,high,low,close,Close,volume\n",
            "A.csv, line 1: column \"close\" stands twice in the header",
        ),
    ] {
        let error = refusal(text);
        assert_eq!(error.to_string(), message);
        assert!(error.hint().unwrap().contains("date,open") || message.contains("separated"));
    }
}

#[test]
fn files_that_are_not_text_are_recognised() {
    for (content, appearance) in [
        (&b"BZh91AY"[..], "is bzip2-compressed"),
        (b"PK\x03\x04xl", "is a ZIP archive or a spreadsheet"),
        (b"\xff\xfed\x00a\x00", "is UTF-16 text"),
        (b"date,open\0high", "holds binary data"),
        (b"date,open,h\xf6chst\n", "holds bytes that are not UTF-8"),
    ] {
        let message = refusal(content).to_string();
        assert_eq!(message, format!("A.csv is not a text file: it {appearance}"));
    }
}

#[test]
fn an_open_quote_is_suspected() {
    let text = format!("{HEADER}2024-01-02,1,2,1,\"2,9\n2024-01-03,1,2,1,2,9\n");
    let message = refusal(text).to_string();
    assert!(message.contains("line 2: 5 cells"), "{message}");
    assert!(message.contains("is a quote left open at \"2,9\\n2024"), "{message}");
}

/// Bars of any shape that a file may hold.
fn any_bars() -> impl Strategy<Value = Vec<Bar>> {
    let day = (1_i64..40, 1e-6_f64..1e6, 0.0_f64..1.0, 0.0_f64..1.0, 0.0_f64..1.0, 0_u64..1 << 50);
    proptest::collection::vec(day, 1..40).prop_map(|days| {
        let mut today: Date = date(1990, 1, 1);
        let bar = |(gap, low, span, open, close, volume): (i64, f64, f64, f64, f64, u64)| {
            today = today.saturating_add(jiff::Span::new().days(gap));
            let high = low * (1.0 + span);
            let inside = |part: f64| (low + part * (high - low)).clamp(low, high);
            let (open, close) = (inside(open), inside(close));
            Bar { date: today, open, high, low, close, volume: volume as f64 }
        };
        days.into_iter().map(bar).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_bit_for_bit(bars in any_bars()) {
        let origin = Origin::Synthetic { seed: 0 };
        let bars = Bars { symbol: symbol("A"), origin, bars, columns: Vec::new(), reading: None };
        let mut text = Vec::new();
        write_csv(&bars, &mut text).unwrap();
        let again = Bars { bars: parse(&text).unwrap(), ..bars.clone() };
        prop_assert_eq!(again.fingerprint(), bars.fingerprint());
        prop_assert_eq!(again, bars);
    }

    #[test]
    fn no_bytes_break_the_reader(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&content);
    }

    #[test]
    fn no_text_of_csv_pieces_breaks_the_reader_or_its_messages(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                ",", "\n", "\r\n", "\r", "\"", " ", "2024-01-02", "2024-01-03", "1", "2.5", "-1",
                "1e999", "nan", "x", "é", HEADER, "2024-01-04,1,2,1,2,9\n",
            ]),
            0..60,
        ),
    ) {
        let text = HEADER.to_owned() + &pieces.concat();
        let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count() as u64;
        match parse(&text) {
            Ok(bars) => prop_assert!(bars.windows(2).all(|pair| pair[0].date < pair[1].date)),
            Err(error) => {
                prop_assert!(!error.to_string().contains('\n'));
                for problem in error.problems() {
                    prop_assert!(problem.line >= 2 && problem.line <= lines);
                }
            }
        }
    }
}
