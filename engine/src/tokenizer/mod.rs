//! Text to token ids and back, exactly as the model was trained. One `Tokenizer`, whatever the file
//! says it is made of; chosen from the file, overridable, and able to say what it chose.
//!
//! What is not done here: chat templates (`chat`), clean-up of decoded text (llama.cpp takes spaces
//! before `?!.,` away; we give back what the ids say), and the choice of a profile.

mod backend;
mod bpe;
mod by_text;
mod bytes;
mod cache;
mod evidence;
mod guard;
mod hash;
mod hf_json;
mod memory;
mod merge;
mod merges;
mod normalize;
mod open;
mod pieces;
pub mod pretokenize;
mod short;
mod source;
mod special;
mod spm;
mod spm_file;
mod stop;
mod stream;
mod unicode;
mod vocab;

pub use backend::BackendKind;
pub use bytes::{character as gpt2_character, encode as gpt2_text};
pub use guard::Guard;
pub use hf_json::{JsonFile, spm_keys, vocabulary_keys};
pub use open::{ModelSays, Options};
pub use pieces::TokenType;
pub use source::{Choice, Found, Origin};
pub use special::Strip;
pub use spm_file::{SpmFile, SpmPiece};
pub use stop::{StopHolder, Stopped};
pub use stream::TextStream;
pub use vocab::{Model, SPECIAL_KEYS, Vocab};

use crate::error::{Error, Result};
use crate::profile::Profile;
use backend::Backend;
use cache::Session;
use pieces::Pieces;
use special::{Part, Specials};

/// How to read a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add BOS and EOS as the vocabulary says.
    pub add_special: bool,
    /// The text is trusted: control tokens written in it are meant.
    pub parse_special: bool,
}

impl EncodeOptions {
    /// Text from outside: BOS as the vocabulary says, control tokens are plain text.
    pub const TEXT: Self = EncodeOptions { add_special: true, parse_special: false };
    /// A rendered prompt: everything it needs is written in it.
    pub const PROMPT: Self = EncodeOptions { add_special: true, parse_special: true };
    /// Nothing but the text.
    pub const PLAIN: Self = EncodeOptions { add_special: false, parse_special: false };
}

/// What a tokeniser is: for `inspect`, logs and health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Which code encodes.
    pub backend: BackendKind,
    /// Tokens; ids are below this.
    pub n_vocab: usize,
    /// Name of the pre-tokeniser, as the file or the caller gave it.
    pub pre: Option<String>,
    /// Whose reading is followed.
    pub profile: Profile,
    /// (job, id) of tokens with a job: `("bos", 1)`.
    pub special: Vec<(&'static str, u32)>,
    /// Ids after which a model has finished its turn.
    pub stops: Vec<u32>,
    /// Whether a text starts with BOS.
    pub add_bos: bool,
    /// Whether a text ends with EOS.
    pub add_eos: bool,
    /// Whether a text starts with a space that nobody wrote.
    pub add_space_prefix: bool,
}

impl Info {
    /// The id of the token with this job.
    pub fn special(&self, job: &str) -> Option<u32> {
        self.special.iter().find(|(name, _)| *name == job).map(|(_, id)| *id)
    }
}

/// A tokeniser.
#[derive(Debug)]
pub struct Tokenizer {
    info: Info,
    pieces: Pieces,
    specials: Specials,
    backend: Backend,
}

impl Tokenizer {
    /// What it is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The ids of a text. Bytes that are no UTF-8 are kept where the vocabulary can write them.
    pub fn encode(&self, text: impl AsRef<[u8]>, options: EncodeOptions) -> Result<Vec<u32>> {
        let text = text.as_ref();
        self.framed(text.len(), options.add_special, |session, ids| {
            session.trusted = options.parse_special;
            self.put(text, options.parse_special, &mut true, session, ids)
        })
    }

    /// What `fill` makes of a text of so many bytes, between BOS and EOS if they are wanted.
    fn framed(
        &self,
        bytes: usize,
        add_special: bool,
        fill: impl FnOnce(&mut Session, &mut Vec<u32>) -> Result<()>,
    ) -> Result<Vec<u32>> {
        if bytes >= u32::MAX as usize {
            let detail = format!("a text of {bytes} bytes; at most 4 GiB are encoded");
            return Err(Error::Usage(detail));
        }
        let mut ids = memory::roomy(bytes / 3 + 8);
        let bos = self.info.special("bos").filter(|_| add_special && self.info.add_bos);
        ids.extend(bos);
        fill(&mut Session::new(bytes), &mut ids)?;
        // A prompt that brings its own BOS has one, not two. llama.cpp warns and doubles it.
        if self.info.profile == Profile::Reference && bos.is_some() && ids.get(1) == bos.as_ref() {
            ids.remove(0);
        }
        let eos = self.info.special("eos").filter(|_| add_special && self.info.add_eos);
        let brought = self.info.profile == Profile::Reference && ids.last() == eos.as_ref();
        ids.extend(eos.filter(|_| !brought));
        Ok(ids)
    }

    /// Appends the ids of a text. `first`: nothing or a special token is before it, and then
    /// before what follows it.
    fn put(
        &self,
        text: &[u8],
        trusted: bool,
        first: &mut bool,
        session: &mut Session,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        self.specials.cut(text, trusted, |part| {
            match part {
                Part::Token(id) => ids.push(id),
                Part::Text(text) => {
                    self.backend.encode(&self.pieces, text, *first, session, ids)?;
                }
            }
            *first = matches!(part, Part::Token(_));
            Ok(())
        })
    }

    /// The bytes of ids. `special`: control tokens are written out instead of left out.
    pub fn decode_bytes(&self, ids: &[u32], special: bool) -> Result<Vec<u8>> {
        let skip = |kind| !special && is_structure(kind);
        let mut bytes = self.pieces.decode(ids, skip)?;
        if self.info.add_space_prefix && bytes.first() == Some(&b' ') && self.opens_text(ids, skip)
        {
            bytes.remove(0);
        }
        Ok(bytes)
    }

    /// The text of ids; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], special: bool) -> Result<String> {
        let bytes = self.decode_bytes(ids, special)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
    }

    /// Whether the first token that has text is learned text, so that its leading space is the
    /// prefix that encoding adds.
    fn opens_text(&self, ids: &[u32], skip: impl Fn(TokenType) -> bool) -> bool {
        let kinds = ids.iter().filter_map(|id| self.pieces.kind(*id));
        let mut text = kinds.skip_while(|kind| skip(*kind));
        text.next().is_some_and(|kind| kind == TokenType::Normal)
    }

    /// The bytes of one token as they stand within a text.
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.pieces.get(id)
    }

    /// What a token is for.
    pub fn kind(&self, id: u32) -> Option<TokenType> {
        self.pieces.kind(id)
    }

    /// The bytes of one token; an id beyond the vocabulary is an error.
    fn known_piece(&self, id: u32) -> Result<(&[u8], TokenType)> {
        match (self.pieces.get(id), self.pieces.kind(id)) {
            (Some(piece), Some(kind)) => Ok((piece, kind)),
            _ => Err(self.pieces.unknown(id)),
        }
    }
}

/// Whether a token is structure: never text unless asked for.
fn is_structure(kind: TokenType) -> bool {
    matches!(kind, TokenType::Control | TokenType::Unknown | TokenType::Unused)
}
