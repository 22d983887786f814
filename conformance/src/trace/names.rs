//! Which of an oracle's taps holds the same rows as one of ours. Data only.

use engine::backend::taps::Seen;

/// One of our taps and where llama.cpp shows the same rows.
pub struct Pair {
    /// Our name, without the layer.
    pub ours: &'static str,
    /// llama.cpp's names, the one to be preferred first. Of a name that occurs several times in a
    /// layer, the last occurrence counts: it is the one after bias, scale and rotation.
    pub theirs: &'static [&'static str],
    /// Families whose graph names no such tensor, so that nothing can be compared.
    pub unnamed_in: &'static [&'static str],
}

const fn pair(ours: &'static str, theirs: &'static [&'static str]) -> Pair {
    Pair { ours, theirs, unnamed_in: &[] }
}

impl Pair {
    const fn unnamed_in(mut self, families: &'static [&'static str]) -> Pair {
        self.unnamed_in = families;
        self
    }
}

/// Every tap of ours.
pub const PAIRS: &[Pair] = &[
    // GPT-2 adds positions before it names the stream again.
    pair("inp_embd", &["inpL", "embd"]),
    pair("attn_norm", &["attn_norm"]),
    pair("Qcur", &["Qcur"]),
    pair("Kcur", &["Kcur"]),
    pair("Vcur", &["Vcur"]),
    pair("kqv_out", &["kqv_out"]),
    pair("attn_out", &["attn_out"]).unnamed_in(&["gpt2", "phi3", "qwen2"]),
    pair("ffn_inp", &["ffn_inp"]).unnamed_in(&["phi3"]),
    pair("ffn_norm", &["attn_post_norm", "ffn_norm"]),
    // Phi-3's gate and up stay one tensor there.
    pair("ffn_up", &["ffn_up_b", "ffn_up"]).unnamed_in(&["phi3"]),
    pair("ffn_gate", &["ffn_gate_b", "ffn_gate"]).unnamed_in(&["phi3"]),
    pair("ffn_act", &["ffn_swiglu", "ffn_gelu"]),
    pair("ffn_out", &["ffn_moe_out", "ffn_out"]),
    pair("ffn_moe_logits", &["ffn_moe_logits_biased", "ffn_moe_logits"]),
    pair("ffn_moe_topk", &["ffn_moe_topk"]),
    pair("ffn_moe_weights", &["ffn_moe_weights_softmax", "ffn_moe_weights"]),
    pair("ffn_moe_up", &["ffn_moe_up_biased", "ffn_moe_up"]),
    pair("ffn_moe_gate", &["ffn_moe_gate_biased", "ffn_moe_gate"]),
    pair("ffn_moe_act", &["ffn_moe_swiglu_oai", "ffn_moe_swiglu"]),
    pair("ffn_moe_down", &["ffn_moe_down_biased", "ffn_moe_down"]),
    pair("ffn_moe_out", &["ffn_moe_out"]),
    pair("l_out", &["l_out"]),
    pair("result_norm", &["result_norm"]),
    pair("result_output", &["result_output"]),
];

/// The row of the table for one of our taps.
pub fn pair_of(ours: &str) -> Option<&'static Pair> {
    PAIRS.iter().find(|pair| pair.ours == ours)
}

/// llama.cpp's name of the tensor with the rows of `seen`, among those that `has` knows.
/// `rotated` says that the layer has a rotation, so that queries and keys occur before and after.
pub fn theirs(seen: &Seen, rotated: bool, has: impl Fn(&str) -> bool) -> Option<String> {
    let pair = pair_of(seen.tap.name)?;
    let layer = seen.tap.layer.map(|layer| format!("-{layer}")).unwrap_or_default();
    let known = |name: &&&str| has(&format!("{name}{layer}"));
    let name = format!("{}{layer}", pair.theirs.iter().find(known)?);
    let numbered = |at: usize| if at == 0 { name.clone() } else { format!("{name}#{at}") };
    let last = (0..).take_while(|at| has(&numbered(*at))).last()?;
    let before_rotation = rotated && matches!(pair.ours, "Qcur" | "Kcur") && seen.occurrence == 0;
    Some(numbered(if before_rotation { last.checked_sub(1)? } else { last }))
}
