//! Sampling as its definitions read, in f64: everything is sorted, nothing is fast. Judges the
//! engine only after it has agreed with the vectors that were worked out by hand.

/// What to do with a row of logits.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the names are those of the parameters; a vector case says what each does
pub struct Rules {
    pub temperature: f64,
    pub top_k: usize,
    pub top_p: f64,
    pub min_p: f64,
    pub repetition: f64,
    pub frequency: f64,
    pub presence: f64,
    pub window: usize,
    pub bias: Vec<(u32, f64)>,
}

/// The tokens that are left, in order of id, each with its probability.
pub fn distribution(logits: &[f32], history: &[u32], rules: &Rules) -> Vec<(u32, f64)> {
    let mut left: Vec<(u32, f64)> = adjusted(logits, history, rules);
    left.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if rules.temperature == 0.0 {
        return vec![(left[0].0, 1.0)];
    }
    if rules.top_k > 0 {
        left.truncate(rules.top_k);
    }
    if rules.top_p < 1.0 {
        let mut sum = 0.0;
        let probabilities = softmax(&left, 1.0);
        let reached = probabilities.iter().position(|(_, p)| {
            sum += p;
            sum >= rules.top_p
        });
        left.truncate(reached.map_or(left.len(), |last| last + 1));
    }
    let probabilities = softmax(&left, 1.0);
    let least = rules.min_p * probabilities[0].1;
    left.truncate(probabilities.iter().take_while(|(_, p)| *p >= least).count());
    let mut left = softmax(&left, rules.temperature);
    left.sort_by_key(|(id, _)| *id);
    left
}

/// The token at which the sum of the probabilities, in order of id, goes beyond `u`.
pub fn pick(distribution: &[(u32, f64)], u: f64) -> Option<u32> {
    let mut sum = 0.0;
    let passed = distribution.iter().find(|(_, p)| {
        sum += p;
        sum > u
    });
    passed.map(|(id, _)| *id)
}

/// The logarithm of every token's probability under the row itself.
pub fn logprobs(logits: &[f32]) -> Vec<f64> {
    let row = logits.iter().enumerate().map(|(id, logit)| (id as u32, f64::from(*logit)));
    let row: Vec<_> = row.collect();
    let largest = largest(&row);
    // The smallest terms first, so that none is lost.
    let mut terms: Vec<f64> = row.iter().map(|(_, logit)| (logit - largest).exp()).collect();
    terms.sort_by(f64::total_cmp);
    let normaliser = terms.iter().sum::<f64>().ln();
    row.iter().map(|(_, logit)| logit - largest - normaliser).collect()
}

/// The ids of the `n` likeliest, of equals the lower first.
pub fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    // Adding 0 makes both zeros one.
    let key = |id: &u32| f64::from(logits[*id as usize]) + 0.0;
    ids.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.cmp(b)));
    ids.truncate(n);
    ids
}

fn adjusted(logits: &[f32], history: &[u32], rules: &Rules) -> Vec<(u32, f64)> {
    let window = &history[history.len() - history.len().min(rules.window)..];
    let one = |(id, logit): (usize, &f32)| {
        let id = id as u32;
        let mut logit = f64::from(*logit);
        if let Some((_, add)) = rules.bias.iter().find(|(biased, _)| *biased == id) {
            logit = stored(logit + add);
        }
        let count = window.iter().filter(|seen| **seen == id).count();
        if count > 0 {
            logit = if logit > 0.0 { logit / rules.repetition } else { logit * rules.repetition };
            logit = stored(logit - (count as f64 * rules.frequency + rules.presence));
        }
        (id, logit + 0.0)
    };
    logits.iter().enumerate().map(one).collect()
}

/// A logit is an f32, and stays finite.
fn stored(logit: f64) -> f64 {
    let most = f64::from(f32::MAX);
    f64::from(logit.max(-most).min(most) as f32)
}

fn largest(row: &[(u32, f64)]) -> f64 {
    row.iter().map(|(_, logit)| *logit).fold(f64::NEG_INFINITY, f64::max)
}

fn softmax(row: &[(u32, f64)], temperature: f64) -> Vec<(u32, f64)> {
    let largest = largest(row);
    let weight = |logit: f64| ((logit - largest) / temperature).exp();
    let total: f64 = row.iter().map(|(_, logit)| weight(*logit)).sum();
    row.iter().map(|(id, logit)| (*id, weight(*logit) / total)).collect()
}

/// Philox4x32-10 with 128-bit arithmetic, straight from the paper's description: counter words
/// (L0, R0, L1, R1), keys that grow by Weyl's sequence.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut words = counter.map(u128::from);
    for round in 0..10_u128 {
        let key0 = (u128::from(key[0]) + round * 0x9E37_79B9) % (1 << 32);
        let key1 = (u128::from(key[1]) + round * 0xBB67_AE85) % (1 << 32);
        let (wide0, wide1) = (words[0] * 0xD251_1F53, words[2] * 0xCD9E_8D57);
        words = [
            (wide1 >> 32) ^ words[1] ^ key0,
            wide1 % (1 << 32),
            (wide0 >> 32) ^ words[3] ^ key1,
            wide0 % (1 << 32),
        ];
    }
    words.map(|word| word as u32)
}

/// The number that decides a token.
pub fn uniform(seed: u64, position: u64) -> f64 {
    let halves = |word: u64| [word as u32, (word >> 32) as u32];
    let ([low, high], key) = (halves(position), halves(seed));
    let words = philox([low, high, 0, 0], key);
    let upper = f64::from(words[0]) / 2f64.powi(32);
    upper + f64::from(words[1] >> 11) / 2f64.powi(53)
}
