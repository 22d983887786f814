//! `BACKEND::op::VERB::CASE`: each verb alone, on every backend, against f64 formulas. Inputs come
//! from the case's name; unwritten memory is NaN and lies between guards; the worst row is judged.
//! Shapes are toys, ragged (nothing divides anything), and those of real models.

mod activate;
mod attend;
pub(crate) mod data;
mod embed;
mod experts;
mod matmul;
mod norm;
mod packed;
mod reference;
mod rope;
mod route;
mod rows;

use crate::subject::{Machine, OnCpu, OnCuda, OnCudaFast};
use engine::backend::Backend;
use engine::backend::cuda::Cuda;
use engine::batch::{Batch, Role, Row};
use engine::error::Result as EngineResult;
use harness::vector::Budget;
use harness::{Case, Failure, compare};
use std::marker::PhantomData;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = reference::cases();
    cases.extend(on::<OnCpu>());
    cases.extend(on::<OnCuda>());
    cases.extend(packed_on::<OnCuda>());
    cases.extend(on::<OnCudaFast>());
    cases.extend(packed_on::<OnCudaFast>());
    cases
}

fn packed_on<M: Machine<Backend = Cuda>>() -> Vec<Case> {
    let mut cases = Cases::<M> { list: Vec::new(), machine: PhantomData };
    packed::add(&mut cases);
    cases.list
}

fn on<M: Machine>() -> Vec<Case> {
    let mut cases = Cases::<M> { list: Vec::new(), machine: PhantomData };
    activate::add(&mut cases);
    attend::add(&mut cases);
    embed::add(&mut cases);
    experts::add(&mut cases);
    matmul::add(&mut cases);
    norm::add(&mut cases);
    rope::add(&mut cases);
    route::add(&mut cases);
    rows::add(&mut cases);
    cases.list
}

/// Cases on one machine.
struct Cases<M> {
    list: Vec<Case>,
    machine: PhantomData<M>,
}

/// The random numbers of a case: they follow from its name, which is the same on every machine.
type Body<B> = Box<dyn Fn(&mut B, &mut data::Random) -> Result<(), Failure> + Send + Sync>;

impl<M: Machine> Cases<M> {
    fn add(&mut self, name: String, body: Body<M::Backend>) {
        let case = Case::new(format!("{}::op::{name}", M::NAME), move |_| {
            body(&mut M::open()?, &mut data::Random::of(&name))
        });
        self.list.push(match M::NEEDS {
            Some(capability) => case.needs(capability),
            None => case,
        });
    }
}

/// Which rows of a batch the model generated; backends may compute them in another way.
#[derive(Debug, Clone, Copy)]
enum Roles {
    Prompt,
    Generated,
    /// Every other one.
    Mixed,
}

const ROLES: [(&str, Roles); 3] =
    [("prompt", Roles::Prompt), ("generated", Roles::Generated), ("mixed", Roles::Mixed)];

/// A product takes rows in whatever form the verb before handed them over, as it takes the same
/// numbers from elsewhere.
fn feeds_products<B: Backend>(
    backend: &mut B,
    random: &mut data::Random,
    rows: &B::Rows,
) -> Result<(), Failure> {
    let (values, width, outputs) = (backend.read(rows)?, backend.width(rows), 48);
    let count = values.len() / width;
    let format = engine::quant::by_name("Q8_0").ok_or("no Q8_0")?;
    let bytes = random.blocks(format, width * outputs);
    let file = data::File::of(&[(format, vec![width as u64, outputs as u64], &bytes)])?;
    let weight = file.weight(backend, 0, engine::adapters::Role::Matrix)?;
    let step = step_of(backend, count, Roles::Prompt)?;
    let got = backend.matmul(&weight, None, rows, &step)?;
    let copy = backend.write(width, &values)?;
    let want = backend.matmul(&weight, None, &copy, &step)?;
    compare::arrays("product", &backend.read(&got)?, &backend.read(&want)?)
        .shape(&[("row", count), ("output", outputs)])
        .exactly()
}

/// A step of `rows` rows of such roles.
fn step_of<B: Backend>(backend: &mut B, rows: usize, roles: Roles) -> EngineResult<B::Step> {
    let mut batch = batch(&count(rows));
    for (index, row) in batch.rows.iter_mut().enumerate() {
        row.role = match roles {
            Roles::Prompt => Role::Prompt,
            Roles::Generated => Role::Generated,
            Roles::Mixed if index % 2 == 0 => Role::Prompt,
            Roles::Mixed => Role::Generated,
        };
    }
    backend.step(&batch, &[])
}

fn batch(positions: &[u32]) -> Batch {
    let row = |(token, position): (usize, &u32)| Row {
        token: token as u32,
        position: *position,
        slot: 0,
        total: 1 << 17,
        role: Role::Prompt,
        logits: false,
    };
    Batch { rows: positions.iter().enumerate().map(row).collect() }
}

fn count(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

/// Why a product may be off, by about 1e-14; 2e-12 was met where three sums of a toy nearly cancel.
const SPLIT: &str = "f32 sums, in lanes or of numbers split into two of tf32: 22 bits of 24";

/// Why one in 16 bits may be off: rounding to 11 bits moves a number by 1.9e-4 of it (root mean
/// square), and a product has two.
const ROUNDED: &str = "both factors have 11 bits: 9e-8; the few sums of a toy may nearly cancel";

/// How far products of `outputs` sums a row may be off on a machine.
fn products<M: Machine>(outputs: usize) -> Budget {
    match M::ROUNDED {
        true => within(3e-7 * (1.0 + 300.0 / outputs as f64), ROUNDED),
        false => within(1e-11, SPLIT),
    }
}

/// At most `nmse` off, over everything and over the worst row.
fn within(nmse: f64, why: &str) -> Budget {
    Budget { nmse: Some(nmse), why: why.into(), ..Budget::default() }
}

/// A want rounded to what a backend can give.
fn f32s(want: &[f64]) -> Vec<f32> {
    want.iter().map(|x| *x as f32).collect()
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}
