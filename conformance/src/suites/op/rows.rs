//! What moves rows without computing: adding, cutting out, keeping those that are wanted.

use super::data::Random;
use super::{Cases, batch, count};
use crate::subject::Machine;
use engine::backend::Backend;
use harness::{Failure, compare};

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    for (name, rows, width) in [("toy", 1, 1), ("ragged", 7, 301), ("real", 33, 2880)] {
        let here = format!("add::{name}");
        cases.add(here, Box::new(move |b, random| sum(b, random, rows, width)));
        let here = format!("slice::{name}");
        cases.add(here, Box::new(move |b, random| slice(b, random, rows, width)));
        let here = format!("wanted::{name}");
        cases.add(here, Box::new(move |b, random| wanted(b, random, rows, width)));
    }
    cases.add("wanted::none".into(), Box::new(none_wanted));
}

/// The stream passes 65,504, where f16 ends (C10).
fn sum<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    rows: usize,
    width: usize,
) -> Result<(), Failure> {
    let (x, y) = (random.numbers(rows * width, 2e5), random.numbers(rows * width, 2e5));
    let (mut to, more) = (backend.write(width, &x)?, backend.write(width, &y)?);
    backend.add(&mut to, &more)?;
    let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
    compare::arrays("sum", &backend.read(&to)?, &want)
        .shape(&[("row", rows), ("element", width)])
        .exactly()
}

fn slice<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    rows: usize,
    width: usize,
) -> Result<(), Failure> {
    let x = random.numbers(rows * width, 1.0);
    let from = backend.write(width, &x)?;
    for (start, end) in [(0, width), (width / 3, width), (0, width.div_ceil(2))] {
        let part = backend.slice(&from, start, end - start)?;
        let cut = x.chunks_exact(width).flat_map(|row| &row[start..end]);
        let want: Vec<f32> = cut.copied().collect();
        compare::arrays("slice", &backend.read(&part)?, &want)
            .shape(&[("row", rows), ("element", end - start)])
            .exactly()?;
    }
    Ok(())
}

fn wanted<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    rows: usize,
    width: usize,
) -> Result<(), Failure> {
    let x = random.numbers(rows * width, 1.0);
    let mut batch = batch(&count(rows));
    // Every third, and the last.
    let asked = |index: usize| index % 3 == 1 || index + 1 == rows;
    batch.rows.iter_mut().enumerate().for_each(|(index, row)| row.logits = asked(index));
    let step = backend.step(&batch, &[])?;
    let from = backend.write(width, &x)?;
    let kept = backend.wanted(from, &step)?;
    let numbered = x.chunks_exact(width).enumerate();
    let want: Vec<f32> =
        numbered.filter(|(index, _)| asked(*index)).flat_map(|(_, row)| row).copied().collect();
    compare::arrays("wanted", &backend.read(&kept)?, &want)
        .shape(&[("row", want.len() / width), ("element", width)])
        .exactly()
}

/// A part of a prompt of which nobody wants logits.
fn none_wanted<B: Backend>(backend: &mut B, random: &mut Random) -> Result<(), Failure> {
    let step = backend.step(&batch(&[0, 1]), &[])?;
    let from = backend.write(5, &random.numbers(10, 1.0))?;
    let kept = backend.wanted(from, &step)?;
    match backend.read(&kept)?.len() {
        0 => Ok(()),
        left => Err(format!("{left} elements are left of no row").into()),
    }
}
