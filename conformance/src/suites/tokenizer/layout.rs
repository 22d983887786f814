//! `tokenizer::layout::` — a vocabulary means the same in whatever order a file lists it and
//! however long its tokens are. The judge merges texts, not ids, and knows no table.

use super::shapes::Rng;
use super::{same_ids, toys};
use crate::property;
use engine::loader::gguf::{Metadata, Strings};
use engine::tokenizer::{EncodeOptions, TokenType, gpt2_text};
use harness::{Case, Failure};
use proptest::prelude::any;
use std::collections::HashSet;

pub(super) fn cases() -> Vec<Case> {
    let any_order = property::case_with(
        "tokenizer::layout::any-order-and-length",
        any::<u64>(),
        |seed| format!("seed = {seed}"),
        |seed| any_order(*seed),
    );
    vec![any_order.requirements(["C13"])]
}

/// Letters of one, two and three bytes: of one class, so that a word is never cut.
const LETTERS: [&str; 6] = ["a", "b", "c", "é", "ж", "语"];
const LEARNED: usize = 120;

/// Random merges of what there is already, so that some tokens are much longer than others.
fn merges(rng: &mut Rng) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut tokens: Vec<Vec<u8>> = LETTERS.iter().map(|text| text.as_bytes().to_vec()).collect();
    let (mut letters, mut known) = (Vec::new(), HashSet::new());
    for letter in &tokens {
        // The bytes of a letter come together first.
        for end in 2..=letter.len() {
            letters.push((letter[..end - 1].to_vec(), letter[end - 1..end].to_vec()));
        }
    }
    let mut merges = letters;
    while merges.len() < LEARNED {
        let mut part = || tokens[rng.below(tokens.len())].clone();
        let (left, right) = (part(), part());
        let made = [&left[..], &right].concat();
        if made.len() <= 70 && known.insert(made.clone()) {
            merges.push((left, right));
            tokens.push(made);
        }
    }
    merges
}

/// The bytes and what is merged of them, in a random order.
fn vocabulary(merges: &[(Vec<u8>, Vec<u8>)], rng: &mut Rng) -> (Metadata, Vec<Vec<u8>>) {
    let made = merges.iter().map(|(left, right)| [&left[..], right].concat());
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).chain(made).collect();
    for place in (1..tokens.len()).rev() {
        tokens.swap(place, rng.below(place + 1));
    }
    let line =
        |(left, right): &(Vec<u8>, Vec<u8>)| format!("{} {}", gpt2_text(left), gpt2_text(right));
    let mut metadata = toys::bpe();
    metadata
        .set("tokenizer.ggml.tokens", tokens.iter().map(|t| gpt2_text(t)).collect::<Strings>())
        .set("tokenizer.ggml.token_type", vec![TokenType::Normal as i32; tokens.len()])
        .set("tokenizer.ggml.merges", merges.iter().map(line).collect::<Strings>())
        .set("tokenizer.ggml.bos_token_id", 0_u32)
        .set("tokenizer.ggml.eos_token_id", 1_u32);
    (metadata, tokens)
}

/// Of all neighbours, those that were listed first become one, the leftmost first.
fn merged(text: &str, merges: &[(Vec<u8>, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = text.bytes().map(|byte| vec![byte]).collect();
    loop {
        let rank = |pair: &[Vec<u8>]| {
            merges.iter().position(|(left, right)| *left == pair[0] && *right == pair[1])
        };
        let ranks = parts.windows(2).enumerate().filter_map(|(at, pair)| Some((rank(pair)?, at)));
        let Some((_, at)) = ranks.min() else { return parts };
        let right = parts.remove(at + 1);
        parts[at].extend(right);
    }
}

fn any_order(seed: u64) -> Result<(), Failure> {
    let mut rng = Rng(seed);
    let merges = merges(&mut rng);
    let (metadata, tokens) = vocabulary(&merges, &mut rng);
    let tokenizer = toys::tokenizer(&metadata)?;
    for (id, token) in tokens.iter().enumerate() {
        if tokenizer.piece(id as u32) != Some(token) {
            return Err(format!("token {id} is not {:?}", String::from_utf8_lossy(token)).into());
        }
    }
    let learned = &merges[rng.below(merges.len())];
    let mut text = String::from_utf8_lossy(&[&learned.0[..], &learned.1].concat()).into_owned();
    for _ in 0..rng.below(40) {
        text.push_str(LETTERS[rng.below(LETTERS.len())]);
    }
    let got = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
    let want: Vec<u32> = merged(&text, &merges)
        .iter()
        .map(|part| tokens.iter().position(|token| token == part).unwrap_or_default() as u32)
        .collect();
    same_ids(&tokenizer, &text, &got, &want)?;
    match tokenizer.decode_bytes(&got, false)? == text.as_bytes() {
        true => Ok(()),
        false => Err(format!("{text:?} does not come back").into()),
    }
}
