//! Every family's folder, and where each of its elements must lie in the file.

use super::folder::{Folder, decoded};
use harness::{Case, Failure, Run};
use serde_json::{Value as Json, json};

const EMBD: usize = 32;
const FF: usize = 64;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 6;
const EXPERTS: usize = 3;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("convert::{name}"), body)
    };
    vec![
        case("gpt-oss::elements", gpt_oss_elements),
        case("gpt-oss::blocks-are-repacked", gpt_oss_blocks),
        case("gpt-oss::keys", gpt_oss_keys),
        case("gpt2::elements", gpt2_elements),
        case("llama::elements", llama_elements),
        case("llama::rope-freqs", llama_rope_freqs),
        case("phi3::elements", phi3_elements),
        case("phi3::factors", phi3_factors),
        case("qwen2::elements", qwen2_elements),
    ]
}

/// What the four that descend from Llama say alike.
fn config(model_type: &str) -> Json {
    json!({
        "model_type": model_type, "hidden_size": EMBD, "intermediate_size": FF,
        "num_hidden_layers": 2, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
    })
}

fn common(folder: &mut Folder, tied: bool) {
    let rows = folder.rows();
    folder.random("model.embed_tokens.weight", &[rows, EMBD]);
    folder.random("model.norm.weight", &[EMBD]);
    if !tied {
        folder.random("lm_head.weight", &[rows, EMBD]);
    }
    folder.config["tie_word_embeddings"] = json!(tied);
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            folder.random(&format!("model.layers.{layer}.{norm}.weight"), &[EMBD]);
        }
    }
}

fn attention(folder: &mut Folder, bias: &[&str]) {
    let (q, kv) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    for layer in 0..2 {
        for (part, rows, columns) in
            [("q", q, EMBD), ("k", kv, EMBD), ("v", kv, EMBD), ("o", EMBD, q)]
        {
            let name = format!("model.layers.{layer}.self_attn.{part}_proj");
            folder.random(&format!("{name}.weight"), &[rows, columns]);
            if bias.contains(&part) {
                folder.random(&format!("{name}.bias"), &[rows]);
            }
        }
    }
}

fn dense(folder: &mut Folder) {
    for layer in 0..2 {
        for (part, rows, columns) in [("gate", FF, EMBD), ("up", FF, EMBD), ("down", EMBD, FF)] {
            let name = format!("model.layers.{layer}.mlp.{part}_proj.weight");
            folder.random(&name, &[rows, columns]);
        }
    }
}

pub(super) fn llama() -> Result<Folder, Failure> {
    let mut folder = Folder::new(config("llama"), "llama", "BF16")?;
    common(&mut folder, false);
    attention(&mut folder, &[]);
    dense(&mut folder);
    Ok(folder)
}

pub(super) fn qwen2() -> Result<Folder, Failure> {
    let mut folder = Folder::new(config("qwen2"), "qwen2", "BF16")?;
    common(&mut folder, true);
    attention(&mut folder, &["q", "k", "v"]);
    dense(&mut folder);
    Ok(folder)
}

fn phi3() -> Result<Folder, Failure> {
    let mut folder = Folder::new(config("phi3"), "phi3", "BF16")?;
    common(&mut folder, false);
    folder.config["sliding_window"] = json!(48);
    folder.config["original_max_position_embeddings"] = json!(64);
    folder.config["rope_scaling"] = json!({
        "type": "longrope", "short_factor": [1.0, 1.5, 2.0], "long_factor": [1.0, 4.0, 16.0],
    });
    for layer in 0..2 {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        let width = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
        folder.random(&name("self_attn.qkv_proj"), &[width, EMBD]);
        folder.random(&name("self_attn.o_proj"), &[EMBD, HEADS * HEAD_DIM]);
        folder.random(&name("mlp.gate_up_proj"), &[2 * FF, EMBD]);
        folder.random(&name("mlp.down_proj"), &[EMBD, FF]);
    }
    Ok(folder)
}

/// `packed`: experts as published, in MXFP4; else as numbers, which lie turned.
pub(super) fn gpt_oss(packed: bool) -> Result<Folder, Failure> {
    let mut folder = Folder::new(config("gpt_oss"), "harmony", "BF16")?;
    common(&mut folder, false);
    attention(&mut folder, &["q", "k", "v", "o"]);
    folder.config["num_local_experts"] = json!(EXPERTS);
    folder.config["num_experts_per_tok"] = json!(2);
    folder.config["sliding_window"] = json!(32);
    folder.config["rope_scaling"] = json!({
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
        "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
    });
    for layer in 0..2 {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        folder.random(&name("self_attn.sinks"), &[HEADS]);
        folder.random(&name("mlp.router.weight"), &[EXPERTS, EMBD]);
        folder.random(&name("mlp.router.bias"), &[EXPERTS]);
        let (both, down) = (name("mlp.experts.gate_up_proj"), name("mlp.experts.down_proj"));
        folder.random(&format!("{both}_bias"), &[EXPERTS, 2 * FF]);
        folder.random(&format!("{down}_bias"), &[EXPERTS, EMBD]);
        match packed {
            true => {
                folder.codes(&both, &[EXPERTS, 2 * FF, EMBD]);
                folder.codes(&down, &[EXPERTS, EMBD, FF]);
            }
            false => {
                folder.random(&both, &[EXPERTS, EMBD, 2 * FF]);
                folder.random(&down, &[EXPERTS, FF, EMBD]);
            }
        }
    }
    Ok(folder)
}

fn gpt2() -> Result<Folder, Failure> {
    let config = json!({
        "model_type": "gpt2", "n_embd": EMBD, "n_layer": 2, "n_head": HEADS, "n_positions": 40,
        "n_inner": FF, "layer_norm_epsilon": 1e-5,
    });
    let mut folder = Folder::new(config, "gpt2", "F16")?;
    let rows = folder.rows();
    folder.random("transformer.wte.weight", &[rows, EMBD]);
    folder.random("transformer.wpe.weight", &[40, EMBD]);
    for layer in 0..2 {
        for (part, inputs, outputs) in [
            ("attn.c_attn", EMBD, 3 * EMBD),
            ("attn.c_proj", EMBD, EMBD),
            ("mlp.c_fc", EMBD, FF),
            ("mlp.c_proj", FF, EMBD),
        ] {
            let name = format!("transformer.h.{layer}.{part}");
            folder.random(&format!("{name}.weight"), &[inputs, outputs]);
            folder.random(&format!("{name}.bias"), &[outputs]);
        }
        for norm in ["ln_1", "ln_2"] {
            folder.random(&format!("transformer.h.{layer}.{norm}.weight"), &[EMBD]);
            folder.random(&format!("transformer.h.{layer}.{norm}.bias"), &[EMBD]);
        }
    }
    folder.random("transformer.ln_f.weight", &[EMBD]);
    folder.random("transformer.ln_f.bias", &[EMBD]);
    // What old checkpoints hold beside the weights: the triangle of the causal mask.
    folder.random("transformer.h.0.attn.bias", &[1, 1, 40, 40]);
    Ok(folder)
}

/// Where element (row, column) of a tensor of the file lies in the source, as an index.
type Place = fn(row: usize, column: usize, width: usize) -> usize;

fn same(row: usize, column: usize, width: usize) -> usize {
    row * width + column
}

/// Pairs that turn together are neighbours in the file and half a head apart in the source.
fn interleaved(row: usize, column: usize, width: usize) -> usize {
    let (head, within) = (row / HEAD_DIM, row % HEAD_DIM);
    let source = head * HEAD_DIM + within % 2 * (HEAD_DIM / 2) + within / 2;
    source * width + column
}

/// Tensors of block 1: name in the file, name in the source, where elements come from.
fn check(folder: &Folder, wanted: &[(&str, &str, Place)], kind: &str) -> Result<(), Failure> {
    let file = folder.write()?.converted(&["--type", kind])?;
    for (name, from, place) in wanted {
        let source = folder.tensors.get(*from).ok_or_else(|| format!("no {from}"))?;
        let values = decoded(&file, name)?;
        let width = file.tensor(name).ok_or("no tensor")?.info.shape[0] as usize;
        for (at, value) in values.iter().enumerate() {
            let from = place(at / width, at % width, width);
            if *value != source.values[from] {
                let detail = format!("{name}: element {at} is {value}, not number {from}");
                return Err(detail.into());
            }
        }
        if values.len() > source.values.len() {
            return Err(format!("{name}: {} elements", values.len()).into());
        }
    }
    Ok(())
}

fn llama_elements(_: &mut Run) -> Result<(), Failure> {
    let wanted: [(&str, &str, Place); 8] = [
        ("token_embd.weight", "model.embed_tokens.weight", same),
        ("output.weight", "lm_head.weight", same),
        ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", interleaved),
        ("blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight", interleaved),
        ("blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight", same),
        ("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight", same),
        ("blk.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight", same),
        ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight", same),
    ];
    check(&llama()?, &wanted, "F32")?;
    // Files with biases exist; they are vectors, ordered like the rows.
    let mut folder = llama()?;
    attention(&mut folder, &["q", "k", "v", "o"]);
    let biases: [(&str, &str, Place); 2] = [
        ("blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias", |_, at, _| {
            interleaved(at, 0, 1)
        }),
        ("blk.0.attn_v.bias", "model.layers.0.self_attn.v_proj.bias", same),
    ];
    check(&folder, &biases, "keep")
}

fn qwen2_elements(_: &mut Run) -> Result<(), Failure> {
    let wanted: [(&str, &str, Place); 5] = [
        ("token_embd.weight", "model.embed_tokens.weight", same),
        ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", same),
        ("blk.1.attn_k.bias", "model.layers.1.self_attn.k_proj.bias", same),
        ("blk.1.ffn_gate.weight", "model.layers.1.mlp.gate_proj.weight", same),
        ("blk.1.ffn_up.weight", "model.layers.1.mlp.up_proj.weight", same),
    ];
    let folder = qwen2()?;
    check(&folder, &wanted, "keep")?;
    let file = folder.write()?.converted(&[])?;
    match file.tensor("output.weight") {
        None => Ok(()),
        Some(_) => Err("the head is tied, and is there all the same".into()),
    }
}

fn phi3_elements(_: &mut Run) -> Result<(), Failure> {
    let wanted: [(&str, &str, Place); 4] = [
        ("blk.1.attn_qkv.weight", "model.layers.1.self_attn.qkv_proj.weight", same),
        ("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight", same),
        ("blk.1.ffn_up.weight", "model.layers.1.mlp.gate_up_proj.weight", same),
        ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight", same),
    ];
    check(&phi3()?, &wanted, "F32")
}

/// The other side multiplies in this family: what is a row there is a column here.
fn gpt2_elements(_: &mut Run) -> Result<(), Failure> {
    let wanted: [(&str, &str, Place); 7] = [
        ("position_embd.weight", "transformer.wpe.weight", same),
        ("blk.1.attn_qkv.weight", "transformer.h.1.attn.c_attn.weight", |row, column, _| {
            column * 3 * EMBD + row
        }),
        ("blk.1.attn_output.weight", "transformer.h.1.attn.c_proj.weight", |row, column, _| {
            column * EMBD + row
        }),
        ("blk.1.ffn_up.weight", "transformer.h.1.mlp.c_fc.weight", |row, column, _| {
            column * FF + row
        }),
        ("blk.1.ffn_down.weight", "transformer.h.1.mlp.c_proj.weight", |row, column, _| {
            column * EMBD + row
        }),
        ("blk.1.attn_qkv.bias", "transformer.h.1.attn.c_attn.bias", same),
        ("output_norm.bias", "transformer.ln_f.bias", same),
    ];
    check(&gpt2()?, &wanted, "F16")
}

fn gpt_oss_elements(_: &mut Run) -> Result<(), Failure> {
    fn gate(row: usize, column: usize, _: usize) -> usize {
        let (expert, unit) = (row / FF, row % FF);
        (expert * EMBD + column) * 2 * FF + 2 * unit
    }
    let wanted: [(&str, &str, Place); 8] = [
        ("blk.1.attn_sinks.weight", "model.layers.1.self_attn.sinks", same),
        ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", same),
        (
            "blk.1.post_attention_norm.weight",
            "model.layers.1.post_attention_layernorm.weight",
            same,
        ),
        ("blk.1.ffn_gate_inp.weight", "model.layers.1.mlp.router.weight", same),
        ("blk.1.ffn_gate_exps.weight", "model.layers.1.mlp.experts.gate_up_proj", gate),
        ("blk.1.ffn_up_exps.weight", "model.layers.1.mlp.experts.gate_up_proj", |r, c, w| {
            gate(r, c, w) + 1
        }),
        ("blk.1.ffn_up_exps.bias", "model.layers.1.mlp.experts.gate_up_proj_bias", |r, c, _| {
            r * 2 * FF + 2 * c + 1
        }),
        ("blk.1.ffn_down_exps.weight", "model.layers.1.mlp.experts.down_proj", |row, column, _| {
            let (expert, out) = (row / EMBD, row % EMBD);
            (expert * FF + column) * EMBD + out
        }),
    ];
    check(&gpt_oss(false)?, &wanted, "F32")
}

/// Every code and scale arrives: low halves of bytes are even elements in the folder.
fn gpt_oss_blocks(run: &mut Run) -> Result<(), Failure> {
    const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let folder = gpt_oss(true)?;
    let file = folder.write()?.converted(&["--type", "Q8_0"])?;
    let source = |name: &str, row: usize, column: usize, width: usize| -> Option<f32> {
        let at = row * width + column;
        let byte = folder.tensors.get(&format!("{name}_blocks"))?.data[at / 2];
        let scale = folder.tensors.get(&format!("{name}_scales"))?.data[at / 32];
        let code = if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        let sign = if code & 8 == 0 { 1.0 } else { -1.0 };
        Some(sign * VALUES[usize::from(code & 7)] * (f32::from(scale) - 127.0).exp2())
    };
    let mut compared = 0;
    for (part, own, width, rows) in [
        ("gate", "gate_up_proj", EMBD, FF),
        ("up", "gate_up_proj", EMBD, FF),
        ("down", "down_proj", FF, EMBD),
    ] {
        let name = format!("blk.1.ffn_{part}_exps.weight");
        let view = file.tensor(&name).ok_or_else(|| format!("no {name}"))?;
        if view.info.format.name != "MXFP4" {
            return Err(format!("{name} is {}", view.info.format.name).into());
        }
        let own = format!("model.layers.1.mlp.experts.{own}");
        for (at, value) in decoded(&file, &name)?.iter().enumerate() {
            let (row, column) = (at / width, at % width);
            let (expert, unit) = (row / rows, row % rows);
            let from = match part {
                "gate" => expert * 2 * FF + 2 * unit,
                "up" => expert * 2 * FF + 2 * unit + 1,
                _ => row,
            };
            let wanted = source(&own, from, column, width).ok_or("no codes")?;
            if value.to_bits() != wanted.to_bits() {
                return Err(format!("{name}: element {at} is {value}, not {wanted}").into());
            }
            compared += 1;
        }
    }
    run.figure("elements", f64::from(compared), "");
    Ok(())
}

fn gpt_oss_keys(_: &mut Run) -> Result<(), Failure> {
    let file = gpt_oss(true)?.write()?.converted(&["--name", "small oss"])?;
    let keys = file.metadata();
    let counts = [
        ("block_count", 2),
        ("context_length", 256),
        ("embedding_length", EMBD as u32),
        ("feed_forward_length", FF as u32),
        ("expert_feed_forward_length", FF as u32),
        ("expert_count", EXPERTS as u32),
        ("expert_used_count", 2),
        ("attention.head_count", HEADS as u32),
        ("attention.head_count_kv", KV_HEADS as u32),
        ("attention.key_length", HEAD_DIM as u32),
        ("attention.value_length", HEAD_DIM as u32),
        ("attention.sliding_window", 32),
        ("rope.scaling.original_context_length", 64),
    ];
    for (key, wanted) in counts {
        let found = keys.u32(&format!("gpt-oss.{key}"))?;
        if found != wanted {
            return Err(format!("{key} is {found}, wanted {wanted}").into());
        }
    }
    let found = (keys.str("general.name")?, keys.str("gpt-oss.rope.scaling.type")?);
    if found != ("small oss", "yarn") || keys.f32("gpt-oss.rope.scaling.factor")? != 4.0 {
        return Err(format!("{found:?}").into());
    }
    Ok(())
}

/// The formula of Llama 3.1, written down for one pair of each kind.
fn llama_rope_freqs(_: &mut Run) -> Result<(), Failure> {
    let mut folder = llama()?;
    folder.config["rope_scaling"] = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
    });
    let factors = decoded(&folder.write()?.converted(&[])?, "rope_freqs.weight")?;
    // Wavelengths 6.28, 135.3 and 2916 against 256: kept, blended, divided by the factor.
    let turns = 256.0 / (std::f64::consts::TAU * 10_000f64.powf(2.0 / 6.0));
    let smooth = (turns - 1.0) / 3.0;
    let wanted = [1.0, (1.0 / ((1.0 - smooth) / 8.0 + smooth)) as f32, 8.0];
    if factors != wanted { Err(format!("{factors:?}, wanted {wanted:?}").into()) } else { Ok(()) }
}

fn phi3_factors(_: &mut Run) -> Result<(), Failure> {
    let file = phi3()?.write()?.converted(&[])?;
    let long = decoded(&file, "rope_factors_long.weight")?;
    let short = decoded(&file, "rope_factors_short.weight")?;
    let grown = (1.0 + 4f64.ln() / 64f64.ln()).sqrt() as f32;
    let found = file.metadata().f32("phi3.rope.scaling.attn_factor")?;
    let window = file.metadata().u32("phi3.attention.sliding_window")?;
    let fine = long == [1.0, 4.0, 16.0] && short == [1.0, 1.5, 2.0] && found == grown;
    match fine && window == 48 {
        true => Ok(()),
        false => Err(format!("{long:?} {short:?} {found} (wanted {grown}) {window}").into()),
    }
}
