//! The transformer, out of primitive verbs, with a tap after each. Written once for every family
//! and every backend; what differs between models is read from the architecture.

use super::{Backend, Pass, Source, Tap, exactly};
use crate::adapters::weights::{Linear, Qkv};
use crate::adapters::{Experts, Gate};
use crate::error::Result;

impl<B: Backend> Pass<'_, B> {
    /// Shows rows to whoever looks.
    pub fn tap(
        &mut self,
        backend: &mut B,
        name: &'static str,
        layer: Option<usize>,
        rows: &B::Rows,
    ) -> Result<()> {
        let tap = Tap { name, layer };
        if self.taps.active() && self.taps.wants(tap) {
            let values = backend.read(rows)?;
            self.taps.take(tap, backend.width(rows), values);
        }
        Ok(())
    }
}

/// `bias`: whether the description says that there is one.
fn matmul<B: Backend>(
    backend: &mut B,
    linear: &Linear<B::Weight>,
    bias: bool,
    rows: &B::Rows,
    step: &B::Step,
) -> Result<B::Rows> {
    let [product] = matmuls(backend, [linear], bias, rows, step)?;
    Ok(product)
}

/// The same with several matrices.
fn matmuls<B: Backend, const N: usize>(
    backend: &mut B,
    linear: [&Linear<B::Weight>; N],
    bias: bool,
    rows: &B::Rows,
    step: &B::Step,
) -> Result<[B::Rows; N]> {
    let weights = linear.map(|linear| (&linear.weight, linear.bias.as_ref().filter(|_| bias)));
    backend.matmuls(weights, rows, step)
}

/// The same with one matrix whose outputs are several rows.
fn split<B: Backend, const N: usize>(
    backend: &mut B,
    linear: &Linear<B::Weight>,
    bias: bool,
    widths: [usize; N],
    rows: &B::Rows,
    step: &B::Step,
) -> Result<[B::Rows; N]> {
    let weight = (&linear.weight, linear.bias.as_ref().filter(|_| bias));
    backend.matmul_split(weight, widths, rows, step)
}

/// All outputs, and then parts of them.
pub fn matmul_split<B: Backend, const N: usize>(
    backend: &mut B,
    (weight, bias): (&B::Weight, Option<&B::Weight>),
    widths: [usize; N],
    rows: &B::Rows,
    step: &B::Step,
) -> Result<[B::Rows; N]> {
    let all = backend.matmul(weight, bias, rows, step)?;
    let mut start = 0;
    let part = |width| {
        start += width;
        backend.slice(&all, start - width, width)
    };
    exactly(widths.into_iter().map(part).collect::<Result<_>>()?)
}

/// From ids to logits.
pub fn pass<B: Backend>(backend: &mut B, pass: &mut Pass<'_, B>) -> Result<B::Rows> {
    let (weights, learned) = (pass.weights, pass.architecture.learned_positions);
    let mut rows = backend.embed(&weights.token_embd, pass.step)?;
    if let Some(table) = weights.position_embd.as_ref().filter(|_| learned) {
        backend.add_positions(&mut rows, table, pass.step)?;
    }
    pass.tap(backend, "inp_embd", None, &rows)?;
    for layer in 0..pass.architecture.layers.len() {
        rows = backend.layer(pass, layer, rows)?;
    }
    backend.head(pass, &rows)
}

/// One block. After attention the last one goes on with those rows only whose logits are wanted.
pub fn layer<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    rows: B::Rows,
) -> Result<B::Rows> {
    let mut added = backend.attention(pass, layer, &rows)?;
    let mut rows = rows;
    if layer + 1 == pass.architecture.layers.len() {
        rows = backend.wanted(rows, pass.step)?;
        added = backend.wanted(added, pass.step)?;
    }
    let added = backend.feed_forward(pass, layer, &mut rows, Some(&added))?;
    backend.add(&mut rows, &added)?;
    pass.tap(backend, "l_out", Some(layer), &rows)?;
    Ok(rows)
}

/// Attention with its norm and both projections.
pub fn attention<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    rows: &B::Rows,
) -> Result<B::Rows> {
    let (architecture, at) = (pass.architecture, Some(layer));
    let attention = &architecture.layers[layer].attention;
    let weights = &pass.weights.layers[layer];
    let (q_width, kv_width) = (attention.q_width(), attention.kv_width());
    let bias = attention.qkv_bias;
    let normed = backend.norm(architecture.norm, &weights.attn_norm, rows)?;
    pass.tap(backend, "attn_norm", at, &normed)?;
    let [mut q, mut k, v] = match &weights.qkv {
        Qkv::Split { q, k, v } => matmuls(backend, [q, k, v], bias, &normed, pass.step)?,
        Qkv::Fused(all) => {
            split(backend, all, bias, [q_width, kv_width, kv_width], &normed, pass.step)?
        }
    };
    pass.tap(backend, "Qcur", at, &q)?;
    pass.tap(backend, "Kcur", at, &k)?;
    pass.tap(backend, "Vcur", at, &v)?;
    if let (Some(rope), Some(table)) = (&attention.rope, pass.ropes[layer]) {
        backend.rope(&mut q, rope, table, attention.head_dim, pass.step)?;
        backend.rope(&mut k, rope, table, attention.head_dim, pass.step)?;
        pass.tap(backend, "Qcur", at, &q)?;
        pass.tap(backend, "Kcur", at, &k)?;
    }
    backend.store(pass.cache, layer, &k, &v, pass.step)?;
    let sinks = weights.sinks.as_ref().filter(|_| attention.sinks);
    let seen = backend.attend(attention, sinks, &q, pass.cache, layer, pass.step)?;
    pass.tap(backend, "kqv_out", at, &seen)?;
    let out = matmul(backend, &weights.attn_out, attention.out_bias, &seen, pass.step)?;
    pass.tap(backend, "attn_out", at, &out)?;
    Ok(out)
}

/// The feed-forward network with its norm, behind what attention adds.
pub fn feed_forward<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    rows: &mut B::Rows,
    more: Option<&B::Rows>,
) -> Result<B::Rows> {
    let (architecture, at) = (pass.architecture, Some(layer));
    let weights = &pass.weights.layers[layer];
    let (norm, of) = (architecture.norm, &weights.ffn_norm);
    let normed = match more {
        Some(more) => backend.add_norm(norm, of, rows, more)?,
        None => backend.norm(norm, of, rows)?,
    };
    pass.tap(backend, "ffn_inp", at, rows)?;
    pass.tap(backend, "ffn_norm", at, &normed)?;
    let network = &weights.feed_forward;
    let out = match (architecture.layers[layer].feed_forward.experts, &network.router) {
        (Some(experts), Some(router)) => {
            feed_experts(backend, pass, layer, experts, router, &normed)?
        }
        _ => feed_dense(backend, pass, layer, &normed)?,
    };
    pass.tap(backend, "ffn_out", at, &out)?;
    Ok(out)
}

fn feed_dense<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    rows: &B::Rows,
) -> Result<B::Rows> {
    let at = Some(layer);
    let ffn = &pass.architecture.layers[layer].feed_forward;
    let network = &pass.weights.layers[layer].feed_forward;
    let (gate, up) = match (ffn.gate, &network.gate) {
        (Gate::Fused, _) => {
            let widths = [ffn.n_ff, ffn.n_ff];
            let [gate, up] = split(backend, &network.up, ffn.bias, widths, rows, pass.step)?;
            (Some(gate), up)
        }
        (_, Some(gate)) => {
            let both = [&network.up, gate];
            let [up, gate] = matmuls(backend, both, ffn.bias, rows, pass.step)?;
            (Some(gate), up)
        }
        (_, None) => (None, matmul(backend, &network.up, ffn.bias, rows, pass.step)?),
    };
    pass.tap(backend, "ffn_up", at, &up)?;
    if let Some(gate) = &gate {
        pass.tap(backend, "ffn_gate", at, gate)?;
    }
    let active = backend.activate(ffn.activation, gate.as_ref(), up)?;
    pass.tap(backend, "ffn_act", at, &active)?;
    matmul(backend, &network.down, ffn.bias, &active, pass.step)
}

fn feed_experts<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    experts: Experts,
    router: &Linear<B::Weight>,
    rows: &B::Rows,
) -> Result<B::Rows> {
    let at = Some(layer);
    let ffn = &pass.architecture.layers[layer].feed_forward;
    let network = &pass.weights.layers[layer].feed_forward;
    let step = pass.step;
    let scores = matmul(backend, router, experts.router_bias, rows, step)?;
    pass.tap(backend, "ffn_moe_logits", at, &scores)?;
    let routing = backend.route(&scores, experts.used)?;
    tap_routing(backend, pass, layer, experts.used, &routing)?;
    let multiply = |backend: &mut B, linear: &Linear<B::Weight>, rows: &B::Rows, source| {
        let bias = linear.bias.as_ref().filter(|_| ffn.bias);
        backend.expert_matmul(&linear.weight, bias, rows, source, &routing, step)
    };
    let up = multiply(backend, &network.up, rows, Source::Row)?;
    let (gate, up) = match (ffn.gate, &network.gate) {
        (Gate::Fused, _) => {
            let gate = backend.slice(&up, 0, ffn.n_ff)?;
            (Some(gate), backend.slice(&up, ffn.n_ff, ffn.n_ff)?)
        }
        (_, Some(linear)) => (Some(multiply(backend, linear, rows, Source::Row)?), up),
        (_, None) => (None, up),
    };
    pass.tap(backend, "ffn_moe_up", at, &up)?;
    if let Some(gate) = &gate {
        pass.tap(backend, "ffn_moe_gate", at, gate)?;
    }
    let active = backend.activate(ffn.activation, gate.as_ref(), up)?;
    pass.tap(backend, "ffn_moe_act", at, &active)?;
    let down = multiply(backend, &network.down, &active, Source::Slot)?;
    pass.tap(backend, "ffn_moe_down", at, &down)?;
    let out = backend.mix(&down, &routing)?;
    pass.tap(backend, "ffn_moe_out", at, &out)?;
    Ok(out)
}

fn tap_routing<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    layer: usize,
    used: usize,
    routing: &B::Routing,
) -> Result<()> {
    let [ids, shares] =
        ["ffn_moe_topk", "ffn_moe_weights"].map(|name| Tap { name, layer: Some(layer) });
    if pass.taps.active() && (pass.taps.wants(ids) || pass.taps.wants(shares)) {
        let (experts, weights) = backend.read_routing(routing)?;
        if pass.taps.wants(ids) {
            let values = experts.iter().map(|id| *id as f32).collect();
            pass.taps.take(ids, used, values);
        }
        if pass.taps.wants(shares) {
            pass.taps.take(shares, used, weights);
        }
    }
    Ok(())
}

/// The last norm and the logits.
pub fn head<B: Backend>(
    backend: &mut B,
    pass: &mut Pass<'_, B>,
    rows: &B::Rows,
) -> Result<B::Rows> {
    let (architecture, weights) = (pass.architecture, pass.weights);
    let normed = backend.norm(architecture.norm, &weights.output_norm, rows)?;
    pass.tap(backend, "result_norm", None, &normed)?;
    let logits = match &weights.output {
        Some(output) => matmul(backend, output, false, &normed, pass.step)?,
        None => backend.matmul(&weights.token_embd, None, &normed, pass.step)?,
    };
    pass.tap(backend, "result_output", None, &logits)?;
    Ok(logits)
}
