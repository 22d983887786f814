//! A SentencePiece vocabulary of Llama's size without a file: the first words and parts of words of
//! o200k with scores in their order, characters, and the 256 bytes.

use engine::loader::gguf::{Metadata, Strings};
use engine::tokenizer::TokenType;
use std::collections::HashMap;
use tiktoken_rs::CoreBPE;

/// As in Llama 2 and Phi-3.
const TOKENS: usize = 32_000;
/// After `<unk> <s> </s>`.
pub(super) const FIRST_BYTE: u32 = 3;
const FIRST_PIECE: usize = FIRST_BYTE as usize + 256;

/// Pieces in SentencePiece's writing, the best first.
fn pieces(o200k: &CoreBPE) -> Vec<String> {
    let mut pieces: Vec<String> = vec!["▁".into()];
    for id in 0.. {
        if pieces.len() + FIRST_PIECE == TOKENS {
            break;
        }
        let Ok(token) = o200k.decode_bytes(&[id]) else { break };
        let Ok(text) = String::from_utf8(token) else { continue };
        let inner = text.trim_start_matches(' ');
        // Runs of spaces are pieces in Llama too; a space after something else never is.
        let fits = !text.contains(['\n', '\r', '\t', '\0']) && !inner.contains(' ');
        if fits && !text.is_empty() && text != " " {
            pieces.push(text.replace(' ', "▁"));
        }
    }
    pieces
}

/// As a GGUF file would hold it.
pub(super) fn metadata(o200k: &CoreBPE) -> Metadata {
    let mut tokens = Strings::from_iter(["<unk>", "<s>", "</s>"]);
    let mut types = vec![TokenType::Unknown, TokenType::Control, TokenType::Control];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255_u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        types.push(TokenType::Byte);
        scores.push(0.0);
    }
    for (place, piece) in pieces(o200k).iter().enumerate() {
        tokens.push(piece);
        types.push(TokenType::Normal);
        scores.push(-(place as f32));
    }
    let types: Vec<i32> = types.into_iter().map(|kind| kind as i32).collect();
    let mut metadata = Metadata::default();
    metadata
        .set("general.architecture", "llama")
        .set("tokenizer.ggml.model", "llama")
        .set("tokenizer.ggml.tokens", tokens)
        .set("tokenizer.ggml.token_type", types)
        .set("tokenizer.ggml.scores", scores)
        .set("tokenizer.ggml.bos_token_id", 1_u32)
        .set("tokenizer.ggml.eos_token_id", 2_u32)
        .set("tokenizer.ggml.unknown_token_id", 0_u32);
    metadata
}

/// Piece → id and score, for the encoder that judges.
pub(super) fn table(o200k: &CoreBPE) -> HashMap<String, (u32, f32)> {
    let pieces = pieces(o200k).into_iter().enumerate();
    pieces.map(|(place, piece)| (piece, ((place + FIRST_PIECE) as u32, -(place as f32)))).collect()
}
