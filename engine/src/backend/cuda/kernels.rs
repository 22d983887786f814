//! The one way to a kernel: from the pack in this binary, else from the cache on this machine, else
//! from a compiler. Knows in which order to ask, and that code runs only where its digest matches.

use super::cache::Cache;
use super::compiler::{self, Compiler, Constant};
use super::context::Context;
use super::module::{Function, Module};
use super::pack::Pack;
use super::sources::{Unit, sha256};
use super::target;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The pack of a release build.
#[cfg(feature = "kernel-pack")]
static PACK: &[u8] = include_bytes!(env!(
    "ORCD_KERNEL_PACK",
    "make a pack with `worker-orcd kernels build --out FILE` and set ORCD_KERNEL_PACK to its path"
));

/// The pack that this binary was built with, if any.
pub fn embedded() -> Result<Option<Pack<'static>>> {
    #[cfg(feature = "kernel-pack")]
    return Pack::read(PACK).map(Some);
    #[cfg(not(feature = "kernel-pack"))]
    Ok(None)
}

/// A kernel file's name together with the constants it is compiled for: `matmul[K=2880,N=5120]`.
pub fn spelled(stem: &str, constants: &[Constant]) -> String {
    let constants: Vec<String> = constants.iter().map(|(name, n)| format!("{name}={n}")).collect();
    match constants.is_empty() {
        true => stem.to_owned(),
        false => format!("{stem}[{}]", constants.join(",")),
    }
}

/// A device's kernels. Each file is loaded at its first use and stays loaded.
pub struct Kernels {
    context: Arc<Context>,
    targets: Vec<String>,
    pack: Option<Pack<'static>>,
    cache: Option<Cache>,
    compiler: OnceLock<Compiler>,
    modules: Mutex<HashMap<String, Arc<Module>>>,
}

impl Kernels {
    /// The kernels of `context`'s device.
    pub fn new(context: &Arc<Context>) -> Result<Kernels> {
        Ok(Kernels {
            context: context.clone(),
            targets: target::runnable(context.device().capability),
            pack: embedded()?,
            cache: Cache::of_user(),
            compiler: OnceLock::new(),
            modules: Mutex::default(),
        })
    }

    /// The device that they are loaded on.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The kernel `symbol` of `engine/kernels/STEM.cu`.
    pub fn function(&self, stem: &str, symbol: &str) -> Result<Function> {
        self.function_for(stem, &[], symbol)
    }

    /// The same, compiled for constants: the file sees them as macros.
    pub fn function_for(
        &self,
        stem: &str,
        constants: &[Constant],
        symbol: &str,
    ) -> Result<Function> {
        self.module(stem, constants)?.function(symbol)
    }

    /// Loads kernel files ahead of their first use. What must be compiled is compiled side by side.
    pub fn prepare(&self, stems: &[&str]) -> Result<()> {
        if self.pack.is_none() {
            // Found once, before any thread asks.
            self.compiler()?;
        }
        let known = |stem: &&&str| {
            let modules = self.modules.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            modules.contains_key(**stem)
        };
        let stems: Vec<&&str> = stems.iter().filter(|stem| !known(stem)).collect();
        let image = |stem: &str| self.image(&Unit::of(stem)?, &[]);
        let images = std::thread::scope(|scope| {
            let threads: Vec<_> = stems.iter().map(|stem| scope.spawn(|| image(stem))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<u8>>>| {
                let died = |_| Error::kernel("compiler", "its thread died");
                thread.join().map_err(died)?
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        let mut modules = self.modules.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (stem, image) in stems.iter().zip(images) {
            modules.insert((**stem).into(), Module::load(&self.context, stem, &image)?);
        }
        Ok(())
    }

    fn module(&self, stem: &str, constants: &[Constant]) -> Result<Arc<Module>> {
        let name = spelled(stem, constants);
        // The lock is held while compiling, so that no two threads compile the same file.
        let mut modules = self.modules.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(module) = modules.get(&name) {
            return Ok(module.clone());
        }
        let image = self.image(&Unit::of(stem)?, constants)?;
        let module = Module::load(&self.context, &name, &image)?;
        modules.insert(name, module.clone());
        Ok(module)
    }

    fn image(&self, unit: &Unit, constants: &[Constant]) -> Result<Vec<u8>> {
        let name = spelled(&unit.stem, constants);
        let sources = unit.digest();
        if let Some(pack) = &self.pack
            && let Some(entry) = pack.best(&name, &sources, &self.targets)
        {
            return Ok(pack.image(entry)?.to_vec());
        }
        let compiler = self.compiler()?;
        let target = target::exact(self.context.device().capability);
        let known = cached(self.cache.as_ref(), compiler, unit, constants, &target);
        match known {
            // The compiler may be older than the device; PTX is what every driver can take on.
            Err(_) if self.targets.len() > 1 => {
                cached(self.cache.as_ref(), compiler, unit, constants, "compute_80")
            }
            known => known,
        }
    }

    fn compiler(&self) -> Result<&Compiler> {
        if let Some(compiler) = self.compiler.get() {
            return Ok(compiler);
        }
        let found = Compiler::find(self.context.driver().major())?;
        Ok(self.compiler.get_or_init(|| found))
    }
}

/// The code of `unit` from the cache, or compiled and then put there.
pub fn cached(
    cache: Option<&Cache>,
    compiler: &Compiler,
    unit: &Unit,
    constants: &[Constant],
    target: &str,
) -> Result<Vec<u8>> {
    let options = compiler::options(constants, target);
    let key =
        sha256(format!("{}\n{:?}\n{}", unit.digest(), options, compiler.version()).as_bytes());
    if let Some(image) = cache.and_then(|cache| cache.get(&key)) {
        return Ok(image);
    }
    let compiled = compiler.compile(unit, constants, target)?;
    if let Some(cache) = cache {
        cache.put(&key, &compiled.image);
    }
    Ok(compiled.image)
}
