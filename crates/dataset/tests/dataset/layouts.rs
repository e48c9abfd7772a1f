//! Vendors' layouts, separators, dates and compression.

use std::io::Write;
use std::path::Path;

use jiff::civil::{Date, date};
use mambafleet_dataset::quality::{Settings, Verdict, inspect};
use mambafleet_dataset::{Adjustment, Bar, Bars, DataError, Layout, parse_file};
use mambafleet_protocol::{
    AdjustSpec, BlankSpec, DuplicateSpec, EvaluateSpec, InconsistentSpec, PolicySpec, ReturnsSpec,
    SuspectedSplitSpec, Symbol,
};
use proptest::prelude::*;

use crate::symbol;

/// Prices may do anything.
const USUAL: PolicySpec =
    PolicySpec { suspected_splits: SuspectedSplitSpec::Keep, ..PolicySpec::USUAL };

fn read(content: impl AsRef<[u8]>, policy: PolicySpec) -> Result<Bars, DataError> {
    parse_file(&symbol("A"), Path::new("A.csv"), content.as_ref(), &policy)
}

/// One row as vendors have it.
#[derive(Debug, Clone, Copy)]
struct Day {
    date: Date,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    adjusted: f64,
    volume: f64,
    split: f64,
}

const VENDORS: [(Layout, &str); 6] = [
    (Layout::Plain, "date,open,high,low,close,volume"),
    (Layout::Yahoo, "Date,Open,High,Low,Close,Adj Close,Volume"),
    (
        Layout::AlphaVantage,
        "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
    ),
    (Layout::Stooq, "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"),
    (Layout::Kaggle, "date,open,high,low,close,volume,Name"),
    (Layout::Long, "symbol,date,open,high,low,close,volume"),
];

/// The file, with this separator; with `comma` numbers have decimal commas.
fn written(layout: Layout, header: &str, days: &[Day], separator: char, comma: bool) -> String {
    let mut text = header.replace(',', &separator.to_string()) + "\n";
    for day in days {
        let Day { date, open, high, low, close, adjusted, volume, split } = *day;
        let row = match layout {
            Layout::Yahoo => format!("{date}|{open}|{high}|{low}|{close}|{adjusted}|{volume}"),
            Layout::AlphaVantage => {
                format!("{date}|{open}|{high}|{low}|{close}|{adjusted}|{volume}|0.0000|{split}")
            }
            Layout::Stooq => {
                let date = date.strftime("%Y%m%d");
                format!("A.US|D|{date}|000000|{open}|{high}|{low}|{close}|{volume}|0")
            }
            Layout::Kaggle => format!("{date}|{open}|{high}|{low}|{close}|{volume}|A"),
            Layout::Long => format!("A|{date}|{open}|{high}|{low}|{close}|{volume}"),
            _ => format!("{date}|{open}|{high}|{low}|{close}|{volume}"),
        };
        let stock = row.starts_with("A.US");
        let row = if comma && !stock { row.replace('.', ",") } else { row };
        text += &(row.replace('|', &separator.to_string()) + "\n");
    }
    text
}

/// What the file must be read as.
fn expected(layout: Layout, days: &[Day]) -> Vec<Bar> {
    let mut later = 1.0;
    let mut bars = Vec::new();
    for day in days.iter().rev() {
        let factor = match layout {
            Layout::Yahoo | Layout::AlphaVantage => day.adjusted / day.close,
            _ => 1.0,
        };
        bars.push(Bar {
            date: day.date,
            open: day.open * factor,
            high: day.high * factor,
            low: day.low * factor,
            close: day.close * factor,
            volume: day.volume * later,
        });
        if layout == Layout::AlphaVantage {
            later *= day.split;
        }
    }
    bars.reverse();
    bars
}

fn any_days() -> impl Strategy<Value = Vec<Day>> {
    let part = 0.0_f64..1.0;
    let day =
        (1_i64..5, 1e-3_f64..1e5, part.clone(), part.clone(), part, 0_u64..1 << 40, 0_usize..9);
    proptest::collection::vec(day, 1..30).prop_map(|days| {
        let mut today = date(1990, 1, 1);
        let day = |(gap, low, span, open, close, volume, split): (
            i64,
            f64,
            f64,
            f64,
            f64,
            u64,
            usize,
        )| {
            today = today.saturating_add(jiff::Span::new().days(gap));
            let high = low * (1.0 + span);
            let inside = |part: f64| (low + part * (high - low)).clamp(low, high);
            let (open, close) = (inside(open), inside(close));
            let split = [2.0, 0.5].get(split).copied().unwrap_or(1.0);
            let volume = volume as f64;
            Day {
                date: today,
                open,
                high,
                low,
                close,
                adjusted: close * (0.5 + span),
                volume,
                split,
            }
        };
        days.into_iter().map(day).collect()
    })
}

proptest! {
    #[test]
    fn every_layout_comes_back_from_every_form(
        days in any_days(),
        vendor in 0..VENDORS.len(),
        form in 0..4_usize,
        packing in 0..3_usize,
        marks in any::<bool>(),
    ) {
        let (layout, header) = VENDORS[vendor];
        let (separator, comma) = [(',', false), (';', false), ('\t', false), (';', true)][form];
        // The first column of Stooq holds a point that is none of a number.
        prop_assume!(!(comma && layout == Layout::Stooq));
        let mut text = written(layout, header, &days, separator, comma);
        if marks {
            text = "\u{feff}".to_owned() + &text.replace('\n', "\r\n");
        }
        let content = match packing {
            0 => text.into_bytes(),
            1 => gzip(text.as_bytes()),
            _ => zstd(text.as_bytes()),
        };
        let bars = read(&content, USUAL).unwrap();
        let reading = bars.reading.unwrap();
        prop_assert_eq!(reading.layout, layout);
        prop_assert!(!reading.mended());
        let expected = expected(layout, &days);
        prop_assert_eq!(bars.bars.len(), expected.len());
        for (bar, expected) in bars.bars.iter().zip(&expected) {
            prop_assert_eq!(bar.date, expected.date);
            for (a, b) in [
                (bar.open, expected.open), (bar.high, expected.high), (bar.low, expected.low),
                (bar.close, expected.close), (bar.volume, expected.volume),
            ] {
                prop_assert!((a - b).abs() <= 1e-12 * b.abs(), "{} {}", a, b);
            }
        }
    }

    #[test]
    fn whatever_the_bytes_there_is_a_verdict(
        start in 0..6_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                ",", ";", "\t", "\n", "\r\n", "\"", "2024-01-02", "03/04/2024", "31.12.2024", "1", "2,5",
                "null", "1e300", "0", "x", "Name", "split_coefficient", "adj close",
                "\n2024-01-04,1,2,1,2,9", "\n2024-01-03,1,2,1,2,9",
            ]),
            0..40,
        ),
    ) {
        let header = VENDORS[start % VENDORS.len()].1.as_bytes();
        let text = [header, pieces.concat().as_bytes()].concat();
        let raw = [&[0x1f, 0x8b][..], &bytes].concat();
        let frame = [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat();
        let dir = tempfile::tempdir().unwrap();
        for content in [text, bytes, raw, frame] {
            let path = dir.path().join("A.csv");
            store(&path, &content);
            let found = inspect(&path, true, &settings);
            prop_assert!(!found.is_empty());
            for one in &found {
                prop_assert_eq!(one.verdict == Verdict::Refused, one.cause.is_some());
            }
            let read = read(&content, PolicySpec::USUAL);
            if let Ok(bars) = read {
                prop_assert!(bars.bars.windows(2).all(|pair| pair[0].date < pair[1].date));
                prop_assert!(bars.bars.iter().all(|bar| bar.low > 0.0 && bar.high.is_finite()));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
fn store(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

fn settings(_: Option<&Symbol>) -> Settings {
    Settings {
        policy: PolicySpec::USUAL,
        task: ReturnsSpec::usual(),
        evaluate: EvaluateSpec::USUAL,
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn dates_that_can_be_read_in_two_ways_are_refused_until_one_of_them_tells() {
    let file = |dates: &[&str]| {
        let rows = dates.iter().map(|date| format!("{date},1,2,1,2,9\n"));
        format!("date,open,high,low,close,volume\n{}", rows.collect::<String>())
    };
    let error = read(file(&["01/02/2024", "02/02/2024"]), USUAL).unwrap_err();
    assert_eq!(
        error.to_string(),
        "A.csv, line 2: \"01/02/2024\" can be read in two ways, and no other date in the file tells \
         which"
    );
    assert_eq!(error.hint().unwrap(), "write dates as 2024-12-31");
    let days = |dates: &[&str]| -> Vec<Date> {
        read(file(dates), USUAL).unwrap().bars.iter().map(|bar| bar.date).collect()
    };
    assert_eq!(days(&["01/02/2024", "01/13/2024"]), [date(2024, 1, 2), date(2024, 1, 13)]);
    assert_eq!(days(&["01/02/2024", "13/02/2024"]), [date(2024, 2, 1), date(2024, 2, 13)]);
    assert_eq!(days(&["01.02.2024"]), [date(2024, 2, 1)]);
}

/// A file with these rows.
fn rows(rows: &[&str]) -> String {
    format!("date,open,high,low,close,volume\n{}\n", rows.join("\n"))
}

/// Forty good rows of 2023, so that one that is left out is not too many.
fn good() -> Vec<String> {
    (1..=40).map(|n| format!("2023-{:02}-{:02},1,2,1,2,9", 1 + n / 28, 1 + n % 28)).collect()
}

fn with(more: &[&str]) -> String {
    let good = good();
    let all: Vec<&str> = good.iter().map(String::as_str).chain(more.iter().copied()).collect();
    rows(&all)
}

#[test]
fn blemishes_are_mended_and_counted() {
    let text = with(&[
        "2024-01-02,1,2,1,2,9",
        "2024-01-03,,2,1,null,9",
        "2024-01-02,1,2,1,2,9",
        "2024-01-05,3,2,1,0.5,9",
        "2024-01-04,1,2,1,2,9",
    ]);
    let bars = read(&text, USUAL).unwrap();
    let reading = bars.reading.unwrap();
    assert_eq!((reading.blank_cells, reading.blank_rows, reading.dropped), (2, 1, 1));
    assert_eq!((reading.duplicates, reading.conflicting), (1, 0));
    assert_eq!((reading.unsorted, reading.inconsistent, reading.rows), (1, 1, 45));
    let last = bars.bars.last().unwrap();
    assert_eq!((last.date, last.high, last.low), (date(2024, 1, 5), 3.0, 0.5));
    assert_eq!(bars.bars.len(), 43);
    let drop = PolicySpec { inconsistent: InconsistentSpec::Drop, ..USUAL };
    assert_eq!(read(&text, drop).unwrap().bars.len(), 42);
    let refuse = PolicySpec { blank: BlankSpec::Refuse, ..USUAL };
    assert!(read(&text, refuse).unwrap_err().to_string().contains("line 43, column open"));
}

#[test]
fn rows_for_one_day_with_other_values_are_refused_unless_the_last_is_to_count() {
    let text = with(&["2024-01-02,1,2,1,2,9", "2024-01-02,1,2,1,1.5,9"]);
    let error = read(&text, USUAL).unwrap_err().to_string();
    assert!(
        error.contains("line 43, column date: 2024-01-02 stands already on line 42"),
        "{error}"
    );
    let last = PolicySpec { duplicates: DuplicateSpec::Last, ..USUAL };
    assert_eq!(read(&text, last).unwrap().bars.last().unwrap().close, 1.5);
}

#[test]
fn a_file_from_the_newest_to_the_oldest_is_turned_round_and_no_blemish() {
    let bars = read(rows(&["2024-01-03,1,2,1,2,9", "2024-01-02,1,2,1,2,9"]), USUAL).unwrap();
    let reading = bars.reading.unwrap();
    assert!(reading.newest_first && !reading.mended());
    assert_eq!(bars.bars[0].date, date(2024, 1, 2));
}

#[test]
fn a_file_that_would_lose_too_much_is_refused() {
    let error = read(rows(&["2024-01-02,1,2,1,2,9", "2024-01-03,,2,1,2,9"]), USUAL).unwrap_err();
    assert!(matches!(error, DataError::TooManyDropped { dropped: 1, rows: 2, .. }), "{error}");
}

#[test]
fn stated_splits_and_dividends_make_total_returns_also_without_an_adjusted_close() {
    let text = "date,open,high,low,close,volume,dividend,split_factor\n\
                2024-01-02,100,100,100,100,10,0,1\n\
                2024-01-03,99,99,99,99,10,1,1\n\
                2024-01-04,49,50,49,49.5,20,0,2\n\
                2024-01-05,49,50,49,49.5,20,0,0.95\n";
    let bars = read(text, USUAL).unwrap();
    let reading = bars.reading.unwrap();
    assert_eq!((reading.adjustment, reading.splits, reading.dividends), (Adjustment::Stated, 1, 1));
    let closes: Vec<f64> = bars.bars.iter().map(|bar| bar.close).collect();
    // Nothing was gained or lost but by the spin-off's factor.
    for pair in closes.windows(2).take(2) {
        assert!((pair[1] / pair[0] - 1.0).abs() < 1e-12, "{closes:?}");
    }
    assert!((closes[2] - 49.5 / 0.95).abs() < 1e-12, "{closes:?}");
    let volumes: Vec<f64> = bars.bars.iter().map(|bar| bar.volume).collect();
    assert_eq!(volumes, [20.0, 20.0, 20.0, 20.0]);
    let none = PolicySpec { adjust: AdjustSpec::None, ..USUAL };
    assert_eq!(read(text, none).unwrap().bars[0].close, 100.0);
}

#[test]
fn what_yahoo_has_adjusted_already_is_left_alone() {
    let text = "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n\
                2024-01-02 00:00:00-05:00,10,11,9,10,10,0.5,0\n\
                2024-01-03 00:00:00-05:00,10,11,9,10,10,0.5,2.0\n";
    let bars = read(text, USUAL).unwrap();
    assert_eq!(bars.reading.unwrap().adjustment, Adjustment::None);
    assert_eq!((bars.bars[0].close, bars.bars[0].volume), (10.0, 10.0));
}

#[test]
fn another_symbol_in_the_file_is_refused_and_a_company_s_name_is_not() {
    let file =
        |name: &str| format!("date,open,high,low,close,volume,Name\n2024-01-02,1,2,1,2,9,{name}\n");
    for name in ["A", "a", "A.US", "Agilent Technologies", "Agilent"] {
        assert!(read(file(name), USUAL).is_ok(), "{name}");
    }
    let error = read(file("AAPL"), USUAL).unwrap_err();
    assert_eq!(error.to_string(), "A.csv holds \"AAPL\", not A");
}

#[test]
fn points_among_decimal_commas_are_refused() {
    let text = "date;open;high;low;close;volume\n2024-01-02;1,5;2;1;2;1.000\n";
    let error = read(text, USUAL).unwrap_err().to_string();
    assert!(error.contains("line 2, column volume"), "{error}");
    assert!(error.contains("other cells have decimal commas"), "{error}");
}
