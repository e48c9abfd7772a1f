//! What forecasts are written as is read back, by the reader that knows nothing of the writer.

use jiff::civil::Date;
use proptest::prelude::*;

use super::{Cells, Column, Fault, File, Values, parquet};

/// A forecast's row: its symbol, generation, day, step, level, and a number that may be missing.
type Row = (String, i64, Date, i64, f64, Option<f64>);

fn any_row() -> impl Strategy<Value = Row> {
    let finite = || any::<f64>().prop_filter("finite", |number| number.is_finite());
    let symbol = prop_oneof!["[A-Z]{0,6}", "\\PC{0,12}"];
    let day = (1_i16..=9999, 1_i8..=12, 1_i8..=28);
    let day = day.prop_map(|(year, month, day)| jiff::civil::date(year, month, day));
    // Cells are floating-point: whole numbers are exact up to here.
    let whole = -(1_i64 << 53)..=1 << 53;
    (symbol, whole.clone(), day, whole, finite(), proptest::option::of(finite()))
}

/// The columns of a table with these rows.
fn table(rows: &[Row]) -> Vec<Column> {
    let column = |name, values| Column { name, values };
    vec![
        column("symbol", Values::Text(rows.iter().map(|row| row.0.clone()).collect())),
        column("generation", Values::Whole(rows.iter().map(|row| row.1).collect())),
        column("as_of", Values::Date(rows.iter().map(|row| row.2).collect())),
        column("horizon", Values::Whole(rows.iter().map(|row| row.3).collect())),
        column("price", Values::Number(rows.iter().map(|row| row.4).collect())),
        column("outcome", Values::Maybe(rows.iter().map(|row| row.5).collect())),
        column("synthetic", Values::Flag(rows.iter().map(|row| row.1 > 0).collect())),
    ]
}

fn texts(cells: Cells) -> Vec<String> {
    let Cells::Texts(all, places) = cells else { panic!("no texts") };
    let text = |(start, end): &(usize, usize)| String::from_utf8(all[*start..*end].to_vec());
    places.iter().map(|place| text(place).unwrap()).collect()
}

/// The bits of numbers, so that zeros of either sign differ.
fn numbers(cells: Cells) -> Vec<Option<u64>> {
    let Cells::Numbers(cells) = cells else { panic!("no numbers") };
    cells.into_iter().map(|cell| cell.map(f64::to_bits)).collect()
}

proptest! {
    #[test]
    fn every_column_of_a_table_comes_back(rows in proptest::collection::vec(any_row(), 0..40)) {
        let content = parquet(&table(&rows)).unwrap();
        let file = File::open(&content).unwrap();
        let names: Vec<&str> = file.names().collect();
        let wanted: Vec<&str> = table(&rows).iter().map(|column| column.name).collect();
        prop_assert_eq!(names, wanted);
        prop_assert_eq!(file.rows(), rows.len());
        let of = |number: f64| Some(number.to_bits());
        let column = |index| file.column(index).unwrap();
        prop_assert_eq!(texts(column(0)), rows.iter().map(|r| r.0.clone()).collect::<Vec<_>>());
        for (index, whole) in [(1, (|row: &Row| row.1) as fn(&Row) -> i64), (3, |row| row.3)] {
            let expected = rows.iter().map(|row| of(whole(row) as f64)).collect::<Vec<_>>();
            prop_assert_eq!(numbers(column(index)), expected);
        }
        let Cells::Dates(dates) = column(2) else { panic!("no dates") };
        prop_assert_eq!(dates, rows.iter().map(|row| Some(row.2)).collect::<Vec<_>>());
        let expected = rows.iter().map(|row| of(row.4)).collect::<Vec<_>>();
        prop_assert_eq!(numbers(column(4)), expected);
        let expected = rows.iter().map(|row| row.5.map(f64::to_bits)).collect::<Vec<_>>();
        prop_assert_eq!(numbers(column(5)), expected);
        // No price file needs truth values.
        let refused = Fault("column \"synthetic\": a column of this type is not read here".into());
        prop_assert_eq!(file.column(6).err(), Some(refused));
    }
}
