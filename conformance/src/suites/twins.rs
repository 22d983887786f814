//! `twins::FORMAT::LEVEL`: each vector decoder equals its scalar twin to the bit (NaNs by class),
//! on every byte value in every place of a block, for every number of blocks up to a few, and it
//! writes nothing beside its output.

use engine::quant::simd::Level;
use engine::quant::{Decode, FORMATS, Format};
use harness::{Case, Failure, Run};

/// Enough blocks for any unrolling that a kernel may have, and its remainder.
const MOST_BLOCKS: usize = 9;
/// Values before and after the output that must survive.
const GUARD: usize = 16;
const UNTOUCHED: f32 = f32::from_bits(0x5555_5555);

pub(super) fn cases() -> Vec<Case> {
    let twins = FORMATS.iter().flat_map(|format| {
        let levels = format.decoders().filter(|(level, _)| *level != Level::Scalar);
        levels.map(move |(level, decode)| {
            let name = format!("twins::{}::{}", format.name, format!("{level:?}").to_lowercase());
            Case::new(name, move |run| every_byte_everywhere(format, decode, run))
        })
    });
    twins.collect()
}

fn every_byte_everywhere(format: &Format, decode: Decode, run: &mut Run) -> Result<(), Failure> {
    let scalar = format.scalar.ok_or("no scalar twin")?;
    let mut decoded = 0;
    for n_blocks in 0..=MOST_BLOCKS {
        // Byte `at` of round `round` runs through all values as the rounds go by, and neighbours
        // never run in step.
        for round in 0..256usize {
            let bytes: Vec<u8> = (0..n_blocks * format.block_bytes)
                .map(|at| (round + at * 167 + (at / 7) * round) as u8)
                .collect();
            let mut want = vec![0.0; n_blocks * format.block_len];
            scalar(&bytes, &mut want);
            let mut found = vec![UNTOUCHED; want.len() + 2 * GUARD];
            decode(&bytes, &mut found[GUARD..GUARD + want.len()]);
            equal(&want, &found).map_err(|e| format!("{n_blocks} blocks, round {round}: {e}"))?;
            decoded += want.len();
        }
    }
    run.figure("values compared", decoded as f64, "");
    Ok(())
}

fn equal(want: &[f32], found: &[f32]) -> Result<(), String> {
    let (before, rest) = found.split_at(GUARD);
    let (found, after) = rest.split_at(want.len());
    let touched = |value: &f32| value.to_bits() != UNTOUCHED.to_bits();
    if before.iter().chain(after).any(touched) {
        return Err("wrote beside its output".into());
    }
    let same = |(want, found): (&f32, &f32)| {
        want.to_bits() == found.to_bits() || want.is_nan() && found.is_nan()
    };
    match want.iter().zip(found).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "element {at}: {:08x} ({:e}) wanted, {:08x} ({:e}) found",
            want[at].to_bits(),
            want[at],
            found[at].to_bits(),
            found[at]
        )),
    }
}
