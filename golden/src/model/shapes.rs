//! Which random models there are. Data only; `random` makes them.

use crate::gguf::Value;

pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) arch: &'static str,
    pub(super) layers: u32,
    pub(super) embd: u32,
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) head_dim: u32,
    pub(super) ff: u32,
    pub(super) experts: u32,
    pub(super) vocab: u32,
    pub(super) context: u32,
    pub(super) tied: bool,
    /// Whether matrices of attention have biases.
    pub(super) biased: bool,
    /// Matrices take them in turn, each the next that its rows fit.
    pub(super) formats: &'static [&'static str],
    /// Beside those that follow from the fields.
    pub(super) keys: &'static [(&'static str, Value)],
}

use Value::{Count, Number, Text};

const PLAIN: Shape = Shape {
    name: "",
    arch: "llama",
    layers: 2,
    embd: 64,
    heads: 4,
    kv_heads: 4,
    head_dim: 16,
    ff: 96,
    experts: 0,
    vocab: 97,
    context: 512,
    tied: false,
    biased: false,
    formats: &["F32"],
    keys: &[],
};

pub(super) const MODELS: &[Shape] = &[
    Shape {
        name: "odd-gpt-oss",
        arch: "gpt-oss",
        layers: 3,
        embd: 96,
        heads: 3,
        kv_heads: 1,
        head_dim: 64,
        ff: 32,
        experts: 5,
        biased: true,
        formats: &["MXFP4"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-5)),
            ("attention.key_length", Count(64)),
            ("attention.value_length", Count(64)),
            ("attention.sliding_window", Count(7)),
            ("expert_count", Count(5)),
            ("expert_used_count", Count(2)),
            ("expert_feed_forward_length", Count(32)),
            ("rope.freq_base", Number(150_000.0)),
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Number(8.0)),
            ("rope.scaling.original_context_length", Count(16)),
        ],
        ..PLAIN
    },
    // Every expert is used, no rotation is stretched, and no format is MXFP4.
    Shape {
        name: "odd-gpt-oss-plain",
        arch: "gpt-oss",
        heads: 5,
        kv_heads: 5,
        head_dim: 32,
        ff: 64,
        experts: 3,
        biased: true,
        formats: &["Q5_1", "Q4_0", "IQ4_NL", "Q8_0", "F16"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-6)),
            ("attention.key_length", Count(32)),
            ("attention.value_length", Count(32)),
            ("attention.sliding_window", Count(3)),
            ("expert_count", Count(3)),
            ("expert_used_count", Count(3)),
            ("expert_feed_forward_length", Count(64)),
            ("rope.freq_base", Number(10_000.0)),
        ],
        ..PLAIN
    },
    // No row is a whole number of blocks.
    Shape {
        name: "odd-llama-ragged",
        embd: 72,
        heads: 3,
        kv_heads: 3,
        head_dim: 24,
        ff: 100,
        tied: true,
        formats: &["F16", "BF16"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-5)),
            ("rope.dimension_count", Count(24)),
            ("rope.scaling.type", Text("linear")),
            ("rope.scaling.factor", Number(4.0)),
        ],
        ..PLAIN
    },
    // Five heads of 32 in an embedding of 64, and biases that few files of this family have.
    Shape {
        name: "odd-llama-wide",
        heads: 5,
        kv_heads: 1,
        head_dim: 32,
        ff: 160,
        biased: true,
        formats: &["Q4_1", "Q5_0", "Q4_0", "MXFP4"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-5)),
            ("attention.key_length", Count(32)),
            ("attention.value_length", Count(32)),
            ("rope.dimension_count", Count(32)),
            ("rope.scaling.type", Text("yarn")),
            ("rope.scaling.factor", Number(4.0)),
            ("rope.scaling.original_context_length", Count(24)),
        ],
        ..PLAIN
    },
    // Blocks of 256.
    Shape {
        name: "odd-llama-k",
        layers: 1,
        embd: 256,
        kv_heads: 2,
        head_dim: 64,
        ff: 256,
        formats: &["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-5)),
            ("rope.dimension_count", Count(64)),
            ("rope.freq_base", Number(500_000.0)),
        ],
        ..PLAIN
    },
    Shape {
        name: "odd-qwen2",
        arch: "qwen2",
        embd: 96,
        heads: 3,
        kv_heads: 1,
        head_dim: 32,
        ff: 64,
        biased: true,
        formats: &["Q5_1", "IQ4_NL", "Q8_0", "Q4_1", "BF16"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-6)),
            ("rope.freq_base", Number(1_000_000.0)),
        ],
        ..PLAIN
    },
    // Fewer keys than queries in one fused matrix, and half of a head is not turned.
    Shape {
        name: "odd-phi3",
        arch: "phi3",
        kv_heads: 2,
        formats: &["Q8_0", "MXFP4", "Q5_0"],
        keys: &[
            ("attention.layer_norm_rms_epsilon", Number(1e-5)),
            ("attention.sliding_window", Count(5)),
            ("rope.dimension_count", Count(8)),
        ],
        ..PLAIN
    },
    // The prompt fills the learned positions to the last.
    Shape {
        name: "odd-gpt2",
        arch: "gpt2",
        embd: 48,
        heads: 3,
        kv_heads: 3,
        ff: 80,
        context: 48,
        biased: true,
        formats: &["BF16", "F16"],
        keys: &[("attention.layer_norm_epsilon", Number(1e-5))],
        ..PLAIN
    },
];
