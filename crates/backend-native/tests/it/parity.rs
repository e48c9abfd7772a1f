//! The backend against what PyTorch has computed; see `examples/pytorch/parity.py`.

use std::path::Path;

use mambafleet_backend::parity::{Case, Tolerances, Verdict, replay};
use mambafleet_backend_native::NativeBackend;

#[test]
fn the_backend_agrees_with_the_reference_whatever_the_number_of_threads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    let mut files = 0;
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let case = Case::read(&path).unwrap();
        let results = replay(&NativeBackend, &case, 1).unwrap();
        assert_eq!(results, replay(&NativeBackend, &case, 3).unwrap());
        for check in case.compare(&results, &Tolerances::SINGLE) {
            assert_eq!(check.verdict(), Verdict::Ok, "{}: {check:?}", path.display());
        }
        files += 1;
    }
    assert_eq!(files, 7);
}
