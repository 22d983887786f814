//! A model's weights in the order in which the decode kernels read them. Made on the device from
//! the tensors that are there; the values are the file's.

use super::shape::Shape;
use crate::adapters::Weights;
use crate::adapters::weights::{LayerWeights, Linear, Qkv};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::memory::{Buffer, Owner};
use crate::backend::cuda::module::Function;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use crate::kv::Precision;

const THREADS: u32 = 256;
/// Enough blocks to keep any device busy; each goes on in steps of all of them.
const BLOCKS: usize = 1056;

/// One layer's.
pub(super) struct PackedLayer {
    pub(super) qkv: Buffer,
    pub(super) out: Buffer,
    pub(super) gate_up: Buffer,
    pub(super) down: Buffer,
    pub(super) qkv_bias: Buffer,
}

/// All of them, and the head's.
pub(super) struct Packed {
    pub(super) layers: Vec<PackedLayer>,
    pub(super) head: Buffer,
}

struct Packer<'p> {
    shape: &'p Shape,
    stream: &'p Stream,
    q8: Function,
    gate_up: Function,
    down: Function,
}

fn missing(what: &str) -> Error {
    Error::kernel("decode_repack", format!("no {what}"))
}

impl Packed {
    pub(super) fn new(
        kernels: &Kernels,
        stream: &Stream,
        shape: &Shape,
        weights: &Weights<Tensor>,
    ) -> Result<Packed> {
        let constants = shape.constants(Precision::F32);
        let find = |symbol: &str| kernels.function_for("decode_repack", &constants, symbol);
        let (q8, gate_up) = (find("repack_q8")?, find("repack_mxfp4_gate_up")?);
        let packer = Packer { shape, stream, q8, gate_up, down: find("repack_mxfp4_down")? };
        let layer = |layer| packer.layer(layer);
        let layers = weights.layers.iter().map(layer).collect::<Result<_>>()?;
        let head = weights.output.as_ref().map_or(&weights.token_embd, |output| &output.weight);
        let packed = packer.room("head", head.buffer().bytes())?;
        packer.dense(head, &packed, 0, (8, shape.steps().embd), false)?;
        Ok(Packed { layers, head: packed })
    }
}

impl Packer<'_> {
    fn layer(&self, layer: &LayerWeights<Tensor>) -> Result<PackedLayer> {
        let Qkv::Split { q, k, v } = &layer.qkv else { return Err(missing("split projections")) };
        let steps = self.shape.steps();
        let network = &layer.feed_forward;
        let gate = network.gate.as_ref().ok_or_else(|| missing("gate"))?;
        let bytes = |linears: &[&Linear<Tensor>]| -> usize {
            linears.iter().map(|linear| linear.weight.buffer().bytes()).sum()
        };
        let qkv = self.room("qkv", bytes(&[q, k, v]))?;
        let qkv_bias =
            self.room("qkv bias", 4 * (q.weight.rows + k.weight.rows + v.weight.rows))?;
        let (mut at, mut bias_at) = (0, 0);
        for linear in [q, k, v] {
            self.dense(&linear.weight, &qkv, at, (8, steps.embd), true)?;
            let bias = linear.bias.as_ref().ok_or_else(|| missing("bias"))?.buffer();
            self.stream.copy(bias, 0, &qkv_bias, bias_at, bias.bytes())?;
            (at, bias_at) = (at + linear.weight.buffer().bytes(), bias_at + bias.bytes());
        }
        let out = self.room("out", bytes(&[&layer.attn_out]))?;
        self.dense(&layer.attn_out.weight, &out, 0, (4, steps.attn), false)?;
        let gate_up = self.room("gate and up", bytes(&[gate, &network.up]))?;
        let experts = self.shape.experts as u32;
        let launch = self.gate_up.launch().grid(BLOCKS, 1, 1).block(THREADS, 1);
        let launch = launch.arg(&gate.weight).arg(&network.up.weight).arg(&gate_up).arg(experts);
        launch.arg(steps.embd as u32).on(self.stream)?;
        let down = self.room("down", bytes(&[&network.down]))?;
        let launch = self.down.launch().grid(BLOCKS, 1, 1).block(THREADS, 1);
        let launch = launch.arg(&network.down.weight).arg(&down).arg(experts);
        launch.arg(steps.ff as u32).on(self.stream)?;
        Ok(PackedLayer { qkv, out, gate_up, down, qkv_bias })
    }

    fn room(&self, what: &str, bytes: usize) -> Result<Buffer> {
        let what = format!("{what} of the decode kernels");
        Buffer::new(self.stream.context(), Owner::Weights, &what, bytes)
    }

    /// Q8_0 rows, to byte `at` of `to`.
    fn dense(
        &self,
        from: &Tensor,
        to: &Buffer,
        at: usize,
        (item_rows, steps): (u32, usize),
        rotated: bool,
    ) -> Result<()> {
        let launch = self.q8.launch().grid(BLOCKS, 1, 1).block(THREADS, 1);
        let launch = launch.arg(from).arg(to.address() + at as u64).arg(from.rows as u32);
        let launch = launch.arg(from.width as u32).arg(item_rows).arg(steps as u32);
        launch.arg(u32::from(rotated)).on(self.stream)
    }
}
