//! `cargo judge`: the verdict on an engine, for people.

fn main() {}
