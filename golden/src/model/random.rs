//! Small models of random weights with awkward dimensions: odd head counts, heads wider than their
//! share, rows that fit no block, expert counts that are no power of two, every block format; and
//! what llama.cpp computes with them. `shapes` says which there are.

use super::prompt;
use super::record::{self, Asked};
use super::shapes::{MODELS, Shape};
use crate::Result;
use crate::area::Recording;
use crate::ggml::Type;
use crate::gguf::{self, Tensor, Value};
use crate::random::Random;
use std::collections::BTreeMap;

pub(super) const FOLDER: &str = "random";

pub(super) fn record() -> Result<Recording> {
    let mut files = BTreeMap::new();
    let mut provenance = BTreeMap::new();
    for shape in MODELS {
        let model = model(shape).map_err(|error| format!("{}: {error}", shape.name))?;
        let file = std::env::temp_dir().join(format!("golden-random-{}.gguf", std::process::id()));
        std::fs::write(&file, &model)?;
        let answer = record::model(&file, 0, |twin| {
            Ok(Asked { prompts: vec![prompt::of_ids(twin)?], continued: vec![], corpus: None })
        });
        let _ = std::fs::remove_file(&file);
        let mut answer = answer.map_err(|error| format!("{}: {error}", shape.name))?;
        answer.moved_into(&format!("{FOLDER}/{}", shape.name));
        files.extend(answer.files);
        files.insert(format!("{FOLDER}/{}.gguf", shape.name), model);
        provenance = answer.provenance;
    }
    // Those of one model; each page names its own.
    provenance.retain(|key, _| !key.ends_with("-sha256"));
    Ok(Recording { provenance, inputs: vec![], files })
}

/// How a tensor's values are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Draw {
    /// Rows of length one, whatever their width.
    Matrix,
    /// Rows that a clamp or a rotation is felt in.
    Strong,
    /// Around one.
    Norm,
    Bias,
}

/// Draws and encodes tensors one after the other.
struct Maker<'s> {
    shape: &'s Shape,
    random: Random,
    tensors: Vec<Tensor>,
    matrices: usize,
}

fn model(shape: &Shape) -> Result<Vec<u8>> {
    let random = Random::new(0, shape.name);
    let mut maker = Maker { shape, random, tensors: vec![], matrices: 0 };
    maker.all()?;
    let mut keys = vec![
        ("general.architecture".to_string(), Value::Text(shape.arch)),
        ("general.name".into(), Value::Text(shape.name)),
        ("tokenizer.ggml.model".into(), Value::Text("no_vocab")),
    ];
    let own = |key: &str, value| (format!("{}.{key}", shape.arch), value);
    let counts = [
        ("vocab_size", shape.vocab),
        ("context_length", shape.context),
        ("embedding_length", shape.embd),
        ("block_count", shape.layers),
        ("feed_forward_length", shape.ff),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
    ];
    keys.extend(counts.map(|(key, count)| own(key, Value::Count(count))));
    keys.extend(shape.keys.iter().map(|(key, value)| own(key, *value)));
    Ok(gguf::file(&keys, &maker.tensors))
}

impl Maker<'_> {
    fn add(&mut self, name: impl Into<String>, shape: &[u32], draw: Draw) -> Result<()> {
        let count: usize = shape.iter().map(|extent| *extent as usize).product();
        let scale = match draw {
            Draw::Matrix => 1.0 / (shape[0] as f32).sqrt(),
            Draw::Strong => 3.0 / (shape[0] as f32).sqrt(),
            Draw::Norm => 0.1,
            Draw::Bias => 0.3,
        };
        let middle = if draw == Draw::Norm { 1.0 } else { 0.0 };
        let values: Vec<f32> =
            (0..count).map(|_| middle + scale * self.random.gaussian()).collect();
        let (kind, data) = match draw {
            Draw::Norm | Draw::Bias => self.plain(&values)?,
            Draw::Matrix | Draw::Strong => self.encoded(&values, shape[0] as usize)?,
        };
        let shape = shape.iter().map(|extent| u64::from(*extent)).collect();
        self.tensors.push(Tensor { name: name.into(), shape, kind, data });
        Ok(())
    }

    fn plain(&self, values: &[f32]) -> Result<(u32, Vec<u8>)> {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok((Type::named("F32")?.id, data))
    }

    /// In the next of the shape's formats that such a row fits.
    fn encoded(&mut self, values: &[f32], row: usize) -> Result<(u32, Vec<u8>)> {
        let formats = self.shape.formats.iter().cycle().skip(self.matrices);
        self.matrices += 1;
        for name in formats.take(self.shape.formats.len()) {
            let format = Type::named(name)?;
            if row.is_multiple_of(format.block_len) {
                return match *name {
                    "F32" => self.plain(values),
                    _ => Ok((format.id, format.encode(values)?)),
                };
            }
        }
        Err(format!("no format of {:?} fits rows of {row}", self.shape.formats).into())
    }

    fn all(&mut self) -> Result<()> {
        let Shape { embd, vocab, layers, context, arch, tied, .. } = *self.shape;
        self.add("token_embd.weight", &[embd, vocab], Draw::Strong)?;
        if arch == "gpt2" {
            self.add("position_embd.weight", &[embd, context], Draw::Strong)?;
            self.add("output_norm.bias", &[embd], Draw::Bias)?;
        }
        self.add("output_norm.weight", &[embd], Draw::Norm)?;
        if !tied {
            self.add("output.weight", &[embd, vocab], Draw::Matrix)?;
        }
        for layer in 0..layers {
            let name = |rest: &str| format!("blk.{layer}.{rest}");
            self.attention(&name)?;
            self.feed_forward(&name)?;
        }
        Ok(())
    }

    fn attention(&mut self, name: &dyn Fn(&str) -> String) -> Result<()> {
        let Shape { embd, heads, kv_heads, head_dim, arch, biased, .. } = *self.shape;
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        self.add(name("attn_norm.weight"), &[embd], Draw::Norm)?;
        let parts: &[(&str, u32)] = match arch {
            "phi3" | "gpt2" => &[("attn_qkv", q + 2 * kv)],
            _ => &[("attn_q", q), ("attn_k", kv), ("attn_v", kv)],
        };
        for (part, rows) in parts {
            self.add(name(&format!("{part}.weight")), &[embd, *rows], Draw::Matrix)?;
            if biased {
                self.add(name(&format!("{part}.bias")), &[*rows], Draw::Bias)?;
            }
        }
        self.add(name("attn_output.weight"), &[q, embd], Draw::Matrix)?;
        // Qwen2 has biases in front of attention only.
        if biased && arch != "qwen2" {
            self.add(name("attn_output.bias"), &[embd], Draw::Bias)?;
        }
        if arch == "gpt-oss" {
            self.add(name("attn_sinks.weight"), &[heads], Draw::Bias)?;
        }
        Ok(())
    }

    fn feed_forward(&mut self, name: &dyn Fn(&str) -> String) -> Result<()> {
        let Shape { embd, ff, arch, .. } = *self.shape;
        if arch == "gpt-oss" {
            return self.experts(name);
        }
        self.add(name("ffn_norm.weight"), &[embd], Draw::Norm)?;
        let parts: &[(&str, u32, u32)] = match arch {
            "phi3" => &[("ffn_up", embd, 2 * ff), ("ffn_down", ff, embd)],
            "gpt2" => &[("ffn_up", embd, ff), ("ffn_down", ff, embd)],
            _ => &[("ffn_gate", embd, ff), ("ffn_up", embd, ff), ("ffn_down", ff, embd)],
        };
        for (part, width, rows) in parts {
            self.add(name(&format!("{part}.weight")), &[*width, *rows], Draw::Matrix)?;
            if arch == "gpt2" {
                self.add(name(&format!("{part}.bias")), &[*rows], Draw::Bias)?;
            }
        }
        if arch == "gpt2" {
            self.add(name("attn_norm.bias"), &[embd], Draw::Bias)?;
            self.add(name("ffn_norm.bias"), &[embd], Draw::Bias)?;
        }
        Ok(())
    }

    fn experts(&mut self, name: &dyn Fn(&str) -> String) -> Result<()> {
        let Shape { embd, ff, experts, .. } = *self.shape;
        self.add(name("post_attention_norm.weight"), &[embd], Draw::Norm)?;
        self.add(name("ffn_gate_inp.weight"), &[embd, experts], Draw::Matrix)?;
        self.add(name("ffn_gate_inp.bias"), &[experts], Draw::Bias)?;
        let parts = [
            ("ffn_gate_exps", embd, ff, Draw::Strong),
            ("ffn_up_exps", embd, ff, Draw::Strong),
            ("ffn_down_exps", ff, embd, Draw::Matrix),
        ];
        for (part, width, rows, draw) in parts {
            self.add(name(&format!("{part}.weight")), &[width, rows, experts], draw)?;
            self.add(name(&format!("{part}.bias")), &[rows, experts], Draw::Bias)?;
        }
        Ok(())
    }
}
