//! `worker-orcd quantize`: the same model with other number formats.

use super::progress::Progress;
use super::reencode::reencode;
use super::{Output, TokenizerArgs, human, tables};
use crate::error::{Class, Error, Result, shown};
use crate::loader::gguf::{TensorInfo, Writer};
use crate::loader::{Gguf, check};
use crate::quant::convert::{Conversion, Loss};
use crate::quant::encode::Rule;
use crate::quant::mix::{QUANTIZATION_VERSION, file_type, fitting};
use crate::quant::{self, FORMATS, Format};
use regex::Regex;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Which tensors: those that --tensors matches; without it, every tensor of two or more dimensions
whose name ends in 'weight', except norms and the routers of experts (ffn_gate_inp). With --type
F32, every tensor that is not F32. All others are copied as they are.

A row that is not whole blocks of the type falls back: Q4_K to Q5_0, Q5_K to Q5_1, Q6_K to Q8_0,
and where 32 does not divide it either, to F16. A warning names each such tensor.

Columns of the table: NMSE is squared error over squared values; 'worst' is the largest error as a
share of the largest value in its block; 'saturated' counts elements beyond the last code;
'subnormal' counts stored scales (F16, BF16, MXFP4: elements) that lost precision at the small end.

Examples:
  worker-orcd quantize model-f16.gguf model-q8.gguf --type Q8_0
  worker-orcd quantize in.gguf out.gguf --type MXFP4 --tensors 'ffn_(gate|up|down)_exps.weight'
  worker-orcd quantize model-q4.gguf twin-f32.gguf --type F32";

/// Write a model again with other number formats
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Quantize {
    /// The model to read: GGUF, also split (name the first part)
    #[arg(value_name = "IN.gguf")]
    input: PathBuf,

    /// The file to write; it appears when it is complete
    #[arg(value_name = "OUT.gguf")]
    output: PathBuf,

    /// The format: F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, Q4_K, Q5_K, Q6_K or MXFP4
    #[arg(long = "type", value_name = "TYPE", value_parser = target)]
    target: &'static Format,

    /// Convert exactly the tensors whose name this regular expression matches somewhere
    #[arg(long, value_name = "REGEX")]
    tensors: Option<Regex>,

    #[command(flatten)]
    tokenizer: TokenizerArgs,

    /// Whose MXFP4 encoder to follow
    #[arg(long, value_enum, default_value = "ocp")]
    profile: Profile,

    /// Threads [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// The OCP specification: exact scale, ties to even
    Ocp,
    /// The same bytes as llama.cpp's quantiser
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

fn target(name: &str) -> std::result::Result<&'static Format, String> {
    let encoded = || FORMATS.iter().filter(|format| format.encode.is_some());
    quant::by_name(name).filter(|format| format.encode.is_some()).ok_or_else(|| {
        let names: Vec<_> = encoded().map(|format| format.name).collect();
        format!("cannot be written; these can: {}", names.join(", "))
    })
}

/// What becomes of a tensor.
struct Plan<'a> {
    info: &'a TensorInfo,
    /// Absent: copied.
    conversion: Option<Conversion>,
    to: &'static Format,
}

impl Quantize {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let file = Gguf::open(&self.input)?;
        self.refuse_same_file(&file)?;
        self.tokenizer.check(&self.input, &file, crate::profile::Profile::default())?;
        check::gguf(&file, self.threads)?;
        let plans: Vec<Plan> =
            file.tensors().iter().map(|info| self.plan(info)).collect::<Result<_>>()?;
        if plans.iter().all(|plan| plan.conversion.is_none()) {
            let name = self.target.name;
            return Err(Error::Usage(format!("no tensor to turn into {name}; see --tensors")));
        }
        let losses = self.write(&file, &plans)?;
        let written = Gguf::open(&self.output)?;
        check::gguf(&written, self.threads)?;
        output.print(tables::losses(plans.iter().zip(&losses).filter_map(|(plan, loss)| {
            Some((&*plan.info.name, plan.info.format, plan.to, loss.as_ref()?))
        })))?;
        for plan in plans.iter().filter(|plan| plan.fell_back(self.target)) {
            let (place, row, to) = (plan.info.place(), plan.info.shape[0], plan.to.name);
            let (name, len) = (self.target.name, self.target.block_len);
            output.warn(format!("{place}: rows of {row} are not blocks of {len} ({name}): {to}"));
        }
        let sum = |file: &Gguf| file.tensors().iter().map(|info| info.bytes).sum();
        let (before, after) = (human::bytes(sum(&file)), human::bytes(sum(&written)));
        let path = shown(self.output.as_os_str().as_encoded_bytes());
        output.print(format!("{path}: {after} of tensors, before {before}; read back and checked"))
    }

    fn refuse_same_file(&self, file: &Gguf) -> Result<()> {
        let Ok(output) = self.output.canonicalize() else { return Ok(()) };
        let same = |part: &Path| part.canonicalize().is_ok_and(|part| part == output);
        if file.parts().iter().any(|part| same(part.path())) {
            let path = shown(output.as_os_str().as_encoded_bytes());
            return Err(Error::Usage(format!("{path} is the file to read; write to another one")));
        }
        Ok(())
    }

    fn plan<'a>(&self, info: &'a TensorInfo) -> Result<Plan<'a>> {
        let copied = Plan { info, conversion: None, to: info.format };
        if !self.chosen(info) || info.format.id == self.target.id {
            return Ok(copied);
        }
        let row_len = info.shape[0] as usize;
        let to = fitting(self.target, row_len);
        let rule = match self.profile {
            Profile::Ocp => Rule::Ocp,
            Profile::LlamaCpp => Rule::LlamaCpp,
        };
        let conversion = Conversion::new(info.format, to, rule, row_len).ok_or_else(|| {
            let detail = format!("{} cannot be decoded, so not converted", info.format.name);
            Error::refused(Class::BadTensorType, info.place(), detail)
        })?;
        Ok(Plan { info, conversion: Some(conversion), to })
    }

    fn chosen(&self, info: &TensorInfo) -> bool {
        let name = &info.name;
        match &self.tensors {
            Some(regex) => regex.is_match(name),
            None if self.target.name == "F32" => !info.format.floats.is_empty(),
            None => {
                let kept = name.contains("ffn_gate_inp") || name.contains("norm");
                info.shape.len() >= 2 && name.ends_with("weight") && !kept
            }
        }
    }

    fn write(&self, file: &Gguf, plans: &[Plan]) -> Result<Vec<Option<Loss>>> {
        let mut writer = Writer::new();
        *writer.metadata() = file.metadata().clone();
        writer.metadata().retain(|key| !key.starts_with("split."));
        if let Some(id) = file_type(plans.iter().map(|plan| (plan.to, plan.info.elements()))) {
            writer.set("general.file_type", id);
        }
        writer.set("general.quantization_version", QUANTIZATION_VERSION);
        for Plan { info, to, .. } in plans {
            writer.declare(&info.name, to, &info.shape);
        }
        let mut stream = writer.create(&self.output)?;
        let mut progress = Progress::new(plans.iter().map(|plan| plan.info.bytes).sum());
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        let threads = threads.map_or(1, NonZeroUsize::get);
        let mut losses = Vec::with_capacity(plans.len());
        for Plan { info, conversion, to } in plans {
            progress.tensor(&info.name);
            let data = file.view(info).data;
            let Some(conversion) = conversion else {
                stream.push(data)?;
                progress.add(info.bytes);
                losses.push(None);
                continue;
            };
            let share = info.bytes as f64 / conversion.bytes(info.elements()) as f64;
            let loss = reencode(&info.place(), data, conversion, to, threads, |piece| {
                progress.add((piece.len() as f64 * share) as u64);
                stream.push(piece)
            })?;
            losses.push(Some(loss));
        }
        file.verify_unchanged()?;
        stream.finish_file()?;
        Ok(losses)
    }
}

impl Plan<'_> {
    fn fell_back(&self, target: &Format) -> bool {
        self.conversion.is_some() && self.to.id != target.id
    }
}
