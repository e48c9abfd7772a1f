//! `mambafleet reference`: the page in `docs/reference.md`, made of what the program itself goes by.

mod commands;
mod metrics;

use std::collections::BTreeMap;

use mambafleet_dataset::feature::FEATURES;
use serde::Serialize;

use crate::args::Cli;
use crate::config::{Key, known_keys};
use crate::error::CliError;
use crate::exit::{Exit, MEANINGS};
use crate::output::Output;
use crate::variables::{READ, SET};

const BEGIN: &str = "\
<!-- Made by `just reference`; a test compares it with the program. Do not edit it. -->

# Reference

[Commands](#commands) · [configuration keys](#configuration-keys) ·
[features](#features) · [environment variables](#environment-variables) · [metrics](#metrics) ·
[exit codes](#exit-codes)
";

const KEYS: &str = "
## Configuration keys

Every key, as [configs/default.toml](../configs/default.toml) has it with its default. A duration
carries its unit (`90s`, `20m`, `1h 30m`), and so does a size (`500MB`, `2GiB`). `[groups]` may hold
any names, each with a list of symbols. A `[profile.NAME]` has the same keys and `inherits`; a
`[symbol.NAME]` or `[symbol.\"@GROUP\"]` those below `data`, `task`, `model` and `train`.
";

const FEATURES_OF: &str = "
## Features

What `task.features` may name. `O H L C V` are open, high, low, close and volume of a row, `sigma_t` is the
trailing volatility (the exponentially weighted root mean square of daily log returns with
`task.volatility_halflife`, at least 0.0001), `ln` the natural logarithm, `r_s = ln(C_s / C_{s-1})`,
`n_s = min(r_s, 0)` and `p_s = ln(H_s / L_s) / (2 sqrt(ln 2))`. None looks beyond row t: a test changes
every later row and demands the same bits. The target at horizon h is `ln(C_{t+h} / C_t) / (sigma_t sqrt(h))`.
";

const COLUMNS: &str = "
`column:NAME` is the number in the file's column of that very name, as it stands there; a blank cell has
the value of the last row before it that has one. What stands there must be known at the close of the row's
day: nobody but you can say so. All features are standardised by their mean and standard deviation on the
rows that training windows contain.
";

const VARIABLES: &str = "
## Environment variables

`MAMBAFLEET_` with a key in capitals, each dot an underscore, sets that key: `MAMBAFLEET_TRAIN_EPOCHS=20`
is `train.epochs = 20`. They win over files and profiles, and lose to flags. Besides:
";

const CODES: &str = "
## Exit codes

The help of each command says what its codes mean there. In JSON, what ended a command early has its
code as `exit_code` too.
";

#[derive(Serialize)]
struct Page {
    markdown: String,
}

/// Prints the page.
pub(crate) fn run(output: Output) -> Result<Exit, CliError> {
    let page = Page { markdown: markdown()? };
    output.result("reference", &page, || page.markdown.clone())?;
    Ok(Exit::Success)
}

fn markdown() -> Result<String, CliError> {
    let mut page = BEGIN.to_owned();
    page.push_str(&commands::section(Cli::visible()));
    page.push_str(KEYS);
    page.push_str(&keys()?);
    page.push_str(FEATURES_OF);
    let features = FEATURES.iter();
    let features = features.map(|f| [code(f.name), code(f.formula), f.source.to_owned()]);
    page.push_str(&table(["feature", "value at row t", "source"], features));
    page.push_str(COLUMNS);
    page.push_str(VARIABLES);
    let named = |(name, meaning): &(&str, &str)| [code(name), (*meaning).to_owned()];
    page.push_str(&table(["variable", "meaning"], READ.iter().map(named)));
    page.push_str("\n`mambafleet lock` sets for the command that it runs:\n");
    page.push_str(&table(["variable", "meaning"], SET.iter().map(named)));
    page.push_str(&metrics::section());
    page.push_str(CODES);
    let codes = MEANINGS.iter().map(|(exit, said)| [exit.code().to_string(), (*said).to_owned()]);
    page.push_str(&table(["code", "meaning"], codes));
    Ok(page)
}

/// A table of the configuration for each of its own.
fn keys() -> Result<String, CliError> {
    let known = known_keys()?;
    let mut tables: BTreeMap<&str, Vec<[String; 4]>> = BTreeMap::new();
    for (path, Key { default, kind, description }) in known.iter() {
        let (table, _) = path.rsplit_once('.').unwrap_or(("", path));
        let row = [code(path), kind.words(), code(&default.to_string()), description.clone()];
        tables.entry(table).or_default().push(row);
    }
    let mut text = String::new();
    for (name, rows) in tables {
        text.push_str(&format!("\n### `[{name}]`\n"));
        if let Some(said) = known.tables.get(name) {
            text.push_str(&format!("\n{said}\n"));
        }
        text.push_str(&table(["key", "value", "default", "meaning"], rows));
    }
    Ok(text)
}

/// A table in Markdown, after an empty line.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("\n{}", line(&header.map(str::to_owned)));
    text.push_str(&line(&header.map(|_| "---".to_owned())));
    for row in rows {
        text.push_str(&line(&row.map(|cell| cell.replace('|', "\\|").replace('\n', " "))));
    }
    text
}

/// A piece of code in a line.
fn code(text: &str) -> String {
    format!("`{text}`")
}
