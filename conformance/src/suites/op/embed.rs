//! Tables: tokens and learned positions, in every block format, to the bit.

use super::data::{File, Random, formats, values};
use super::{Cases, batch, f64s};
use crate::subject::Machine;
use engine::adapters::Role;
use engine::backend::Backend;
use engine::quant::Format;
use harness::{Failure, compare};

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    for format in formats() {
        let name = format.name;
        cases.add(format!("embed::{name}"), Box::new(|b, random| embed(b, random, format)));
        cases.add(format!("positions::{name}"), Box::new(|b, random| positions(b, random, format)));
    }
    let every = |b: &mut M::Backend, _: &mut Random| every_mxfp4(b);
    cases.add("embed::MXFP4::every-scale-and-code".into(), Box::new(every));
}

/// Rows of a width that ends within a thread's share where the format allows it.
fn table(random: &mut Random, format: &Format, rows: usize) -> (usize, Vec<u8>) {
    let width = if format.block_len == 1 { 77 } else { 3 * format.block_len };
    (width, random.blocks(format, rows * width))
}

fn decoded(format: &Format, bytes: &[u8]) -> Result<Vec<f32>, Failure> {
    // The scalar decoder, which vectors judge: every bit of it is the format's definition.
    let scalar = format.scalar.ok_or("no decoder")?;
    let mut out = vec![0.0; bytes.len() / format.block_bytes * format.block_len];
    scalar(bytes, &mut out);
    Ok(out)
}

fn embed<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    format: &'static Format,
) -> Result<(), Failure> {
    let (width, bytes) = table(random, format, 9);
    let file = File::of(&[(format, vec![width as u64, 9], &bytes)])?;
    let table = file.weight(backend, 0, Role::Table)?;
    let mut batch = batch(&[0, 1, 2, 3, 4]);
    let tokens = [8, 0, 3, 3, 7];
    batch.rows.iter_mut().zip(tokens).for_each(|(row, token)| row.token = token);
    let step = backend.step(&batch, &[])?;
    let rows = backend.embed(&table, &step)?;
    let all = decoded(format, &bytes)?;
    let row = |token: u32| &all[token as usize * width..(token as usize + 1) * width];
    let want: Vec<f32> = tokens.iter().flat_map(|token| row(*token)).copied().collect();
    compare::arrays("embedding", &backend.read(&rows)?, &want)
        .shape(&[("row", 5), ("element", width)])
        .exactly()
}

fn positions<B: Backend>(
    backend: &mut B,
    random: &mut Random,
    format: &'static Format,
) -> Result<(), Failure> {
    let (width, bytes) = table(random, format, 40);
    let file = File::of(&[(format, vec![width as u64, 40], &bytes)])?;
    let table = file.weight(backend, 0, Role::Table)?;
    let at = [0, 1, 17, 38, 39];
    let before = random.numbers(at.len() * width, 1.0);
    let step = backend.step(&batch(&at), &[])?;
    let mut rows = backend.write(width, &before)?;
    backend.add_positions(&mut rows, &table, &step)?;
    let all = decoded(format, &bytes)?;
    let row = |position: u32| &all[position as usize * width..(position as usize + 1) * width];
    let added = at.iter().flat_map(|position| row(*position));
    let want: Vec<f32> = before.iter().zip(added).map(|(x, y)| x + y).collect();
    compare::arrays("positions", &backend.read(&rows)?, &want)
        .shape(&[("row", at.len()), ("element", width)])
        .exactly()
}

/// All scales but 255, which is no number and refused when it is loaded; all codes under each, at
/// either place of a byte.
fn every_mxfp4<B: Backend>(backend: &mut B) -> Result<(), Failure> {
    let format = engine::quant::by_name("MXFP4").ok_or("no MXFP4")?;
    let codes: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
    let row = |scale: u8| std::iter::once(scale).chain(codes.iter().copied());
    let bytes: Vec<u8> = (0..255).flat_map(row).collect();
    let file = File::of(&[(format, vec![32, 255], &bytes)])?;
    let table = file.weight(backend, 0, Role::Table)?;
    let step = backend.step(&batch(&super::count(255)), &[])?;
    let rows = backend.embed(&table, &step)?;
    let got = backend.read(&rows)?;
    let want: Vec<f32> = values(format, &bytes)?.iter().map(|x| *x as f32).collect();
    if f64s(&want).iter().any(|x| x.is_nan()) {
        return Err("the want holds NaN".into());
    }
    compare::arrays("MXFP4", &got, &want)
        .shape(&[("scale", 255), ("element", 32)])
        .non_finite("codes of 2 and more under the largest scales are beyond f32")
        .exactly()
}
