//! The five families: which numbers of config.json become which keys, and which tensors become
//! which. Names on the left are llama.cpp's (`conversion/*.py` there), on the right the
//! `transformers` library's. Moves no byte.

use super::arrange::How;
use super::config::Config;
use super::source::Source;
use super::tensors::Wanted;
use crate::error::{Class, Error, Result, shown};
use crate::loader::gguf::Value;

/// What a folder's model is.
pub(super) struct Described {
    /// Without the family's name before them.
    pub(super) keys: Vec<(&'static str, Value)>,
    pub(super) tensors: Vec<Wanted>,
    pub(super) layers: usize,
}

/// A family, by the name that its GGUF files have.
pub(super) struct Family {
    pub(super) name: &'static str,
    /// `model_type` in config.json.
    model_type: &'static str,
    pub(super) describe: fn(&Config, &Source) -> Result<Described>,
}

static FAMILIES: [Family; 5] = [
    Family { name: "gpt-oss", model_type: "gpt_oss", describe: gpt_oss },
    Family { name: "gpt2", model_type: "gpt2", describe: gpt2 },
    Family { name: "llama", model_type: "llama", describe: llama },
    Family { name: "phi3", model_type: "phi3", describe: phi3 },
    Family { name: "qwen2", model_type: "qwen2", describe: qwen2 },
];

/// The family that a configuration names.
pub(super) fn of(config: &Config) -> Result<&'static Family> {
    let place = "key \"model_type\" in config.json";
    let Some(name) = config.opt_str("model_type")? else {
        return Err(Error::refused(Class::MissingKey, place, "absent"));
    };
    FAMILIES.iter().find(|family| family.model_type == name).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|family| family.model_type).collect();
        let detail = format!("{}; these are converted: {}", shown(name), known.join(", "));
        Error::refused(Class::UnknownArch, place, detail)
    })
}

/// Widths and counts that four of the five spell alike.
struct Sizes {
    layers: u32,
    embd: u64,
    ff: u64,
    heads: u64,
    kv_heads: u64,
    head_dim: u64,
    vocab: u64,
}

impl Sizes {
    fn read(config: &Config) -> Result<Sizes> {
        let heads = config.count("num_attention_heads")?;
        let embd = config.count("hidden_size")?;
        let head_dim = match config.opt_count("head_dim")? {
            Some(dim) if dim > 0 => dim,
            _ if embd.is_multiple_of(heads) => embd / heads,
            _ => return Err(config.bad("hidden_size", format!("{embd}, for {heads} heads"))),
        };
        if !head_dim.is_multiple_of(2) {
            return Err(
                config.bad("head_dim", format!("{head_dim} is odd: elements turn in pairs"))
            );
        }
        let kv_heads = config.opt_count("num_key_value_heads")?.filter(|n| *n > 0);
        Ok(Sizes {
            layers: config.count("num_hidden_layers")?,
            embd: embd.into(),
            ff: config.count("intermediate_size")?.into(),
            heads: heads.into(),
            kv_heads: kv_heads.unwrap_or(heads).into(),
            head_dim: head_dim.into(),
            vocab: config.count("vocab_size")?.into(),
        })
    }

    /// The keys that the four have.
    fn keys(&self, config: &Config) -> Result<Vec<(&'static str, Value)>> {
        let n = |count: u64| Value::from(count as u32);
        let mut keys = vec![
            ("block_count", self.layers.into()),
            ("context_length", config.count("max_position_embeddings")?.into()),
            ("embedding_length", n(self.embd)),
            ("feed_forward_length", n(self.ff)),
            ("attention.head_count", n(self.heads)),
            ("attention.head_count_kv", n(self.kv_heads)),
            ("attention.layer_norm_rms_epsilon", (config.positive("rms_norm_eps")? as f32).into()),
        ];
        if let Some(theta) = config.rope_theta()? {
            keys.push(("rope.freq_base", (theta as f32).into()));
        }
        if config.opt_count("head_dim")?.is_some() {
            keys.push(("attention.key_length", n(self.head_dim)));
            keys.push(("attention.value_length", n(self.head_dim)));
        }
        Ok(keys)
    }
}

/// Collects the tensors of a model.
struct Parts<'s> {
    source: &'s Source,
    list: Vec<Wanted>,
}

/// Whether a matrix has a bias.
#[derive(Clone, Copy, PartialEq)]
enum Bias {
    No,
    Yes,
    /// Where the source has one.
    Found,
}

impl Parts<'_> {
    fn add(&mut self, name: &str, from: &str, shape: &[u64], how: How) {
        self.list.push(Wanted::tensor(name.into(), from.into(), shape, how));
    }

    fn linear(&mut self, name: &str, from: &str, shape: [u64; 2], bias: Bias, how: How) {
        self.add(&format!("{name}.weight"), &format!("{from}.weight"), &shape, how);
        let from = format!("{from}.bias");
        if bias == Bias::Yes || bias == Bias::Found && self.source.has(&from) {
            // A turned matrix has its outputs last; its bias has as many.
            let (outputs, how) = match how {
                How::Turned => (shape[1], How::Whole),
                How::Heads(heads) => (shape[0], How::Heads(heads)),
                _ => (shape[0], How::Whole),
            };
            self.add(&format!("{name}.bias"), &from, &[outputs], how);
        }
    }

    fn vector(&mut self, name: &str, from: &str, length: u64) {
        self.add(name, from, &[length], How::Whole);
    }
}

/// Embedding, blocks and head of the four that descend from Llama.
fn model(
    config: &Config,
    source: &Source,
    sizes: &Sizes,
    mut block: impl FnMut(&mut Parts, &str, &str),
) -> Result<Vec<Wanted>> {
    let mut parts = Parts { source, list: Vec::new() };
    let table = [sizes.vocab, sizes.embd];
    parts.add("token_embd.weight", "model.embed_tokens.weight", &table, How::Whole);
    for layer in 0..sizes.layers {
        let (to, from) = (format!("blk.{layer}"), format!("model.layers.{layer}"));
        parts.vector(
            &format!("{to}.attn_norm.weight"),
            &format!("{from}.input_layernorm.weight"),
            sizes.embd,
        );
        block(&mut parts, &to, &from);
    }
    parts.vector("output_norm.weight", "model.norm.weight", sizes.embd);
    if !config.says("tie_word_embeddings")? {
        parts.add("output.weight", "lm_head.weight", &table, How::Whole);
    }
    Ok(parts.list)
}

/// Query, key, value and the way back, each a matrix of its own. `heads`: the file wants the halves
/// of a head interleaved.
fn split_attention(
    parts: &mut Parts,
    sizes: &Sizes,
    [to, from]: [&str; 2],
    [bias, out_bias]: [Bias; 2],
    interleave: bool,
) {
    let (q, kv) = (sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim);
    let how = |heads: u64| if interleave { How::Heads(heads as usize) } else { How::Whole };
    let rows = [("q", q, how(sizes.heads)), ("k", kv, how(sizes.kv_heads)), ("v", kv, How::Whole)];
    for (letter, rows, how) in rows {
        let name = format!("{to}.attn_{letter}");
        let from = format!("{from}.self_attn.{letter}_proj");
        parts.linear(&name, &from, [rows, sizes.embd], bias, how);
    }
    let from = format!("{from}.self_attn.o_proj");
    parts.linear(&format!("{to}.attn_output"), &from, [sizes.embd, q], out_bias, How::Whole);
}

/// Gate, up and down of a network without experts.
fn dense(parts: &mut Parts, sizes: &Sizes, to: &str, from: &str, bias: Bias) {
    let norm = format!("{from}.post_attention_layernorm.weight");
    parts.vector(&format!("{to}.ffn_norm.weight"), &norm, sizes.embd);
    for (part, shape) in [
        ("gate", [sizes.ff, sizes.embd]),
        ("up", [sizes.ff, sizes.embd]),
        ("down", [sizes.embd, sizes.ff]),
    ] {
        let from = format!("{from}.mlp.{part}_proj");
        parts.linear(&format!("{to}.ffn_{part}"), &from, shape, bias, How::Whole);
    }
}

fn llama(config: &Config, source: &Source) -> Result<Described> {
    let sizes = Sizes::read(config)?;
    let mut keys = sizes.keys(config)?;
    keys.push(("vocab_size", (sizes.vocab as u32).into()));
    keys.push(("rope.dimension_count", (sizes.head_dim as u32).into()));
    let mut tensors = model(config, source, &sizes, |parts, to, from| {
        split_attention(parts, &sizes, [to, from], [Bias::Found; 2], true);
        dense(parts, &sizes, to, from, Bias::Found);
    })?;
    match config.rope_type()?.as_deref() {
        None | Some("default") => {}
        Some("linear") => linear_scaling(config, &mut keys)?,
        Some("llama3") => {
            let factors = llama3_factors(config, sizes.head_dim as usize)?;
            tensors.push(Wanted::numbers("rope_freqs.weight", &factors));
        }
        Some(other) => return Err(unknown_scaling(config, other)),
    }
    Ok(Described { keys, tensors, layers: sizes.layers as usize })
}

fn qwen2(config: &Config, source: &Source) -> Result<Described> {
    let sizes = Sizes::read(config)?;
    let mut keys = sizes.keys(config)?;
    let tensors = model(config, source, &sizes, |parts, to, from| {
        split_attention(parts, &sizes, [to, from], [Bias::Yes, Bias::No], false);
        dense(parts, &sizes, to, from, Bias::No);
    })?;
    match config.rope_type()?.as_deref() {
        None | Some("default") => {}
        Some("linear") => linear_scaling(config, &mut keys)?,
        Some("yarn") => yarn_scaling(config, &mut keys)?,
        Some(other) => return Err(unknown_scaling(config, other)),
    }
    Ok(Described { keys, tensors, layers: sizes.layers as usize })
}

fn phi3(config: &Config, source: &Source) -> Result<Described> {
    let sizes = Sizes::read(config)?;
    let mut keys = sizes.keys(config)?;
    keys.push(("rope.dimension_count", (sizes.head_dim as u32).into()));
    let window = config.opt_count("sliding_window")?.unwrap_or(0);
    keys.push(("attention.sliding_window", window.into()));
    let mut tensors = model(config, source, &sizes, |parts, to, from| {
        let (q, kv) = (sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim);
        let mut linear = |part: &str, own: &str, shape| {
            let from = format!("{from}.{own}");
            parts.linear(&format!("{to}.{part}"), &from, shape, Bias::No, How::Whole);
        };
        linear("attn_qkv", "self_attn.qkv_proj", [q + 2 * kv, sizes.embd]);
        linear("attn_output", "self_attn.o_proj", [sizes.embd, q]);
        linear("ffn_up", "mlp.gate_up_proj", [2 * sizes.ff, sizes.embd]);
        linear("ffn_down", "mlp.down_proj", [sizes.embd, sizes.ff]);
        let norm = format!("{from}.post_attention_layernorm.weight");
        parts.vector(&format!("{to}.ffn_norm.weight"), &norm, sizes.embd);
    })?;
    match config.rope_type()?.as_deref() {
        None | Some("default") => {
            let context = config.count("max_position_embeddings")?;
            keys.push(("rope.scaling.original_context_length", context.into()));
        }
        Some("longrope" | "su") => {
            let original = config.original_context()?;
            keys.push(("rope.scaling.original_context_length", original.into()));
            let context = f64::from(config.count("max_position_embeddings")?);
            let scale = context / f64::from(original);
            // Longer angles would flatten attention: so LongRoPE's authors.
            let grown = (1.0 + scale.ln() / f64::from(original).ln()).sqrt();
            let factor = if scale > 1.0 { grown } else { 1.0 };
            keys.push(("rope.scaling.attn_factor", (factor as f32).into()));
            for (name, key) in [
                ("rope_factors_long.weight", "long_factor"),
                ("rope_factors_short.weight", "short_factor"),
            ] {
                let pairs = sizes.head_dim as usize / 2;
                let numbers = config.numbers(&config.rope_key(key), pairs)?;
                tensors.push(Wanted::numbers(name, &numbers));
            }
        }
        Some(other) => return Err(unknown_scaling(config, other)),
    }
    Ok(Described { keys, tensors, layers: sizes.layers as usize })
}

fn gpt_oss(config: &Config, source: &Source) -> Result<Described> {
    let sizes = Sizes::read(config)?;
    let mut keys = sizes.keys(config)?;
    let experts = config.count("num_local_experts")?;
    keys.push(("expert_count", experts.into()));
    keys.push(("expert_used_count", config.count("num_experts_per_tok")?.into()));
    keys.push(("expert_feed_forward_length", (sizes.ff as u32).into()));
    keys.push(("attention.sliding_window", config.count("sliding_window")?.into()));
    match config.rope_type()?.as_deref() {
        None | Some("default") => {}
        Some("yarn") => yarn_scaling(config, &mut keys)?,
        Some(other) => return Err(unknown_scaling(config, other)),
    }
    let experts = u64::from(experts);
    let (embd, ff) = (sizes.embd, sizes.ff);
    let tensors = model(config, source, &sizes, |parts, to, from| {
        split_attention(parts, &sizes, [to, from], [Bias::Yes; 2], false);
        let sinks = format!("{from}.self_attn.sinks");
        parts.vector(&format!("{to}.attn_sinks.weight"), &sinks, sizes.heads);
        let norm = format!("{from}.post_attention_layernorm.weight");
        parts.vector(&format!("{to}.post_attention_norm.weight"), &norm, embd);
        let router = format!("{from}.mlp.router");
        let name = format!("{to}.ffn_gate_inp");
        parts.linear(&name, &router, [experts, embd], Bias::Yes, How::Whole);
        let from = format!("{from}.mlp.experts");
        let (both, down) = ([experts, embd, 2 * ff], [experts, ff, embd]);
        for (part, first) in [("gate", 0), ("up", 1)] {
            let name = format!("{to}.ffn_{part}_exps");
            let from = format!("{from}.gate_up_proj");
            parts.add(&format!("{name}.weight"), &from, &both, How::TurnedEveryOther(first));
            let bias = How::Elements(first);
            parts.add(&format!("{name}.bias"), &format!("{from}_bias"), &[experts, 2 * ff], bias);
        }
        let (name, from) = (format!("{to}.ffn_down_exps"), format!("{from}.down_proj"));
        parts.add(&format!("{name}.weight"), &from, &down, How::Turned);
        parts.add(&format!("{name}.bias"), &format!("{from}_bias"), &[experts, embd], How::Whole);
    })?;
    Ok(Described { keys, tensors, layers: sizes.layers as usize })
}

fn gpt2(config: &Config, source: &Source) -> Result<Described> {
    let (layers, heads) = (config.count("n_layer")?, config.count("n_head")?);
    let (embd, vocab) = (config.count("n_embd")?, config.count("vocab_size")?);
    let context = match config.opt_count("n_positions")? {
        Some(positions) => positions,
        None => config.count("n_ctx")?,
    };
    let ff = match config.opt_count("n_inner")? {
        Some(inner) => inner,
        None => embd.saturating_mul(4),
    };
    let epsilon = config.positive("layer_norm_epsilon")? as f32;
    let keys = vec![
        ("block_count", layers.into()),
        ("context_length", context.into()),
        ("embedding_length", embd.into()),
        ("feed_forward_length", ff.into()),
        ("attention.head_count", heads.into()),
        ("attention.layer_norm_epsilon", epsilon.into()),
    ];
    let (embd, ff) = (u64::from(embd), u64::from(ff));
    // The first checkpoints were saved without the outermost module.
    let root = if source.has("transformer.wte.weight") { "transformer." } else { "" };
    let mut parts = Parts { source, list: Vec::new() };
    let table = [u64::from(vocab), embd];
    parts.add("token_embd.weight", &format!("{root}wte.weight"), &table, How::Whole);
    let positions = [u64::from(context), embd];
    parts.add("position_embd.weight", &format!("{root}wpe.weight"), &positions, How::Whole);
    for layer in 0..layers {
        let (to, from) = (format!("blk.{layer}"), format!("{root}h.{layer}"));
        // This family multiplies from the other side: inputs are rows.
        for (part, own, shape) in [
            ("attn_qkv", "attn.c_attn", [embd, 3 * embd]),
            ("attn_output", "attn.c_proj", [embd, embd]),
            ("ffn_up", "mlp.c_fc", [embd, ff]),
            ("ffn_down", "mlp.c_proj", [ff, embd]),
        ] {
            let (name, from) = (format!("{to}.{part}"), format!("{from}.{own}"));
            parts.linear(&name, &from, shape, Bias::Yes, How::Turned);
        }
        for (part, own) in [("attn_norm", "ln_1"), ("ffn_norm", "ln_2")] {
            for end in ["weight", "bias"] {
                parts.vector(&format!("{to}.{part}.{end}"), &format!("{from}.{own}.{end}"), embd);
            }
        }
    }
    for end in ["weight", "bias"] {
        parts.vector(&format!("output_norm.{end}"), &format!("{root}ln_f.{end}"), embd);
    }
    Ok(Described { keys, tensors: parts.list, layers: layers as usize })
}

fn unknown_scaling(config: &Config, found: &str) -> Error {
    let detail = format!("{} is not one that this family is converted with", shown(found));
    config.bad(&config.rope_key("rope_type"), detail)
}

type Keys = Vec<(&'static str, Value)>;

fn linear_scaling(config: &Config, keys: &mut Keys) -> Result<()> {
    keys.push(("rope.scaling.type", "linear".into()));
    let factor = config.positive(&config.rope_key("factor"))? as f32;
    keys.push(("rope.scaling.factor", factor.into()));
    Ok(())
}

fn yarn_scaling(config: &Config, keys: &mut Keys) -> Result<()> {
    keys.push(("rope.scaling.type", "yarn".into()));
    let factor = config.positive(&config.rope_key("factor"))? as f32;
    keys.push(("rope.scaling.factor", factor.into()));
    let original = config.original_context()?;
    keys.push(("rope.scaling.original_context_length", original.into()));
    for (key, own) in
        [("rope.scaling.yarn_beta_fast", "beta_fast"), ("rope.scaling.yarn_beta_slow", "beta_slow")]
    {
        if let Some(beta) = config.opt_number(&config.rope_key(own))? {
            keys.push((key, (beta as f32).into()));
        }
    }
    Ok(())
}

/// What divides each frequency: 1 for fast ones, the factor for slow ones, and a blend between.
fn llama3_factors(config: &Config, dims: usize) -> Result<Vec<f32>> {
    let number = |name: &str| config.positive(&config.rope_key(name));
    let (factor, low, high) =
        (number("factor")?, number("low_freq_factor")?, number("high_freq_factor")?);
    let original = f64::from(config.original_context()?);
    let theta = config.rope_theta()?.unwrap_or(10_000.0);
    let divisor = |pair: usize| {
        let wavelength = std::f64::consts::TAU * theta.powf(2.0 * pair as f64 / dims as f64);
        let turns = original / wavelength;
        if turns > high {
            1.0
        } else if turns < low {
            factor
        } else {
            let smooth = (turns - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    Ok((0..dims / 2).map(|pair| divisor(pair) as f32).collect())
}
