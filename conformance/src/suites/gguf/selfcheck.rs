//! Shows that the instruments of this suite can go red: a panic, a hang, a lie about an offset, an
//! allocation, a hostile message and a misspelt piece are each seen.

use super::attempt::{self, Answer};
use super::construct::{self, Piece};
use super::{mutate, oracle};
use crate::alloc;
use engine::loader::gguf::Layout;
use harness::{Case, Failure};
use std::time::Duration;

/// The cases.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, check: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::gguf::{name}"), move |_| check())
    };
    vec![
        case("a-panic-is-an-answer", panic_is_an_answer),
        case("a-hang-is-seen", hang_is_seen),
        case("another-layout-is-seen", another_layout_is_seen),
        case("an-allocation-is-seen", allocation_is_seen),
        case("a-hostile-message-is-seen", hostile_message_is_seen),
        case("a-misspelt-piece-is-an-error", misspelt_piece_is_an_error),
    ]
}

fn wants(seen: bool, what: &str) -> Result<(), Failure> {
    if seen { Ok(()) } else { Err(format!("not seen: {what}").into()) }
}

fn panic_is_an_answer() -> Result<(), Failure> {
    // Unwound without the hook: this one needs no backtrace in the log.
    let answer = attempt::of(|| std::panic::resume_unwind(Box::new("on purpose"))).answer;
    wants(matches!(&answer, Answer::Broken(why) if why.contains("on purpose")), "a panic")
}

fn hang_is_seen() -> Result<(), Failure> {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let limit = Duration::from_millis(50);
    let hung = attempt::watched(limit, move |_| never.recv_timeout(Duration::from_secs(5)).is_ok());
    wants(hung.is_err_and(|why| why.contains("hangs")), "a thread that does not come back")
}

/// One tensor fewer, one moved, one byte fewer, another version: each against the honest bytes.
fn another_layout_is_seen() -> Result<(), Failure> {
    let bytes = mutate::base()?.bytes;
    let honest = Layout::parse(&bytes)?;
    oracle::verify(&bytes, &honest)?;
    type Lie = fn(&mut Layout);
    let lies: [(&str, Lie); 4] = [
        ("a tensor fewer", |layout| drop(layout.tensors.pop())),
        ("a tensor moved", |layout| layout.tensors[1].offset += 32),
        ("a byte fewer", |layout| layout.tensors[1].bytes -= 1),
        ("another version", |layout| layout.version = 2),
    ];
    for (what, lie) in lies {
        let mut layout = honest.clone();
        lie(&mut layout);
        wants(oracle::verify(&bytes, &layout).is_err(), what)?;
    }
    let cut = &bytes[..bytes.len() - 32];
    wants(oracle::verify(cut, &honest).is_err(), "a tensor behind the end")
}

fn allocation_is_seen() -> Result<(), Failure> {
    const SIZE: usize = 1 << 20;
    let (_, freed) = alloc::measure(|| drop(std::hint::black_box(vec![1u8; SIZE])));
    wants(freed.peak_bytes >= SIZE && freed.kept_bytes == 0, "a megabyte, taken and given back")?;
    let (kept, held) = alloc::measure(|| std::hint::black_box(vec![1u8; SIZE]));
    wants(held.kept_bytes == kept.len() as isize, "a megabyte, kept")?;
    let elsewhere = || std::thread::spawn(|| drop(std::hint::black_box(vec![1u8; SIZE]))).join();
    let (joined, other) = alloc::measure(elsewhere);
    joined.map_err(|_| "the other thread died")?;
    wants(other.peak_bytes < SIZE, "that a megabyte belongs to another thread")
}

fn hostile_message_is_seen() -> Result<(), Failure> {
    let long = format!("BadKey 1 {}", "k".repeat(2000));
    for text in ["no number", "1\nline", "1 \u{1b}[2J", "1 \u{202e}", &long] {
        wants(attempt::unfit(text).is_some(), text)?;
    }
    wants(attempt::unfit("BadType: key \"a\" at byte 24: 13").is_none(), "a fit message")
}

fn misspelt_piece_is_an_error() -> Result<(), Failure> {
    let bad = [
        "heador 0 0",
        "header 0",
        "u8 256",
        "u32 x",
        "u64 2^64",
        "kv-u33 a 1",
        "kv-array a u8",
        "info Q9_9 [1] x @0",
        "info F32 [1] x",
        "bytes 0",
        "bytes zz",
        "keep 9",
        "drop 9",
        "pad x",
        r"str \x4",
        "fill 4",
        "f32 one",
        "",
    ];
    for line in bad {
        let built = construct::build(&[Piece::Line(line.into())]);
        wants(built.is_err(), &format!("the piece '{line}'"))?;
    }
    Ok(())
}
