//! Products and attention of generated rows, each with what stands before and behind it in one
//! kernel. Knows shapes, formats and how a matrix is cut into what fits on a multiprocessor; which
//! kernel follows which is for `lines`.

use super::small;
use crate::adapters::weights::NormWeights;
use crate::adapters::{Activation, Attention, Gelu, Norm, NormKind, Rope, rope};
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::kv::Cache;
use crate::backend::cuda::layout::{Layout, woven_unit};
use crate::backend::cuda::module::{Argument, Function, Launch};
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};
use crate::kv::Precision;

const ATTEND_THREADS: u32 = 128;
/// Shares of a row's positions, outputs of a tile, rows of a block at most, and stages of a warp's
/// ring, as the kernels have them.
pub(in crate::backend::cuda) const SPLITS: usize = 16;
const TILE: usize = 8;
const ROWS: usize = 2;
const DEPTH: usize = 2;
/// Parts of a row, at most.
const ROW_PARTS: usize = 32;
/// For each warp: parts of rows between two meetings, and bytes of shared memory beside rows and
/// rings.
const PARTS: usize = 8;
const FIXED: usize = PARTS * 128 + 16;

/// Formats by the kernels' numbers.
const FORMATS: [&str; 10] =
    ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "MXFP4", "Q4_K", "Q5_K", "Q6_K"];

fn format(weight: &Tensor) -> Option<usize> {
    FORMATS.iter().position(|name| *name == weight.format.name)
}

/// Where the rows of a product come from.
pub(in crate::backend::cuda) enum From<'f> {
    /// Rows at this address, as they are.
    Rows(u64),
    /// The same behind a norm.
    Normed(Norm, &'f NormWeights<Tensor>, u64),
    /// Shares of attention.
    Shares(&'f Shares<'f>),
}

/// What the shares of attention left.
pub(in crate::backend::cuda) struct Shares<'f> {
    pub(in crate::backend::cuda) attention: &'f Attention,
    pub(in crate::backend::cuda) sinks: Option<&'f Tensor>,
    /// Addresses of the shares, and of the step's rows.
    pub(in crate::backend::cuda) partial: u64,
    pub(in crate::backend::cuda) rows: u64,
}

/// A matrix, or some of its outputs; `first` is a multiple of eight.
#[derive(Clone, Copy)]
pub(in crate::backend::cuda) struct Matrix<'m> {
    pub(in crate::backend::cuda) weight: &'m Tensor,
    pub(in crate::backend::cuda) bias: Option<&'m Tensor>,
    pub(in crate::backend::cuda) first: usize,
    pub(in crate::backend::cuda) outputs: usize,
}

impl<'m> Matrix<'m> {
    /// All of it.
    pub(in crate::backend::cuda) fn all(weight: &'m Tensor, bias: Option<&'m Tensor>) -> Self {
        Matrix { weight, bias, first: 0, outputs: weight.rows }
    }
}

/// Which rows are multiplied: how many, and as addresses, the source's index of each, if it is
/// another; the step's rows, if some may be of a prompt; and the step's index of each, if it is
/// another.
#[derive(Default)]
pub(in crate::backend::cuda) struct Which {
    pub(in crate::backend::cuda) rows: usize,
    pub(in crate::backend::cuda) gather: u64,
    pub(in crate::backend::cuda) step: u64,
    pub(in crate::backend::cuda) wanted: u64,
}

/// Where rows go: an address, and elements from one row to the next.
pub(in crate::backend::cuda) type To = (u64, usize);

/// A row's own key and value, not kept yet: addresses, and elements from one row to the next; and
/// how they and the queries are turned.
pub(in crate::backend::cuda) struct Fresh<'f> {
    pub(in crate::backend::cuda) keys: u64,
    pub(in crate::backend::cuda) values: u64,
    pub(in crate::backend::cuda) stride: usize,
    pub(in crate::backend::cuda) turn: Option<(&'f Rope, u64, u64)>,
}

/// What becomes of the sums of products.
#[derive(Clone, Copy)]
enum Target {
    Write,
    Add,
    /// The activation, and whether it is taken in f32.
    Activated(Activation, bool),
}

impl Target {
    /// Whether two matrices stand side by side.
    fn gated(self) -> bool {
        let Target::Activated(how, _) = self else { return false };
        matches!(how, Activation::SwiGlu | Activation::SwiGluOai { .. })
    }

    /// As the kernel is told.
    fn of(self, launch: Launch<'_>) -> Launch<'_> {
        let (number, alpha, limit) = match self {
            Target::Write => (0, 0.0, 0.0),
            Target::Add => (1, 0.0, 0.0),
            Target::Activated(Activation::SwiGlu, fast) => (2 + u32::from(fast), 0.0, 0.0),
            Target::Activated(Activation::SwiGluOai { alpha, limit }, fast) => {
                (4 + u32::from(fast), alpha, limit)
            }
            Target::Activated(Activation::Gelu(Gelu::Erf), _) => (6, 0.0, 0.0),
            Target::Activated(Activation::Gelu(Gelu::Tanh), _) => (7, 0.0, 0.0),
            Target::Activated(Activation::Gelu(Gelu::TanhF16Table), _) => (8, 0.0, 0.0),
        };
        launch.arg(number).arg(alpha).arg(limit)
    }
}

#[derive(Clone)]
pub(in crate::backend::cuda) struct Line {
    product: Function,
    attend_f32: Function,
    attend_f16: Function,
    attended: Function,
    /// Blocks that fill the device, and a block's warps.
    blocks: usize,
    warps: usize,
    /// Bytes that a block may ask for.
    shared: usize,
}

impl Line {
    pub(super) fn new(kernels: &Kernels) -> Result<Line> {
        let device = kernels.context().device();
        let product = kernels.function("line_product", "line_product")?;
        let warps = product.threads_max()? as usize / 32;
        let shared = (device.shared_bytes_max as usize).saturating_sub(FIXED * warps);
        let find = |stem: &str, symbol: &str| -> Result<Function> {
            let function = kernels.function(stem, symbol)?;
            function.allow_shared(shared as u32)?;
            Ok(function)
        };
        product.allow_shared(shared as u32)?;
        Ok(Line {
            product,
            attend_f32: find("line_attend", "line_attend_kvf32")?,
            attend_f16: find("line_attend", "line_attend_kvf16")?,
            attended: kernels.function("line_attend", "line_attended")?,
            blocks: device.n_multiprocessors as usize,
            warps,
            shared,
        })
    }

    /// Whether generated rows are multiplied with this matrix here.
    pub(in crate::backend::cuda) fn takes(&self, weight: &Tensor) -> bool {
        matches!(weight.layout, Layout::Woven { .. }) && self.could_take(weight)
    }

    /// Whether they would be if it were woven: its rows must be whole blocks, and have room in
    /// shared memory beside the rings.
    pub(in crate::backend::cuda) fn could_take(&self, weight: &Tensor) -> bool {
        let block = weight.format.block_len.max(32);
        let least = room(weight.width, 1) + self.rings(pitch(weight));
        format(weight).is_some() && weight.width.is_multiple_of(block) && least <= self.shared
    }

    /// Bytes of the rings of all warps.
    fn rings(&self, pitch: usize) -> usize {
        DEPTH * self.warps * 2 * pitch
    }

    /// Whether generated rows attend here.
    pub(in crate::backend::cuda) fn attends(attention: &Attention) -> bool {
        attention.head_dim.is_multiple_of(4) && attention.head_dim <= 256
    }

    /// Elements of what the shares of a row leave.
    pub(in crate::backend::cuda) fn partial_width(attention: &Attention) -> usize {
        attention.heads * SPLITS * (attention.head_dim + 4)
    }

    /// `to` = the products with all matrices, one after the other.
    pub(in crate::backend::cuda) fn project(
        &self,
        stream: &Stream,
        to: To,
        from: &From<'_>,
        which: &Which,
        matrices: &[Matrix<'_>],
        early: bool,
    ) -> Result<()> {
        let mut three = [None; 3];
        three.iter_mut().zip(matrices).for_each(|(place, matrix)| *place = Some(*matrix));
        self.start(Target::Write, to, from, which, &three, early)?.on(stream)
    }

    /// `to` += the product.
    pub(in crate::backend::cuda) fn add(
        &self,
        stream: &Stream,
        to: To,
        from: &From<'_>,
        which: &Which,
        matrix: Matrix<'_>,
    ) -> Result<()> {
        self.start(Target::Add, to, from, which, &[Some(matrix), None, None], true)?.on(stream)
    }

    /// `to` = the activation of the product with `up`, and of that with `gate` if it has one;
    /// `fast` as in [`super::activate::Activate`].
    #[allow(clippy::too_many_arguments)] // it is what the function depends on
    pub(in crate::backend::cuda) fn activate(
        &self,
        stream: &Stream,
        to: To,
        from: &From<'_>,
        which: &Which,
        (gate, up): (Option<Matrix<'_>>, Matrix<'_>),
        (how, fast): (Activation, bool),
    ) -> Result<()> {
        let target = Target::Activated(how, fast);
        let matrices = match target.gated() {
            true => [Some(gate.ok_or_else(|| missing("a gate"))?), Some(up), None],
            false => [Some(up), None, None],
        };
        self.start(target, to, from, which, &matrices, true)?.on(stream)
    }

    fn start(
        &self,
        target: Target,
        (out, stride): To,
        from: &From<'_>,
        which: &Which,
        matrices: &[Option<Matrix<'_>>; 3],
        early: bool,
    ) -> Result<Launch<'_>> {
        let given = || matrices.iter().flatten();
        let width = given().next().map_or(0, |matrix| matrix.weight.width);
        let gated = target.gated();
        let pitch = given().map(|matrix| pitch(matrix.weight)).max().unwrap_or(16);
        // Rows of wide matrices do not share a block.
        let most = which.rows.min(ROWS);
        let together = if room(width, most) + self.rings(pitch) > self.shared { 1 } else { most };
        let span = if gated { TILE } else { 2 * TILE };
        let spans = |matrix: &Matrix<'_>| matrix.outputs.div_ceil(span);
        let all = if gated { given().map(spans).max() } else { Some(given().map(spans).sum()) };
        let all = all.unwrap_or(0);
        let grid = all.clamp(1, self.blocks);
        let launch = self
            .product
            .launch()
            .grid(grid, which.rows.div_ceil(together), 1)
            .block(32 * self.warps as u32, 1);
        let launch = launch.shared((room(width, together) + self.rings(pitch)) as u32);
        let launch = if early { launch.early() } else { launch };
        let launch = launch.arg(out).arg(small(stride)?);
        let launch = target.of(launch).arg(small(width)?).arg(small(pitch)?);
        let launch = source(launch, from)?.arg(small(which.rows)?).arg(small(together)?);
        let parts = given().map(|matrix| parts(matrix.weight).1).max().unwrap_or(1);
        let launch = launch.arg(small(all / grid)?).arg(small(all % grid)?);
        let launch =
            launch.arg(small(self.warps.min(PARTS * self.warps / parts))?).arg(small(parts)?);
        let launch = launch.arg(small((1 << 16) / parts + 1)?);
        let launch = launch.arg(which.gather).arg(which.step).arg(which.wanted);
        matrices.iter().try_fold(launch, |launch, matrix| with(launch, matrix.as_ref()))
    }

    /// Leaves what each share of each generated row found at `partial`; keeps keys and values that
    /// are not kept yet. `queries` is an address, and elements from one row to the next.
    #[allow(clippy::too_many_arguments)] // it is what attention depends on
    pub(in crate::backend::cuda) fn attend(
        &self,
        stream: &Stream,
        shares: &Shares<'_>,
        queries: To,
        fresh: Option<&Fresh<'_>>,
        (cache, layer): (&Cache, usize),
        rows: usize,
        early: bool,
    ) -> Result<()> {
        let (function, element) = match cache.precision {
            Precision::F32 => (&self.attend_f32, 4),
            Precision::F16 => (&self.attend_f16, 2),
        };
        let (attention, layer) = (shares.attention, &cache.layers[layer]);
        let dim = attention.head_dim;
        let tile = if dim > 128 { 32 } else { 64 };
        let launch = function.launch().grid(SPLITS, attention.heads, rows);
        let launch = launch.block(ATTEND_THREADS, 1);
        // The threads' sums meet where keys and values were. More is asked for than that, so that
        // blocks spread: they start while a projection still fills most multiprocessors, and would
        // all go to the others.
        let blocks = SPLITS * attention.heads * rows;
        let spread = self.shared / 4 * 3 / blocks.div_ceil(self.blocks);
        let launch = launch.shared((2 * tile * dim * element).max(2048).max(spread) as u32);
        let launch = if early { launch.early() } else { launch };
        let launch = launch.arg(shares.partial).arg(queries.0).arg(small(queries.1)?);
        let (keys, values, stride) = fresh.map_or((0, 0, 0), |it| (it.keys, it.values, it.stride));
        let launch = launch.arg(keys).arg(values).arg(small(stride)?);
        let launch = match fresh.and_then(|fresh| fresh.turn) {
            Some((rope, cosines, sines)) => {
                let launch = launch.arg(cosines).arg(sines).arg(small(rope.pairs())?);
                launch.arg(u32::from(rope.style == rope::Style::Neox))
            }
            None => launch.arg(0u64).arg(0u64).arg(0u32).arg(0u32),
        };
        let launch = launch.arg(&layer.keys).arg(&layer.values).arg(shares.rows);
        let launch = launch.arg(small(attention.heads)?).arg(small(attention.kv_heads)?);
        let launch = launch.arg(small(dim)?).arg(small(attention.window.unwrap_or(0))?);
        launch.arg(small(layer.plan.capacity)?).arg(attention.scale).on(stream)
    }

    /// `to` = what the shares of each generated row amount to.
    pub(in crate::backend::cuda) fn attended(
        &self,
        stream: &Stream,
        to: u64,
        shares: &Shares<'_>,
        rows: usize,
    ) -> Result<()> {
        let attention = shares.attention;
        let grid = (attention.q_width() / 4).div_ceil(ATTEND_THREADS as usize);
        let launch = self.attended.launch().grid(grid, rows, 1).block(ATTEND_THREADS, 1);
        let launch = launch.arg(to).arg(shares.partial).arg(shares.rows).arg(shares.sinks);
        let launch = launch.arg(small(attention.heads)?).arg(small(attention.head_dim)?);
        launch.arg(small(attention.window.unwrap_or(0))?).on(stream)
    }
}

fn missing(what: &str) -> Error {
    Error::kernel("line_product", format!("{what} is missing"))
}

/// Bytes of a stage that a tile takes: a unit of each of its rows, what a copy brings from before
/// them, and the word behind the last.
fn pitch(weight: &Tensor) -> usize {
    (TILE * woven_unit(weight.format).1 + 15 + 4).next_multiple_of(16)
}

/// Units of a part of a row, and parts.
fn parts(weight: &Tensor) -> (usize, usize) {
    let units = weight.width.div_ceil(woven_unit(weight.format).0);
    let each = units.div_ceil(ROW_PARTS);
    (each, units.div_ceil(each))
}

/// Bytes of shared memory that so many rows of activations take, as `LineX` has them.
fn room(width: usize, rows: usize) -> usize {
    let padded = width.next_multiple_of(128);
    rows * (4 * padded + padded / 4 + (padded / 32).next_multiple_of(16))
}

fn source<'l>(launch: Launch<'l>, from: &From<'_>) -> Result<Launch<'l>> {
    let none =
        |launch: Launch<'l>| launch.arg(0u64).arg(0u64).arg(0u64).arg(0u32).arg(4u32).arg(0u32);
    Ok(match from {
        From::Rows(x) => none(launch.arg(0u32).arg(*x).arg(0u64).arg(0u64).arg(0f32)),
        From::Normed(norm, weights, x) => {
            let kind = if norm.kind == NormKind::Rms { 1u32 } else { 2 };
            let bias = weights.bias.as_ref().map(Tensor::vector).transpose()?;
            let launch = launch.arg(kind).arg(*x).arg(weights.weight.vector()?).arg(bias);
            none(launch.arg(norm.epsilon))
        }
        From::Shares(shares) => {
            let attention = shares.attention;
            let launch = launch.arg(3u32).arg(0u64).arg(0u64).arg(0u64).arg(0f32);
            let launch = launch.arg(shares.partial).arg(shares.rows).arg(shares.sinks);
            let launch = launch.arg(small(attention.heads)?).arg(small(attention.head_dim)?);
            launch.arg(small(attention.window.unwrap_or(0))?)
        }
    })
}

fn with<'l>(launch: Launch<'l>, matrix: Option<&Matrix<'_>>) -> Result<Launch<'l>> {
    let Some(matrix) = matrix else {
        let launch = launch.arg(0u64).arg(0u64).arg(0u32).arg(0u32).arg(0u32);
        return Ok(launch.arg(1u32).arg(1u32).arg(1u32));
    };
    let weight = matrix.weight;
    let at = format(weight).ok_or_else(|| missing(weight.format.name))?;
    let (elements, bytes) = woven_unit(weight.format);
    let row_bytes = weight.bytes() / weight.rows;
    let bias = matrix.bias.map(|bias| bias.bits() + 4 * matrix.first as u64).unwrap_or(0);
    let launch = launch.arg(weight.bits() + (matrix.first * row_bytes) as u64).arg(bias);
    let launch = launch.arg(small(matrix.outputs)?).arg(at as u32).arg(small(row_bytes)?);
    let launch = launch.arg(small(weight.width.div_ceil(elements))?).arg(bytes as u32);
    Ok(launch.arg(small(parts(weight).0)?))
}
