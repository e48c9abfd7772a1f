//! The binary `mambafleet`.
fn main() {}
