//! `kernels::compile::` — with the compiler that `ORCD_NVRTC` names and no GPU: every kernel
//! compiles without spilling, twice alike, and what the compiler refuses is told with its words.
//! One target is enough here: `kernels build`, which `ci/kernels.sh` runs, refuses the same for
//! all.

use crate::worker;
use engine::backend::cuda::cache::Cache;
use engine::backend::cuda::compiler::Compiler;
use engine::backend::cuda::kernels::{cached, spelled};
use engine::backend::cuda::sources::{Packed, Unit, packed, stems};
use engine::backend::cuda::target::{self, RELEASED};
use harness::{Case, Failure, environment, roots};
use std::path::PathBuf;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: String, body: Box<dyn Fn() -> Result<(), Failure> + Send + Sync>| {
        Case::new(format!("kernels::compile::{name}"), move |_| body()).needs("nvrtc")
    };
    let mut cases: Vec<Case> = packed()
        .map(|kernel| {
            // The oldest has the most to do with what is not in its hardware.
            let target = kernel.only.unwrap_or(RELEASED[0]);
            // A name of a case holds neither brackets nor signs.
            let name = spelled(kernel.stem, &kernel.constants);
            let name = name.replace(|c: char| "[]=,".contains(c), "-");
            let name = format!("{}::{target}", name.trim_end_matches('-'));
            case(name, Box::new(move || compiles(&kernel, target)))
        })
        .collect();
    cases.push(case("the-same-twice".into(), Box::new(same_twice)));
    cases.push(case("a-refusal-says-what-the-compiler-says".into(), Box::new(refusal)));
    cases.push(case("spills-are-counted".into(), Box::new(spills)));
    cases.push(case("a-damaged-cache-entry-is-rebuilt".into(), Box::new(rebuilt)));
    cases.push(case("build-list-check".into(), Box::new(commands)));
    cases.push(Case::new("kernels::compile::no-compiler-is-told", |_| no_compiler()));
    cases.push(Case::new("kernels::compile::packs-hold-gpt-oss", |_| packs_hold_gpt_oss()));
    cases
}

fn library() -> PathBuf {
    environment::path("ORCD_NVRTC").unwrap_or_default()
}

fn compiler() -> Result<Compiler, Failure> {
    Ok(Compiler::open(&library())?)
}

fn compiles(kernel: &Packed, target: &str) -> Result<(), Failure> {
    let unit = Unit::of(kernel.stem)?;
    let compiled = compiler()?.compile(&unit, &kernel.constants, target)?;
    if !target::is_ptx(target) && compiled.usage.is_empty() {
        return Err("the compiler reports no kernel, so nothing is known of registers".into());
    }
    match compiled.usage.iter().find(|usage| usage.spilled_bytes > kernel.spill_bytes_max) {
        Some(usage) => Err(format!("{usage:?}: spills").into()),
        None => Ok(()),
    }
}

/// Where there is only a driver, the step of gpt-oss-20b comes out of the pack or not at all.
fn packs_hold_gpt_oss() -> Result<(), Failure> {
    for (target, blocks, half) in [("sm_90a", 132, 1), ("sm_90a", 132, 0), ("sm_100f", 148, 1)] {
        let wanted = [("D_EMBD", 2880), ("D_LAYERS", 24), ("D_BLOCKS", blocks), ("D_KV_F16", half)];
        let holds = packed().any(|kernel| {
            kernel.stem == "decode_token"
                && kernel.is_for(target)
                && wanted.iter().all(|constant| kernel.constants.contains(constant))
        });
        if !holds {
            return Err(format!("no decode_token for {target} with {wanted:?}").into());
        }
    }
    Ok(())
}

fn first() -> Result<Unit, Failure> {
    Ok(Unit::of(stems().next().ok_or("no kernel")?)?)
}

fn same_twice() -> Result<(), Failure> {
    let (compiler, unit) = (compiler()?, first()?);
    for target in ["sm_80", "sm_90a", "compute_80"] {
        let images = [(); 2].map(|()| compiler.compile(&unit, &[], target));
        let [first, second] = images;
        if first?.image != second?.image {
            return Err(format!("{target}: two compilations differ").into());
        }
    }
    Ok(())
}

fn refusal() -> Result<(), Failure> {
    let mut unit = first()?;
    unit.text.to_mut().push_str("\nstatic_assert(WIDTH == 3, \"wanted three\");\n");
    let compiler = compiler()?;
    compiler.compile(&unit, &[("WIDTH", 3)], "sm_80")?;
    match compiler.compile(&unit, &[("WIDTH", 4)], "sm_80") {
        Ok(_) => Err("a false static_assert compiles".into()),
        Err(error) if error.to_string().contains("wanted three") => Ok(()),
        Err(error) => Err(format!("not the compiler's words: {error}").into()),
    }
}

/// More live values than registers, which must be seen as spills.
fn spills() -> Result<(), Failure> {
    let mut unit = first()?;
    unit.text = "extern \"C\" __global__ void __launch_bounds__(1024) greedy(float *x) {
        float kept[200];
        #pragma unroll
        for (int i = 0; i < 200; i++) kept[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 200; i++) x[(i * 7 % 200) * 1024 + threadIdx.x] = kept[i];
    }"
    .into();
    let usage = compiler()?.compile(&unit, &[], "sm_90a")?.usage;
    match &usage[..] {
        [one] if one.symbol == "greedy" && one.spilled_bytes > 0 && one.registers > 0 => Ok(()),
        other => Err(format!("not one kernel that spills: {other:?}").into()),
    }
}

fn rebuilt() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (cache, compiler, unit) = (Cache::at(folder.path()), compiler()?, first()?);
    let ask = || cached(Some(&cache), &compiler, &unit, &[], "sm_80");
    let image = ask()?;
    let entry = std::fs::read_dir(folder.path())?.next().ok_or("nothing was cached")??.path();
    std::fs::write(&entry, "damaged")?;
    if ask()? != image || std::fs::read(&entry)?.len() < image.len() {
        return Err("the damaged entry was used, or not replaced".into());
    }
    // What is in the cache is used: an entry with a right digest is believed.
    cache.put(entry.file_stem().and_then(|s| s.to_str()).ok_or("a name")?, b"believed");
    match ask()? == b"believed" {
        true => Ok(()),
        false => Err("the cache is not read".into()),
    }
}

fn commands() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let library = library();
    let build = ["kernels", "build", "--arch", "sm_90a,compute_80", "--out", "k.pack"];
    let built = worker::run_with(folder.path(), build, |command| {
        command.arg("--compiler").arg(&library);
    })?;
    built.quiet(0)?;
    let listed = worker::run(folder.path(), ["kernels", "list", "k.pack"])?.quiet(0)?;
    let stem = stems().next().ok_or("no kernel")?;
    if !listed.contains(stem) || !listed.contains("sm_90a") {
        return Err(format!("no {stem} for sm_90a in\n{listed}").into());
    }
    worker::run(folder.path(), ["kernels", "check", "k.pack"])?.quiet(0)?;
    let path = folder.path().join("k.pack");
    let mut bytes = std::fs::read(&path)?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    std::fs::write(&path, bytes)?;
    let refused = worker::run(folder.path(), ["kernels", "check", "k.pack"])?.refused(1)?;
    match refused.contains("digest") {
        true => Ok(()),
        false => Err(format!("not told that it is damaged: {refused}").into()),
    }
}

fn no_compiler() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let build = ["kernels", "build", "--compiler", "nothing.so", "--out", "k.pack"];
    let told = worker::run_with(folder.path(), build, |_| ())?.refused(1)?;
    match told.contains("nothing.so") && !folder.path().join("k.pack").exists() {
        true => Ok(()),
        false => Err(format!("{told} of {}", roots::project().display()).into()),
    }
}
