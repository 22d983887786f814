//! Small vocabularies written by hand, as metadata of a GGUF file: enough for every rule that does
//! not need a real one, and the ground that malformed ones are made from.

use engine::loader::gguf::{Metadata, Strings};
use engine::tokenizer::{Options, TokenType, Tokenizer, gpt2_text};

/// Merges of the byte-level toy, in order.
const MERGES: &[(&str, &str)] = &[
    (" ", "t"),
    ("h", "e"),
    (" t", "he"),
    ("i", "n"),
    ("l", "l"),
    ("he", "ll"),
    ("hell", "o"),
    (" ", "hello"),
    ("1", "2"),
    ("12", "3"),
];

/// What follows the learned tokens of the byte-level toy.
const BPE_SPECIALS: &[(&str, TokenType)] = &[
    ("<|end|>", TokenType::Control),
    ("<|start|>", TokenType::Control),
    ("<tool>", TokenType::UserDefined),
    ("[PAD270]", TokenType::Unused),
];

/// Learned pieces of the SentencePiece toy, the best first.
const PIECES: &[&str] = &[
    "▁t",
    "he",
    "▁the",
    "in",
    "ll",
    "▁he",
    "▁hell",
    "▁hello",
    "lo",
    "hell",
    "hello",
    "▁▁",
    "▁▁▁▁",
    "▁",
    "t",
    "h",
    "e",
    "i",
    "n",
    "l",
    "o",
    "w",
    "r",
    "d",
    "<",
    ">",
    "s",
    "<s",
    "é",
    "日",
];

/// Byte-level BPE: 256 bytes in order of value, then one token per merge, then the specials.
pub(crate) fn bpe() -> Metadata {
    let mut tokens: Strings = (0..=255).map(|byte| gpt2_text(&[byte])).collect();
    let mut merges = Strings::default();
    for (left, right) in MERGES {
        let (left, right) = (gpt2_text(left.as_bytes()), gpt2_text(right.as_bytes()));
        merges.push(format!("{left} {right}"));
        tokens.push(format!("{left}{right}"));
    }
    let mut types = vec![TokenType::Normal as i32; tokens.len()];
    for (text, kind) in BPE_SPECIALS {
        tokens.push(text);
        types.push(*kind as i32);
    }
    let mut metadata = Metadata::default();
    metadata
        .set("general.architecture", "gpt2")
        .set("tokenizer.ggml.model", "gpt2")
        .set("tokenizer.ggml.pre", "gpt-2")
        .set("tokenizer.ggml.tokens", tokens)
        .set("tokenizer.ggml.token_type", types)
        .set("tokenizer.ggml.merges", merges)
        .set("tokenizer.ggml.bos_token_id", 267_u32)
        .set("tokenizer.ggml.eos_token_id", 266_u32);
    metadata
}

/// The first byte's id in a vocabulary of [`sentencepiece`], after `<unk> <s> </s>`.
pub(crate) const FIRST_BYTE: u32 = 3;
/// The first piece's.
pub(crate) const FIRST_PIECE: u32 = FIRST_BYTE + 256;

/// SentencePiece BPE: `<unk> <s> </s>`, 256 bytes, learned pieces, the best first, and tokens that
/// were added by hand.
pub(crate) fn sentencepiece<'p>(
    pieces: impl Iterator<Item = &'p str>,
    added: &[(&str, TokenType)],
) -> Metadata {
    let mut tokens = Strings::from_iter(["<unk>", "<s>", "</s>"]);
    let mut types = vec![TokenType::Unknown, TokenType::Control, TokenType::Control];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255_u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        types.push(TokenType::Byte);
        scores.push(0.0);
    }
    for (place, piece) in pieces.enumerate() {
        tokens.push(piece);
        types.push(TokenType::Normal);
        scores.push(-(place as f32));
    }
    for (text, kind) in added {
        tokens.push(text);
        types.push(*kind);
        scores.push(-1000.0);
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

/// The SentencePiece toy, with Phi-3's kind of added tokens.
pub(crate) fn spm() -> Metadata {
    let added = [("<|user|>", TokenType::Control), ("<tool>", TokenType::UserDefined)];
    sentencepiece(PIECES.iter().copied(), &added)
}

/// The SentencePiece toy as Phi-3 has it: added tokens take the white space after them.
pub(crate) fn phi3() -> Metadata {
    let mut metadata = spm();
    metadata.set("general.architecture", "phi3").set("general.name", "Phi 3.5 Mini");
    metadata
}

/// In the reference profile.
pub(crate) fn tokenizer(metadata: &Metadata) -> Result<Tokenizer, String> {
    Tokenizer::from_metadata(metadata, &Options::default()).map_err(|e| e.to_string())
}
