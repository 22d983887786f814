//! `worker-orcd kernels`: makes packs of compiled kernels, and looks into them.

use super::progress::Progress;
use super::{Output, human, tables};
use crate::backend::cuda::compiler::{Compiler, OPTIONS};
use crate::backend::cuda::kernels::{embedded, spelled};
use crate::backend::cuda::pack::{Entry, Pack};
use crate::backend::cuda::sources::{self, Unit};
use crate::backend::cuda::{build, compilations, target};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const EXAMPLES: &str = "\
A release build holds its kernels as a pack and needs only a driver. A build from source compiles
each kernel at its first use, with NVRTC, and keeps it in the user's cache.

Examples:
  pip install nvidia-cuda-nvrtc-cu12==12.9.86
  worker-orcd kernels build --out kernels.pack        # no GPU needed
  worker-orcd kernels check kernels.pack
  ORCD_KERNEL_PACK=$PWD/kernels.pack cargo build --release --features kernel-pack";

/// Compile kernels ahead of time, or look into a pack of them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Kernels {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compile every kernel for every target into one file; a kernel that spills is refused
    Build(Build),
    /// What a pack holds: registers, local memory and size of each kernel
    List(Look),
    /// Whether a pack is whole, made from this program's sources, and lacks nothing
    Check(Look),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// What to compile for: sm_NN code runs there, compute_NN is compiled further by the driver
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', value_parser = named_target)]
    arch: Vec<String>,

    /// The file to write; it appears when it is complete
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// The compiler's library, where it is not found by itself
    #[arg(long, value_name = "LIBNVRTC")]
    compiler: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Look {
    /// The pack; without it, the one that this program was built with
    #[arg(value_name = "FILE")]
    pack: Option<PathBuf>,
}

fn named_target(word: &str) -> std::result::Result<String, String> {
    match target::is_target(word) {
        true => Ok(word.into()),
        false => Err("no target; targets are like sm_86, sm_90a, sm_100f or compute_80".into()),
    }
}

impl Kernels {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        match &self.command {
            Command::Build(build) => build.run(output),
            Command::List(look) => look.with(|pack| list(pack, output)),
            Command::Check(look) => look.with(|pack| check(pack, output)),
        }
    }
}

impl Build {
    fn run(&self, output: &mut Output) -> Result<()> {
        let compiler = match &self.compiler {
            Some(path) => Compiler::open(path)?,
            // No driver has to load the pack here, so any version will do.
            None => Compiler::find(u32::MAX)?,
        };
        let targets = match self.arch.is_empty() {
            true => target::RELEASED.iter().map(|target| (*target).to_owned()).collect(),
            false => self.arch.clone(),
        };
        let progress = Mutex::new(Progress::steps(compilations(&targets)));
        let pack = build(&compiler, &targets, &|what| {
            if let Ok(mut progress) = progress.lock() {
                progress.tensor(what);
                progress.add(1);
            }
        })?;
        drop(progress);
        write_whole(&self.out, &pack)?;
        output.print(format!(
            "{} kernel files for {}: {} with {} ({})",
            sources::stems().count(),
            targets.join(", "),
            human::bytes(pack.len() as u64),
            compiler.version(),
            compiler.path().display(),
        ))
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, bytes).map_err(|error| Error::io("write", &unfinished, error))?;
    std::fs::rename(&unfinished, path).map_err(|error| Error::io("write", path, error))
}

impl Look {
    fn with(&self, look: impl FnOnce(&Pack) -> Result<()>) -> Result<()> {
        let Some(path) = &self.pack else {
            let none = || Error::Usage("this program was built without a pack; name a file".into());
            return look(&embedded()?.ok_or_else(none)?);
        };
        let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
        look(&Pack::read(&bytes)?)
    }
}

fn list(pack: &Pack, output: &mut Output) -> Result<()> {
    let mut table =
        tables::table(&["kernel", "target", "symbol", "registers", "stack", "spilled", "file"]);
    for entry in &pack.manifest.entries {
        let size = human::bytes(entry.bytes as u64);
        if entry.usage.is_empty() {
            table.add_row([&entry.kernel, &entry.target, "", "", "", "", &size]);
        }
        for usage in &entry.usage {
            let numbers = [usage.registers, usage.stack_bytes, usage.spilled_bytes];
            let [registers, stack, spilled] = numbers.map(|number| number.to_string());
            let names = [&entry.kernel, &entry.target, &usage.symbol];
            table.add_row(names.into_iter().chain([&registers, &stack, &spilled, &size]));
        }
    }
    output.print(table)?;
    output.print(format!("{}, {}", pack.manifest.compiler, pack.manifest.options.join(" ")))
}

fn check(pack: &Pack, output: &mut Output) -> Result<()> {
    let manifest = &pack.manifest;
    if manifest.options != OPTIONS {
        let why = format!("compiled with {:?}, wanted {OPTIONS:?}", manifest.options);
        return Err(Error::kernel("kernel pack", why));
    }
    let mut targets: Vec<&str> = manifest.entries.iter().map(|e| e.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    for kernel in sources::packed() {
        let name = spelled(kernel.stem, &kernel.constants);
        let digest = Unit::of(kernel.stem)?.digest();
        for target in targets.iter().filter(|target| kernel.is_for(target)) {
            let matches = |e: &&Entry| e.kernel == name && e.target == *target;
            let wrong = |why: &str| Error::kernel(format!("{name} ({target})"), why);
            let entry = manifest.entries.iter().find(matches);
            let entry = entry.ok_or_else(|| wrong("is not in the pack"))?;
            if entry.sources != digest {
                return Err(wrong("was made from other sources: build the pack again"));
            }
            pack.image(entry)?;
        }
    }
    let (count, targets) = (manifest.entries.len(), targets.join(", "));
    output.print(format!("{count} entries for {targets}: whole, and of these sources"))
}
