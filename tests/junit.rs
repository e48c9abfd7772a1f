//! The JUnit file of a run.

use std::path::Path;

use roxmltree::{Document, Node};

use crate::support::Sandbox;

/// The text of a file that is XML.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The case of a symbol.
fn case<'a>(document: &'a Document<'_>, symbol: &str) -> Node<'a, 'a> {
    let mut cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    cases.find(|case| case.attribute("name") == Some(symbol)).unwrap()
}

/// What a case has below it: the tag and the type.
fn below<'a>(document: &'a Document<'_>, symbol: &str) -> Option<(&'a str, Option<&'a str>)> {
    let below = case(document, symbol).first_element_child()?;
    Some((below.tag_name().name(), below.attribute("type")))
}

fn suite<'a>(document: &'a Document<'_>, attribute: &str) -> &'a str {
    let suite = document.root_element().first_element_child().unwrap();
    suite.attribute(attribute).unwrap()
}

#[test]
fn a_run_is_a_suite_and_each_symbol_a_case() {
    let sandbox = Sandbox::new();
    // A name that means something in XML stands in the cause.
    let data = "]]><&'prices";
    sandbox.run(&format!("data synth {data} --symbols GOOD,^GSPC")).expect(0);
    sandbox.write("out.xml", "that of an earlier run");
    let train =
        format!("train --data {data} --symbols GOOD,BAD,^GSPC --format json --junit out.xml");
    let ended = sandbox.run(&train).expect(3);
    let xml = read(&sandbox.path("out.xml"));
    let document = Document::parse(&xml).unwrap();
    let numbers = ["tests", "failures", "errors", "skipped"].map(|name| suite(&document, name));
    assert_eq!(numbers, ["3", "1", "0", "0"]);
    assert_eq!(suite(&document, "name"), ended.summary()["run"]);
    assert_eq!((below(&document, "GOOD"), below(&document, "^GSPC")), (None, None));
    let time: f64 = case(&document, "GOOD").attribute("time").unwrap().parse().unwrap();
    assert!(time > 0.0);
    assert_eq!(below(&document, "BAD"), Some(("failure", Some("data"))));
    let failure = case(&document, "BAD").first_element_child().unwrap();
    let outcome = ended.outcome("BAD");
    assert_eq!(failure.attribute("message").unwrap(), outcome["cause"]);
    assert!(failure.attribute("message").unwrap().contains(data));
    let text = failure.text().unwrap();
    assert!(text.contains(outcome["log"].as_str().unwrap()), "{text}");
    // The end of the log is the attempt's.
    assert!(text.contains("attempt begins run="), "{text}");
    // The record has one whether it was asked for or not.
    let record = sandbox.runs().pop().unwrap();
    assert_eq!(read(&record.join("junit.xml")), xml);
    let entries = std::fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap());
    let names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with(".tmp-")), "{names:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_has_one_too() {
    use std::process::Stdio;

    use rustix::process::Signal;

    use crate::support::Running;
    use crate::support::processes::kill_child;

    let sandbox = Sandbox::new();
    let mut command = sandbox.command(
        "train --symbols A,SLEEPS,Z --parallel 1 --backend faulty --set run.grace=100ms --junit out.xml",
    );
    command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Running = command.spawn().unwrap().into();
    sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
    kill_child(&child, Signal::INT);
    assert_eq!(child.code(), Some(130));
    let xml = read(&sandbox.path("out.xml"));
    let document = Document::parse(&xml).unwrap();
    assert_eq!(below(&document, "A"), None);
    assert_eq!(below(&document, "SLEEPS"), Some(("error", Some("interrupted"))));
    assert_eq!(below(&document, "Z"), Some(("skipped", None)));
}

#[test]
fn what_the_deadline_leaves_is_skipped_with_its_reason() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols A --deadline 1ms --junit out.xml").expect(7);
    let xml = read(&sandbox.path("out.xml"));
    let document = Document::parse(&xml).unwrap();
    assert_eq!(below(&document, "A"), Some(("skipped", None)));
    let reason = case(&document, "A").first_element_child().unwrap().attribute("message");
    assert_eq!(reason, Some("the deadline came first"));
}

#[test]
fn a_place_where_no_file_can_be_is_refused_before_anything_is_done() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("dir")).unwrap();
    for (file, why) in
        [("absent/out.xml", "absent is not a directory"), ("dir", "is not a file"), ("..", "not a")]
    {
        let ended = sandbox.run(&format!("train --symbols A --junit {file}")).expect(2);
        assert!(ended.stderr.contains(why), "{file}: {}", ended.stderr);
    }
    sandbox.run("train --symbols A --junit out.xml --dry-run").expect(2);
    assert!(!sandbox.store().exists());
}

#[test]
fn an_error_before_the_run_is_no_stale_success() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols A --junit out.xml").expect(0);
    sandbox.run("train --symbols A --data absent --junit out.xml").expect(2);
    let xml = read(&sandbox.path("out.xml"));
    let document = Document::parse(&xml).unwrap();
    assert_eq!(below(&document, "train"), Some(("error", Some("usage"))));
    assert!(xml.contains("absent is not a directory"), "{xml}");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_in_the_end_is_no_success() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("out")).unwrap();
    // The directory vanishes while the run ends.
    sandbox.configure("[notify]\ncommand = [\"rmdir\", \"out\"]\n");
    let ended = sandbox.run("train --symbols A --junit out/junit.xml").expect(1);
    assert!(ended.stderr.contains("there is no JUnit file"), "{}", ended.stderr);
    assert!(ended.stdout.contains("1 trained"), "{}", ended.stdout);
}
