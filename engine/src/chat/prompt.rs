//! From a conversation to the ids of a prompt. Control tokens are those that the template writes:
//! what somebody says stays text, even where it looks like one. Knows no template and no token.
//!
//! How it is told apart: the template renders the conversation twice, as it is and with everything
//! that was said marked (see [`Guard`](crate::tokenizer::Guard)). If both say the same but for the
//! marks, the template passes on what it is given and the second shows who wrote what. If not, it
//! decides by what is said, and the conversation is refused rather than guessed at. For gpt-oss
//! there is a way without either: [`encode_harmony`].

use super::harmony::{Marker, Piece};
use super::template::{Input, Template};
use crate::error::{Error, Result, shown};
use crate::tokenizer::{EncodeOptions, TokenType, Tokenizer};

/// Names that templates have for tokens with a job.
const NAMES: &[(&str, &str)] = &[
    ("bos", "bos_token"),
    ("eos", "eos_token"),
    ("unknown", "unk_token"),
    ("padding", "pad_token"),
];

/// What a template calls the vocabulary's tokens, and their texts.
pub fn special_tokens(tokenizer: &Tokenizer) -> Result<Vec<(String, String)>> {
    let mut tokens = Vec::new();
    for (job, name) in NAMES {
        if let Some(id) = tokenizer.info().special(job) {
            tokens.push((name.to_string(), tokenizer.decode(&[id], true)?));
        }
    }
    Ok(tokens)
}

/// The ids of the rendered conversation.
pub fn encode(template: &Template, input: &Input, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let text = template.render(input)?;
    let guard = tokenizer.guard(&text)?;
    let Some(marked) = template.render_marked(input, &|said| guard.mark(said)) else {
        return tokenizer.encode(&text, EncodeOptions::PROMPT);
    };
    let marked = marked.map_err(|error| undecided(&error.to_string()))?;
    let again = guard.restore(&marked);
    if again != text {
        let same = again.bytes().zip(text.bytes()).take_while(|(again, text)| again == text);
        let at = same.count();
        let rest = &text.as_bytes()[at..text.len().min(at + 40)];
        return Err(undecided(&format!("from byte {at} of the prompt on: {}", shown(rest))));
    }
    tokenizer.encode_guarded(&marked, &guard)
}

/// The ids of a conversation as [`harmony::Prompt`](super::harmony::Prompt) writes it. Markers and
/// text are apart already, so there is nothing to tell and nothing to refuse.
pub fn encode_harmony(pieces: &[Piece], tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Marker(marker) => ids.push(marker_id(*marker, tokenizer)?),
            Piece::Text(text) => ids.extend(tokenizer.encode(text, EncodeOptions::PLAIN)?),
        }
    }
    Ok(ids)
}

fn marker_id(marker: Marker, tokenizer: &Tokenizer) -> Result<u32> {
    let alone = EncodeOptions { add_special: false, parse_special: true };
    match tokenizer.encode(marker.as_str(), alone)?[..] {
        [id] if tokenizer.kind(id) != Some(TokenType::Normal) => Ok(id),
        _ => Err(Error::Usage(format!(
            "the vocabulary of {} tokens has no token {:?}: it is not one of harmony's",
            tokenizer.info().n_vocab,
            marker.as_str(),
        ))),
    }
}

fn undecided(detail: &str) -> Error {
    Error::Usage(format!(
        "the chat template decides by what a message says, so that control tokens in a message \
         cannot be told from its own: {detail}"
    ))
}
