//! `tokenizer::turn-ends::FAMILY` — the tokens after which a model has finished its turn: what its
//! file says, and what the texts of its tokens say. One too few and an answer never ends, one too
//! many and it ends behind the first thought.

use super::toys;
use engine::loader::gguf::{Array, Metadata, Strings, Value};
use engine::profile::Profile;
use engine::tokenizer::{Options, TokenType, Tokenizer};
use harness::{Case, Failure};

type Toy = fn() -> Metadata;

/// A family, the toy it is made from, the control tokens its vocabulary has, what its file calls
/// eos and eot, and which of the tokens end a turn.
struct Family {
    name: &'static str,
    toy: Toy,
    controls: &'static [&'static str],
    eos: &'static str,
    eot: Option<&'static str>,
    ends: &'static [&'static str],
}

const HARMONY: &[&str] =
    &["<|return|>", "<|constrain|>", "<|channel|>", "<|message|>", "<|call|>", "<|endoftext|>"];
const LLAMA_3: &[&str] =
    &["<|begin_of_text|>", "<|end_of_text|>", "<|eom_id|>", "<|eot_id|>", "<|start_header_id|>"];

const FAMILIES: &[Family] = &[
    Family {
        name: "gpt-oss",
        toy: toys::bpe,
        controls: HARMONY,
        eos: "<|return|>",
        eot: None,
        ends: &["<|return|>", "<|call|>", "<|endoftext|>"],
    },
    Family {
        name: "gpt-oss-eot-is-wrong",
        toy: toys::bpe,
        controls: HARMONY,
        eos: "<|return|>",
        eot: Some("<|end|>"),
        ends: &["<|return|>", "<|call|>", "<|endoftext|>"],
    },
    Family {
        name: "qwen2",
        toy: toys::bpe,
        controls: &["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos: "<|im_end|>",
        eot: None,
        // The toy's own <|end|> is one of Phi-3's turn ends.
        ends: &["<|im_end|>", "<|endoftext|>", "<|end|>"],
    },
    Family {
        name: "llama-3",
        toy: toys::bpe,
        controls: LLAMA_3,
        eos: "<|end_of_text|>",
        eot: Some("<|eot_id|>"),
        ends: &["<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|end|>"],
    },
    Family {
        name: "llama-2",
        toy: toys::spm,
        controls: &[],
        eos: "</s>",
        eot: None,
        ends: &["</s>"],
    },
    Family {
        name: "phi3",
        toy: toys::phi3,
        controls: &["<|endoftext|>", "<|assistant|>", "<|end|>"],
        eos: "<|endoftext|>",
        eot: None,
        ends: &["<|endoftext|>", "<|end|>"],
    },
    Family {
        name: "gpt2",
        toy: toys::bpe,
        controls: &["<|endoftext|>"],
        eos: "<|endoftext|>",
        eot: None,
        ends: &["<|endoftext|>", "<|end|>"],
    },
];

pub(super) fn cases() -> Vec<Case> {
    let case = |family: &'static Family| {
        let name = format!("tokenizer::turn-ends::{}", family.name);
        Case::new(name, move |_| judge(family)).requirements(["C17"])
    };
    FAMILIES.iter().map(case).collect()
}

fn judge(family: &Family) -> Result<(), Failure> {
    let metadata = made(family)?;
    for profile in [Profile::Reference, Profile::LlamaCpp] {
        let options = Options { profile, ..Options::default() };
        let tokenizer = Tokenizer::from_metadata(&metadata, &options)?;
        let mut found = Vec::new();
        for id in &tokenizer.info().stops {
            found.push(tokenizer.decode(&[*id], true)?);
        }
        let mut want: Vec<String> = family.ends.iter().map(|text| text.to_string()).collect();
        found.sort();
        want.sort();
        if found != want {
            return Err(format!("{profile:?}: turns end with {found:?}, must be {want:?}").into());
        }
    }
    Ok(())
}

/// The toy with the family's tokens behind its own.
fn made(family: &Family) -> Result<Metadata, Failure> {
    let mut metadata = (family.toy)();
    let mut tokens: Strings = metadata.strings("tokenizer.ggml.tokens")?.iter().collect();
    let mut types = metadata.i32s("tokenizer.ggml.token_type")?.to_vec();
    for text in family.controls {
        tokens.push(text);
        types.push(TokenType::Control as i32);
    }
    if let Some(Value::Array(Array::F32(scores))) = metadata.get("tokenizer.ggml.scores") {
        let mut scores = scores.clone();
        scores.resize(tokens.len(), 0.0);
        metadata.set("tokenizer.ggml.scores", scores);
    }
    let id = |text: &str| {
        let found = tokens.iter().position(|token| token == text.as_bytes());
        found.map(|id| id as u32).ok_or_else(|| format!("the toy has no {text}"))
    };
    let (eos, eot) = (id(family.eos)?, family.eot.map(id).transpose()?);
    metadata.set("tokenizer.ggml.eos_token_id", eos);
    if let Some(eot) = eot {
        metadata.set("tokenizer.ggml.eot_token_id", eot);
    }
    metadata.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.token_type", types);
    Ok(metadata)
}
