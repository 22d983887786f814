//! One wrapper a kernel file, with the file's stem: each finds its kernels once, and launches them
//! with a grid that follows from the shapes it is given. Knows shapes, not models.

mod activate;
mod add;
mod attend;
mod attend_fast;
mod check;
mod choose;
mod choose_few;
mod embed;
mod expert_matmul;
mod expert_matmul_fast;
mod line;
mod matmul;
mod matmul_fast;
mod mix;
mod norm;
mod read;
mod repack;
mod rope;
mod round;
mod route;
mod rows;
mod spread;
mod store;

pub(super) use check::Check;
pub(super) use expert_matmul::{Groups, Product};
pub(super) use expert_matmul_fast::Sorted;
pub(super) use line::{Fresh, From, Line, Matrix, Shares, Which};
pub(super) use matmul::TILE;
pub(super) use matmul_fast::{Factors, TOKENS};
pub(super) use read::read_speed;
pub(super) use round::Rounded;
pub(super) use rows::Moved;

use super::kernels::Kernels;
use super::layout::PACKED;
use super::module::Function;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::quant::{FORMATS, Format};

/// All of them.
pub(super) struct Ops {
    pub(super) activate: activate::Activate,
    pub(super) add: add::Add,
    pub(super) attend: attend::Attend,
    pub(super) attend_fast: attend_fast::AttendFast,
    pub(super) check: Check,
    pub(super) choose: choose::Choose,
    pub(super) embed: embed::Embed,
    pub(super) expert_matmul: expert_matmul::ExpertMatmul,
    pub(super) expert_matmul_fast: expert_matmul_fast::ExpertMatmulFast,
    pub(super) line: Line,
    pub(super) matmul: matmul::Matmul,
    pub(super) matmul_fast: matmul_fast::MatmulFast,
    pub(super) mix: mix::Mix,
    pub(super) norm: norm::Norms,
    pub(super) repack: repack::Repack,
    pub(super) rope: rope::Ropes,
    pub(super) round: round::Round,
    pub(super) route: route::Route,
    pub(super) rows: rows::Copies,
    pub(super) spread: spread::Spread,
    pub(super) store: store::Store,
}

/// The kernel files that [`Ops`] needs.
const STEMS: &[&str] = &[
    "activate",
    "add",
    "attend",
    "attend_fast",
    "check",
    "choose",
    "choose_few",
    "embed",
    "expert_matmul",
    "expert_matmul_fast",
    "expert_matmul_prompt",
    "group",
    "line_attend",
    "line_product",
    "matmul",
    "matmul_fast",
    "matmul_prompt",
    "mix",
    "norm",
    "repack",
    "rope",
    "round",
    "route",
    "rows",
    "spread",
    "store",
];

impl Ops {
    pub(super) fn new(kernels: &Kernels) -> Result<Ops> {
        kernels.prepare(STEMS)?;
        let line = Line::new(kernels)?;
        Ok(Ops {
            activate: activate::Activate::new(kernels)?,
            add: add::Add::new(kernels)?,
            attend: attend::Attend::new(kernels)?,
            attend_fast: attend_fast::AttendFast::new(kernels)?,
            check: Check::new(kernels)?,
            choose: choose::Choose::new(kernels)?,
            embed: embed::Embed::new(kernels)?,
            expert_matmul: expert_matmul::ExpertMatmul::new(kernels)?,
            expert_matmul_fast: expert_matmul_fast::ExpertMatmulFast::new(kernels)?,
            matmul: matmul::Matmul::new(kernels, &line)?,
            line,
            matmul_fast: matmul_fast::MatmulFast::new(kernels)?,
            mix: mix::Mix::new(kernels)?,
            norm: norm::Norms::new(kernels)?,
            repack: repack::Repack::new(kernels)?,
            rope: rope::Ropes::new(kernels)?,
            round: round::Round::new(kernels)?,
            route: route::Route::new(kernels)?,
            rows: rows::Copies::new(kernels)?,
            spread: spread::Spread::new(kernels)?,
            store: store::Store::new(kernels)?,
        })
    }
}

/// One kernel for each block format that can be decoded.
struct ByFormat {
    verb: &'static str,
    /// In the order of `FORMATS`.
    functions: Vec<Option<Function>>,
    /// In the order of `PACKED`, for verbs that read those.
    packed: Vec<Function>,
}

impl ByFormat {
    /// The kernels `VERB_FORMATw` of a file.
    fn new(kernels: &Kernels, stem: &str, verb: &'static str) -> Result<ByFormat> {
        let one = |format: &Format| -> Result<Option<Function>> {
            let symbol = format!("{verb}_{}w", format.name.to_lowercase());
            format.scalar.map(|_| kernels.function(stem, &symbol)).transpose()
        };
        let functions = FORMATS.iter().map(one).collect::<Result<_>>()?;
        Ok(ByFormat { verb, functions, packed: Vec::new() })
    }

    /// The same, and those for packed layouts.
    fn and_packed(kernels: &Kernels, stem: &str, verb: &'static str) -> Result<ByFormat> {
        let one = |name: &&str| kernels.function(stem, &format!("{verb}_{name}w"));
        let packed = PACKED.iter().map(one).collect::<Result<_>>()?;
        Ok(ByFormat { packed, ..ByFormat::new(kernels, stem, verb)? })
    }

    /// The kernel for a matrix, however it lies.
    fn of(&self, tensor: &Tensor) -> Result<&Function> {
        let Some(packed) = tensor.layout.packed() else { return self.in_file(tensor.format) };
        let why = || Error::kernel(self.verb, format!("not for {:?}", tensor.layout));
        self.packed.get(packed).ok_or_else(why)
    }

    /// The kernel for blocks as files hold them.
    fn in_file(&self, format: &Format) -> Result<&Function> {
        let known = FORMATS.iter().position(|known| known.id == format.id);
        let function = known.and_then(|at| self.functions.get(at)?.as_ref());
        function.ok_or_else(|| Error::kernel(self.verb, format!("not for {}", format.name)))
    }
}

/// Blocks of `threads` that make one thread for each of `count`.
fn blocks(count: usize, threads: u32) -> usize {
    count.div_ceil(threads as usize)
}

/// A length as kernels take it.
fn small(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::Usage(format!("{length} elements in a row")))
}
