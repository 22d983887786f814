//! Choosing one token of gpt-oss's vocabulary from a row such as models make: most logits lie far
//! below the best. Bytes are those of the row.

use super::{Bench, Work};
use engine::sampler::{self, SamplerParams, Step};
use harness::Failure;

const N_VOCAB: usize = 201_088;

pub(super) fn benches() -> Vec<Bench> {
    let usual = SamplerParams::default;
    let rows = [
        ("greedy", SamplerParams::greedy()),
        ("temperature", SamplerParams { temperature: 0.8, ..usual() }),
        ("top-k", SamplerParams { temperature: 0.8, top_k: 40, ..usual() }),
        ("top-p", SamplerParams { temperature: 0.8, top_p: 0.95, ..usual() }),
        ("min-p", SamplerParams { temperature: 0.8, min_p: 0.05, ..usual() }),
        (
            "chain",
            SamplerParams { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, ..usual() },
        ),
        ("penalties", SamplerParams { repetition_penalty: 1.1, top_k: 40, ..usual() }),
        ("logprobs", SamplerParams { top_logprobs: Some(20), top_k: 40, ..usual() }),
    ];
    let bench = |(name, params): (&str, SamplerParams)| Bench {
        name: format!("bench::sampler::{name}"),
        verb: "choose",
        bytes: N_VOCAB * size_of::<f32>(),
        operations_per_byte: 0.0,
        baseline: None,
        needs: None,
        setup: Box::new(move |_| Ok(Box::new(Choosing::new(params.clone())))),
    };
    rows.into_iter().map(bench).collect()
}

struct Choosing {
    logits: Vec<f32>,
    history: Vec<u32>,
    params: SamplerParams,
    position: u64,
    chosen: Option<u32>,
}

impl Choosing {
    fn new(params: SamplerParams) -> Self {
        // Twelve uniform numbers make a bell; logits of a vocabulary look like one with a spread
        // of about 3, and a few tokens far above it.
        let bell = |id: u64| (0..12).map(|part| sampler::uniform(id, part)).sum::<f64>() - 6.0;
        let mut logits: Vec<f32> = (0..N_VOCAB as u64).map(|id| 3.0 * bell(id) as f32).collect();
        for (place, id) in (0..N_VOCAB).step_by(9_973).enumerate() {
            logits[id] = 24.0 - place as f32 / 2.0;
        }
        let history = (0..64).map(|place| place * 37 % 2_000).collect();
        Choosing { logits, history, params, position: 0, chosen: None }
    }
}

impl Work for Choosing {
    fn run(&mut self) {
        self.position += 1;
        let logits = std::hint::black_box(&self.logits);
        let step = Step { logits, history: &self.history, seed: 1, position: self.position };
        self.chosen = sampler::sample(&step, &self.params).ok().map(|choice| choice.id);
    }

    fn check(&self) -> Result<(), Failure> {
        let chosen = self.chosen.ok_or("nothing was chosen")?;
        let logit = self.logits[chosen as usize];
        // What lies 30 below the best is not drawn in any number of runs that a benchmark makes.
        match logit > 24.0 - 30.0 {
            true => Ok(()),
            false => Err(format!("chose {chosen}, whose logit is {logit}").into()),
        }
    }
}
