//! Multiplies rows with the matrices of the experts that were picked for them: rows of a prompt by
//! expert, on tensor cores, generated rows one by one. The role alone decides.

use super::matmul::TILE;
use super::{ByFormat, small};
use crate::backend::cuda::backend::Routing;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::{Function, Launch};
use crate::backend::cuda::rows::{Piece, Rows, Scratch};
use crate::backend::cuda::step::Step;
use crate::backend::cuda::stream::Stream;
use crate::backend::cuda::tensor::Tensor;
use crate::error::{Error, Result};

const WARPS: usize = 4;
/// Threads of group.cu, and the most experts that it counts.
const GROUP_THREADS: u32 = 1024;
const EXPERTS_MAX: usize = 1024;
/// Bytes of a `Tile` of group.cu.
const TILE_BYTES: usize = 16;

/// Slots by expert, and the pieces they are multiplied in.
pub(in crate::backend::cuda) struct Groups {
    pub(super) order: Piece,
    pub(super) tiles: Piece,
    pub(super) n_tiles: usize,
}

pub(in crate::backend::cuda) struct ExpertMatmul {
    generated: ByFormat,
    prompt: ByFormat,
    counts: Function,
    group: Function,
}

/// What is multiplied.
pub(in crate::backend::cuda) struct Product<'a> {
    pub(in crate::backend::cuda) out: &'a Rows,
    pub(in crate::backend::cuda) x: &'a Rows,
    pub(in crate::backend::cuda) weight: &'a Tensor,
    pub(in crate::backend::cuda) bias: Option<&'a Tensor>,
    pub(in crate::backend::cuda) routing: &'a Routing,
    /// How many slots in a row read the same row of `x`.
    pub(in crate::backend::cuda) share: usize,
}

impl ExpertMatmul {
    pub(super) fn new(kernels: &Kernels) -> Result<ExpertMatmul> {
        let stem = "expert_matmul_prompt";
        Ok(ExpertMatmul {
            generated: ByFormat::and_packed(kernels, "expert_matmul", "expert_matmul_f32")?,
            prompt: ByFormat::and_packed(kernels, stem, "expert_matmul_prompt_f32")?,
            counts: kernels.function("group", "group_counts")?,
            group: kernels.function("group", "group_slots")?,
        })
    }

    /// Sorts a routing's slots by expert, in pieces of up to `rows`.
    pub(in crate::backend::cuda) fn groups(
        &self,
        stream: &Stream,
        scratch: &Scratch,
        routing: &Routing,
        rows: usize,
    ) -> Result<Groups> {
        let (slots, experts) = (routing.slots(), routing.experts);
        if experts > EXPERTS_MAX {
            let why = format!("{experts} experts; there is room for {EXPERTS_MAX}");
            return Err(Error::kernel("group", why));
        }
        // Every expert may end with a piece that is not full.
        let n_tiles = slots / rows + experts.min(slots);
        let (order, tiles) = (scratch.piece(4 * slots)?, scratch.piece(TILE_BYTES * n_tiles)?);
        let counts = scratch.piece(4 * experts)?;
        let launch = self.counts.launch().grid(experts, 1, 1).block(GROUP_THREADS, 1);
        launch.arg(&counts).arg(&routing.ids).arg(small(slots)?).on(stream)?;
        let launch = self.group.launch().grid(experts, 1, 1).block(GROUP_THREADS, 1);
        let launch = launch.arg(&order).arg(&tiles).arg(&counts).arg(&routing.ids);
        let launch = launch.arg(small(slots)?).arg(small(rows)?);
        launch.arg(small(n_tiles)?).on(stream)?;
        Ok(Groups { order, tiles, n_tiles })
    }

    /// Rows of a prompt; `groups` in pieces of up to `TILE`.
    pub(in crate::backend::cuda) fn prompt(
        &self,
        stream: &Stream,
        product: &Product<'_>,
        step: &Step,
        groups: &Groups,
    ) -> Result<()> {
        let weight = product.weight;
        let launch = self.prompt.of(weight)?.launch();
        let launch = launch.grid(groups.n_tiles, weight.rows_per_expert.div_ceil(TILE), 1);
        let launch = inputs(launch, product, step)?.arg(&groups.order).arg(&groups.tiles);
        sizes(launch, product)?.on(stream)
    }

    /// Generated rows.
    pub(in crate::backend::cuda) fn generated(
        &self,
        stream: &Stream,
        product: &Product<'_>,
        step: &Step,
    ) -> Result<()> {
        let Product { weight, routing, .. } = product;
        let launch = self.generated.of(weight)?.launch();
        let outputs = weight.rows_per_expert;
        let launch = launch.grid(outputs.div_ceil(WARPS), routing.slots(), 1);
        sizes(inputs(launch, product, step)?.arg(&routing.ids), product)?.on(stream)
    }
}

fn inputs<'l>(launch: Launch<'l>, product: &Product<'_>, step: &Step) -> Result<Launch<'l>> {
    let launch = launch.block(32 * WARPS as u32, 1).arg(product.out).arg(product.x);
    let weight = product.weight;
    let launch = launch.arg(weight).arg(weight.layout.bits()).arg(product.bias);
    Ok(launch.arg(step.rows_address()).arg(step.behind(product.routing.rows)?))
}

fn sizes<'l>(launch: Launch<'l>, product: &Product<'_>) -> Result<Launch<'l>> {
    let (width, outputs) = (product.weight.width, product.weight.rows_per_expert);
    let launch = launch.arg(small(width)?).arg(small(outputs)?);
    Ok(launch.arg(small(product.share)?).arg(small(product.routing.used)?))
}
