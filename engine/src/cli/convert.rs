//! `worker-orcd convert`: a Hugging Face folder as a GGUF file.

use super::progress::Progress;
use super::reencode::reencode;
use super::{Output, human, tables};
use crate::convert::{Conversion, Tensor};
use crate::error::{Class, Error, Named, Result, shown};
use crate::loader::gguf::Writer;
use crate::loader::{Gguf, check};
use crate::model;
use crate::profile::Profile;
use crate::quant::convert::{Conversion as Reencoding, Loss};
use crate::quant::encode::Rule;
use crate::quant::mix::{self, Mix};
use crate::quant::{self, FORMATS, Format};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
The folder holds config.json, model.safetensors (or shards and model.safetensors.index.json),
tokenizer.json or tokenizer.model, and what is there of tokenizer_config.json and
chat_template.jinja. Families: gpt_oss, gpt2, llama (2 and 3), phi3, qwen2.

Types, for matrices; norms, biases, routers and learned positions are always F32:
  keep       as the folder has them, MXFP4 too [default]
  FORMAT     F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, Q4_K, Q5_K, Q6_K; MXFP4 stays
             MXFP4, except with F32
  Q4_K_M     Q4_K, but Q6_K for the head and some of attn_v and ffn_down, Q5_K for attn_qkv
  MXFP4      experts in MXFP4, other matrices in Q8_0, as gpt-oss is published
  MXFP4-all  every matrix in MXFP4, embedding, QKV, output and head included
A row that is not whole blocks falls back as in quantize: Q4_K to Q5_0, Q5_K to Q5_1, Q6_K to
Q8_0, then F16.

Blocks of MXFP4 are repacked without loss. The file is read back, checked, and bound as a model
before the command ends.

Examples:
  worker-orcd convert Qwen2.5-0.5B-Instruct qwen.gguf --type Q4_K_M
  worker-orcd convert gpt-oss-20b gpt-oss-20b.gguf --type MXFP4
  worker-orcd convert ./my-llama twin.gguf --type F32 --name 'my llama'";

/// Write a Hugging Face folder as a GGUF file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Convert {
    /// The folder with config.json
    #[arg(value_name = "HF_DIR")]
    input: PathBuf,

    /// The file to write; it appears when it is complete
    #[arg(value_name = "OUT.gguf")]
    output: PathBuf,

    /// What matrices become
    #[arg(long = "type", value_name = "TYPE", default_value = "keep", value_parser = mix_named)]
    mix: Mix,

    /// What the model is called [default: as the folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Threads [default: as many as the machine has]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn mix_named(name: &str) -> std::result::Result<Mix, String> {
    Mix::by_name(name).ok_or_else(|| {
        let own = Mix::NAMES.iter().map(|(name, _)| *name);
        let formats = FORMATS.iter().filter(|format| format.encode.is_some());
        let names: Vec<_> = own.chain(formats.map(|format| format.name)).collect();
        format!("is no type; these are: {}", names.join(", "))
    })
}

/// What becomes of a tensor.
struct Plan<'c> {
    tensor: Tensor<'c>,
    shape: Vec<u64>,
    from: &'static Format,
    to: &'static Format,
    /// What it would be if its rows were whole blocks of that.
    wanted: &'static Format,
}

impl Plan<'_> {
    fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    fn place(&self) -> String {
        Named("tensor", self.tensor.name).to_string()
    }
}

impl Convert {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let conversion = Conversion::open(&self.input, self.name.as_deref())?;
        let plans: Vec<Plan> = conversion
            .tensors()
            .map(|tensor| self.plan(&conversion, tensor))
            .collect::<Result<_>>()?;
        let losses = self.write(&conversion, &plans)?;
        let written = Gguf::open(&self.output)?;
        check::gguf(&written, self.threads)?;
        model::describe(&written, Profile::Reference)?;
        let lossy = plans.iter().zip(&losses).filter_map(|(plan, loss)| {
            let loss = loss.as_ref().filter(|loss| loss.error > 0.0)?;
            Some((plan.tensor.name, plan.from, plan.to, loss))
        });
        output.print(tables::losses(lossy))?;
        for plan in plans.iter().filter(|plan| plan.to.id != plan.wanted.id) {
            let (row, to) = (plan.shape[0], plan.to.name);
            let (name, len) = (plan.wanted.name, plan.wanted.block_len);
            output.warn(format!(
                "{}: rows of {row} are not blocks of {len} ({name}): {to}",
                plan.place()
            ));
        }
        let bytes = human::bytes(written.tensors().iter().map(|info| info.bytes).sum());
        let path = shown(self.output.as_os_str().as_encoded_bytes());
        let count = plans.len();
        output.print(format!("{path}: {count} tensors, {bytes}; read back, checked and bound"))
    }

    fn plan<'c>(&self, conversion: &Conversion, tensor: Tensor<'c>) -> Result<Plan<'c>> {
        let (shape, from) = (tensor.shape(), tensor.format()?);
        let wanted = match mix::is_matrix(tensor.name, shape.len()) {
            true => self.mix.wanted(tensor.name, from, conversion.layers(), conversion.tied()),
            false => quant::by_name("F32").unwrap_or(from),
        };
        let to = mix::fitting(wanted, shape.first().map_or(1, |row| *row as usize));
        Ok(Plan { tensor, shape, from, to, wanted })
    }

    fn write(&self, conversion: &Conversion, plans: &[Plan]) -> Result<Vec<Option<Loss>>> {
        let mut writer = Writer::new();
        for (key, value) in conversion.keys() {
            writer.set(key, value.clone());
        }
        if let Some(id) = mix::file_type(plans.iter().map(|plan| (plan.to, plan.elements()))) {
            writer.set("general.file_type", id);
        }
        writer.set("general.quantization_version", mix::QUANTIZATION_VERSION);
        for plan in plans {
            writer.declare(plan.tensor.name, plan.to, &plan.shape);
        }
        let mut stream = writer.create(&self.output)?;
        let bytes = |format: &Format, elements: u64| {
            elements / format.block_len as u64 * format.block_bytes as u64
        };
        let mut progress =
            Progress::new(plans.iter().map(|plan| bytes(plan.to, plan.elements())).sum());
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        let threads = threads.map_or(1, NonZeroUsize::get);
        let mut losses = Vec::with_capacity(plans.len());
        for plan in plans {
            progress.tensor(plan.tensor.name);
            let arranged = plan.tensor.data()?;
            let mut take = |piece: &[u8]| {
                progress.add(piece.len() as u64);
                stream.push(piece)
            };
            if plan.from.id == plan.to.id {
                take(&arranged.data)?;
                losses.push(None);
                continue;
            }
            let row = plan.shape.first().map_or(1, |row| *row as usize);
            let change = Reencoding::new(plan.from, plan.to, Rule::Ocp, row).ok_or_else(|| {
                let detail = format!("{} cannot become {}", plan.from.name, plan.to.name);
                Error::refused(Class::BadTensorType, plan.place(), detail)
            })?;
            let data = &arranged.data;
            losses.push(Some(reencode(&plan.place(), data, &change, plan.to, threads, take)?));
        }
        conversion.verify_unchanged()?;
        stream.finish_file()?;
        Ok(losses)
    }
}
