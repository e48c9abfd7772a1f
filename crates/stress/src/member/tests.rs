use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Mutex;

use super::*;
use crate::ways::{Checked, Saved, Way};

/// Hands out prepared sets, whatever was saved.
struct Script(Mutex<Vec<Loaded>>);

impl Saver for Script {
    fn save(&self, _: &Symbol, _: &Set) -> Result<Saved, SaveError> {
        Ok(Saved::default())
    }

    fn load(&self, _: &Symbol) -> Result<Loaded, StressError> {
        let next = self.0.lock().unwrap().pop();
        next.ok_or_else(|| StressError::Encode("refused".to_owned()))
    }

    fn check(&self, _: &Symbol, _: &[Receipt]) -> Result<Checked, StressError> {
        Ok(Checked::default())
    }
}

fn symbols(count: u32) -> Vec<Symbol> {
    (1..=count).map(|n| format!("S{n}").parse().unwrap()).collect()
}

#[test]
fn readers_count_what_they_see() {
    let set = |writer| Set::new(writer, 0, 100).unwrap().contents;
    let (mut torn, mut mixed) = (set(1), set(1));
    torn[0].truncate(50);
    mixed[2] = set(2)[2].clone();
    let script = [
        Loaded::Absent,
        Loaded::Set(set(1)),
        Loaded::Set(torn),
        Loaded::Set(mixed.clone()),
        Loaded::Set(mixed),
        Loaded::Damaged("generation 3: wrong hash".to_owned()),
    ];
    let saver = Script(Mutex::new(script.into_iter().rev().collect()));
    let mut seen = Observations::default();
    for _ in 0..7 {
        observe(&saver, &symbols(1)[0], &mut seen);
    }
    assert_eq!((seen.reads, seen.torn, seen.mixed, seen.errors), (6, 2, 2, 1));
    assert_eq!(seen.faults.len(), FAULTS);
    assert!(seen.faults[0].contains("weights.safetensors"), "{:?}", seen.faults);
}

#[test]
fn writers_are_spread_evenly_over_the_symbols() {
    for (writers, count, each) in [(10, 1, 40), (10, 5, 8), (3, 4, 3), (2, 8, 1)] {
        let symbols = symbols(count);
        let mut turns = BTreeMap::<&Symbol, u32>::new();
        for (number, iteration) in (0..writers).flat_map(|n| (0..4).map(move |i| (n, i))) {
            *turns.entry(turn(&symbols, number, iteration, writers)).or_default() += 1;
        }
        assert!(turns.values().all(|&turns| turns == each), "{writers} on {count}: {turns:?}");
    }
    let symbols = symbols(5);
    let home = |iteration| turn(&symbols, 3, iteration, 10);
    assert!((0..9).all(|iteration| home(iteration) == home(0)), "5 divides 10");
}

fn lines(messages: &[ToMember]) -> Cursor<Vec<u8>> {
    let text: String = messages.iter().map(|m| codec::encode(m).unwrap()).collect();
    Cursor::new(text.into_bytes())
}

fn orders(dir: &std::path::Path) -> ToMember {
    ToMember::Orders(Orders {
        role: Role::Writer { iterations: 3, bytes: 100, writers: 1 },
        number: 0,
        way: Way::Unsafe,
        dir: dir.to_owned(),
        symbols: symbols(1),
        lock_timeout: Duration::from_secs(1),
    })
}

#[test]
fn a_member_says_each_save_and_ends_when_its_parent_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    Way::Unsafe.prepare(dir.path(), &symbols(1)).unwrap();
    let (gone, told) = channel();
    let mut output = Vec::new();
    let input = lines(&[orders(dir.path())]);
    serve(input, &mut output, move || gone.send(()).unwrap()).unwrap();
    told.recv().unwrap();
    let said = String::from_utf8(output).unwrap();
    assert_eq!(said.lines().count(), 1, "ready, then nothing without the gun: {said}");
}

#[test]
fn orders_that_make_no_sense_are_an_error() {
    for (input, named) in [
        (Cursor::new(b"hello\n".to_vec()), "hello"),
        (lines(&[ToMember::Go]), "Go"),
        (Cursor::new(b"{\"mambafleet\":99,\"message\":{}}\n".to_vec()), "99"),
    ] {
        let error = serve(input, Vec::new(), || ()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    serve(Cursor::new(Vec::new()), Vec::new(), || ()).unwrap();
}
