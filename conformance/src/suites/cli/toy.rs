//! A Llama of two layers with random weights and the SentencePiece toy's vocabulary: small enough
//! to run a thousand tokens in a moment, and lively enough to say something else for another seed.

use crate::suites::tokenizer::toys;
use engine::loader::gguf::Metadata;
use engine::loader::gguf::writer::Writer;
use engine::quant::{self, Format};
use engine::sampler::uniform;
use harness::Failure;
use std::path::{Path, PathBuf};

pub(super) const N_EMBD: u64 = 32;
pub(super) const N_FF: u64 = 64;
pub(super) const HEADS: u64 = 4;
pub(super) const KV_HEADS: u64 = 2;
pub(super) const HEAD_DIM: u64 = 8;
pub(super) const LAYERS: u64 = 2;
pub(super) const N_CTX: u64 = 256;
pub(super) const N_VOCAB: u64 = 291;

/// A folder with the model in it.
pub(super) struct Toy {
    folder: tempfile::TempDir,
    /// The model file.
    pub(super) path: String,
}

impl Toy {
    /// The model as it is.
    pub(super) fn new() -> Result<Toy, Failure> {
        Toy::with(|_| ())
    }

    /// The model with other metadata.
    pub(super) fn with(change: impl FnOnce(&mut Metadata)) -> Result<Toy, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("toy.gguf");
        let mut writer = Writer::new();
        *writer.metadata() = toys::spm();
        writer
            .set("llama.block_count", LAYERS as u32)
            .set("llama.embedding_length", N_EMBD as u32)
            .set("llama.context_length", N_CTX as u32)
            .set("llama.feed_forward_length", N_FF as u32)
            .set("llama.attention.head_count", HEADS as u32)
            .set("llama.attention.head_count_kv", KV_HEADS as u32)
            .set("llama.attention.layer_norm_rms_epsilon", 1e-5_f32)
            .set("llama.rope.dimension_count", HEAD_DIM as u32);
        change(writer.metadata());
        tensors(&mut writer)?;
        writer.write(&path)?;
        Ok(Toy { path: text(&path), folder })
    }

    /// A path in the toy's folder.
    pub(super) fn beside(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    /// Writes a file beside the model.
    pub(super) fn file(&self, name: &str, content: &str) -> Result<String, Failure> {
        let path = PathBuf::from(self.beside(name));
        std::fs::write(&path, content)?;
        Ok(text(&path))
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn tensors(writer: &mut Writer) -> Result<(), Failure> {
    let f32 = quant::by_name("F32").ok_or("no F32")?;
    let mut seed = 1;
    let mut matrix = |writer: &mut Writer, name: &str, inputs: u64, outputs: u64| {
        seed += 1;
        // Wide enough that the logits differ by some units.
        let spread = 3.5 / (inputs as f64).sqrt();
        let value = |at: u64| ((uniform(seed, at) - 0.5) * 2.0 * spread) as f32;
        let data: Vec<u8> = (0..inputs * outputs).flat_map(|at| value(at).to_le_bytes()).collect();
        writer.tensor(name, f32, &[inputs, outputs], data);
    };
    matrix(writer, "token_embd.weight", N_EMBD, N_VOCAB);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        matrix(writer, &name("attn_q"), N_EMBD, HEADS * HEAD_DIM);
        matrix(writer, &name("attn_k"), N_EMBD, KV_HEADS * HEAD_DIM);
        matrix(writer, &name("attn_v"), N_EMBD, KV_HEADS * HEAD_DIM);
        matrix(writer, &name("attn_output"), HEADS * HEAD_DIM, N_EMBD);
        matrix(writer, &name("ffn_gate"), N_EMBD, N_FF);
        matrix(writer, &name("ffn_up"), N_EMBD, N_FF);
        matrix(writer, &name("ffn_down"), N_FF, N_EMBD);
        ones(writer, f32, &name("attn_norm"));
        ones(writer, f32, &name("ffn_norm"));
    }
    ones(writer, f32, "output_norm.weight");
    matrix(writer, "output.weight", N_EMBD, N_VOCAB);
    Ok(())
}

fn ones(writer: &mut Writer, f32: &'static Format, name: &str) {
    let data: Vec<u8> = (0..N_EMBD).flat_map(|_| 1.0_f32.to_le_bytes()).collect();
    writer.tensor(name, f32, &[N_EMBD], data);
}
