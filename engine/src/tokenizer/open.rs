//! From a vocabulary to a tokeniser: which backend, which pre-tokeniser, which tokens are cut out
//! and which end a turn. Every choice the file leaves open is made here and nowhere else.

use super::backend::Backend;
use super::bpe::{self, Bpe};
use super::pieces::{Pieces, TokenType};
use super::pretokenize::{self, Pre};
use super::special::{Added, Specials, Strip};
use super::spm::{self, Spm};
use super::vocab::{self, Model, Vocab};
use super::{Info, Tokenizer, evidence};
use crate::error::{Class, Error, Result};
use crate::loader::gguf::Metadata;
use crate::profile::Profile;

/// What a caller may decide instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whose reading to follow.
    pub profile: Profile,
    /// A pre-tokeniser to use whatever the file says.
    pub pre: Option<String>,
    /// What the model's file says that a tokenizer.json does not.
    pub model: ModelSays,
}

/// What a model says of its vocabulary beside the vocabulary itself.
#[derive(Debug, Clone, Default)]
pub struct ModelSays {
    /// Rows of the embedding: every id is below this, and ids without a token are fillers.
    pub rows: Option<usize>,
    /// (job, id) of tokens with a job, for jobs that the tokenizer.json gives to none.
    pub special: Vec<(&'static str, u32)>,
}

/// Texts of tokens that end a model's turn, beside the tokens that the file gives that job.
const TURN_ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<EOT>",
    "<｜end▁of▁sentence｜>",
];

/// Further texts that llama.cpp takes for control tokens, whatever a file says of their type.
const LLAMA_CPP_CONTROL: &[&str] = &[
    "</s>",
    "<eos>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<fim_prefix>",
    "<fim_suffix>",
    "<fim_middle>",
    "<fim-prefix>",
    "<fim-suffix>",
    "<fim-middle>",
    "<fim-pad>",
    "<reponame>",
];

/// In harmony a message ends with `<|end|>` and the turn goes on; these two end the turn.
const HARMONY_TURN_ENDS: [&str; 2] = ["<|return|>", "<|call|>"];
const HARMONY_MESSAGE_END: &str = "<|end|>";
/// llama.cpp shows these harmony tokens as text.
const HARMONY_SHOWN: [&str; 5] =
    ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>", HARMONY_MESSAGE_END];

impl Tokenizer {
    /// From a GGUF file's metadata.
    pub fn from_metadata(metadata: &Metadata, options: &Options) -> Result<Self> {
        Tokenizer::build(Vocab::read(metadata)?, options)
    }

    /// From a vocabulary.
    pub fn from_vocab(vocab: &Vocab, options: &Options) -> Result<Self> {
        vocab.check()?;
        Tokenizer::build(vocab.clone(), options)
    }

    /// From a vocabulary that was checked.
    fn build(mut vocab: Vocab, options: &Options) -> Result<Self> {
        if options.profile == Profile::LlamaCpp {
            retype_as_llama_cpp(&mut vocab);
        }
        let mut pre_name = None;
        let mut add_bos = vocab.model == Model::Spm;
        let (pieces, backend) = match vocab.model {
            Model::Bpe => {
                let pieces = bpe::pieces(&vocab)?;
                let name = options.pre.as_deref().or(vocab.pre);
                let pre = match &options.pre {
                    Some(asked) => pretokenize::by_name(asked).ok_or_else(|| unknown_pre(asked))?,
                    None => choose_pre(name, &pieces)?,
                };
                pre_name = name.map(str::to_owned);
                add_bos = pre.add_bos;
                let bpe = Bpe::new(&vocab, &pieces, pre, options.profile)?;
                (pieces, Backend::Bpe(Box::new(bpe)))
            }
            Model::Spm => {
                let spm = Spm::new(&vocab, options.profile)?;
                (spm::pieces(&vocab)?, Backend::Spm(Box::new(spm)))
            }
        };
        vocab.special = special_ids(&vocab);
        let added = added(&vocab, options.profile);
        let built = Built { vocab, pieces, backend, pre: pre_name, add_bos, added };
        Tokenizer::assemble(built, options.profile)
    }

    /// Puts together what a file format has led to.
    pub(super) fn assemble(built: Built, profile: Profile) -> Result<Self> {
        let Built { vocab, pieces, backend, pre, add_bos, added } = built;
        let has = |job: &str| vocab.special(job).is_some();
        let info = Info {
            backend: backend.kind(),
            n_vocab: pieces.len(),
            pre,
            profile,
            stops: stops(&vocab, &vocab.special),
            add_bos: vocab.add_bos.unwrap_or(add_bos) && has("bos"),
            add_eos: vocab.add_eos.unwrap_or(false) && has("eos"),
            add_space_prefix: match &backend {
                Backend::Bpe(_) | Backend::HfBpe(_) => false,
                Backend::Spm(spm) => spm.adds_space_prefix(),
                Backend::HfFallback(_) | Backend::HfForeign(_) => {
                    vocab.add_space_prefix.unwrap_or(false)
                }
            },
            special: vocab.special.clone(),
        };
        let specials = Specials::new(&added, profile == Profile::LlamaCpp)?;
        Ok(Tokenizer { info, pieces, specials, backend })
    }
}

/// What a file format has led to; the rest is the same for all of them.
pub(super) struct Built<'v> {
    pub(super) vocab: Vocab<'v>,
    pub(super) pieces: Pieces,
    pub(super) backend: Backend,
    /// How the pre-tokeniser is called, or why there is none of ours.
    pub(super) pre: Option<String>,
    /// Whether a text starts with BOS where the file does not say.
    pub(super) add_bos: bool,
    /// Tokens to cut out of a text.
    pub(super) added: Vec<Added>,
}

pub(super) fn choose_pre(name: Option<&str>, pieces: &Pieces) -> Result<&'static Pre> {
    let Some(name) = name else {
        return Err(vocab::bad_pre(Class::MissingKey, evidence::of(pieces)));
    };
    let unknown = || vocab::bad_pre(Class::BadVocab, no_such_pre(name));
    pretokenize::by_name(name).ok_or_else(unknown)
}

fn no_such_pre(name: &str) -> String {
    let known: Vec<_> = pretokenize::names().collect();
    format!("no pre-tokeniser {name:?}; there are: {}", known.join(", "))
}

/// The caller's name is wrong, not the file.
fn unknown_pre(name: &str) -> Error {
    Error::Usage(format!("--pre: {}", no_such_pre(name)))
}

/// The file's, and where it says nothing and the token is plainly there, SentencePiece's own ids.
fn special_ids(vocab: &Vocab) -> Vec<(&'static str, u32)> {
    let mut special = vocab.special.clone();
    if vocab.model == Model::Spm {
        for (job, id, text) in [("bos", 1, "<s>"), ("eos", 2, "</s>"), ("unknown", 0, "<unk>")] {
            if vocab.special(job).is_none() && vocab.token(id) == Some(text.as_bytes()) {
                special.push((job, id));
            }
        }
    }
    special
}

fn id_of(vocab: &Vocab, text: &str) -> Option<u32> {
    let structural =
        |id: &usize| vocab.types.get(*id).is_some_and(|kind| *kind != TokenType::Normal);
    let found = vocab.tokens.iter().enumerate().filter(|(_, token)| *token == text.as_bytes());
    found.map(|(id, _)| id).find(structural).map(|id| id as u32)
}

/// Ids that end a turn: those that the file gives that job, and those whose text says so. A file
/// that calls harmony's `<|end|>` the end of a turn is wrong: an answer would stop behind its first
/// thought.
fn stops(vocab: &Vocab, special: &[(&'static str, u32)]) -> Vec<u32> {
    let ids = ends(vocab, TURN_ENDS);
    let id_of = |text: &str| ids.iter().find(|(name, _)| *name == text).map(|(_, id)| *id);
    let harmony = HARMONY_TURN_ENDS.iter().all(|text| id_of(text).is_some());
    let goes_on = id_of(HARMONY_MESSAGE_END).filter(|_| harmony);
    let jobs = special.iter().filter(|(job, _)| matches!(*job, "eos" | "eot" | "eom"));
    let all = jobs.map(|(_, id)| *id).chain(ids.iter().map(|(_, id)| *id));
    let mut stops: Vec<u32> = all.filter(|id| Some(*id) != goes_on).collect();
    stops.sort_unstable();
    stops.dedup();
    stops
}

/// Ids of those texts that are tokens, found in one pass over the vocabulary.
fn ends(vocab: &Vocab, texts: &'static [&'static str]) -> Vec<(&'static str, u32)> {
    let typed = vocab.tokens.iter().zip(&vocab.types).enumerate();
    let structural = typed.filter(|(_, (_, kind))| **kind != TokenType::Normal);
    let named = structural.filter_map(|(id, (token, _))| {
        texts.iter().find(|text| text.as_bytes() == token).map(|text| (*text, id as u32))
    });
    named.collect()
}

/// llama.cpp decides by their texts that some tokens are control tokens whatever the file says,
/// and that harmony's markers are text.
fn retype_as_llama_cpp(vocab: &mut Vocab) {
    for (id, token) in vocab.tokens.iter().enumerate() {
        let is = |texts: &[&str]| texts.iter().any(|text| text.as_bytes() == token);
        if is(TURN_ENDS) || is(LLAMA_CPP_CONTROL) {
            vocab.types[id] = TokenType::Control;
        }
    }
    if HARMONY_TURN_ENDS.iter().all(|text| id_of(vocab, text).is_some()) {
        for text in HARMONY_SHOWN {
            if let Some(id) = id_of(vocab, text) {
                vocab.types[id as usize] = TokenType::UserDefined;
            }
        }
    }
}

/// The tokens to cut out of a text before it is encoded.
fn added(vocab: &Vocab, profile: Profile) -> Vec<Added> {
    use TokenType::{Control, Unknown, UserDefined};
    let phi3 = strips_like_phi3(vocab, profile);
    let typed = vocab.tokens.iter().zip(&vocab.types).enumerate();
    let cut = typed.filter(|(_, (_, kind))| matches!(kind, Control | Unknown | UserDefined));
    cut.map(|(id, (text, kind))| {
        let keeps = [&b"<unk>"[..], b"<s>", b"<|endoftext|>"].contains(&text);
        let strip = Strip { left: false, right: phi3 && !keeps };
        Added { id: id as u32, text: text.to_vec(), kind: *kind, strip }
    })
    .collect()
}

/// Phi-3's added tokens take the white space after them; a GGUF file cannot say so. llama.cpp goes
/// by the model's name, which misses "Phi 3.5"; the architecture and the tokens are the same there.
fn strips_like_phi3(vocab: &Vocab, profile: Profile) -> bool {
    let named = vocab.name.contains("phi-3") || vocab.name.contains("phi3");
    match profile {
        Profile::LlamaCpp => named,
        Profile::Reference => vocab.model == Model::Spm && (named || vocab.architecture == "phi3"),
    }
}
