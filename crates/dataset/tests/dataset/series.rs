//! Tables of numbers: what is read, how it is divided, and the linear map.

use std::fmt::Write;
use std::path::Path;

use mambafleet_dataset::DataError;
use mambafleet_dataset::series::{LinearMap, SeriesData, SeriesFile, SeriesPart};
use mambafleet_protocol::{ChannelsSpec, NormalizationSpec, SeriesSpec, SeriesSplitSpec, mix64};

fn task() -> SeriesSpec {
    SeriesSpec {
        lookback: 4,
        horizon: 2,
        patch: 2,
        normalization: NormalizationSpec::None,
        split: SeriesSplitSpec { train: 20.0, validation: 10.0, test: 10.0 },
        ..SeriesSpec::usual()
    }
}

fn parse(text: &str, task: &SeriesSpec) -> Result<SeriesFile, DataError> {
    SeriesFile::parse(Path::new("X.csv"), text.as_bytes(), task)
}

/// `rows` rows of two columns that follow a rule each.
fn table(rows: usize) -> String {
    let mut text = "when,a,b\n".to_owned();
    for row in 0..rows {
        let _ =
            writeln!(text, "2020-01-{:02} {:02}:00,{},{}", 1 + row / 24, row % 24, row, row % 5);
    }
    text
}

#[test]
fn all_columns_of_numbers_are_taken_or_those_that_are_named() {
    let all = parse(&table(3), &task()).unwrap();
    assert_eq!(all.columns, ["a", "b"]);
    assert_eq!(all.values, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
    assert_eq!(all.labels[2], "2020-01-01 02:00");
    let one = parse(&table(3), &SeriesSpec { targets: vec!["b".into()], ..task() }).unwrap();
    assert_eq!((one.columns.as_slice(), one.inputs.as_slice()), (&["b".to_owned()][..], &[0][..]));
    let mixed = SeriesSpec { targets: vec!["b".into()], channels: ChannelsSpec::Mixed, ..task() };
    let both = parse(&table(3), &mixed).unwrap();
    assert_eq!(both.columns, ["b", "a"], "targets come first");
    assert_eq!(both.inputs, [1, 0], "inputs keep the file's order");
    let semicolons = parse("t;x\n1;0,5\n2;1,5\n", &task()).unwrap();
    // The first cell is the row's name, also where it is a number.
    assert_eq!((semicolons.columns, semicolons.values), (vec!["x".to_owned()], vec![0.5, 1.5]));
    assert_eq!(semicolons.labels, ["1", "2"]);
}

#[test]
fn faults_name_file_line_and_column() {
    let named = SeriesSpec { targets: vec!["c".into()], ..task() };
    let fault = |text: &str, task: &SeriesSpec| parse(text, task).unwrap_err().to_string();
    assert_eq!(
        fault(&table(2), &named),
        "X.csv, line 1: no column \"c\" in the header (when, a, b)"
    );
    assert_eq!(
        fault("when,a,b\n1,1,1\n\n2,,1\n", &task()),
        "X.csv, line 4, column a: \"\" is not a finite number"
    );
    assert_eq!(
        fault("when,a\n1,1\n2,NaN\n", &task()),
        "X.csv, line 3, column a: \"NaN\" is not a finite number"
    );
    assert_eq!(fault("a,b\n1,1\n2\n", &task()), "X.csv, line 3: 1 cells where the header has 2");
    assert_eq!(
        fault("a,a\n1,1\n", &task()),
        "X.csv, line 1: column \"a\" stands twice in the header"
    );
    assert_eq!(
        fault("a,b\nx,y\n", &task()),
        "X.csv, line 2: no cell is a number, so there is no column to forecast"
    );
    assert_eq!(fault("a,b\n", &task()), "X.csv holds no rows");
    assert_eq!(fault("", &task()), "X.csv holds no rows");
    let few = SeriesData::prepare(&parse(&table(39), &task()).unwrap(), &task()).unwrap_err();
    assert_eq!(few.to_string(), "X.csv: 39 rows, but 40 are needed by task.series.split");
    assert!(few.hint().is_some());
    let split = SeriesSplitSpec { train: 20.0, validation: 1.0, test: 0.0 };
    let short = SeriesSpec { split, ..task() };
    let short = SeriesData::prepare(&parse(&table(40), &short).unwrap(), &short).unwrap_err();
    assert!(
        short.to_string().contains("the validation part has 1 rows, but 2 are needed"),
        "{short}"
    );
}

#[test]
fn windows_look_back_across_an_edge_and_targets_stay_within_a_part() {
    let file = parse(&table(60), &task()).unwrap();
    let data = SeriesData::prepare(&file, &task()).unwrap();
    assert_eq!(data.anchors(SeriesPart::Train), 4..19);
    assert_eq!(data.anchors(SeriesPart::Validation), 20..29);
    assert_eq!(data.anchors(SeriesPart::Test), 30..39, "rows after the test part are not used");
    // Column a counts rows: mean 9.5, deviation sqrt((20^2 - 1) / 12) over the training rows.
    let scale = (399.0_f64 / 12.0).sqrt();
    let standardised = |row: usize| ((row as f64 - 9.5) / scale) as f32;
    let window: Vec<f32> = data.window(20, 0).collect();
    assert_eq!(window, [16, 17, 18, 19].map(standardised));
    let future: Vec<f32> = data.future(20, 0).collect();
    assert_eq!(future, [20, 21].map(standardised));
    let fractions = SeriesSplitSpec { train: 0.5, validation: 0.25, test: 0.0 };
    let task = SeriesSpec { split: fractions, ..task() };
    let data = SeriesData::prepare(&file, &task).unwrap();
    assert_eq!(data.rows(SeriesPart::Validation), 30..45);
    assert_eq!(data.rows(SeriesPart::Test), 45..60);
}

#[test]
fn nothing_behind_a_window_changes_it_or_the_scale() {
    let task = SeriesSpec { normalization: NormalizationSpec::Instance, ..task() };
    let whole = parse(&table(40), &task).unwrap();
    let mut changed = whole.clone();
    changed.values[25 * 2..].iter_mut().for_each(|value| *value = -1e3);
    let (whole, changed) = (
        SeriesData::prepare(&whole, &task).unwrap(),
        SeriesData::prepare(&changed, &task).unwrap(),
    );
    let window = |data: &SeriesData, anchor: usize| {
        let mut values = Vec::new();
        data.push_windows(anchor, &mut values);
        values
    };
    for anchor in 4..=25 {
        assert_eq!(window(&whole, anchor), window(&changed, anchor));
    }
    assert_ne!(window(&whole, 26), window(&changed, 26));
    assert_eq!(whole.scaler(), changed.scaler());
    let scaled = window(&whole, 10);
    let of_a: Vec<f32> = scaled.iter().step_by(2).copied().collect();
    assert!(of_a.iter().sum::<f32>().abs() < 1e-5, "the window's own mean is taken out: {of_a:?}");
}

#[test]
fn the_linear_map_finds_a_linear_rule() {
    let mut text = "row,x,y\n".to_owned();
    let (mut x, mut before) = (1.0_f64, 0.5_f64);
    for row in 0..4000_u64 {
        // A rule of the last two values, and a push that no window foretells.
        let push = (mix64(row + 1) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        (x, before) = (1.2 * x - 0.5 * before + push, x);
        let _ = writeln!(text, "{row},{x},{}", -x);
    }
    let split = SeriesSplitSpec { train: 3000.0, validation: 500.0, test: 500.0 };
    for normalization in [NormalizationSpec::None, NormalizationSpec::Instance] {
        let task = SeriesSpec { horizon: 1, split, normalization, ..task() };
        let data = SeriesData::prepare(&parse(&text, &task).unwrap(), &task).unwrap();
        let (train, validation) =
            (data.anchors(SeriesPart::Train), data.anchors(SeriesPart::Validation));
        let (map, choice) = LinearMap::fit(&data, train, validation.clone());
        let weights = &map.maps[0][..4];
        if normalization == NormalizationSpec::None {
            let found = [weights[3] - 1.2, weights[2] + 0.5, weights[1], weights[0]];
            assert!(found.iter().all(|off| off.abs() < 0.1), "{weights:?}");
        }
        // The error that the normal equations promise is that of the forecasts.
        let (mut squares, mut count) = (0.0, 0.0);
        for anchor in validation {
            for column in 0..2 {
                let mut forecast = Vec::new();
                map.forecast(&data, anchor, column, &mut forecast);
                let outcome = data.future(anchor, column).next().unwrap();
                squares += f64::from(forecast[0] - outcome).powi(2);
                count += 1.0;
            }
        }
        assert!((squares / count - choice.validation_mse).abs() < 1e-6, "{choice:?}");
        assert!(choice.validation_mse < 0.5, "{choice:?}");
    }
}

#[test]
fn the_benchmark_has_the_published_errors_of_its_naive_forecast() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ltsf/ETTh1.csv");
    let Ok(content) = std::fs::read(&path) else {
        println!("skipped: no benchmark at {}", path.display());
        return;
    };
    let split = SeriesSplitSpec { train: 8640.0, validation: 2880.0, test: 2880.0 };
    let task = SeriesSpec { lookback: 96, horizon: 96, split, patch: 8, ..task() };
    let file = SeriesFile::parse(&path, &content, &task).unwrap();
    assert_eq!(file.columns, ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]);
    let data = SeriesData::prepare(&file, &task).unwrap();
    assert_eq!(data.anchors(SeriesPart::Train).len(), 8449);
    let (mut squares, mut count) = (0.0, 0.0);
    for anchor in data.anchors(SeriesPart::Test) {
        for column in 0..data.targets() {
            let last = data.window(anchor, column).last().unwrap();
            for outcome in data.future(anchor, column) {
                squares += f64::from(last - outcome).powi(2);
                count += 1.0;
            }
        }
    }
    // 1.294 in the tables (Repeat, horizon 96).
    assert!((squares / count - 1.294_f64).abs() < 1e-3, "{}", squares / count);
}
