//! Colours, characters and widths, as the terminal has them and whoever sits before it wants them.

use std::env::var_os;
use std::ffi::OsString;
use std::io::IsTerminal;

use console::{Alignment, Style, Term, measure_text_width, pad_str, truncate_str};

/// How text may look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Words may have colours.
    pub(crate) colour: bool,
    /// Bars and marks may be other characters than ASCII.
    pub(crate) unicode: bool,
}

/// What text is laid out for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) look: Look,
    /// Columns of the terminal; none where lines may be as long as they like: in files and pipes.
    pub(crate) width: Option<usize>,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    /// Worth a look.
    Warn,
    /// Less important than what is around it.
    Faint,
    /// More important.
    Strong,
}

impl Tone {
    /// The tone of a word that says how something ended.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "trained" | "ok" | "clean" | "finished" => Some(Self::Good),
            "failed" | "fail" | "refused" | "broken" | "died" => Some(Self::Bad),
            "kept" | "mended" | "skipped" | "interrupted" => Some(Self::Warn),
            _ => word.contains("damaged").then_some(Self::Bad),
        }
    }

    fn style(self) -> Style {
        let style = Style::new().force_styling(true);
        match self {
            Self::Good => style.green(),
            Self::Bad => style.red(),
            Self::Warn => style.yellow(),
            Self::Faint => style.dim(),
            Self::Strong => style.bold(),
        }
    }
}

impl Look {
    /// How text may look on standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::from(&|name| var_os(name), std::io::stderr().is_terminal())
    }

    /// Reads the environment: `NO_COLOR` (if not empty) forbids colours; `CLICOLOR_FORCE` (other than
    /// 0) wants them also where there is no terminal. A locale that is not UTF-8, and the console of
    /// Linux, whose font has few characters, get ASCII.
    fn from(variable: &dyn Fn(&str) -> Option<OsString>, terminal: bool) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let term = variable("TERM").unwrap_or_default();
        let colour = set("NO_COLOR").is_none() && (forced || terminal && term != "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_string_lossy().to_lowercase();
        let utf8 = cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8");
        Self { colour, unicode: utf8 && term != "dumb" && term != "linux" }
    }

    /// Text with the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        tone.style().apply_to(text).to_string()
    }

    /// Text that is cut off behind `width` columns, and says so.
    pub(crate) fn clip(self, text: &str, width: usize) -> String {
        let tail = if self.unicode { "…" } else { "~" };
        truncate_str(text, width, if width == 0 { "" } else { tail }).into_owned()
    }

    /// A word for how something ended in its colour.
    pub(crate) fn word(self, word: &str) -> String {
        Tone::of(word).map_or_else(|| word.to_owned(), |tone| self.paint(tone, word))
    }
}

impl Page {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let look = Look::from(&|name| var_os(name), terminal);
        Self { look, width: width.filter(|width| terminal && *width > 0) }
    }

    /// Whether somebody sits before it.
    pub(crate) fn is_terminal(self) -> bool {
        self.width.is_some()
    }

    /// Text in lines that fit, the first one as it is, all others behind as many blanks as `indent`.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> String {
        self.width.map_or_else(|| text.to_owned(), |width| wrap(text, width, indent))
    }
}

/// Columns that text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    measure_text_width(text)
}

/// Text filled up with blanks to `width` columns, in front of it if it is a number.
pub(crate) fn pad(text: &str, width: usize, number: bool) -> String {
    let alignment = if number { Alignment::Right } else { Alignment::Left };
    pad_str(text, width, alignment, None).into_owned()
}

/// Breaks each line of `text` between words, so that it fits into `columns`; what follows is behind
/// `indent` blanks more than the line began with. A word that is too long for any line, such as a path,
/// stays whole: it can be copied.
pub(crate) fn wrap(text: &str, columns: usize, indent: usize) -> String {
    text.lines().map(|line| wrap_line(line, columns, indent)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, columns: usize, indent: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let own = line.len() - line.trim_start().len();
    let margin = " ".repeat(if own + indent < columns / 2 { own + indent } else { 0 });
    let mut wrapped = line[..own].to_owned();
    let mut used = own;
    let mut fresh = true;
    // Blanks between words are kept where no line ends.
    for piece in line[own..].split_inclusive(' ') {
        let word = width(piece.trim_end());
        // One that fits into no line begins none.
        if !fresh && used + word > columns && margin.len() + word <= columns {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            wrapped.push_str(&margin);
            used = margin.len();
        }
        fresh = piece.trim().is_empty() && fresh;
        wrapped.push_str(piece);
        used += width(piece);
    }
    wrapped.truncate(wrapped.trim_end().len());
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)], terminal: bool) -> (bool, bool) {
        let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        let Look { colour, unicode } = Look::from(&value, terminal);
        (colour, unicode)
    }

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        assert!(look(&[], true).0 && !look(&[], false).0);
        assert!(look(&[("NO_COLOR", "")], true).0, "empty means nothing");
        assert!(!look(&[("NO_COLOR", "1")], true).0);
        assert!(!look(&[("TERM", "dumb")], true).0);
        assert!(look(&[("CLICOLOR_FORCE", "1")], false).0);
        assert!(!look(&[("CLICOLOR_FORCE", "0")], false).0);
        assert!(!look(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true).0);
    }

    #[cfg(unix)]
    #[test]
    fn characters_beyond_ascii_need_a_locale_and_a_terminal_that_know_them() {
        assert!(!look(&[], true).1);
        assert!(look(&[("LANG", "de_DE.UTF-8")], true).1);
        assert!(look(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")], true).1);
        assert!(!look(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")], true).1);
        assert!(look(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")], true).1);
        for term in ["linux", "dumb"] {
            assert!(!look(&[("LANG", "C.UTF-8"), ("TERM", term)], true).1, "{term}");
        }
    }

    #[test]
    fn text_is_measured_as_it_is_shown() {
        let look = Look { colour: true, unicode: true };
        let red = look.paint(Tone::Bad, "failed");
        assert!(red.starts_with('\u{1b}') && width(&red) == 6, "{red:?}");
        assert_eq!(pad("日本", 6, false), "日本  ");
        assert_eq!(look.clip("日本語", 5), "日本…");
        assert_eq!(look.clip("abc", 3), "abc");
        assert_eq!(Look::default().clip("abcd", 3), "ab~");
        assert_eq!(Look::default().clip("abcd", 0), "");
        assert_eq!(Look::default().paint(Tone::Bad, "failed"), "failed");
    }

    #[test]
    fn lines_break_between_words_and_words_never_do() {
        assert_eq!(wrap("one two three", 8, 2), "one two\n  three");
        assert_eq!(wrap("  one two three", 8, 1), "  one\n   two\n   three");
        assert_eq!(wrap("short\nand aaaaaaaaaaaa b", 8, 0), "short\nand aaaaaaaaaaaa\nb");
        assert_eq!(wrap("A   one two", 8, 4), "A   one\ntwo");
        assert_eq!(wrap("", 8, 4), "");
    }
}
