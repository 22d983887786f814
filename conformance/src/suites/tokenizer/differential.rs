//! `tokenizer::differential::` — our BPE against tiktoken on random texts and on every code point,
//! and what must hold for any text: it comes back, and encoding settles after one round.

use super::same_ids;
use super::shapes::{self, SHAPES};
use super::tiktoken::{Family, GPT2, O200K_HARMONY};
use crate::property;
use engine::tokenizer::{EncodeOptions, Tokenizer};
use harness::{Case, Failure, Run};
use proptest::prelude::any;

/// tiktoken-rs gives up on long runs of one class; none of our texts for it is longer than this.
const ORACLE_BYTES: usize = 100_000;

pub(super) fn cases() -> Vec<Case> {
    let name = "tokenizer::differential::o200k-harmony::merges";
    let mut cases = vec![Case::new(name, |_| o200k_merges())];
    for family in [&O200K_HARMONY, &GPT2] {
        let name = |what: &str| format!("tokenizer::differential::{}::{what}", family.name);
        let random = property::case_with(
            &name("random"),
            shapes::texts(24),
            |fragments| format!("text = {:?}", fragments.concat()),
            |fragments| equals_oracle(family, &fragments.concat()),
        );
        let special = property::case_with(
            &name("special-tokens"),
            shapes::texts(12),
            |fragments| format!("text = {:?}", fragments.concat()),
            |fragments| equals_oracle_with_special(family, &fragments.concat()),
        );
        let bytes = property::case_with(
            &name("any-bytes-come-back"),
            proptest::collection::vec(any::<u8>(), 0..300),
            |bytes| format!("bytes = {bytes:?}"),
            |bytes| comes_back(&family.made()?.tokenizer, bytes),
        );
        cases.extend(SHAPES.iter().map(|shape| {
            let name = name(&format!("shape::{}", shape.name));
            Case::new(name, move |_| {
                (0..60).try_for_each(|seed| equals_oracle(family, &shapes::fragment(shape, seed)))
            })
        }));
        let each = Case::new(name("code-points"), |_| code_points(family));
        let long = Case::new(name("long-texts"), |run| long_texts(family, run));
        cases.extend([random, special, bytes, each, long].map(|case| case.requirements(["C13"])));
    }
    cases
}

fn equals_oracle(family: &Family, text: &str) -> Result<(), Failure> {
    let tokenizer = &family.made()?.tokenizer;
    let got = tokenizer.encode(text, EncodeOptions::PLAIN)?;
    same_ids(tokenizer, text, &got, &(family.oracle)().encode_ordinary(text))?;
    comes_back(tokenizer, text.as_bytes())
}

fn equals_oracle_with_special(family: &Family, text: &str) -> Result<(), Failure> {
    let tokenizer = &family.made()?.tokenizer;
    let options = EncodeOptions { add_special: false, parse_special: true };
    let got = tokenizer.encode(text, options)?;
    same_ids(tokenizer, text, &got, &(family.oracle)().encode_with_special_tokens(text))?;
    match tokenizer.decode(&got, true)? == text {
        true => Ok(()),
        false => Err("with its special tokens written out, the text does not come back".into()),
    }
}

/// decode(encode(x)) == x, and the ids of what comes back are the same ids.
fn comes_back(tokenizer: &Tokenizer, bytes: &[u8]) -> Result<(), Failure> {
    let ids = tokenizer.encode(bytes, EncodeOptions::PLAIN)?;
    let back = tokenizer.decode_bytes(&ids, false)?;
    if back != bytes {
        let at = back.iter().zip(bytes).take_while(|(back, byte)| back == byte).count();
        return Err(format!(
            "{} bytes come back as {}; byte {at} differs",
            bytes.len(),
            back.len()
        )
        .into());
    }
    same_ids(tokenizer, bytes, &tokenizer.encode(&back, EncodeOptions::PLAIN)?, &ids)
}

/// Every code point that is a character, alone.
fn code_points(family: &Family) -> Result<(), Failure> {
    let tokenizer = &family.made()?.tokenizer;
    let oracle = (family.oracle)();
    let mut buffer = [0; 4];
    for character in
        ('\0'..=char::MAX).filter(|c| u32::from(*c) < 0x3_4000 || u32::from(*c) >= 0xe_0000)
    {
        // Two planes of private use and nothing else: the first and last thousand will do.
        if (0xf_0400..0x10_fc00).contains(&u32::from(character)) {
            continue;
        }
        let text: &str = character.encode_utf8(&mut buffer);
        let got = tokenizer.encode(text, EncodeOptions::PLAIN)?;
        same_ids(tokenizer, text, &got, &oracle.encode_ordinary(text))?;
    }
    Ok(())
}

/// gpt-oss's published file holds this many merges; a converter that makes others makes other ids.
const O200K_MERGES: usize = 446_189;

fn o200k_merges() -> Result<(), Failure> {
    match O200K_HARMONY.made()?.metadata.strings("tokenizer.ggml.merges")?.len() {
        O200K_MERGES => Ok(()),
        count => Err(format!("{count} merges, the published file has {O200K_MERGES}").into()),
    }
}

/// Texts long enough to fill and evict the word cache.
fn long_texts(family: &Family, run: &mut Run) -> Result<(), Failure> {
    let mut bytes = 0;
    for seed in 0..8 {
        let mut rng = shapes::Rng(seed);
        let mut text = String::new();
        while text.len() < ORACLE_BYTES {
            let shape = &SHAPES[rng.below(SHAPES.len())];
            text.push_str(&shapes::fragment(shape, rng.next()));
        }
        equals_oracle(family, &text)?;
        bytes += text.len();
    }
    run.figure("text", bytes as f64, "B");
    Ok(())
}
