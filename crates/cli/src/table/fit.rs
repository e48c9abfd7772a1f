//! Which columns of a table a terminal has room for.

use super::Table;
use crate::style::{Page, Tone, pad, width};

/// Blanks between columns.
const GAP: usize = 2;

/// A column of text is not made narrower than this.
const NARROW: usize = 12;

/// Columns whose words have colours.
const COLOURED: [&str; 5] = ["outcome", "verdict", "state", "result", "note"];

/// A column that is shown.
struct Shown {
    /// Its place among all columns.
    index: usize,
    width: usize,
}

pub(super) fn lay_out(table: &Table<'_>, page: Page) -> String {
    let (shown, hidden) = choose(table, page.width);
    let titles: Vec<_> = table.columns.iter().map(|(title, _)| title.to_uppercase()).collect();
    let mut lines = vec![line(table, &shown, &titles, page, false)];
    lines.extend(table.rows.iter().map(|row| line(table, &shown, row, page, true)));
    if !hidden.is_empty() {
        let note = format!("(too narrow for: {})", hidden.join(", "));
        lines.push(page.look.paint(Tone::Faint, &page.wrap(&note, 0)));
    }
    lines.join("\n")
}

fn line(
    table: &Table<'_>,
    shown: &[Shown],
    cells: &[String],
    page: Page,
    coloured: bool,
) -> String {
    let cell = |column: &Shown| {
        let (title, number) = table.columns[column.index];
        let text = cells.get(column.index).map_or("", String::as_str);
        let text = page.look.clip(text, column.width);
        let padded = pad(&text, column.width, number);
        if !(coloured && COLOURED.contains(&title)) {
            return padded;
        }
        // A backend that keeps a rule does well; a generation that is kept is another matter.
        let tone =
            if title == "result" && text == "kept" { Some(Tone::Good) } else { Tone::of(&text) };
        tone.map_or(padded.clone(), |tone| padded.replacen(&text, &page.look.paint(tone, &text), 1))
    };
    let cells: Vec<_> = shown.iter().map(cell).collect();
    cells.join(&" ".repeat(GAP)).trim_end().to_owned()
}

/// The columns that fit, and the titles of those that do not.
fn choose<'a>(table: &Table<'a>, room: Option<usize>) -> (Vec<Shown>, Vec<&'a str>) {
    let widest = |index: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(index));
        let title = width(&table.columns[index].0.to_uppercase());
        cells.map(|cell| width(cell)).fold(title, usize::max)
    };
    let mut shown: Vec<_> =
        (0..table.columns.len()).map(|index| Shown { index, width: widest(index) }).collect();
    let mut hidden = Vec::new();
    let Some(room) = room else { return (shown, hidden) };
    let mut order = order(table);
    while total(&shown) > room {
        if shorten(table, &mut shown, room) {
            break;
        }
        let Some(next) = order.pop() else { break };
        shown.retain(|column| column.index != next);
        if !is_blank(table, next) {
            hidden.push(table.columns[next].0);
        }
    }
    if let [only] = &mut shown[..] {
        only.width = only.width.min(room);
    }
    (shown, hidden)
}

fn total(shown: &[Shown]) -> usize {
    let gaps = GAP * shown.len().saturating_sub(1);
    shown.iter().map(|column| column.width).sum::<usize>() + gaps
}

/// Makes the widest columns of text narrower, if the table fits then; whether it does. The first column
/// says what a row is about and stays whole.
fn shorten(table: &Table<'_>, shown: &mut [Shown], room: usize) -> bool {
    let mut excess = total(shown).saturating_sub(room);
    let elastic = |column: &Shown| column.index > 0 && !table.columns[column.index].1;
    let slack = shown.iter().filter(|column| elastic(column));
    if slack.map(|column| column.width.saturating_sub(NARROW)).sum::<usize>() < excess {
        return false;
    }
    while excess > 0 {
        let widest = shown.iter_mut().filter(|column| elastic(column)).max_by_key(|c| c.width);
        let Some(widest) = widest else { return false };
        widest.width -= 1;
        excess -= 1;
    }
    true
}

/// The columns in the order in which they are left out, from the end; never the first one.
fn order(table: &Table<'_>) -> Vec<usize> {
    let place = |index: &usize| {
        let title = table.columns[*index].0;
        let spare = table.spare.iter().position(|spare| *spare == title);
        (!is_blank(table, *index), spare.unwrap_or(usize::MAX), usize::MAX - index)
    };
    let mut order: Vec<_> = (1..table.columns.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(place(index)));
    order
}

/// Whether nothing stands in a column.
fn is_blank(table: &Table<'_>, index: usize) -> bool {
    table.rows.iter().all(|row| row.get(index).is_none_or(String::is_empty))
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;
    use crate::style::Look;

    const COLUMNS: [Column<'static>; 5] =
        [("symbol", false), ("outcome", false), ("gen", true), ("note", false), ("size", true)];

    fn rows() -> Vec<Vec<String>> {
        let rows = [
            ["AAPL", "trained", "12", "", "24.1 KiB"],
            ["BRK.B", "failed", "", "there is a lot to say of it", "3 B"],
        ];
        rows.map(|row| row.map(str::to_owned).to_vec()).to_vec()
    }

    fn laid_out(width: Option<usize>, spare: &[&str]) -> String {
        let page = Page { look: Look { colour: false, unicode: true }, width };
        Table::new(&COLUMNS, rows()).spare(spare).lay_out(page)
    }

    #[test]
    fn without_a_limit_every_row_is_whole() {
        insta::assert_snapshot!(laid_out(None, &["gen"]), @"
        SYMBOL  OUTCOME  GEN  NOTE                             SIZE
        AAPL    trained   12                               24.1 KiB
        BRK.B   failed        there is a lot to say of it       3 B
        ");
        assert_eq!(laid_out(Some(59), &[]), laid_out(None, &[]));
    }

    #[test]
    fn text_is_shortened_before_columns_are_left_out() {
        insta::assert_snapshot!(laid_out(Some(46), &["gen"]), @"
        SYMBOL  OUTCOME  GEN  NOTE                SIZE
        AAPL    trained   12                  24.1 KiB
        BRK.B   failed        there is a lo…       3 B
        ");
    }

    #[test]
    fn what_is_least_important_goes_first_and_is_named() {
        insta::assert_snapshot!(laid_out(Some(40), &["gen", "note"]), @"
        SYMBOL  OUTCOME  NOTE               SIZE
        AAPL    trained                 24.1 KiB
        BRK.B   failed   there is a l…       3 B
        (too narrow for: gen)
        ");
        insta::assert_snapshot!(laid_out(Some(20), &["gen", "note"]), @"
        SYMBOL  OUTCOME
        AAPL    trained
        BRK.B   failed
        (too narrow for:
        gen, note, size)
        ");
        insta::assert_snapshot!(laid_out(Some(3), &[]), @"
        SY…
        AA…
        BR…
        (too narrow for: size, note, gen, outcome)
        ");
    }

    #[test]
    fn a_blank_column_goes_first_of_all_and_needs_no_name() {
        let rows = vec![["A", "", "1"].map(str::to_owned).to_vec()];
        let columns = [("symbol", false), ("splits?", true), ("gen", true)];
        let page = Page { width: Some(12), ..Page::default() };
        let text = Table::new(&columns, rows).spare(&["gen"]).lay_out(page);
        assert_eq!(text, "SYMBOL  GEN\nA         1");
    }

    #[test]
    fn words_for_outcomes_have_colours_and_lines_stay_aligned() {
        let page = Page { look: Look { colour: true, unicode: true }, width: Some(80) };
        let text = Table::new(&COLUMNS, rows()).lay_out(page);
        assert!(text.contains("\u{1b}[32mtrained\u{1b}[0m") && text.contains("\u{1b}[31mfailed"));
        assert_eq!(console::strip_ansi_codes(&text), laid_out(None, &[]));
    }
}
