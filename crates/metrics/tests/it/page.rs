//! A strict reader of the text format, written from its description and not from the crate's own.

use std::collections::BTreeMap;

/// A page of metrics.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The type of each family.
    pub(crate) types: BTreeMap<String, String>,
    /// The value of each series, by the text in front of it.
    pub(crate) series: BTreeMap<String, f64>,
}

impl Page {
    /// The value of a series, without the fleet's label: `name` or `name{label="value"}`.
    #[track_caller]
    pub(crate) fn get(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("no {series} in {self:#?}"))
    }

    pub(crate) fn find(&self, series: &str) -> Option<f64> {
        let key = match series.split_once('{') {
            None => format!("{series}{{fleet=\"test\"}}"),
            Some((name, labels)) => format!("{name}{{fleet=\"test\",{labels}"),
        };
        self.series.get(&key).copied()
    }

    /// Whether this is a series that can only grow.
    pub(crate) fn grows(&self, series: &str) -> bool {
        let name = series.split('{').next().unwrap();
        let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = of.filter(|family| self.types.contains_key(*family)).unwrap_or(name);
        matches!(self.types[family].as_str(), "counter" | "histogram")
    }

    /// Reads a page, or says what is wrong with it.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text:?}");
        let mut page = Self::default();
        let mut helped: Option<String> = None;
        let mut family: Option<(String, String)> = None;
        for line in text.strip_suffix('\n').unwrap().split('\n') {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.is_none(), "{line}");
                helped = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(helped.take().as_deref(), Some(name), "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let twice = page.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(twice, None, "{line}");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                assert!(helped.is_none(), "{line}");
                let (family, kind) = family.as_ref().expect("a sample before any type");
                page.sample(line, family, kind);
            }
        }
        page.check_histograms();
        page
    }

    fn sample(&mut self, line: &str, family: &str, kind: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = series.split_once('{').unwrap_or_else(|| panic!("{line}"));
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(valid), "{line}");
        let ending = name.strip_prefix(family).unwrap_or_else(|| panic!("{line}: of {family}"));
        let endings: &[_] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(endings.contains(&ending), "{line}");
        let names = labels_of(labels, line);
        assert_eq!(names.first().map(String::as_str), Some("fleet"), "{line}");
        assert_eq!(names.iter().any(|name| name == "le"), ending == "_bucket", "{line}");
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(number.is_finite(), "{line}");
        assert!(kind == "gauge" || number >= 0.0, "{line}");
        assert_eq!(self.series.insert(series.to_owned(), number), None, "{line}: twice");
    }

    fn check_histograms(&self) {
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        let mut in_order: Vec<(String, f64, f64)> = Vec::new();
        for (series, count) in &self.series {
            let Some((rest, le)) = series.strip_suffix("\"}").and_then(|s| s.split_once("le=\""))
            else {
                continue;
            };
            let bound = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
            in_order.push((rest.to_owned(), bound, *count));
        }
        in_order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (rest, bound, count) in &in_order {
            let before = last.insert(rest.clone(), *count).unwrap_or(0.0);
            assert!(*count >= before, "{rest}: {count} up to {bound}, {before} before");
        }
        for (rest, all) in last {
            let whole = rest.trim_end_matches(',').to_owned() + "}";
            assert_eq!(self.series[&whole.replacen("_bucket{", "_count{", 1)], all, "{rest}");
            assert!(self.series.contains_key(&whole.replacen("_bucket{", "_sum{", 1)), "{rest}");
        }
    }
}

/// The names of labels, after the brace that begins them.
fn labels_of(text: &str, line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let valid = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!name.is_empty() && name.chars().all(valid), "{line}");
        assert!(!names.contains(&name.to_owned()), "{line}: {name} twice");
        names.push(name.to_owned());
        let mut escaped = false;
        let end = value.find(|c: char| {
            if escaped {
                assert!(['\\', '"', 'n'].contains(&c), "{line}");
                escaped = false;
                return false;
            }
            escaped = c == '\\';
            c == '"'
        });
        match &value[end.unwrap_or_else(|| panic!("{line}")) + 1..] {
            "}" => return names,
            more => rest = more.strip_prefix(',').unwrap_or_else(|| panic!("{line}")),
        }
    }
}
