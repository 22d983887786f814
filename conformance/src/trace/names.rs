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
    // gpt-oss takes its softmax after the choice, so what is called probs are scores with bias.
    pair("ffn_moe_logits", &["ffn_moe_logits_biased", "ffn_moe_probs", "ffn_moe_logits"]),
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

/// llama.cpp's name of the tensor with the rows of `seen`. `op` gives the operation that computed a
/// tensor, if the oracle has one of that name.
pub fn theirs<'o>(seen: &Seen, op: impl Fn(&str) -> Option<&'o str>) -> Option<String> {
    let pair = pair_of(seen.tap.name)?;
    let layer = seen.tap.layer.map(|layer| format!("-{layer}")).unwrap_or_default();
    let known = |name: &&&str| op(&format!("{name}{layer}")).is_some();
    let name = format!("{}{layer}", pair.theirs.iter().find(known)?);
    let numbered = |at: usize| if at == 0 { name.clone() } else { format!("{name}#{at}") };
    let count = (0..).take_while(|at| op(&numbered(*at)).is_some()).count();
    // Queries and keys occur before and after their rotation; some graphs scale them afterwards.
    let turned = (0..count).find(|at| op(&numbered(*at)) == Some("ROPE"));
    let at = match (turned, seen.occurrence) {
        (Some(turned), 0) => turned.checked_sub(1)?,
        (Some(turned), _) => turned,
        (None, _) => count - 1,
    };
    Some(numbered(at))
}
