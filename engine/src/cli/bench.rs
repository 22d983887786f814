//! `worker-orcd bench`: how fast a model is here.

use super::compute::{PlaceArgs, Ready, Work};
use super::progress::Progress;
use super::speed::{Bench as Runs, Shape, Timed};
use super::{Output, ReadArgs, TokenizerArgs, human};
use crate::backend::Backend;
use crate::backend::cpu::matmul::Precision;
use crate::error::{Error, Result};
use crate::kv;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Definitions are llama-bench's: pp512 reads 512 random tokens into an empty past; tg128 makes 128
tokens one after the other, without choosing among them; 'd4096' first fills the past with 4,096
tokens, which are not timed; with -b B, B sequences go side by side and the tokens of all count.
Each test runs once to warm up, then -r times. Shown are the median and the range of tokens/s.

The column 'of reading' is GB/s as a share of what the same machine reads, in the same run, with
the same threads or a kernel that does nothing else: generation cannot be faster than 100 %.

GFLOP/s count two operations for each weight that a row meets and four for each element of a query
and position that it looks at. GB/s, told for generation, count each weight that a step needs once,
of experts as many as its rows can choose at most, and the keys and values that it reads.

Examples:
  worker-orcd bench model.gguf
  worker-orcd bench a.gguf b.gguf -p 512,2048 -n 128 -r 3
  worker-orcd bench model.gguf -p 0 -n 32 -d 0,4096 -b 1,8 --json";

/// Measure how fast models read and write
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    /// The models: GGUF files [default: a small model that is part of the program]
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    #[command(flatten)]
    reading: ReadArgs,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    #[command(flatten)]
    place: PlaceArgs,

    /// Lengths of prompts; 0 for none
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "512")]
    prompt: Vec<usize>,

    /// Lengths of generations; 0 for none
    #[arg(short = 'n', long, value_name = "N,…", value_delimiter = ',', default_value = "128")]
    generate: Vec<usize>,

    /// Tokens that are there before
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "0")]
    depth: Vec<usize>,

    /// Sequences side by side
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "1")]
    batch: Vec<usize>,

    /// How often each test is timed
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    repetitions: usize,

    /// Print JSON: one array, an object for each test
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let shapes = self.shapes()?;
        let results = RefCell::new(Vec::new());
        let models = match self.models.is_empty() {
            true => vec![None],
            false => self.models.iter().map(|model| Some(model.as_path())).collect(),
        };
        let mut bar = Progress::steps(models.len() * shapes.len() * (self.repetitions + 1));
        for model in models {
            let work = OneModel { bench: self, shapes: &shapes, results: &results };
            let bar = RefCell::new(&mut bar);
            let watched = Watched { work, bar };
            self.place.run(model, &self.reading, &self.tokenizer, &watched, output)?;
        }
        drop(bar);
        let results = results.into_inner();
        match self.json {
            true => output.print(Value::Array(results.iter().map(Outcome::json).collect())),
            false => output.print(table(&results)),
        }
    }

    fn shapes(&self) -> Result<Vec<Shape>> {
        if self.repetitions == 0 || self.batch.contains(&0) {
            let detail = "-r and -b must be 1 at least: there is nothing to time otherwise";
            return Err(Error::Usage(detail.into()));
        }
        let mut shapes = Vec::new();
        for &depth in &self.depth {
            for &sequences in &self.batch {
                let prompts = self.prompt.iter().map(|&tokens| (true, tokens));
                let tests = prompts.chain(self.generate.iter().map(|&tokens| (false, tokens)));
                let tests = tests.filter(|(_, tokens)| *tokens > 0);
                shapes.extend(tests.map(|(prompt, tokens)| Shape {
                    prompt,
                    tokens,
                    depth,
                    sequences,
                }));
            }
        }
        match shapes.is_empty() {
            true => Err(Error::Usage("-p 0 and -n 0 leave nothing to measure".into())),
            false => Ok(shapes),
        }
    }
}

struct OneModel<'b> {
    bench: &'b Bench,
    shapes: &'b [Shape],
    results: &'b RefCell<Vec<Outcome>>,
}

/// The work on one model, and the bar that shows how far all of it is.
struct Watched<'b, 'p> {
    work: OneModel<'b>,
    bar: RefCell<&'p mut Progress>,
}

impl Work for Watched<'_, '_> {
    fn run<B: Backend>(&self, mut ready: Ready<B>, _: &mut Output) -> Result<()> {
        let OneModel { bench, shapes, results } = self.work;
        let name = ready.backend.name();
        let reading = match shapes.iter().any(|shape| !shape.prompt) {
            true => ready.backend.read_speed()? / 1e9,
            false => 0.0,
        };
        for shape in shapes {
            let kv = ready.kv;
            let runs = Runs { backend: &mut ready.backend, model: &ready.model, kv };
            let timed = runs.time(shape, bench.repetitions, || self.bar.borrow_mut().add(1))?;
            ready.file.verify_unchanged()?;
            let (shape, cost) = (*shape, &ready.cost);
            results.borrow_mut().push(Outcome {
                model: ready.name.clone(),
                bytes: cost.model_bytes,
                parameters: cost.parameters,
                backend: name.clone(),
                precision: bench.place.precision(),
                kv,
                loading: ready.loading,
                threads: bench.reading.n_threads(),
                gflops: timed.rate() * shape.operations(cost) / 1e9,
                bytes_per_token: (!shape.prompt).then(|| shape.bytes(cost, kv)),
                gigabytes: (!shape.prompt).then(|| timed.rate() * shape.bytes(cost, kv) / 1e9),
                reading,
                shape,
                timed,
            });
        }
        Ok(())
    }
}

/// One test of one model.
struct Outcome {
    model: String,
    bytes: u64,
    parameters: u64,
    backend: String,
    precision: Precision,
    kv: kv::Precision,
    loading: Duration,
    threads: usize,
    shape: Shape,
    timed: Timed,
    gflops: f64,
    bytes_per_token: Option<f64>,
    gigabytes: Option<f64>,
    /// GB/s that the machine reads; known if `gigabytes` is.
    reading: f64,
}

impl Outcome {
    /// How much of the machine's reading speed was used.
    fn share(&self) -> Option<f64> {
        self.gigabytes.map(|rate| rate / self.reading)
    }

    fn json(&self) -> Value {
        let (least, most) = self.timed.range();
        json!({
            "model": self.model,
            "model_bytes": self.bytes,
            "parameters": self.parameters,
            "backend": self.backend,
            "precision": precision(self.precision),
            "kv": self.kv.name(),
            "loading_seconds": self.loading.as_secs_f64(),
            "threads": self.threads,
            "test": self.shape.name(),
            "prompt": if self.shape.prompt { self.shape.tokens } else { 0 },
            "generate": if self.shape.prompt { 0 } else { self.shape.tokens },
            "depth": self.shape.depth,
            "sequences": self.shape.sequences,
            "tokens_per_second": self.timed.rate(),
            "tokens_per_second_min": least,
            "tokens_per_second_max": most,
            "samples": self.timed.rates,
            "gflops": self.gflops,
            "bytes_per_token": self.bytes_per_token,
            "gigabytes_per_second": self.gigabytes,
            "share_of_reading": self.share(),
        })
    }
}

fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::Exact => "exact",
        Precision::Fast => "fast",
    }
}

fn table(results: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "model",
        "size",
        "parameters",
        "backend",
        "KV",
        "threads",
        "test",
        "tokens/s",
        "range",
        "GFLOP/s",
        "GB/s",
        "of reading",
    ]);
    for column in [1, 2, 5, 7, 8, 9, 10, 11] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for one in results {
        let (least, most) = one.timed.range();
        table.add_row([
            one.model.clone(),
            human::bytes(one.bytes),
            human::count(one.parameters),
            format!("{} {}", one.backend, precision(one.precision)),
            one.kv.name().into(),
            one.threads.to_string(),
            one.shape.name(),
            format!("{:.2}", one.timed.rate()),
            format!("{least:.2}–{most:.2}"),
            format!("{:.1}", one.gflops),
            one.gigabytes.map_or(String::new(), |rate| format!("{rate:.2}")),
            one.share().map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
        ]);
    }
    table
}
