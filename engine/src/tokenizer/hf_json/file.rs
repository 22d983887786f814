//! A tokenizer.json as it stands: read, and checked as far as it can be without knowing what the
//! parts do. Nothing else in this folder sees JSON text.

use super::{bad_json, bad_vocab};
use crate::error::Result;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

/// Larger than any real file by a factor of eight.
const FILE_BYTES_MAX: usize = 256 << 20;
/// More ids than any model has rows.
const IDS_MAX: usize = 1 << 24;

/// The whole file.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    #[serde(default)]
    pub(super) normalizer: Json,
    #[serde(default)]
    pub(super) pre_tokenizer: Json,
    #[serde(default)]
    pub(super) post_processor: Json,
    #[serde(default)]
    pub(super) decoder: Json,
    #[serde(default)]
    pub(super) truncation: Json,
    #[serde(default)]
    pub(super) padding: Json,
    pub(super) model: Model,
}

/// A token that is cut out of the text before everything else.
#[derive(Debug, Deserialize)]
pub(super) struct AddedToken {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

/// What merges, or otherwise chooses, tokens.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    /// Old files leave it out; then it is told by its fields.
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) vocab: Entries,
    #[serde(default)]
    pub(super) merges: Vec<Merge>,
    #[serde(default)]
    pub(super) dropout: Option<f32>,
    #[serde(default)]
    pub(super) unk_token: Option<String>,
    #[serde(default)]
    pub(super) continuing_subword_prefix: Option<String>,
    #[serde(default)]
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
}

/// Tokens with their ids, in the file's order: an object, or (Unigram) a list whose places are ids.
#[derive(Debug, Default)]
pub(super) struct Entries(pub(super) Vec<(String, u32)>);

/// Two parts that merge: `"a b"` in old files, `["a", "b"]` in new ones.
#[derive(Debug)]
pub(super) struct Merge(pub(super) String, pub(super) String);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = Entries;

            fn expecting(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
                out.write_str("an object of tokens and ids, or a list of tokens and scores")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, u32>()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((token, _)) = list.next_element::<(String, f64)>()? {
                    entries.push((token, entries.len() as u32));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
                out.write_str("a merge: \"a b\" or [\"a\", \"b\"]")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Merge, E> {
                match text.split_once(' ') {
                    Some((left, right)) => Ok(Merge(left.to_owned(), right.to_owned())),
                    None => Err(E::custom(format!("merge {text:?} has no space"))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Merge, A::Error> {
                let part = |part: Option<String>| part.ok_or(A::Error::custom("not two parts"));
                let left = part(list.next_element()?)?;
                let right = part(list.next_element()?)?;
                match list.next_element::<String>()? {
                    None => Ok(Merge(left, right)),
                    Some(third) => Err(A::Error::custom(format!("a merge of three: {third:?}"))),
                }
            }
        }
        deserializer.deserialize_any(Pair)
    }
}

/// Refuses a file too large to be a tokenizer.json; for callers that would copy it first.
pub(crate) fn check_size(bytes: usize) -> Result<()> {
    match bytes > FILE_BYTES_MAX {
        true => Err(bad_json("file", format!("{bytes} bytes, we read at most {FILE_BYTES_MAX}"))),
        false => Ok(()),
    }
}

impl File {
    /// Reads and checks a file. What the JSON reader refuses by itself (bad syntax, more than 128
    /// levels, a wrong type) is `BadJson`; what contradicts itself is `BadVocab`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        check_size(bytes.len())?;
        // The reader checks the bytes of those strings only that it keeps.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Err(bad_json("file", error.to_string())),
        };
        let file: File = match serde_json::from_str(text) {
            Ok(file) => file,
            Err(error) => return Err(bad_json("file", error.to_string())),
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        if self.model.vocab.0.is_empty() {
            return Err(bad_vocab("model.vocab", "no tokens".into()));
        }
        let ids = self.model.vocab.0.iter().map(|(token, id)| (token.as_str(), *id));
        let added = self.added_tokens.iter().map(|added| (added.content.as_str(), added.id));
        let places = ["model.vocab", "added_tokens"];
        for (place, (token, id)) in
            ids.map(|entry| (places[0], entry)).chain(added.map(|entry| (places[1], entry)))
        {
            if id as usize >= IDS_MAX {
                let detail = format!("token {token:?} has id {id}, we read ids below {IDS_MAX}");
                return Err(bad_vocab(place, detail));
            }
            if token.is_empty() {
                return Err(bad_vocab(place, format!("token {id} is empty")));
            }
        }
        if self.model.dropout.is_some_and(|dropout| dropout != 0.0) {
            let detail = format!("{:?}: ids would be drawn by chance", self.model.dropout);
            return Err(bad_vocab("model.dropout", detail));
        }
        for (name, part) in [("truncation", &self.truncation), ("padding", &self.padding)] {
            if !part.is_null() {
                let detail = "set: a text would be cut or filled without anyone saying so";
                return Err(bad_vocab(name, detail.into()));
            }
        }
        Ok(())
    }
}
