//! What the program writes about itself: completions, man pages, the reference page, exit codes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Ended, Sandbox, finish};

/// Commands that only the program itself calls, or whoever works on it.
const HIDDEN: [&str; 4] = ["worker", "guard", "stress-member", "reference"];

/// The commands that `help` lists below `above`, each with its whole name.
fn commands(sandbox: &Sandbox, above: &str) -> Vec<String> {
    let help = sandbox.run(format!("{above} --help").trim()).expect(0).stdout;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let listed = listed.split("\n\n").next().unwrap().lines();
    let names = listed.filter_map(|line| line.split_whitespace().next());
    let mut all = Vec::new();
    for name in names.filter(|name| *name != "help") {
        let whole = format!("{above} {name}").trim().to_owned();
        let below = commands(sandbox, &whole);
        all.push(whole);
        all.extend(below);
    }
    all
}

/// Whether a program is there; a line says so if not.
fn has(program: &str) -> bool {
    let has = Command::new(program).arg("--version").output().is_ok();
    if !has {
        println!("skipped: no {program} on this machine");
    }
    has
}

/// Exit codes that a text documents.
fn codes(text: &str) -> BTreeSet<u8> {
    let listed = text.split("Exit codes:").skip(1).flat_map(str::lines);
    listed.filter_map(|line| line.trim_start().split_once("  ")?.0.parse().ok()).collect()
}

#[test]
fn every_command_says_its_exit_codes_and_none_that_there_is_not() {
    let sandbox = Sandbox::new();
    let all = codes(&sandbox.run("--help").expect(0).stdout);
    assert_eq!(all.len(), 11, "{all:?}");
    for command in commands(&sandbox, "") {
        let help = sandbox.run(&format!("{command} --help")).expect(0).stdout;
        if help.contains("\nCommands:\n") {
            continue;
        }
        let own = codes(&help);
        assert!(own.len() > 1 && own.is_subset(&all), "{command}: {own:?}\n{help}");
    }
}

#[test]
fn the_reference_page_that_is_checked_in_is_the_program_s_own() {
    let sandbox = Sandbox::new();
    let printed = sandbox.run("reference").expect(0).stdout;
    for command in commands(&sandbox, "") {
        assert!(printed.contains(&format!("\n### mambafleet {command}\n")), "{command}");
    }
    for hidden in HIDDEN {
        assert!(!printed.contains(&format!("mambafleet {hidden}")), "{hidden}");
    }
    for row in [
        "| `--epochs <N>` |  | Passes over the training samples at most",
        "| `--readers <N>` | `4` |",
        "| `train.epochs` | whole number | `10` | Passes over the training samples at most. |",
        "| `MAMBAFLEET_ISA` |",
        "| 7 | the deadline came before all symbols were done",
    ] {
        assert!(printed.contains(row), "{row}\n{printed}");
    }
    assert!(!printed.contains("|  |\n"), "something has no meaning: {printed}");
    let checked_in = include_str!("../docs/reference.md").replace("\r\n", "\n");
    assert!(printed == checked_in, "docs/reference.md is out of date: run `just reference`");
}

#[test]
fn man_pages_are_written_for_every_command_and_render_without_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("pages/mambafleet-train.1", "an old page");
    let ended = sandbox.run("man pages --format json").expect(0).json();
    let written = ended["files"].as_array().unwrap().iter();
    let written: BTreeSet<_> = written.map(|file| sandbox.path(file.as_str().unwrap())).collect();
    let there = std::fs::read_dir(sandbox.path("pages")).unwrap();
    let there: BTreeSet<PathBuf> = there.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(written, there, "something else was left");
    let commands = commands(&sandbox, "");
    let page = |command: &str| {
        let name = format!("mambafleet {command}").trim().replace(' ', "-");
        sandbox.path("pages").join(format!("{name}.1"))
    };
    let expected = commands.iter().map(|command| page(command)).chain([page("")]).collect();
    assert_eq!(written, expected);
    let train = std::fs::read_to_string(page("train")).unwrap();
    for part in [".SH NAME\n", ".SH OPTIONS\n", "deadline", ".SH \"EXIT STATUS\"\n", "SIGTERM"] {
        assert!(train.contains(part), "{part}: {train}");
    }
    if !has("groff") {
        return;
    }
    for path in written {
        let rendered = finish(Command::new("groff").args(["-man", "-ww", "-Tutf8"]).arg(&path));
        let Ended { stdout, stderr, .. } = rendered.expect(0);
        assert!(stdout.len() > 500 && stderr.is_empty(), "{}: {stderr}", path.display());
    }
}

#[test]
fn man_pages_that_cannot_be_written_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let ended = sandbox.run("man file/pages").expect(1);
    assert!(ended.stderr.contains("file"), "{}", ended.stderr);
    sandbox.run("man").expect(2);
}

#[test]
fn completions_exist_for_each_shell_and_name_nothing_hidden() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.run(&format!("completions {shell}")).expect(0).stdout;
        assert!(script.contains("rollback") && script.contains("max-failures"), "{shell}");
        for hidden in ["guard", "stress-member", "stress__member"] {
            assert!(!script.contains(hidden), "{shell}: {hidden}");
        }
        let json = sandbox.run(&format!("completions {shell} --format json")).expect(0).json();
        assert_eq!(json["script"].as_str().unwrap().trim_end(), script.trim_end());
    }
    let ended = sandbox.run("completions tcsh").expect(2);
    assert!(ended.stderr.contains("bash"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_options_and_values() {
    let sandbox = Sandbox::new();
    let script = sandbox.run("completions bash").expect(0).stdout;
    sandbox.write("mambafleet.bash", script);
    if !has("bash") {
        return;
    }
    let checked = finish(&mut sandbox.shell("bash -n mambafleet.bash"));
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    for (typed, expected) in [
        ("mambafleet ro", "rollback"),
        ("mambafleet con", "config"),
        ("mambafleet config che", "check"),
        ("mambafleet train --max-f", "--max-failures"),
        ("mambafleet train --format js", "json"),
        ("mambafleet gc --min", "--min-age"),
        ("mambafleet gua", ""),
        ("mambafleet wor", ""),
    ] {
        let complete = "source ./mambafleet.bash; COMP_WORDS=($0); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                        _mambafleet mambafleet \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; \
                        echo \"${COMPREPLY[@]}\"";
        let line = format!("bash -c '{complete}' '{typed}'");
        let ended = finish(&mut sandbox.shell(&line)).expect(0);
        assert_eq!((ended.stdout.trim(), ended.stderr.as_str()), (expected, ""), "{typed}");
    }
}
