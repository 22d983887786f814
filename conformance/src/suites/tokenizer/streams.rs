//! `tokenizer::stream::` — text that comes out id by id is the text that comes out at once: never a
//! broken character, never a part of a stop string.

use super::shapes;
use super::tiktoken::O200K_HARMONY;
use super::toys;
use crate::property;
use engine::tokenizer::{EncodeOptions, StopHolder, TextStream, Tokenizer};
use harness::{Case, Failure};
use proptest::prelude::any;

pub(super) fn cases() -> Vec<Case> {
    let texts = property::case_with(
        "tokenizer::stream::o200k-harmony::random",
        shapes::texts(12),
        |fragments| format!("text = {:?}", fragments.concat()),
        |fragments| {
            let tokenizer = &O200K_HARMONY.made()?.tokenizer;
            let ids = tokenizer.encode(fragments.concat(), EncodeOptions::PLAIN)?;
            equal_at_once(tokenizer, &ids)
        },
    );
    let any_ids = |name: &str, vocabulary: fn() -> Result<Tokenizer, String>, end: u32| {
        property::case_with(
            &format!("tokenizer::stream::{name}::any-ids"),
            proptest::collection::vec(0..end, 0..60),
            |ids| format!("ids = {ids:?}"),
            move |ids| equal_at_once(&vocabulary()?, ids),
        )
    };
    let stops = property::case_with(
        "tokenizer::stream::stop-strings",
        (shapes::texts(6), any::<u64>()),
        |(fragments, seed)| format!("text = {:?}\nseed = {seed}", fragments.concat()),
        |(fragments, seed)| stop_strings(&fragments.concat(), *seed),
    );
    let cases = [
        texts,
        any_ids("toy-bpe", || toys::tokenizer(&toys::bpe()), 270),
        any_ids("toy-spm", || toys::tokenizer(&toys::spm()), 291),
        stops,
        Case::new("tokenizer::stream::emoji-of-four-tokens", |_| emoji()),
        Case::new("tokenizer::stream::stop-spans-tokens", |_| stop_spans_tokens()),
        Case::new("tokenizer::stream::id-beyond-vocabulary", |_| beyond()),
    ];
    cases.map(|case| case.requirements(["C18"])).into()
}

/// Pieces are text by their type; their concatenation is what decoding at once gives, with and
/// without special tokens, and no U+FFFD is shown that decoding at once would not show.
fn equal_at_once(tokenizer: &Tokenizer, ids: &[u32]) -> Result<(), Failure> {
    for special in [false, true] {
        let mut stream = TextStream::new(special);
        let mut pieces = Vec::new();
        for id in ids {
            pieces.push(stream.push(tokenizer, *id)?);
        }
        pieces.push(stream.finish());
        let (got, want) = (pieces.concat(), tokenizer.decode(ids, special)?);
        if got != want {
            return Err(format!("special {special}: {pieces:?}, at once {want:?}").into());
        }
    }
    Ok(())
}

/// A character of four tokens: three times nothing, then all of it.
fn emoji() -> Result<(), Failure> {
    let tokenizer = toys::tokenizer(&toys::bpe())?;
    let ids = tokenizer.encode("🫠!", EncodeOptions::PLAIN)?;
    let mut stream = TextStream::new(false);
    let pieces: Result<Vec<String>, _> =
        ids.iter().map(|id| stream.push(&tokenizer, *id)).collect();
    let pieces = pieces?;
    if pieces != ["", "", "", "🫠", "!"] {
        return Err(format!("pieces {pieces:?}").into());
    }
    // Cut after three: the end shows that something was there, once.
    let mut cut = TextStream::new(false);
    for id in &ids[..3] {
        cut.push(&tokenizer, *id)?;
    }
    match cut.finish().as_str() {
        "\u{fffd}" => Ok(()),
        text => Err(format!("a cut character ends as {text:?}").into()),
    }
}

/// The oracle for stop strings: look at the whole text.
fn stop_strings(text: &str, seed: u64) -> Result<(), Failure> {
    let mut rng = shapes::Rng(seed);
    let characters: Vec<char> = text.chars().collect();
    if characters.is_empty() {
        return Ok(());
    }
    // Stops are taken from the text, so that they are met, whole or nearly.
    let stops: Vec<String> = (0..1 + rng.below(3))
        .map(|_| {
            let start = rng.below(characters.len());
            let mut stop: String = characters[start..].iter().take(1 + rng.below(5)).collect();
            if rng.below(2) == 0 {
                stop.push('\u{1}');
            }
            stop
        })
        .collect();
    // The stop string that is complete first counts: nothing is generated after it.
    let ends = stops.iter().enumerate().filter_map(|(index, stop)| {
        let start = text.find(stop)?;
        Some((start + stop.len(), start, index))
    });
    let met = ends.min();
    let want = met.map_or(text, |(_, start, _)| &text[..start]);
    let mut holder = StopHolder::new(stops.clone());
    let (mut got, mut rest) = (String::new(), characters.as_slice());
    let mut stop = None;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + rng.below(4)).min(rest.len()));
        let shown = holder.push(&piece.iter().collect::<String>());
        got.push_str(&shown.text);
        if !want.starts_with(&got) {
            return Err(format!("shown {got:?}, which {want:?} does not begin with").into());
        }
        stop = shown.stop;
        rest = after;
    }
    got.push_str(&holder.finish());
    match (got == want, stop == met.map(|(_, _, index)| index)) {
        (true, true) => Ok(()),
        _ => Err(format!("stops {stops:?}: {got:?} and {stop:?}, wanted {want:?} {met:?}").into()),
    }
}

/// A stop string over three tokens, after a start that came to nothing.
fn stop_spans_tokens() -> Result<(), Failure> {
    let mut holder = StopHolder::new(["\n\nUser:", ""]);
    let pieces = ["Hi", "\n", "\nUs", " all", "\n\n", "Us", "er", ": more", " text"];
    let shown: Vec<_> = pieces.iter().map(|piece| holder.push(piece)).collect();
    let text: Vec<&str> = shown.iter().map(|shown| shown.text.as_str()).collect();
    let stops: Vec<_> = shown.iter().map(|shown| shown.stop).collect();
    let want = ["Hi", "", "", "\n\nUs all", "", "", "", "", ""];
    if text != want || stops[6].is_some() || stops[7] != Some(0) || stops[8] != Some(0) {
        return Err(format!("shown {text:?}, stops {stops:?}").into());
    }
    Ok(())
}

fn beyond() -> Result<(), Failure> {
    let tokenizer = toys::tokenizer(&toys::bpe())?;
    let streamed = TextStream::new(false).push(&tokenizer, 270).err();
    let decoded = tokenizer.decode(&[1, 270], false).err();
    for told in [streamed, decoded] {
        let told = told.ok_or("id 270 of 270 was decoded")?.to_string();
        if !told.contains("270") {
            return Err(format!("the error does not name the id: {told}").into());
        }
    }
    Ok(())
}
