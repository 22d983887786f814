//! Real vocabularies without files: the ranks that tiktoken-rs carries, written as a GGUF file
//! would hold them. Merges are those of Hugging Face's converter: every way to split a token into
//! two tokens, in order of rank; for o200k these are the 446,189 merges of the published files.

use engine::loader::gguf::{Metadata, Strings};
use engine::tokenizer::{Options, TokenType, Tokenizer, gpt2_text};
use std::collections::HashMap;
use std::sync::OnceLock;
use tiktoken_rs::CoreBPE;

/// A vocabulary and the code that is its oracle.
pub(crate) struct Family {
    /// How vectors call it.
    pub(crate) name: &'static str,
    /// The oracle, built once per process.
    pub(crate) oracle: fn() -> &'static CoreBPE,
    /// The first id that is no learned token.
    learned: u32,
    pre: &'static str,
    specials: fn(&mut Vec<(u32, String)>),
    /// Jobs of special tokens.
    jobs: &'static [(&'static str, u32)],
    made: OnceLock<Made>,
}

/// What is built of a family, once per process.
pub(crate) struct Made {
    /// As a file would hold it.
    pub(crate) metadata: Metadata,
    /// Our tokeniser for it, in the reference profile.
    pub(crate) tokenizer: Tokenizer,
}

/// gpt-oss.
pub(crate) static O200K_HARMONY: Family = Family {
    name: "o200k-harmony",
    oracle: tiktoken_rs::o200k_harmony_singleton,
    learned: 199_998,
    pre: "gpt-4o",
    specials: harmony,
    jobs: &[("bos", 199_998), ("eos", 200_002), ("padding", 199_999)],
    made: OnceLock::new(),
};

/// GPT-2.
pub(crate) static GPT2: Family = Family {
    name: "gpt-2",
    oracle: tiktoken_rs::r50k_base_singleton,
    learned: 50_256,
    pre: "gpt-2",
    specials: |specials| specials.push((50_256, "<|endoftext|>".into())),
    jobs: &[("bos", 50_256), ("eos", 50_256)],
    made: OnceLock::new(),
};

fn harmony(specials: &mut Vec<(u32, String)>) {
    const NAMED: &[(u32, &str)] = &[
        (199_998, "startoftext"),
        (199_999, "endoftext"),
        (200_002, "return"),
        (200_003, "constrain"),
        (200_005, "channel"),
        (200_006, "start"),
        (200_007, "end"),
        (200_008, "message"),
        (200_012, "call"),
    ];
    for id in 199_998..=201_087 {
        let named = NAMED.iter().find(|(named, _)| *named == id);
        let name = named.map_or(format!("reserved_{id}"), |(_, name)| (*name).to_owned());
        specials.push((id, format!("<|{name}|>")));
    }
}

impl Family {
    /// The metadata and our tokeniser.
    pub(crate) fn made(&self) -> Result<&Made, String> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let metadata = self.metadata()?;
        let tokenizer = Tokenizer::from_metadata(&metadata, &Options::default());
        let tokenizer = tokenizer.map_err(|e| e.to_string())?;
        Ok(self.made.get_or_init(|| Made { metadata, tokenizer }))
    }

    fn metadata(&self) -> Result<Metadata, String> {
        let ranks: Result<Vec<Vec<u8>>, String> = (0..self.learned)
            .map(|rank| (self.oracle)().decode_bytes(&[rank]).map_err(|e| e.to_string()))
            .collect();
        let ranks = ranks?;
        let mut tokens: Strings = ranks.iter().map(|token| gpt2_text(token)).collect();
        let mut types = vec![TokenType::Normal as i32; ranks.len()];
        let mut specials = Vec::new();
        (self.specials)(&mut specials);
        for (id, text) in specials {
            if id as usize != tokens.len() {
                return Err(format!("{text} is {id}, the next free id is {}", tokens.len()));
            }
            tokens.push(text);
            types.push(TokenType::Control as i32);
        }
        let mut metadata = Metadata::default();
        metadata
            .set("general.architecture", "gpt2")
            .set("tokenizer.ggml.model", "gpt2")
            .set("tokenizer.ggml.pre", self.pre)
            .set("tokenizer.ggml.tokens", tokens)
            .set("tokenizer.ggml.token_type", types)
            .set("tokenizer.ggml.merges", merges(&ranks));
        for (job, id) in self.jobs {
            metadata.set(&format!("tokenizer.ggml.{job}_token_id"), *id);
        }
        Ok(metadata)
    }
}

fn merges(ranks: &[Vec<u8>]) -> Strings {
    let by_text: HashMap<&[u8], usize> =
        ranks.iter().enumerate().map(|(rank, token)| (token.as_slice(), rank)).collect();
    let mut merges = Strings::default();
    for token in ranks {
        let mut splits: Vec<(usize, usize)> = (1..token.len())
            .filter_map(|at| Some((*by_text.get(&token[..at])?, *by_text.get(&token[at..])?)))
            .collect();
        splits.sort_unstable();
        for (left, right) in splits {
            merges.push(format!("{} {}", gpt2_text(&ranks[left]), gpt2_text(&ranks[right])));
        }
    }
    merges
}
