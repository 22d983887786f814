//! Reads hyperparameters: `ARCH.KEY`, typed, in range, or refused with the key and both numbers.
//! Knows no family.

mod rotation;

use crate::adapters::{Architecture, Attention, Layer, Norm, NormKind};
use crate::error::{Class, Error, Named, Result};
use crate::loader::gguf::{Array, Value};
use crate::loader::{Gguf, Metadata};
use std::ops::RangeInclusive;

/// More blocks than any published model has, and few enough to lay out.
const MAX_LAYERS: u32 = 512;
/// A row of a stream wider than this would not fit the caches that kernels count on.
const MAX_EMBD: u32 = 1 << 17;
/// More heads than any published model has.
const MAX_HEADS: u32 = 4096;
/// More experts than any published model has.
const MAX_EXPERTS: u32 = 4096;

/// The keys of one architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hparams<'m> {
    metadata: &'m Metadata,
    family: &'static str,
}

/// Heads and widths, which all families have.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) n_layers: usize,
    pub(crate) n_embd: usize,
    pub(crate) n_ctx: usize,
    pub(crate) n_vocab: usize,
    /// Per layer.
    pub(crate) heads: Vec<usize>,
    /// Per layer.
    pub(crate) kv_heads: Vec<usize>,
    pub(crate) head_dim: usize,
}

impl Sizes {
    /// A layer's attention without anything that only some families have.
    pub(crate) fn attention(&self, layer: usize) -> Attention {
        Attention {
            heads: self.heads[layer],
            kv_heads: self.kv_heads[layer],
            head_dim: self.head_dim,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
            fused_qkv: false,
            qkv_bias: false,
            out_bias: false,
            rope: None,
            window: None,
            sinks: false,
        }
    }

    /// A model of these layers, without anything that only some families have.
    pub(crate) fn architecture(
        &self,
        family: &'static str,
        norm: Norm,
        layer: impl Fn(usize) -> Layer,
    ) -> Architecture {
        Architecture {
            family,
            n_vocab: self.n_vocab,
            n_embd: self.n_embd,
            n_ctx: self.n_ctx,
            learned_positions: false,
            norm,
            tied_output: false,
            layers: (0..self.n_layers).map(layer).collect(),
        }
    }
}

impl<'m> Hparams<'m> {
    pub(crate) fn new(metadata: &'m Metadata, family: &'static str) -> Self {
        Hparams { metadata, family }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family)
    }

    /// A refusal of `name`.
    pub(crate) fn bad(&self, name: &str, detail: impl Into<String>) -> Error {
        let key = self.key(name);
        Error::refused(Class::BadHparam, Named("key", &key).to_string(), detail)
    }

    fn checked(&self, name: &str, found: u32, range: &RangeInclusive<u32>) -> Result<usize> {
        if !range.contains(&found) {
            let (low, high) = (range.start(), range.end());
            return Err(self.bad(name, format!("{found} is not within {low} to {high}")));
        }
        Ok(found as usize)
    }

    /// A number within `range`.
    pub(crate) fn count(&self, name: &str, range: RangeInclusive<u32>) -> Result<usize> {
        self.checked(name, self.metadata.u32(&self.key(name))?, &range)
    }

    /// A number within `range`, if it is there.
    pub(crate) fn opt_count(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<usize>> {
        let found = self.metadata.opt_u32(&self.key(name))?;
        found.map(|found| self.checked(name, found, &range)).transpose()
    }

    /// One number for all layers, or an array with one for each.
    pub(crate) fn per_layer(
        &self,
        name: &str,
        n_layers: usize,
        range: RangeInclusive<u32>,
    ) -> Result<Option<Vec<usize>>> {
        let key = self.key(name);
        let found: Vec<u32> = match self.metadata.get(&key) {
            None => return Ok(None),
            Some(Value::Array(Array::U32(all))) => all.to_vec(),
            Some(Value::Array(Array::I32(all))) => {
                // A negative number becomes one that no range holds.
                all.iter().map(|n| u32::try_from(*n).unwrap_or(u32::MAX)).collect()
            }
            Some(_) => vec![self.metadata.u32(&key)?; n_layers],
        };
        if found.len() != n_layers {
            let detail = format!("{} numbers for {n_layers} layers", found.len());
            return Err(self.bad(name, detail));
        }
        found
            .iter()
            .map(|found| self.checked(name, *found, &range))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// A finite number above zero, if it is there.
    pub(crate) fn opt_positive(&self, name: &str) -> Result<Option<f32>> {
        let Some(found) = self.metadata.opt_f32(&self.key(name))? else { return Ok(None) };
        if !(found.is_finite() && found > 0.0) {
            return Err(self.bad(name, format!("{found:?} is not a finite number above 0")));
        }
        Ok(Some(found))
    }

    /// A finite number above zero.
    pub(crate) fn positive(&self, name: &str) -> Result<f32> {
        match self.opt_positive(name)? {
            Some(found) => Ok(found),
            None => self.metadata.f32(&self.key(name)),
        }
    }

    /// A string, if it is there.
    pub(crate) fn opt_str(&self, name: &str) -> Result<Option<&'m str>> {
        self.metadata.opt_str(&self.key(name))
    }

    /// The norm of a family that divides by the root of the mean square.
    pub(crate) fn rms_norm(&self) -> Result<Norm> {
        let epsilon = self.positive("attention.layer_norm_rms_epsilon")?;
        Ok(Norm { kind: NormKind::Rms, epsilon })
    }

    /// How many experts there are and how many see a row; none if the keys are absent or zero.
    pub(crate) fn experts(&self) -> Result<Option<(usize, usize)>> {
        let count = self.opt_count("expert_count", 0..=MAX_EXPERTS)?.unwrap_or(0);
        if count == 0 {
            return Ok(None);
        }
        let used = self.count("expert_used_count", 1..=count as u32)?;
        Ok(Some((count, used)))
    }

    /// The width within the feed-forward network of each layer; of one expert, if there are any.
    pub(crate) fn n_ff(&self, n_layers: usize, experts: bool) -> Result<Vec<usize>> {
        let widths = 1..=1 << 24;
        if experts
            && let Some(n_ff) = self.opt_count("expert_feed_forward_length", widths.clone())?
        {
            return Ok(vec![n_ff; n_layers]);
        }
        let name = "feed_forward_length";
        match self.per_layer(name, n_layers, widths.clone())? {
            Some(all) => Ok(all),
            None => self.count(name, widths).map(|n_ff| vec![n_ff; n_layers]),
        }
    }

    /// Layers, widths and heads.
    pub(crate) fn sizes(&self, file: &Gguf) -> Result<Sizes> {
        let n_layers = self.count("block_count", 1..=MAX_LAYERS)?;
        self.check_blocks(n_layers, file)?;
        let n_embd = self.count("embedding_length", 1..=MAX_EMBD)?;
        let n_ctx = self.count("context_length", 1..=u32::MAX)?;
        let heads = "attention.head_count";
        let kv_heads = "attention.head_count_kv";
        let all_heads = match self.per_layer(heads, n_layers, 1..=MAX_HEADS)? {
            Some(all) => all,
            None => vec![self.count(heads, 1..=MAX_HEADS)?; n_layers],
        };
        let all_kv = self.per_layer(kv_heads, n_layers, 1..=MAX_HEADS)?;
        let all_kv = all_kv.unwrap_or_else(|| all_heads.clone());
        for (heads, kv) in all_heads.iter().zip(&all_kv) {
            if heads % kv != 0 {
                let detail = format!("{kv} heads of key and value do not divide {heads} heads");
                return Err(self.bad(kv_heads, detail));
            }
        }
        let head_dim = self.head_dim(n_embd, all_heads[0])?;
        let n_vocab = self.n_vocab(file)?;
        Ok(Sizes { n_layers, n_embd, n_ctx, n_vocab, heads: all_heads, kv_heads: all_kv, head_dim })
    }

    fn head_dim(&self, n_embd: usize, heads: usize) -> Result<usize> {
        let key = self.opt_count("attention.key_length", 1..=MAX_EMBD)?;
        let value = self.opt_count("attention.value_length", 1..=MAX_EMBD)?;
        match (key, value) {
            (None, None) if n_embd.is_multiple_of(heads) => Ok(n_embd / heads),
            (None, None) => {
                let detail = format!("{n_embd} is no multiple of {heads} heads");
                Err(self.bad("embedding_length", detail))
            }
            (Some(key), value) if value.is_none_or(|value| value == key) => Ok(key),
            (key, value) => {
                let name = |n: Option<usize>| n.map_or("absent".into(), |n| n.to_string());
                let detail = format!("{}, but key_length is {}", name(value), name(key));
                Err(self.bad("attention.value_length", detail))
            }
        }
    }

    /// A file that has tensors for another number of blocks lies about one of the two.
    fn check_blocks(&self, n_layers: usize, file: &Gguf) -> Result<()> {
        let block =
            |name: &str| name.strip_prefix("blk.")?.split('.').next()?.parse::<usize>().ok();
        let blocks = file.tensors().iter().filter_map(|info| block(&info.name)).max();
        let found = blocks.map_or(0, |last| last.saturating_add(1));
        if found != n_layers {
            let detail = format!("{n_layers}, but there are tensors for {found} blocks");
            return Err(self.bad("block_count", detail));
        }
        Ok(())
    }

    /// The vocabulary decides, then its size as a key, then the embedding.
    fn n_vocab(&self, file: &Gguf) -> Result<usize> {
        let tokens = match self.metadata.opt_str("tokenizer.ggml.model")? {
            Some("no_vocab") => None,
            _ => self.metadata.opt_strings("tokenizer.ggml.tokens")?.map(|all| all.len()),
        };
        if tokens == Some(0) {
            let place = Named("key", "tokenizer.ggml.tokens").to_string();
            return Err(Error::refused(Class::BadVocab, place, "0 tokens"));
        }
        let declared = self.opt_count("vocab_size", 1..=i32::MAX as u32)?;
        match (tokens, declared) {
            (Some(tokens), Some(declared)) if tokens != declared => {
                Err(self.bad("vocab_size", format!("{declared}, but there are {tokens} tokens")))
            }
            (Some(tokens), _) => Ok(tokens),
            (None, Some(declared)) => Ok(declared),
            (None, None) => {
                let table = file.tensor("token_embd.weight").map(|view| view.info.shape);
                table.and_then(|shape| shape.get(1).copied()).map(|rows| rows as usize).ok_or_else(
                    || {
                        let detail = "there is no such tensor, and no vocabulary either";
                        Error::refused(Class::MissingTensor, "tensor \"token_embd.weight\"", detail)
                    },
                )
            }
        }
    }
}
