//! `mambafleet man`.

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use mambafleet_artifacts::{atomic_write, create_dir_durable};
use serde::Serialize;

use crate::args::{Cli, PROGRAM, usage};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan;
use crate::reporters::count;

#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
}

/// Writes a page for each command, each of them whole.
pub(crate) fn run(dir: &Path, output: Output) -> Result<Exit, CliError> {
    let mut top = Cli::visible();
    top.build();
    let mut pages = Vec::new();
    collect(&top, &mut pages)?;
    create_dir_durable(dir)?;
    let mut files = Vec::new();
    for (name, text) in pages {
        let path = dir.join(name);
        atomic_write(&path, &text)?;
        files.push(path);
    }
    let written = Written { files };
    output.result("written", &written, || {
        format!("{} in {}", count(written.files.len(), "man page"), dir.display())
    })?;
    Ok(Exit::Success)
}

/// The pages of a command and of all below it, each with the name of its file.
fn collect(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), CliError> {
    let man = Man::new(command.clone()).source(plan::PROGRAM).manual(PROGRAM);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]).text([roman(usage(command))]);
    synopsis.to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(more) = command.get_after_help() {
        details(&more.to_string()).to_writer(&mut text)?;
    }
    pages.push((man.get_filename(), text));
    command.get_subcommands().try_for_each(|below| collect(below, pages))
}

/// What the help says after the options, in sections. Indented lines are tables and examples: they
/// stay as they are.
fn details(text: &str) -> Roff {
    let mut page = Roff::new();
    let (mut table, mut gap) = (false, false);
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() {
            gap = true;
            continue;
        }
        let first = (number == 0).then_some(("DETAILS", line));
        let (section, rest) = heading(line).or(first).map_or((None, line), |(s, r)| (Some(s), r));
        if table != rest.starts_with(' ') {
            table = !table;
            page.control(if table { "nf" } else { "fi" }, []);
        }
        match section {
            Some(section) => drop(page.control("SH", [section])),
            None if gap => drop(page.control("PP", [])),
            None => {}
        }
        gap = false;
        if !rest.is_empty() {
            page.text([roman(rest)]);
        }
    }
    if table {
        page.control("fi", []);
    }
    page
}

/// The section that a line of the help begins, and what else stands in the line.
fn heading(line: &str) -> Option<(&'static str, &str)> {
    let sections =
        [("Example:", "EXAMPLE"), ("Examples:", "EXAMPLES"), ("Exit codes:", "EXIT STATUS")];
    let found =
        sections.iter().find_map(|(begins, name)| Some((*name, line.strip_prefix(begins)?)));
    found
        .map(|(name, rest)| (name, rest.trim_start()))
        .or_else(|| line.starts_with("JSON (").then_some(("JSON", line)))
}
