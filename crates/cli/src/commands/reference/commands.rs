//! The commands on the reference page.

use clap::{Arg, Command};

use super::{code, table};
use crate::args::usage;

/// Every command with its options.
pub(super) fn section(mut top: Command) -> String {
    top.build();
    let mut text = "\n## Commands\n\nEvery command has `-h` and `--help`, and these:\n".to_owned();
    text.push_str(&options(top.get_arguments().filter(|arg| arg.is_global_set())));
    for command in top.get_subcommands() {
        describe(command, &mut text);
    }
    text
}

/// A command, and those below it.
fn describe(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = usage(command);
    text.push_str(&format!("\n### {name}\n\n{about}.\n\n```text\n{usage}\n```\n"));
    let own = |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
    let own: Vec<_> = command.get_arguments().filter(own).collect();
    if !own.is_empty() {
        text.push_str(&options(own.into_iter()));
    }
    if let Some(more) = command.get_after_help() {
        text.push_str(&format!("\n```text\n{more}\n```\n"));
    }
    for below in command.get_subcommands() {
        describe(below, text);
    }
}

fn options<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    table(["option", "default", "meaning"], args.map(option))
}

fn option(arg: &Arg) -> [String; 3] {
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let default: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let default =
        if takes && !default.is_empty() { code(&default.join(" ")) } else { String::new() };
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = arg.get_possible_values().iter().map(|v| code(v.get_name())).collect();
    if takes && !values.is_empty() {
        meaning.push_str(&format!(": {}", values.join(", ")));
    }
    let short = arg.get_short().map_or_else(String::new, |short| format!("-{short}, "));
    [code(&format!("{short}{arg}")), default, meaning]
}
