//! `bench::cuda::OP::SHAPE` — verbs on a CUDA device, at the shapes of real models. The device's
//! own events take the time; before each run its cache is overwritten, and the bytes of weights (of
//! attention: keys and values) are what speeds count. The floor of what moves one row is a kernel
//! that only reads, in the same run.
//!
//! What to look at: a format against another of the same shape (experts in MXFP4, F16, Q8_0 and
//! Q4_0), and `dequant`, which decodes a matrix apart before it multiplies, against `matvec`.

mod device;

use self::device::{Device, Verb};
use super::{Bench, Work};
use crate::suites::op::data::{File, Random};
use engine::adapters::{Attention, Role as Weights};
use engine::backend::cuda::Cuda;
use engine::backend::{Backend, Source};
use engine::batch::{Batch, Role, Row};
use engine::kv::{CachePlan, LayerPlan, Precision};
use engine::quant::{self, Format};
use harness::Failure;
use std::ops::Range;

/// What one row moves is compared with this.
const FLOOR: &str = "bench::cuda::read::1GB";

/// Formats of one matrix, and of experts; a row of 2880 is not whole blocks of 256.
const MATRIX: [&str; 8] = ["MXFP4", "Q4_0", "Q4_K", "Q5_0", "Q5_K", "Q6_K", "Q8_0", "F16"];
const EXPERTS: [&str; 4] = ["MXFP4", "Q4_0", "Q8_0", "F16"];

/// Width and rows: the way back in Llama-3.1-8B.
const WIDE: (usize, usize) = (14336, 4096);
/// Width and rows of an expert, experts, experts a row: gpt-oss-20b.
const GPT_OSS: (usize, usize, usize, usize) = (2880, 2880, 32, 4);
/// Heads, heads of keys, elements of a head: gpt-oss.
const HEADS: usize = 64;
const KV_HEADS: usize = 8;
const HEAD: usize = 64;
/// Rows of a prompt.
const PROMPT: usize = 512;

pub(super) fn benches() -> Vec<Bench> {
    let mut benches = vec![bench("read::1GB".into(), 1 << 30, 0.0, None, read)];
    for format in MATRIX.into_iter().filter_map(quant::by_name) {
        for rows in [1, PROMPT] {
            let name = match rows {
                1 => format!("matvec::{}-{}x{}", format.name, WIDE.0, WIDE.1),
                rows => format!("matmul::{}-{}x{}x{rows}", format.name, WIDE.0, WIDE.1),
            };
            benches.push(bench(name, matrix_bytes(format), of(rows, format), floor(rows), {
                move |device| product(device, format, rows)
            }));
        }
    }
    for format in ["MXFP4", "Q4_K"].into_iter().filter_map(quant::by_name) {
        let name = format!("dequant::{}-{}x{}", format.name, WIDE.0, WIDE.1);
        benches.push(bench(name, matrix_bytes(format), of(1, format), floor(1), move |device| {
            apart(device, format)
        }));
    }
    for format in EXPERTS.into_iter().filter_map(quant::by_name) {
        for rows in [1, PROMPT] {
            let (width, outputs, experts, used) = GPT_OSS;
            let name = format!("experts::{}-{width}x{outputs}x{rows}", format.name);
            let met = if rows == 1 { used } else { experts };
            let bytes = width * outputs * met / format.block_len * format.block_bytes;
            let each = of(rows * used, format) / met as f64;
            benches.push(bench(name, bytes, each, floor(rows), move |device| {
                chosen(device, format, rows)
            }));
        }
    }
    for past in [1 << 12, 1 << 15] {
        let bytes = 2 * past * KV_HEADS * HEAD * Precision::F16.bytes();
        let (name, each) =
            (format!("attend::64of8x64-past-{past}"), (HEADS / KV_HEADS) as f64 * 2.0);
        benches.push(bench(name, bytes, each, floor(1), move |device| attend(device, past)));
    }
    benches
}

fn bench(
    name: String,
    bytes: usize,
    operations_per_byte: f64,
    baseline: Option<String>,
    make: impl Fn(&mut Device) -> Result<Verb, Failure> + Send + Sync + 'static,
) -> Bench {
    Bench {
        name: format!("bench::cuda::{name}"),
        verb: "run",
        bytes,
        operations_per_byte,
        baseline,
        needs: Some("cuda"),
        setup: Box::new(move |asked| {
            let mut device = Device::open(asked as f64 / bytes as f64)?;
            let verb = make(&mut device)?;
            Ok(Box::new(device.with(verb)) as Box<dyn Work>)
        }),
    }
}

/// A row is bound by what it reads; many are bound by what they compute.
fn floor(rows: usize) -> Option<String> {
    (rows == 1).then(|| FLOOR.to_owned())
}

fn matrix_bytes(format: &Format) -> usize {
    WIDE.0 * WIDE.1 / format.block_len * format.block_bytes
}

/// Operations for each byte of weights: two for each of its elements and each row.
fn of(rows: usize, format: &Format) -> f64 {
    (2 * rows * format.block_len) as f64 / format.block_bytes as f64
}

/// Rows of a prompt, or one that the model made.
fn role(rows: usize) -> Role {
    if rows == 1 { Role::Generated } else { Role::Prompt }
}

/// Rows of one sequence; each row's token is its position.
fn step(
    device: &mut Device,
    positions: Range<usize>,
    role: Role,
) -> Result<<Cuda as Backend>::Step, Failure> {
    let total = positions.end as u32;
    let row = |position: usize| {
        let position = position as u32;
        Row { token: position, position, slot: 0, total, role, logits: false }
    };
    Ok(device.cuda.step(&Batch { rows: positions.map(row).collect() }, &[])?)
}

fn read(_: &mut Device) -> Result<Verb, Failure> {
    Ok(Verb::reading())
}

/// A matrix on the device, and its blocks.
fn matrix(
    device: &mut Device,
    format: &'static Format,
    shape: &[usize],
    role: Weights,
) -> Result<(<Cuda as Backend>::Weight, Vec<u8>), Failure> {
    let blocks = Random::of(format.name).blocks(format, shape.iter().product());
    let shape = shape.iter().map(|length| *length as u64).collect();
    let file = File::of(&[(format, shape, &blocks)])?;
    Ok((file.weight(&mut device.cuda, 0, role)?, blocks))
}

fn product(device: &mut Device, format: &'static Format, rows: usize) -> Result<Verb, Failure> {
    let (width, outputs) = (WIDE.0, device.part(WIDE.1));
    let (weight, blocks) = matrix(device, format, &[width, outputs], Weights::Matrix)?;
    let x = Random::of("x").numbers(rows * width, 1.0);
    let input = device.cuda.write(width, &x)?;
    let step = step(device, 0..rows, role(rows))?;
    let verb = Verb::new(move |cuda| cuda.matmul(&weight, None, &input, &step));
    verb.giving(format, &blocks, &x[..width], 0)
}

/// The same product of one row, with the matrix decoded to f32 before: both halves are timed.
fn apart(device: &mut Device, format: &'static Format) -> Result<Verb, Failure> {
    let (width, outputs) = (WIDE.0, device.part(WIDE.1));
    let (weight, blocks) = matrix(device, format, &[width, outputs], Weights::Table)?;
    let mut values = vec![0f32; width * outputs];
    format.decode().ok_or("not decoded")?(&blocks, &mut values);
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let shape = vec![width as u64, outputs as u64];
    let decoded = File::of(&[(&quant::FORMATS[0], shape, &bytes)])?;
    let decoded = decoded.weight(&mut device.cuda, 0, Weights::Matrix)?;
    let x = Random::of("x").numbers(width, 1.0);
    let input = device.cuda.write(width, &x)?;
    let every = step(device, 0..outputs, Role::Prompt)?;
    let one = step(device, 0..1, Role::Generated)?;
    let verb = Verb::new(move |cuda| {
        cuda.embed(&weight, &every)?;
        cuda.matmul(&decoded, None, &input, &one)
    });
    verb.giving(format, &blocks, &x, 0)
}

fn chosen(device: &mut Device, format: &'static Format, rows: usize) -> Result<Verb, Failure> {
    let (width, outputs, experts, used) = GPT_OSS;
    let outputs = device.part(outputs);
    let (weight, blocks) =
        matrix(device, format, &[width, outputs, experts], Weights::ExpertMatrix)?;
    let x = Random::of("x").numbers(rows * width, 1.0);
    let input = device.cuda.write(width, &x)?;
    let scores = Random::of("scores").numbers(rows * experts, 3.0);
    let scores = device.cuda.write(experts, &scores)?;
    let step = step(device, 0..rows, role(rows))?;
    let routing = device.cuda.route(&scores, used)?;
    let (ids, _) = device.cuda.read_routing(&routing)?;
    let verb = Verb::new(move |cuda| {
        // Anew, because sorting rows by expert is part of it.
        let routing = cuda.route(&scores, used)?;
        cuda.expert_matmul(&weight, None, &input, Source::Row, &routing, &step)
    });
    verb.giving(format, &blocks, &x[..width], ids[0] as usize * outputs)
}

/// One row that looks at a long past in f16, with the heads of gpt-oss.
fn attend(device: &mut Device, past: usize) -> Result<Verb, Failure> {
    const PART: usize = 1024;
    let past = device.part(past).next_multiple_of(PART);
    let attention = Attention {
        heads: HEADS,
        kv_heads: KV_HEADS,
        head_dim: HEAD,
        scale: 1.0 / (HEAD as f32).sqrt(),
        fused_qkv: false,
        qkv_bias: false,
        out_bias: false,
        rope: None,
        window: None,
        sinks: false,
    };
    let width = attention.kv_width();
    let plan = CachePlan {
        slots: 1,
        context: past,
        max_rows: PART,
        precision: Precision::F16,
        layers: vec![LayerPlan { width, capacity: past }],
        poison: false,
    };
    let mut cache = device.cuda.cache(&plan)?;
    let mut random = Random::of("past");
    for start in (0..past).step_by(PART) {
        let step = step(device, start..start + PART, Role::Prompt)?;
        let keys = device.cuda.write(width, &random.numbers(PART * width, 1.0))?;
        let values = device.cuda.write(width, &vec![0.5; PART * width])?;
        device.cuda.store(&mut cache, 0, &keys, &values, &step)?;
    }
    let queries = random.numbers(attention.q_width(), 1.0);
    let queries = device.cuda.write(attention.q_width(), &queries)?;
    let step = step(device, past - 1..past, Role::Generated)?;
    let verb = Verb::new(move |cuda| cuda.attend(&attention, None, &queries, &cache, 0, &step));
    // Shares of one half add up to one half.
    Ok(verb.expecting(vec![0.5; HEADS * HEAD], 1e-5))
}
