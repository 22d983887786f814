//! `sampler::statistics::` — whether draws, taken together, have the distribution that each of them
//! claims. Pearson's chi-square over draws keyed by position, with fixed seeds: what these cases
//! say today they say every day. The bounds are those that a true sampler with a fresh seed would
//! exceed once in a million runs.

use crate::reference::sampler as reference;
use engine::sampler::{self, SamplerParams, Step};
use harness::{Case, Failure, Run};

const DRAWS: u64 = 200_000;
/// Standard normal quantile of 1 - 1e-6.
const ONE_IN_A_MILLION: f64 = 4.753_424;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("sampler::statistics::{name}"), body)
    };
    vec![
        case("distribution", distribution),
        case("seeds", seeds),
        case("neighbours", neighbours),
        case("catches-wrong-samplers", catches),
    ]
}

/// 24 tokens, from common to rare; the rarest is still expected hundreds of times.
fn row() -> Vec<f32> {
    (0..24).map(|id| (id * 7 % 24) as f32 * -0.2).collect()
}

fn warm() -> SamplerParams {
    SamplerParams { temperature: 0.8, top_p: 0.98, ..SamplerParams::default() }
}

fn drawn(seed: u64, position: u64, params: &SamplerParams) -> Result<u32, Failure> {
    let step = Step { logits: &row(), history: &[], seed, position };
    Ok(sampler::sample(&step, params)?.id)
}

/// What the rules say, for these parameters.
fn claimed(params: &SamplerParams) -> Vec<f64> {
    let rules = super::vectors::rules(params);
    let mut all = vec![0.0; row().len()];
    for (id, p) in reference::distribution(&row(), &[], &rules) {
        all[id as usize] = p;
    }
    all
}

/// A chi-square statistic and the bound that chance exceeds once in a million.
struct Judged {
    statistic: f64,
    bound: f64,
}

impl Judged {
    /// Counts against probabilities; what cannot happen must not.
    fn of(counts: &[u64], probabilities: &[f64]) -> Result<Judged, Failure> {
        let total: u64 = counts.iter().sum();
        let (mut statistic, mut cells) = (0.0, 0);
        for (cell, (count, p)) in counts.iter().zip(probabilities).enumerate() {
            let expected = p * total as f64;
            match (*count, expected) {
                (0, 0.0) => continue,
                (_, 0.0) => return Err(format!("cell {cell} has {count}, can have none").into()),
                (_, few) if few < 20.0 => {
                    return Err(format!("cell {cell} expects {few}: too few to judge").into());
                }
                _ => {}
            }
            statistic += (*count as f64 - expected).powi(2) / expected;
            cells += 1;
        }
        // Wilson and Hilferty: the cube root of chi-square over its freedom is nearly normal.
        let freedom = f64::from(cells - 1);
        let spread = 2.0 / (9.0 * freedom);
        let bound = freedom * (1.0 - spread + ONE_IN_A_MILLION * spread.sqrt()).powi(3);
        Ok(Judged { statistic, bound })
    }

    fn fits(&self) -> bool {
        self.statistic <= self.bound
    }

    fn must_fit(&self, run: &mut Run, what: &str) -> Result<(), Failure> {
        run.figure(&format!("chi-square {what}"), self.statistic, "");
        run.figure(&format!("bound {what}"), self.bound, "");
        match self.fits() {
            true => Ok(()),
            false => Err(format!("{what}: {} > {}", self.statistic, self.bound).into()),
        }
    }
}

fn counted(ids: impl Iterator<Item = Result<u32, Failure>>) -> Result<Vec<u64>, Failure> {
    let mut counts = vec![0; row().len()];
    for id in ids {
        counts[id? as usize] += 1;
    }
    Ok(counts)
}

fn distribution(run: &mut Run) -> Result<(), Failure> {
    super::reference_is_judged()?;
    for (what, seed, params) in
        [("plain", 7, SamplerParams::default()), ("temperature and top-p", 8, warm())]
    {
        let counts = counted((0..DRAWS).map(|position| drawn(seed, position, &params)))?;
        Judged::of(&counts, &claimed(&params))?.must_fit(run, what)?;
    }
    Ok(())
}

/// The first tokens of many generations: seeds that follow each other are as good as any.
fn seeds(run: &mut Run) -> Result<(), Failure> {
    super::reference_is_judged()?;
    for (what, shift) in [("low seeds", 0), ("high seeds", 32)] {
        let counts = counted((0..DRAWS).map(|seed| drawn(seed << shift, 17, &warm())))?;
        Judged::of(&counts, &claimed(&warm()))?.must_fit(run, what)?;
    }
    Ok(())
}

/// A draw says nothing about the next one, nor about the same place under the next seed.
fn neighbours(run: &mut Run) -> Result<(), Failure> {
    let coin = |seed, position| (sampler::uniform(seed, position) * 16.0) as usize;
    for (what, seed_step, position_step) in [("positions", 0, 1), ("seeds", 1, 0)] {
        let mut counts = vec![0; 256];
        for place in 0..DRAWS {
            let (seed, position) = (3 + place * seed_step, 5 + place * position_step);
            let next = coin(seed + seed_step, position + position_step);
            counts[16 * coin(seed, position) + next] += 1;
        }
        Judged::of(&counts, &[1.0 / 256.0; 256])?.must_fit(run, what)?;
    }
    Ok(())
}

/// The token that is drawn at a position.
type Sampler<'s> = Box<dyn Fn(u64) -> Result<u32, Failure> + 's>;

/// Samplers that are wrong in ways that have happened; the statistic must see each of them.
fn catches(run: &mut Run) -> Result<(), Failure> {
    super::reference_is_judged()?;
    let kept = reference::distribution(&row(), &[], &super::vectors::rules(&warm()));
    let pick = |u: f64| reference::pick(&kept, u).ok_or_else(|| Failure::from("nothing drawn"));
    let u = |position| reference::uniform(8, position);
    let hotter = SamplerParams { temperature: 0.85, ..warm() };
    let unlike = SamplerParams { temperature: 1.0, ..warm() };
    let wrong: [(&str, Sampler<'_>); 6] = [
        ("temperature forgotten", Box::new(|at| drawn(8, at, &unlike))),
        ("temperature a little off", Box::new(|at| drawn(8, at, &hotter))),
        ("seven random bits", Box::new(|at| pick((u(at) * 128.0).floor() / 128.0))),
        ("position ignored", Box::new(|_| pick(u(0)))),
        ("position cut to 8 bits", Box::new(|at| pick(u(at % 256)))),
        ("the last token never drawn", Box::new(|at| pick(u(at) * (1.0 - 0.02)))),
    ];
    for (what, sampler) in wrong {
        let counts = counted((0..DRAWS).map(sampler))?;
        let judged = Judged::of(&counts, &claimed(&warm()))?;
        run.figure(what, judged.statistic / judged.bound, "× bound");
        if judged.fits() {
            let Judged { statistic, bound } = judged;
            return Err(format!("{what}: {statistic} within {bound}: not seen").into());
        }
    }
    // The same draws from the reference's own true sampler must pass.
    let counts = counted((0..DRAWS).map(|position| pick(u(position))))?;
    Judged::of(&counts, &claimed(&warm()))?.must_fit(run, "reference")
}
