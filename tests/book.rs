//! The documents: their commands run, their links lead somewhere, the book has every page.
//!
//! A block of commands is fenced as `console`: a line that begins with `$ ` is run by a shell, and what
//! follows it is what it prints. Comments right above the block say what is special about it:
//!
//! - `<!-- not run: WHY -->`: nothing of it is run;
//! - `<!-- not compared: WHY -->`: it is run, and prints something else here;
//! - `<!-- before: COMMAND -->`: is run first, and shown to nobody;
//! - `<!-- needs: PROGRAM -->`: it is passed over, with a line that says so, where there is none;
//! - `<!-- exits with CODE -->`: how the last command ends, if not with 0.
//!
//! `<!-- file: NAME -->` above a block of any language writes it to this file.
//!
//! All blocks of a page are run in one directory, in their order. What is printed must hold each line of
//! the page, apart from white space and from words with a digit in them; a line `...` stands for any.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    let text = std::fs::read_to_string(path);
    text.unwrap_or_else(|e| panic!("{}: {e}", path.display())).replace("\r\n", "\n")
}

/// The pages of the book, as paths from the repository's root.
fn pages() -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::from("docs")];
    let mut pages = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(root().join(&dir)).unwrap() {
            let name = dir.join(entry.unwrap().file_name());
            if root().join(&name).is_dir() {
                dirs.push(name);
            } else if name.extension().is_some_and(|ending| ending == "md") {
                pages.push(name);
            }
        }
    }
    pages.sort();
    pages
}

/// Everything whose links are looked at.
fn documents() -> Vec<PathBuf> {
    let more = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "examples/pytorch/README.md"];
    more.iter().map(PathBuf::from).chain(pages()).collect()
}

/// A fenced block.
#[derive(Debug, Default, PartialEq)]
struct Block {
    /// The line of the fence, from 1.
    line: usize,
    language: String,
    /// What the comments right above it say.
    marks: Vec<String>,
    text: Vec<String>,
}

impl Block {
    /// What a comment says that begins with this.
    fn mark(&self, begin: &str) -> Option<&str> {
        self.marks.iter().find_map(|mark| mark.strip_prefix(begin)).map(str::trim)
    }

    /// Its commands, each with the lines that it prints.
    fn commands(&self) -> Result<Vec<Command>, String> {
        let mut commands: Vec<Command> = Vec::new();
        let mut goes_on = false;
        for text in &self.text {
            if goes_on {
                let Some(command) = commands.last_mut() else { continue };
                command.line.push('\n');
                command.line.push_str(text);
            } else if let Some(line) = text.strip_prefix("$ ") {
                commands.push(Command { line: line.to_owned(), prints: Vec::new() });
            } else if let Some(command) = commands.last_mut() {
                command.prints.push(text.clone());
                continue;
            } else {
                return Err(format!("line {}: begins with output", self.line));
            }
            goes_on = text.ends_with('\\');
        }
        Ok(commands)
    }
}

/// A command of a page, and what it is said to print.
#[derive(Debug, PartialEq)]
struct Command {
    line: String,
    prints: Vec<String>,
}

/// A page, taken apart.
#[derive(Debug, Default)]
struct Page {
    blocks: Vec<Block>,
    /// What is not in a block, with the numbers of the lines.
    prose: Vec<(usize, String)>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut open: Option<(String, usize, Block)> = None;
        let mut marks = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((fence, indent, block)) = &mut open {
                if line.trim() == fence {
                    page.blocks.extend(open.take().map(|(.., block)| block));
                } else {
                    // A block in a list is indented as its fence is.
                    let indented = line.chars().take(*indent).take_while(|c| *c == ' ').count();
                    block.text.push(line[indented..].to_owned());
                }
                continue;
            }
            let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
            if ticks >= 3 {
                let language = line.trim_start().trim_start_matches('`').trim().to_owned();
                let marks = std::mem::take(&mut marks);
                let block = Block { line: number, language, marks, ..Block::default() };
                let indent = line.len() - line.trim_start().len();
                open = Some(("`".repeat(ticks), indent, block));
                continue;
            }
            match line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) {
                Some(mark) => marks.push(mark.trim().to_owned()),
                None => marks.clear(),
            }
            page.prose.push((number, line.to_owned()));
        }
        assert!(open.is_none(), "a fence is not closed: {open:?}");
        page
    }

    /// What its headings are linked by.
    fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose.iter().filter_map(|(_, line)| {
            let rest = line.trim_start_matches('#');
            let level = line.len() - rest.len();
            ((1..=6).contains(&level)).then(|| rest.strip_prefix(' ')).flatten()
        });
        let anchor = |heading: &str| {
            let slug = slug(heading);
            let times = seen.entry(slug.clone()).or_default();
            *times += 1;
            if *times == 1 { slug } else { format!("{slug}-{}", *times - 1) }
        };
        headings.map(anchor).collect()
    }

    /// The targets of its links.
    fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in &self.prose {
            // What stands between back-ticks is code.
            let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
            let targets = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(targets.map(|target| (*number, target.to_owned())));
        }
        links
    }
}

/// A heading as links name it, here and where the repository is shown.
fn slug(heading: &str) -> String {
    // Of a link, its text.
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, link)) = rest.split_once("](") {
        text.push_str(before);
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The path without `..` in it.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let mut faults = Vec::new();
    for document in documents() {
        let page = Page::parse(&read(&root().join(&document)));
        for (line, link) in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = match path {
                "" => document.clone(),
                path => clean(&document.parent().unwrap().join(path)),
            };
            let there = root().join(&target);
            let found = if !there.exists() {
                false
            } else if anchor.is_empty() {
                true
            } else {
                there.is_file() && Page::parse(&read(&there)).anchors().contains(anchor)
            };
            // The book has no page of a document that is not in its directory.
            let of_book = document.starts_with("docs") && !target.starts_with("docs");
            let shown = !of_book || (there.is_file() && !path.ends_with(".md"));
            if !found || !shown {
                faults.push(format!("{}:{line}: {link}", document.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_page_is_in_the_book_and_nothing_else() {
    let summary = PathBuf::from("docs/SUMMARY.md");
    let links = Page::parse(&read(&root().join(&summary))).links();
    let listed: BTreeSet<_> =
        links.iter().map(|(_, link)| clean(&Path::new("docs").join(link))).collect();
    assert_eq!(listed.len(), links.len(), "a page is listed twice");
    let there = pages().into_iter().filter(|page| *page != summary).collect();
    assert_eq!(listed, there);
}

#[test]
fn commands_stand_in_console_blocks_and_each_that_is_not_run_says_why() {
    let mut faults = Vec::new();
    for document in documents() {
        for block in Page::parse(&read(&root().join(&document))).blocks {
            let mut fault =
                |what: &str| faults.push(format!("{}:{}: {what}", document.display(), block.line));
            let is_prompt = |line: &String| line.starts_with("$ ");
            if block.language != "console" {
                // The reference shows usage.
                let generated =
                    document.ends_with("reference.md") || document.starts_with("docs/reference");
                let of_ours = ["mambafleet ", "cargo ", "just "];
                let is_ours = |line: &String| of_ours.iter().any(|name| line.starts_with(name));
                if !generated && block.text.iter().any(|line| is_prompt(line) || is_ours(line)) {
                    fault("commands that are not in a console block");
                }
                continue;
            }
            if block.mark("not run:").or(block.mark("not compared:")).is_some_and(str::is_empty) {
                fault("does not say why");
            }
            match block.commands() {
                Ok(commands) if commands.is_empty() => fault("holds no command"),
                Ok(_) => {}
                Err(error) => fault(&error),
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn a_page_is_taken_apart_as_it_is_meant() {
    let page = Page::parse(
        "# A `title`, [linked](x.md#y)\n\n<!-- before: true -->\n<!-- exits with 3 -->\n```console\n\
         $ one \\\n    two\nout\n$ three\n```\n## Part\n<!-- gone -->\n\n## Part\n```\ntext [no](link)\n```\n",
    );
    assert_eq!(
        page.anchors().into_iter().collect::<Vec<_>>(),
        ["a-title-linked", "part", "part-1"]
    );
    assert_eq!(page.links(), [(1, "x.md#y".to_owned())]);
    let [console, text] = &page.blocks[..] else { panic!("{page:?}") };
    assert_eq!((console.line, console.language.as_str()), (5, "console"));
    assert_eq!((console.mark("before:"), console.mark("exits with")), (Some("true"), Some("3")));
    assert_eq!(console.mark("not run:"), None);
    let commands = console.commands().unwrap();
    assert_eq!(commands[0], Command { line: "one \\\n    two".into(), prints: vec!["out".into()] });
    assert_eq!(commands[1].line, "three");
    assert!(text.marks.is_empty() && text.commands().is_err());
}

#[cfg(unix)]
mod running {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::support::{Sandbox, finish};

    /// Little data and tiny models, whatever a page configures: its commands take milliseconds.
    const SMALL: [(&str, &str); 5] = [
        ("MAMBAFLEET_DATA_SYNTHETIC_BARS", "400"),
        ("MAMBAFLEET_TRAIN_EPOCHS", "1"),
        ("MAMBAFLEET_MODEL_D_MODEL", "8"),
        ("MAMBAFLEET_MODEL_N_LAYERS", "1"),
        ("MAMBAFLEET_MODEL_D_STATE", "4"),
    ];

    /// Looks at the commands of one page only, such as `docs/data.md`.
    const ONLY: &str = "MAMBAFLEET_TEST_PAGE";

    /// A line without what differs from one run to the next.
    fn essence(line: &str) -> String {
        let words = line.split_whitespace();
        let word = |word| if has_digit(word) { "#" } else { word };
        words.map(word).collect::<Vec<_>>().join(" ")
    }

    fn has_digit(word: &str) -> bool {
        word.contains(|c: char| c.is_ascii_digit())
    }

    /// The lines that are not among what was printed.
    fn missing<'a>(said: &'a [String], printed: &str) -> Vec<&'a str> {
        let printed: BTreeSet<_> = printed.lines().map(essence).collect();
        let wanted =
            said.iter().map(String::as_str).filter(|line| !["", "..."].contains(&line.trim()));
        wanted.filter(|line| !printed.contains(&essence(line))).collect()
    }

    #[test]
    fn lines_are_compared_by_their_words() {
        let said =
            ["AAPL  1   0.25  trained".to_owned(), "...".to_owned(), "MSFT: kept".to_owned()];
        assert_eq!(missing(&said, "AAPL  12 0.7 trained\nMSFT: kept"), [""; 0]);
        assert_eq!(missing(&said, "AAPL  12 0.7 failed\nGOOG: kept"), [&said[0], &said[2]]);
    }

    #[expect(clippy::disallowed_methods, reason = "the store is not concerned")]
    fn link(from: PathBuf, to: PathBuf) {
        std::os::unix::fs::symlink(from, to).unwrap();
    }

    /// A directory in which a page's commands find what a clone of the repository has.
    fn clone() -> Sandbox {
        let sandbox = Sandbox::new();
        std::fs::remove_file(sandbox.path("mambafleet.toml")).unwrap();
        std::fs::create_dir(sandbox.path("bin")).unwrap();
        std::fs::create_dir(sandbox.path("home")).unwrap();
        link(PathBuf::from(env!("CARGO_BIN_EXE_mambafleet")), sandbox.path("bin/mambafleet"));
        for name in ["configs", "examples", "tests"] {
            link(root().join(name), sandbox.path(name));
        }
        sandbox
    }

    /// Runs a command; the fault, if there is one.
    fn run(sandbox: &Sandbox, line: &str, prints: Option<&[String]>, code: i32) -> Option<String> {
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = sandbox.shell(line);
        command.envs(SMALL).env("PATH", path).env("HOME", sandbox.path("home"));
        let ended = finish(&mut command);
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        if ended.code != Some(code) {
            return Some(format!("{line}\nended with {:?}, not {code}:\n{printed}", ended.code));
        }
        let missing = prints.map_or_else(Vec::new, |prints| missing(prints, &printed));
        if missing.is_empty() {
            return None;
        }
        Some(format!("{line}\ndid not print:\n{}\nbut:\n{printed}", missing.join("\n")))
    }

    /// Runs every command of a page; the first fault, for what follows builds on it.
    fn run_page(page: &Path) -> Result<usize, String> {
        let blocks = Page::parse(&read(&root().join(page))).blocks;
        let (sandbox, mut count) = (clone(), 0);
        for block in &blocks {
            if let Some(name) = block.mark("file:") {
                sandbox.write(name, block.text.join("\n") + "\n");
            }
            if block.language != "console" || block.mark("not run:").is_some() {
                continue;
            }
            if let Some(program) = block.mark("needs:") {
                let look = format!("command -v {program}");
                if finish(&mut sandbox.shell(&look)).code != Some(0) {
                    println!("{}:{}: skipped, no {program}", page.display(), block.line);
                    continue;
                }
            }
            let at = |fault: String| format!("{}:{}: {fault}", page.display(), block.line);
            for mark in &block.marks {
                if let Some(line) = mark.strip_prefix("before:") {
                    run(&sandbox, line.trim(), None, 0).map_or(Ok(()), |fault| Err(at(fault)))?;
                }
            }
            let compared = block.mark("not compared:").is_none();
            let last = block.mark("exits with").map_or(0, |code| code.parse().unwrap());
            let commands = block.commands().map_err(at)?;
            for (index, command) in commands.iter().enumerate() {
                let code = if index + 1 == commands.len() { last } else { 0 };
                let prints = compared.then_some(&command.prints[..]);
                run(&sandbox, &command.line, prints, code)
                    .map_or(Ok(()), |fault| Err(at(fault)))?;
                count += 1;
            }
        }
        Ok(count)
    }

    #[test]
    fn every_example_of_a_help_text_is_understood() {
        let sandbox = clone();
        let reference = read(&root().join("docs/reference.md"));
        let examples = reference.lines().filter_map(|line| line.strip_prefix("  $ mambafleet "));
        let mut faults = Vec::new();
        let mut count = 0;
        for example in examples {
            count += 1;
            // What stands behind is the shell's, or another program's.
            let ends = [" -- ", " | ", " > ", " # "];
            let end = ends.iter().filter_map(|end| example.find(end)).min();
            let call = &example[..end.unwrap_or(example.len())];
            faults.extend(run(&sandbox, &format!("mambafleet {call} --help"), None, 0));
        }
        assert!(count > 10, "{count}");
        assert_none(&faults);
    }

    #[test]
    fn every_command_of_the_documents_does_what_it_says() {
        let only = std::env::var(ONLY).ok().filter(|page| !page.is_empty()).map(PathBuf::from);
        let mut pages = documents();
        pages.retain(|page| only.as_ref().is_none_or(|only| only == page));
        let (queue, faults) = (Mutex::new(pages), Mutex::new(Vec::new()));
        let next = || queue.lock().unwrap().pop();
        let work = || {
            while let Some(page) = next() {
                let began = Instant::now();
                match run_page(&page) {
                    Ok(count) => {
                        let seconds = began.elapsed().as_secs_f64();
                        println!("{}: {count} commands in {seconds:.1} s", page.display());
                    }
                    Err(fault) => faults.lock().unwrap().push(fault),
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        std::thread::scope(|scope| {
            (0..cores).for_each(|_| drop(scope.spawn(work)));
        });
        assert_none(&faults.into_inner().unwrap());
    }
}
