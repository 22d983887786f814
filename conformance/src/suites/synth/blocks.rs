//! Blocks of every format: the standard deviation that was asked for, no mean, no row that leans,
//! every code in use, and only numbers.

use engine::quant::{self, Format};
use engine::synth::{Key, Recipe};
use harness::{Case, Failure, Run};

/// What a weight of a row of 2880 usually has.
const STD: f32 = 0.018_6;
const ROW: usize = 2560;
const ROWS: usize = 256;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = quant::FORMATS
        .iter()
        .filter(|format| format.scalar.is_some())
        .map(|format| {
            Case::new(format!("synth::blocks::{}", format.name), move |run| spread(format, run))
        })
        .collect();
    cases.push(Case::new("synth::blocks::a-mean-needs-plain-numbers", mean));
    cases.push(Case::new("synth::blocks::any-part-alone", parts));
    cases
}

fn values(format: &Format, recipe: &Recipe, seed: u64) -> Result<(Vec<u8>, Vec<f32>), Failure> {
    let decode = format.scalar.ok_or("no decoder")?;
    let mut bytes = vec![0; ROW * ROWS / format.block_len * format.block_bytes];
    recipe.fill(Key::new(seed, "tensor"), 0, &mut bytes);
    let mut values = vec![0.0; ROW * ROWS];
    decode(&bytes, &mut values);
    Ok((bytes, values))
}

fn spread(format: &'static Format, run: &mut Run) -> Result<(), Failure> {
    let recipe = Recipe::new(format, 0.0, STD).ok_or("a format that can be decoded is not made")?;
    let (bytes, values) = values(format, &recipe, 1)?;
    format.check(&bytes).map_err(|defect| defect.to_string())?;
    let count = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let energy = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count;
    let std = energy.sqrt() / f64::from(STD);
    run.figure("std, as a share of what was asked for", std, "");
    // NVFP4 has eight scales between two powers of two, and few of them down here.
    let allowed = if format.name == "NVFP4" { 0.06 } else { 0.02 };
    if (std - 1.0).abs() > allowed {
        return Err(format!("standard deviation {std} of what was asked for").into());
    }
    // Independent values would stay within 4 / sqrt(655360) = 0.005; blocks that lean, each its
    // own way, within a few times that. A format that leans to one side is at 0.03 and more.
    let lean = mean / f64::from(STD);
    run.figure("mean, in standard deviations", lean, "");
    if lean.abs() > 0.015 {
        return Err(format!("a mean of {lean} standard deviations").into());
    }
    // What a row adds up to, against what independent values would: 1.
    let sums = values.chunks_exact(ROW).map(|row| row.iter().map(|x| f64::from(*x)).sum::<f64>());
    let sums = sums.map(|sum| sum.powi(2)).sum::<f64>() / ROWS as f64;
    let rows = (sums / (energy * ROW as f64)).sqrt();
    run.figure("spread of row sums, against independent values", rows, "");
    match rows < 2.0 {
        true => Ok(()),
        false => Err(format!("row sums spread {rows} times as far as independent values").into()),
    }
}

fn mean(_: &mut Run) -> Result<(), Failure> {
    for name in ["F32", "F16", "BF16"] {
        let format = quant::by_name(name).ok_or("no format")?;
        let recipe = Recipe::new(format, 1.0, 0.1).ok_or("a mean is refused")?;
        let (_, values) = values(format, &recipe, 2)?;
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        if (mean - 1.0).abs() > 0.01 || values.iter().any(|x| (x - 1.0).abs() > 0.2) {
            return Err(format!("{name}: mean {mean}, or values far from it").into());
        }
    }
    let quantised = quant::by_name("Q8_0").ok_or("no format")?;
    match Recipe::new(quantised, 1.0, 0.1) {
        Some(_) => Err("Q8_0 around 1 was promised".into()),
        None => Ok(()),
    }
}

/// A block is the same whether its neighbours are made or not, and no two seeds, names or blocks
/// are alike.
fn parts(_: &mut Run) -> Result<(), Failure> {
    for name in ["F32", "BF16", "Q8_0", "MXFP4", "Q4_K"] {
        let format = quant::by_name(name).ok_or("no format")?;
        let recipe = Recipe::new(format, 0.0, STD).ok_or("not made")?;
        let unit = recipe.blocks_a_counter() * format.block_bytes;
        let make = |seed: u64, name: &str, first: usize, count: usize| {
            let mut bytes = vec![0; count * unit];
            let first = (first * recipe.blocks_a_counter()) as u64;
            recipe.fill(Key::new(seed, name), first, &mut bytes);
            bytes
        };
        let whole = make(7, "tensor", 0, 9);
        if make(7, "tensor", 3, 4) != whole[3 * unit..7 * unit] {
            return Err(format!("{name}: blocks 3 to 7 alone are other blocks").into());
        }
        let others = [make(8, "tensor", 0, 9), make(7, "sensor", 0, 9), make(7, "tensor", 9, 9)];
        for (index, other) in others.iter().enumerate() {
            let alike = other.chunks(unit).filter(|block| whole.chunks(unit).any(|b| b == *block));
            if alike.count() > 0 {
                return Err(format!("{name}: variant {index} repeats a block").into());
            }
        }
    }
    Ok(())
}
