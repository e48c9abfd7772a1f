//! `mambafleet config`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mambafleet_protocol::Symbol;
use serde::Serialize;
use toml::Table;

use crate::args::{Common, ConfigCommand};
use crate::config::{Choice, ConfigError, Examined, Merged, Overrides, examine, quoted, table};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::{choice, configuration, overrides};
use crate::reporters::count;

/// Carries out the subcommand.
pub(crate) fn run(
    common: &Common,
    command: &ConfigCommand,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Show { origin, symbol } => show(common, *origin, symbol.as_deref(), output),
        ConfigCommand::Check { file } => check(common, file.as_deref(), output),
        ConfigCommand::Schema => schema(output),
    }
}

#[derive(Serialize)]
struct Shown {
    config: Table,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<Symbol>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    origins: BTreeMap<String, String>,
}

/// Prints the configuration as it applies here, or to one symbol: TOML, or with `origin` a line
/// per value.
fn show(
    common: &Common,
    origin: bool,
    symbol: Option<&str>,
    output: Output,
) -> Result<Exit, CliError> {
    let loaded = configuration(common, Overrides::new())?;
    let symbol = symbol.map(Symbol::new).transpose()?;
    let mut origins = Origins::default();
    let table = if let Some(symbol) = &symbol {
        let merged = loaded.of_symbol(symbol)?.merged;
        origins.merged(&merged);
        merged.table()
    } else {
        origins.merged(&loaded.merged);
        let mut all = loaded.merged.table();
        let mut special = Table::new();
        for (name, values) in loaded.special() {
            let prefix = format!("symbol.{}", quoted(name));
            for (key, (value, origin)) in &values {
                origins.add(format!("{prefix}.{key}"), value, origin);
            }
            special.insert(name.to_owned(), table(&values).into());
        }
        if !special.is_empty() {
            all.insert("symbol".to_owned(), special.into());
        }
        all
    };
    let text = if origin {
        origins.lines.join("\n")
    } else {
        toml::to_string(&table).map_err(|error| {
            CliError::new(Exit::Internal, format!("cannot write the configuration: {error}"))
        })?
    };
    let origins = if origin { origins.by_key } else { BTreeMap::new() };
    output.result("config", Shown { config: table, symbol, origins }, || text)?;
    Ok(Exit::Success)
}

/// Values with their origins, for people and for programs.
#[derive(Default)]
struct Origins {
    lines: Vec<String>,
    by_key: BTreeMap<String, String>,
}

impl Origins {
    fn merged(&mut self, merged: &Merged) {
        for (key, value, origin) in merged.iter() {
            self.add(key.to_owned(), value, origin);
        }
    }

    fn add(&mut self, key: String, value: &toml::Value, origin: &impl ToString) {
        let origin = origin.to_string();
        self.lines.push(format!("{key} = {value}  # {origin}"));
        self.by_key.insert(key, origin);
    }
}

#[derive(Serialize)]
struct Checked {
    files: Vec<PathBuf>,
    profiles: Vec<String>,
    symbols: Vec<String>,
    mistakes: Vec<Mistake>,
}

#[derive(Serialize)]
struct Mistake {
    file: Option<PathBuf>,
    line: Option<usize>,
    key: Option<String>,
    message: String,
    hint: Option<String>,
}

impl From<ConfigError> for Mistake {
    fn from(error: ConfigError) -> Self {
        let origin = error.origin();
        let (file, line) = origin.as_ref().map_or((None, None), crate::config::Origin::place);
        Self {
            file: file.map(Path::to_owned),
            line,
            key: error.key().map(str::to_owned),
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// Names every mistake.
fn check(common: &Common, file: Option<&Path>, output: Output) -> Result<Exit, CliError> {
    let named = choice(common);
    let named = Choice { file: file.or(named.file), ..named };
    let Examined { files, profiles, special, mistakes } =
        examine(named, overrides(common, Overrides::new())?)?;
    let mistakes = mistakes.into_iter().map(Mistake::from).collect();
    let checked = Checked { files, profiles, symbols: special, mistakes };
    output.result("config_checked", &checked, || text(&checked))?;
    Ok(if checked.mistakes.is_empty() { Exit::Success } else { Exit::Usage })
}

fn text(checked: &Checked) -> String {
    let Checked { files, profiles, symbols, mistakes } = checked;
    let scope = match files.len() {
        0 => "the built-in defaults".to_owned(),
        _ => files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    let mut lines = Vec::new();
    for Mistake { message, hint, .. } in mistakes {
        lines.push(message.clone());
        lines.extend(hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    let found = match mistakes.len() {
        0 => "no mistake".to_owned(),
        some => count(some, "mistake"),
    };
    let profiles = count(profiles.len(), "profile");
    let own = match symbols.len() {
        0 => "no single symbol".to_owned(),
        _ => symbols.join(", "),
    };
    lines.push(format!("{scope}: {found}; {profiles}; settings of {own}"));
    lines.join("\n")
}

/// Prints a JSON schema of the files; the same in both formats.
fn schema(output: Output) -> Result<Exit, CliError> {
    output.line(&serde_json::to_string_pretty(&crate::config::json_schema()?)?)?;
    Ok(Exit::Success)
}
