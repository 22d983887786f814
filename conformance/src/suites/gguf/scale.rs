//! Reading stays linear: files with very many infos or keys. Knows sizes and clocks.

use super::attempt::{self, Answer};
use super::construct::{self, File, Piece, Repeat};
use super::oracle;
use super::vector::heap_limit;
use harness::{Case, Failure, Run};
use std::sync::Arc;
use std::time::Duration;

/// How much smaller the file is that shows, as a figure, what one item costs there. No gate: on a
/// shared machine fresh pages cost more than the work, so a ratio says little about the reader.
const STEP: u64 = 16;
/// The gate. Comparing each name with each would take hours for a million.
const MOST: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 8;

/// The cases.
pub fn cases() -> Vec<Case> {
    let tensors = |count| {
        let head = vec![format!("header {count} 0")];
        (head, count, "info F32 [8] t$i @$i*32".to_owned(), vec![format!("fill {count}*32 00")])
    };
    let keys = |count| (vec![format!("header 0 {count}")], count, "kv-u8 k$i 0".to_owned(), vec![]);
    vec![
        Case::new("gguf::scale::1000000-tensors", move |run| linear(run, 1_000_000, tensors)),
        // The reader's own limit is 262,144 keys; real files hold a few dozen.
        Case::new("gguf::scale::200000-keys", move |run| linear(run, 200_000, keys)),
    ]
}

type Recipe = (Vec<String>, u64, String, Vec<String>);

fn file((head, repeat, piece, tail): Recipe) -> Result<File, String> {
    let mut pieces: Vec<Piece> = head.into_iter().map(Piece::Line).collect();
    pieces.push(Piece::Repeat(Repeat { repeat, pieces: vec![Piece::Line(piece)] }));
    pieces.push(Piece::Line("pad 32".into()));
    pieces.extend(tail.into_iter().map(Piece::Line));
    construct::build(&pieces)
}

fn linear(run: &mut Run, count: u64, recipe: impl Fn(u64) -> Recipe) -> Result<(), Failure> {
    let few = fastest(file(recipe(count / STEP))?.bytes)?;
    let many = fastest(file(recipe(count))?.bytes)?;
    let ns_per_item = |took: Duration, items: u64| took.as_secs_f64() * 1e9 / items as f64;
    run.figure("parse-s", many.took.as_secs_f64(), "s");
    run.figure("per-item", ns_per_item(many.took, count), "ns");
    run.figure("per-item-of-a-sixteenth", ns_per_item(few.took, count / STEP), "ns");
    run.figure("heap-peak", many.heap_peak as f64, "bytes");
    run.figure("heap-per-head-byte", many.heap_peak as f64 / many.head_bytes as f64, "");
    match many.took <= MOST {
        true => Ok(()),
        false => Err(format!("{count} took {:?}, {MOST:?} allowed", many.took).into()),
    }
}

struct Fastest {
    took: Duration,
    heap_peak: usize,
    head_bytes: usize,
}

/// The fastest of a few attempts, because caches shared with others only ever add time.
fn fastest(bytes: Vec<u8>) -> Result<Fastest, Failure> {
    let bytes = Arc::new(bytes);
    let limit = heap_limit(&bytes);
    let walk = oracle::walk(&bytes).ok_or("the file cannot be walked")?;
    let mut best = Fastest { took: Duration::MAX, heap_peak: 0, head_bytes: walk.head_bytes };
    for number in 0..ATTEMPTS {
        let attempt = attempt::parse_alone(&bytes)?;
        let Answer::Accepted(layout) = &attempt.answer else {
            return Err(attempt.answer.text().into());
        };
        if attempt.heap.peak_bytes > limit {
            let peak = attempt.heap.peak_bytes;
            return Err(format!("{peak} heap bytes at once, {limit} allowed").into());
        }
        if number == 0 {
            oracle::verify(&bytes, layout)?;
        }
        best.took = best.took.min(attempt.took);
        best.heap_peak = best.heap_peak.max(attempt.heap.peak_bytes);
        if best.took <= MOST {
            break;
        }
    }
    Ok(best)
}
