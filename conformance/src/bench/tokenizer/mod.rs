//! Tokenizers: text to ids, ids to text, and loading a vocabulary of 200,000 tokens. One thread;
//! every round begins with a tokenizer that has seen no text. The peers are tiktoken-rs and the
//! `tokenizers` crate, built as we are, on the same text; both must give the same ids.

mod naive;
mod spm;
mod text;

use super::{Bench, Work};
use crate::suites::tokenizer::tiktoken::O200K_HARMONY;
use engine::loader::gguf::{Gguf, Metadata, Writer};
use engine::tokenizer::{BackendKind, EncodeOptions, Options, Tokenizer};
use harness::{Failure, environment};
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::OnceLock;

/// Larger than every cache of words there is.
const TEXT: usize = 12 << 20;
/// The size of o200k as a GGUF file.
const VOCABULARY: usize = 12_970_951;
/// The peers read the text in pieces of about this size, where they are fastest.
const PEER_TEXT: usize = 64 << 10;

pub(super) const O200K: &str = "bench::tokenizer::o200k";
pub(super) const TIKTOKEN: &str = "bench::tokenizer::o200k-tiktoken-rs";
pub(super) const CRATE: &str = "bench::tokenizer::o200k-tokenizers-crate";
pub(super) const SPM: &str = "bench::tokenizer::spm-32k";
pub(super) const DECODE: &str = "bench::tokenizer::o200k-ids";
pub(super) const LOAD: &str = "bench::tokenizer::o200k-vocabulary";

/// A run of it takes seconds.
pub(super) const SLOW: [&str; 1] = [CRATE];

pub(super) fn benches() -> Vec<Bench> {
    let bench = |name: &str, verb, bytes, setup| Bench {
        name: name.to_owned(),
        verb,
        bytes,
        operations_per_byte: 0.0,
        baseline: None,
        needs: None,
        setup,
    };
    vec![
        bench(O200K, "encode", TEXT, Box::new(|bytes| Ok(Box::new(Encoding::o200k(bytes)?)))),
        bench(TIKTOKEN, "encode", TEXT, Box::new(|bytes| Ok(Box::new(Peer::tiktoken(bytes))))),
        bench(CRATE, "encode", TEXT, Box::new(|bytes| Ok(Box::new(Peer::tokenizers(bytes)?)))),
        bench(SPM, "encode", TEXT, Box::new(|bytes| Ok(Box::new(Encoding::spm(bytes)?)))),
        bench(DECODE, "decode", TEXT, Box::new(|bytes| Ok(Box::new(Decoding::new(bytes)?)))),
        bench(LOAD, "load", VOCABULARY, Box::new(|_| Ok(Box::new(Loading::new()?)))),
    ]
}

/// What is measured: a text of ours, or the beginning of the file that `ORCD_TEXT` names.
fn mixed(bytes: usize) -> String {
    if let Some(path) = environment::path("ORCD_TEXT") {
        let own = std::fs::read_to_string(&path).unwrap_or_default();
        // Speeds are told of so many bytes.
        if own.len() >= bytes {
            return own[..own.floor_char_boundary(bytes)].to_owned();
        }
        let (path, has) = (path.display(), own.len());
        eprintln!("ORCD_TEXT: {path}: {has} bytes of UTF-8, {bytes} are needed");
        std::process::exit(1);
    }
    static LEXICON: OnceLock<text::Lexicon> = OnceLock::new();
    let lexicon = LEXICON.get_or_init(|| text::Lexicon::of((O200K_HARMONY.oracle)()));
    text::mixed(bytes, 1, lexicon)
}

/// Where two lists of ids part.
fn same(got: &[u32], want: &[u32]) -> Result<(), Failure> {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).take_while(|(got, want)| got == want).count();
    Err(format!("{} ids, {} wanted; they differ from {at} on", got.len(), want.len()).into())
}

/// Our encoder.
struct Encoding {
    text: String,
    metadata: Metadata,
    tokenizer: Tokenizer,
    ids: Vec<u32>,
    /// What the ids of a prefix of the text must begin with, and of how many bytes.
    oracle: fn(&str) -> Vec<u32>,
    judged_bytes: usize,
}

impl Encoding {
    fn new(
        metadata: Metadata,
        bytes: usize,
        oracle: fn(&str) -> Vec<u32>,
        judged_bytes: usize,
    ) -> Result<Self, Failure> {
        let tokenizer = Tokenizer::from_metadata(&metadata, &Options::default())?;
        let text = mixed(bytes);
        Ok(Encoding { text, metadata, tokenizer, ids: Vec::new(), oracle, judged_bytes })
    }

    fn o200k(bytes: usize) -> Result<Self, Failure> {
        let oracle = |text: &str| (O200K_HARMONY.oracle)().encode_ordinary(text);
        Encoding::new(O200K_HARMONY.made()?.metadata.clone(), bytes, oracle, usize::MAX)
    }

    fn spm(bytes: usize) -> Result<Self, Failure> {
        let oracle = |text: &str| {
            let tokens = spm::table((O200K_HARMONY.oracle)());
            naive::encode(&tokens, text)
        };
        Encoding::new(spm::metadata((O200K_HARMONY.oracle)()), bytes, oracle, 256 << 10)
    }
}

impl Work for Encoding {
    /// A new tokenizer: the old one has learned which words are one token.
    fn reset(&mut self) -> bool {
        if let Ok(tokenizer) = Tokenizer::from_metadata(&self.metadata, &Options::default()) {
            self.tokenizer = tokenizer;
        }
        true
    }

    fn run(&mut self) {
        let encoded = self.tokenizer.encode(black_box(&self.text), EncodeOptions::PLAIN);
        self.ids = encoded.unwrap_or_default();
    }

    fn check(&self) -> Result<(), Failure> {
        let start = &self.text[..self.text.floor_char_boundary(self.judged_bytes)];
        let judged = match start.len() < self.text.len() {
            true => start.rfind(". ").map_or(start, |at| &start[..=at]),
            false => start,
        };
        let want = (self.oracle)(judged);
        same(&self.ids[..want.len().min(self.ids.len())], &want)?;
        let back = self.tokenizer.decode_bytes(&self.ids, false)?;
        // A text of one's own may hold ▁, which SentencePiece cannot tell from a space.
        let spaced = self.tokenizer.info().backend == BackendKind::GgufSpm;
        let same = match spaced {
            true => back == self.text.replace('▁', " ").as_bytes(),
            false => back == self.text.as_bytes(),
        };
        match same {
            true => Ok(()),
            false => Err("the text does not come back".into()),
        }
    }
}

/// Somebody else's encoder.
struct Peer {
    text: String,
    ids: Vec<u32>,
    encoder: PeerEncoder,
}

enum PeerEncoder {
    Tiktoken(&'static tiktoken_rs::CoreBPE),
    Tokenizers(Box<tokenizers::Tokenizer>),
}

impl Peer {
    fn tiktoken(bytes: usize) -> Self {
        let encoder = PeerEncoder::Tiktoken((O200K_HARMONY.oracle)());
        Peer { text: mixed(bytes), ids: Vec::new(), encoder }
    }

    fn tokenizers(bytes: usize) -> Result<Self, Failure> {
        let json = serde_json::to_vec(&tokenizer_json(&O200K_HARMONY.made()?.metadata)?)?;
        let tokenizer = tokenizers::Tokenizer::from_bytes(json).map_err(|e| e.to_string())?;
        let encoder = PeerEncoder::Tokenizers(Box::new(tokenizer));
        Ok(Peer { text: mixed(bytes), ids: Vec::new(), encoder })
    }
}

/// The text in pieces that end where a word does.
fn portions(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let least = (0..=PEER_TEXT.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at))?;
        // A line end that a letter follows ends a piece for every pre-tokenizer.
        let letter = |at: &usize| rest[at + 1..].chars().next().is_some_and(char::is_alphabetic);
        let mut ends = rest[least..].match_indices('\n').map(|(at, _)| least + at);
        let end = ends.find(letter).map_or(rest.len(), |at| at + 1);
        let (portion, after) = rest.split_at(end);
        rest = after;
        (!portion.is_empty()).then_some(portion)
    })
}

impl Work for Peer {
    fn reset(&mut self) -> bool {
        if let PeerEncoder::Tokenizers(tokenizer) = &mut self.encoder {
            let mut model = tokenizer.get_model().clone();
            model.clear_cache();
            tokenizer.with_model(model);
        }
        true
    }

    fn run(&mut self) {
        let mut ids = Vec::with_capacity(self.text.len() / 4);
        for portion in portions(black_box(&self.text)) {
            match &self.encoder {
                PeerEncoder::Tiktoken(bpe) => ids.extend(bpe.encode_ordinary(portion)),
                PeerEncoder::Tokenizers(tokenizer) => {
                    if let Ok(encoding) = tokenizer.encode_fast(portion, false) {
                        ids.extend_from_slice(encoding.get_ids());
                    }
                }
            }
        }
        self.ids = ids;
    }

    fn check(&self) -> Result<(), Failure> {
        same(&self.ids, &(O200K_HARMONY.oracle)().encode_ordinary(&self.text))
    }
}

/// o200k as a tokenizer.json, for the crate.
fn tokenizer_json(metadata: &Metadata) -> Result<Value, Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let tokens = metadata.strings("tokenizer.ggml.tokens")?;
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| (text(token), id.into())).collect();
    let merges = metadata.strings("tokenizer.ggml.merges")?;
    let merges: Vec<String> = merges.iter().map(text).collect();
    let upper = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    let lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    let word = r"[^\r\n\p{L}\p{N}]?";
    let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    let pattern = format!(
        "{word}{upper}*{lower}+{contraction}|{word}{upper}+{lower}*{contraction}|{}",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    let split = json!({
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false,
    });
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    });
    Ok(json!({
        "version": "1.0",
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes]},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }))
}

/// Ids of the text back to bytes.
struct Decoding {
    text: String,
    tokenizer: &'static Tokenizer,
    ids: Vec<u32>,
    bytes: Vec<u8>,
}

impl Decoding {
    fn new(bytes: usize) -> Result<Self, Failure> {
        let (text, tokenizer) = (mixed(bytes), &O200K_HARMONY.made()?.tokenizer);
        let ids = tokenizer.encode(&text, EncodeOptions::PLAIN)?;
        Ok(Decoding { text, tokenizer, ids, bytes: Vec::new() })
    }
}

impl Work for Decoding {
    fn run(&mut self) {
        self.bytes = self.tokenizer.decode_bytes(black_box(&self.ids), false).unwrap_or_default();
    }

    fn check(&self) -> Result<(), Failure> {
        match self.bytes == self.text.as_bytes() {
            true => Ok(()),
            false => Err("the text does not come back".into()),
        }
    }
}

/// From a file to a tokenizer that can encode.
struct Loading {
    file: tempfile::NamedTempFile,
    tokenizer: Option<Tokenizer>,
}

fn vocabulary() -> Result<Writer, String> {
    let mut writer = Writer::new();
    *writer.metadata() = O200K_HARMONY.made()?.metadata.clone();
    Ok(writer)
}

impl Loading {
    fn new() -> Result<Self, Failure> {
        let file = tempfile::NamedTempFile::new()?;
        vocabulary()?.write(file.path())?;
        match std::fs::metadata(file.path())?.len() {
            size if size == VOCABULARY as u64 => {}
            size => return Err(format!("the file has {size} bytes, not {VOCABULARY}").into()),
        }
        Ok(Loading { file, tokenizer: None })
    }

    fn load(&self) -> engine::error::Result<Tokenizer> {
        let gguf = Gguf::open(self.file.path())?;
        Tokenizer::from_metadata(gguf.metadata(), &Options::default())
    }
}

impl Work for Loading {
    fn run(&mut self) {
        self.tokenizer = self.load().ok();
    }

    fn check(&self) -> Result<(), Failure> {
        let tokenizer = self.tokenizer.as_ref().ok_or("nothing was loaded")?;
        let text = mixed(64 << 10);
        let want = (O200K_HARMONY.oracle)().encode_ordinary(&text);
        same(&tokenizer.encode(&text, EncodeOptions::PLAIN)?, &want)
    }
}
