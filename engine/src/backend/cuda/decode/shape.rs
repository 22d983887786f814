//! Which models the decode kernels are made for, and the constants that they are compiled with.
//! Knows shapes and formats; every other model runs composed.

use crate::adapters::weights::{LayerWeights, Linear, Qkv};
use crate::adapters::{Activation, Architecture, Experts, Gate, Layer, NormKind, Weights, rope};
use crate::backend::cuda::compiler::Constant;
use crate::backend::cuda::device::Device;
use crate::backend::cuda::sources::Packed;
use crate::backend::cuda::tensor::Tensor;
use crate::kv::Precision;

/// Rows of the residual in a unit, `UNIT` of `decode_state.cuh`.
const UNIT: usize = 4;
/// Consumer warps of a block.
const WARPS: usize = 16;
/// Bytes of a slot of the ring.
const SLOT: usize = 24_576;

/// The shape of a model whose steps are fused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) embd: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) ff: usize,
    pub(super) experts: usize,
    pub(super) layers: usize,
    pub(super) vocab: usize,
    /// Blocks of the launch: one a multiprocessor.
    pub(super) blocks: usize,
    /// Units that a block owns.
    own_units: usize,
    embd_warps: usize,
    ff_warps: usize,
    attn_warps: usize,
}

/// What of a model the kernels are compiled for.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    embd: usize,
    heads: usize,
    kv_heads: usize,
    ff: usize,
    experts: usize,
    layers: usize,
    vocab: usize,
}

const GPT_OSS_20B: Sizes =
    Sizes { embd: 2880, heads: 64, kv_heads: 8, ff: 2880, experts: 32, layers: 24, vocab: 201_088 };

/// Devices that packs hold the step for: their target and multiprocessors, and how keys and values
/// are kept. H100 (SXM) and H200, and B200.
const RELEASED: [(&str, usize, &[Precision]); 2] =
    [("sm_90a", 132, &[Precision::F16, Precision::F32]), ("sm_100f", 148, &[Precision::F16])];

/// Bytes that the step may spill: outside its loops, 17 warps leave it 96 registers a thread.
const SPILL_BYTES_MAX: u32 = 128;

/// The steps that packs hold; others are compiled where they turn up.
pub(in crate::backend::cuda) fn released() -> impl Iterator<Item = Packed> {
    RELEASED.into_iter().flat_map(|(target, blocks, precisions)| {
        let shape = Shape::on(GPT_OSS_20B, blocks);
        shape.into_iter().flat_map(move |shape| {
            precisions.iter().map(move |precision| Packed {
                stem: "decode_token",
                constants: shape.constants(*precision),
                only: Some(target),
                spill_bytes_max: SPILL_BYTES_MAX,
            })
        })
    })
}

impl Shape {
    /// The shape, if the kernels are made for this model and this device.
    pub(super) fn of(
        device: &Device,
        architecture: &Architecture,
        weights: &Weights<Tensor>,
    ) -> Option<Shape> {
        let first = architecture.layers.first()?;
        let uniform = architecture.layers.iter().all(|layer| alike(layer, first));
        let formats = weights.layers.iter().all(formats_fit) && ends_fit(weights);
        let formats = formats && !architecture.tied_output;
        let capable = device.capability.0 >= 9 && device.shared_bytes_max >= super::SHARED;
        if !(capable && uniform && formats && layer_fits(architecture, first)) {
            return None;
        }
        let attention = &first.attention;
        let sizes = Sizes {
            embd: architecture.n_embd,
            heads: attention.heads,
            kv_heads: attention.kv_heads,
            ff: first.feed_forward.n_ff,
            experts: first.feed_forward.experts?.count,
            layers: architecture.layers.len(),
            vocab: architecture.n_vocab,
        };
        Shape::on(sizes, device.n_multiprocessors as usize)
    }

    /// How a model of these sizes is shared out to so many multiprocessors.
    fn on(sizes: Sizes, blocks: usize) -> Option<Shape> {
        let Sizes { embd, heads, kv_heads, ff, experts, layers, vocab } = sizes;
        let shape = Shape {
            embd,
            heads,
            kv_heads,
            ff,
            experts,
            layers,
            vocab,
            blocks,
            own_units: own_units(embd, blocks)?,
            embd_warps: warps(embd, 64)?,
            ff_warps: warps(ff, 64)?,
            attn_warps: warps(heads * 64, 128)?,
        };
        shape.items_fit().then_some(shape)
    }

    fn items_fit(&self) -> bool {
        let attn = self.heads * 64;
        let down = 4 * (UNIT * self.ff / 2 + UNIT * self.ff / 32 + 8);
        let largest = [8 * self.embd / 32 * 34, UNIT * attn / 32 * 34, 16 * self.embd / 32 * 17];
        largest.into_iter().chain([down]).all(|bytes| bytes <= SLOT)
            && self.embd.is_multiple_of(8 * UNIT)
            && (UNIT * self.ff / 32).is_multiple_of(8)
            && self.vocab.is_multiple_of(8)
            // A block without items in a layer could fall behind the others.
            && (self.heads + 2 * self.kv_heads) * 8 >= self.blocks
            && 4 * self.ff / 8 >= self.blocks
            && self.vocab / 8 >= self.blocks
    }

    /// Blocks of 32 weights that a warp takes after one another, for each of its parts of K.
    pub(super) fn steps(&self) -> Steps {
        Steps {
            embd: self.embd / 64 / self.embd_warps,
            ff: self.ff / 64 / self.ff_warps,
            attn: self.heads * 64 / 128 / self.attn_warps,
        }
    }

    /// What the kernels are compiled for.
    pub(super) fn constants(&self, precision: Precision) -> Vec<Constant> {
        let half = usize::from(precision == Precision::F16);
        let all = [
            ("D_EMBD", self.embd),
            ("D_HEADS", self.heads),
            ("D_KV_HEADS", self.kv_heads),
            ("D_FF", self.ff),
            ("D_EXPERTS", self.experts),
            ("D_LAYERS", self.layers),
            ("D_VOCAB", self.vocab),
            ("D_BLOCKS", self.blocks),
            ("D_OWN_UNITS", self.own_units),
            ("D_EMBD_WARPS", self.embd_warps),
            ("D_FF_WARPS", self.ff_warps),
            ("D_ATTN_WARPS", self.attn_warps),
            ("D_KV_F16", half),
        ];
        all.into_iter().map(|(name, value)| (name, value as u32)).collect()
    }
}

/// How many steps over K the warps take, by what K is.
pub(super) struct Steps {
    pub(super) embd: usize,
    pub(super) ff: usize,
    pub(super) attn: usize,
}

/// The most warps that can share `k` evenly, in pieces of `piece`.
fn warps(k: usize, piece: usize) -> Option<usize> {
    let pieces = k.is_multiple_of(piece).then_some(k / piece)?;
    (1..=WARPS).rev().find(|warps| pieces.is_multiple_of(*warps))
}

/// The fewest units a block can own so that all blocks together own all.
fn own_units(embd: usize, blocks: usize) -> Option<usize> {
    let units = embd / UNIT;
    (1..=32 / UNIT).find(|own| units.is_multiple_of(*own) && units / own <= blocks)
}

fn alike(layer: &Layer, first: &Layer) -> bool {
    let mut attention = layer.attention.clone();
    attention.window = first.attention.window;
    attention == first.attention && layer.feed_forward == first.feed_forward
}

fn layer_fits(architecture: &Architecture, layer: &Layer) -> bool {
    const ACTIVATION: Activation = Activation::SwiGluOai { alpha: 1.702, limit: 7.0 };
    let (attention, ffn) = (&layer.attention, &layer.feed_forward);
    let neox = |rope: &rope::Rope| rope.style == rope::Style::Neox && rope.dims == 64;
    // A window is one item of attention, which has room for 16 warps' 32 positions each.
    let windows = architecture.layers.iter().filter_map(|layer| layer.attention.window);
    architecture.norm.kind == NormKind::Rms
        && !architecture.learned_positions
        && attention.head_dim == 64
        && attention.heads == 8 * attention.kv_heads
        && attention.scale == 0.125
        && attention.qkv_bias
        && attention.out_bias
        && attention.sinks
        && attention.rope.as_ref().is_some_and(neox)
        && windows.into_iter().all(|window| (1..=480).contains(&window))
        && ffn.activation == ACTIVATION
        && ffn.gate == Gate::Split
        && ffn.bias
        && ffn.experts == Some(Experts { count: 32, used: 4, router_bias: true })
}

fn is(tensor: &Tensor, format: &str) -> bool {
    tensor.format.name == format
}

fn both(linear: &Linear<Tensor>, format: &str) -> bool {
    is(&linear.weight, format) && linear.bias.is_some()
}

fn formats_fit(layer: &LayerWeights<Tensor>) -> bool {
    let network = &layer.feed_forward;
    let experts = |linear: Option<&Linear<Tensor>>| linear.is_some_and(|it| both(it, "MXFP4"));
    let Qkv::Split { q, k, v } = &layer.qkv else { return false };
    [q, k, v, &layer.attn_out].into_iter().all(|linear| both(linear, "Q8_0"))
        && layer.sinks.is_some()
        && network.router.as_ref().is_some_and(|router| both(router, "F32"))
        && experts(network.gate.as_ref())
        && experts(Some(&network.up))
        && experts(Some(&network.down))
}

fn ends_fit(weights: &Weights<Tensor>) -> bool {
    // A tied head would be wanted in two layouts: rows of tokens are looked up in the file's.
    let head = |head: &Linear<Tensor>| head.bias.is_none() && is(&head.weight, "Q8_0");
    weights.output.as_ref().is_some_and(head) && is(&weights.token_embd, "Q8_0")
}
