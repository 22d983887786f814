//! Named shapes: as many tensors of each format as the published files have, their size, and
//! adapters that find everything they need and nothing else. Nothing is written: a file of holes
//! behind a real head is enough.

use engine::loader::Gguf;
use engine::model;
use engine::profile::Profile;
use engine::synth::{self, Options, Plan};
use harness::{Case, Failure, Run};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A published file: how llama.cpp lists it, and its size.
struct Published {
    name: &'static str,
    /// Tensors of each format.
    formats: &'static [(&'static str, usize)],
    /// What the file with a real vocabulary weighs; ours has a shorter one.
    bytes: u64,
}

/// Counts and sizes of the published files, as listed in ollama/ollama#9031 (Qwen2.5-0.5B),
/// ggml-org/llama.cpp#11003 (Phi-3) and ikawrakow/ik_llama.cpp#822 (gpt-oss-20b); the others by
/// llama.cpp's own rules (src/llama-quant.cpp, conversion/gpt2.py).
const PUBLISHED: &[Published] = &[
    Published {
        name: "gpt-oss-20b",
        formats: &[("F32", 289), ("Q8_0", 98), ("MXFP4", 72)],
        bytes: 12_109_566_560,
    },
    Published {
        name: "gpt-oss-120b",
        formats: &[("F32", 433), ("Q8_0", 146), ("MXFP4", 108)],
        bytes: 63_387_346_464,
    },
    Published {
        name: "qwen2.5-0.5b",
        formats: &[("F32", 121), ("Q5_0", 132), ("Q8_0", 13), ("Q4_K", 12), ("Q6_K", 12)],
        bytes: 397_808_192,
    },
    Published {
        name: "qwen2.5-7b",
        formats: &[("F32", 141), ("Q4_K", 169), ("Q6_K", 29)],
        bytes: 4_683_074_240,
    },
    Published {
        name: "phi-3-mini",
        formats: &[("F32", 65), ("Q4_K", 81), ("Q5_K", 32), ("Q6_K", 17)],
        bytes: 2_393_231_072,
    },
    Published {
        name: "llama-3.1-8b",
        formats: &[("F32", 66), ("Q4_K", 193), ("Q6_K", 33)],
        bytes: 4_920_739_232,
    },
    Published { name: "gpt2", formats: &[("F32", 99), ("F16", 49)], bytes: 252_000_000 },
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = synth::names()
        .map(|name| Case::new(format!("synth::shapes::{name}"), move |run| as_published(name, run)))
        .collect();
    cases.push(Case::new("synth::shapes::experts-and-layers", variants));
    cases
}

fn as_published(name: &str, run: &mut Run) -> Result<(), Failure> {
    let published = PUBLISHED.iter().find(|known| known.name == name);
    let published = published.ok_or("no published file is listed for this shape")?;
    let plan = Plan::new(&synth::by_name(name)?, &Options::default())?;
    let tensors = &plan.layout().tensors;
    for (format, wanted) in published.formats {
        let found = tensors.iter().filter(|tensor| tensor.format.name == *format).count();
        if found != *wanted {
            return Err(format!("{found} tensors of {format}, wanted {wanted}").into());
        }
    }
    let wanted: usize = published.formats.iter().map(|(_, count)| count).sum();
    if tensors.len() != wanted {
        return Err(format!("{} tensors, wanted {wanted}", tensors.len()).into());
    }
    let share = plan.bytes() as f64 / published.bytes as f64;
    run.figure("bytes, as a share of the published file", share, "");
    // Real vocabularies have longer tokens and more merges: at most a few megabytes.
    if !(0.99..1.001).contains(&share) {
        return Err(format!("{} bytes, published {}", plan.bytes(), published.bytes).into());
    }
    adapters_agree(&plan)
}

/// Describes and binds a file that has a real head and holes for data.
fn adapters_agree(plan: &Plan) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("holes.gguf");
    let (head, _) = plan.writer().head()?;
    let file = File::create(&path)?;
    file.write_all_at(&head, 0)?;
    file.set_len(plan.bytes())?;
    // The one tensor that a description reads.
    let factors = plan.layout().tensors.iter().find(|tensor| tensor.name == "rope_freqs.weight");
    if let Some(factors) = factors {
        let ones = 1f32.to_le_bytes().repeat(factors.elements() as usize);
        file.write_all_at(&ones, factors.file_range().start)?;
    }
    let file = Gguf::open(&path)?;
    for profile in [Profile::Reference, Profile::LlamaCpp] {
        model::describe(&file, profile)?;
    }
    Ok(())
}

fn variants(_: &mut Run) -> Result<(), Failure> {
    let description = synth::by_name("gpt-oss-20b")?;
    let format = engine::quant::by_name("Q8_0");
    let options = Options { layers: Some(3), experts: format, ..Options::default() };
    let plan = Plan::new(&description, &options)?;
    adapters_agree(&plan)?;
    let tensors = &plan.layout().tensors;
    let mxfp4 = tensors.iter().filter(|tensor| tensor.format.name == "MXFP4").count();
    match (tensors.len(), mxfp4) {
        (60, 0) => Ok(()),
        found => Err(format!("{found:?}: wanted 3 + 3 × 19 tensors, none of them MXFP4").into()),
    }
}
