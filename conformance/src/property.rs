//! Properties: what must hold for every input a strategy can make. Runs proptest with a fixed seed,
//! replays the inputs that failed before, and prints a failing input, shrunk, as a vector case to
//! paste. Knows nothing of what a property is about.

use harness::{Case, Failure, Run, environment, roots};
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FailurePersistence, PersistedSeed, RngSeed, TestCaseError, TestError, TestRunner,
};
use std::any::Any;
use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Every run draws the same inputs unless `PROPTEST_RNG_SEED` says otherwise: an ordinary run must
/// not be red on one machine and green on the next. The nightly run sets a new seed each day.
pub const DEFAULT_SEED: u64 = 0x0c0d_2026;

/// An input that can be written as the body of a `[[case]]`, so that a found bug becomes a vector.
pub trait ToVector {
    /// TOML lines, each `key = value`, exact to the bit.
    fn to_vector(&self) -> String;
}

/// The property `name` (full case name, e.g. `property::quant::q8-0-idempotent`).
pub fn case<S>(
    name: &str,
    strategy: S,
    check: impl Fn(&S::Value) -> Result<(), Failure> + Send + Sync + 'static,
) -> Case
where
    S: Strategy + Send + Sync + 'static,
    S::Value: ToVector + Debug,
{
    case_with(name, strategy, S::Value::to_vector, check)
}

/// Like [`case`], for inputs whose TOML lines are made by `to_vector`: tuples, foreign types.
pub fn case_with<S>(
    name: &str,
    strategy: S,
    to_vector: impl Fn(&S::Value) -> String + Send + Sync + 'static,
    check: impl Fn(&S::Value) -> Result<(), Failure> + Send + Sync + 'static,
) -> Case
where
    S: Strategy + Send + Sync + 'static,
    S::Value: Debug,
{
    let own_name = name.to_owned();
    Case::new(name, move |run| {
        let regressions = regression_file(&roots::project(), &own_name);
        examine(run, &own_name, Some(&regressions), &strategy, &to_vector, &check)
    })
}

/// Where the seeds of failed inputs of the property `name` are kept, under version control.
pub fn regression_file(root: &Path, name: &str) -> PathBuf {
    let file = format!("{}.txt", name.replace("::", "."));
    root.join("conformance/regressions").join(file)
}

/// Runs a property. Without `regressions` nothing is read or written, as selftests need it.
pub fn examine<S: Strategy>(
    run: &mut Run,
    name: &str,
    regressions: Option<&Path>,
    strategy: &S,
    to_vector: &dyn Fn(&S::Value) -> String,
    check: &dyn Fn(&S::Value) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    S::Value: Debug,
{
    let config = config(regressions);
    let RngSeed::Fixed(seed) = config.rng_seed else {
        return Err("the random seed is not fixed".into());
    };
    let wanted = config.cases;
    let last_reason = RefCell::new(String::new());
    let checked = RefCell::new(0u32);
    let outcome = TestRunner::new(config).run(strategy, |input| {
        *checked.borrow_mut() += 1;
        check(&input).map_err(|failure| {
            *last_reason.borrow_mut() = failure.text().to_owned();
            TestCaseError::fail(failure.text().to_owned())
        })
    });
    let checked = *checked.borrow();
    match outcome {
        Ok(()) if checked < wanted => {
            Err(format!("only {checked} of {wanted} inputs were checked").into())
        }
        Ok(()) => {
            run.figure("inputs", f64::from(checked), "");
            Ok(())
        }
        Err(TestError::Fail(why, minimal)) => {
            Err(report(name, seed, &why.to_string(), &minimal, to_vector).into())
        }
        Err(TestError::Abort(why)) => Err(format!("{name}: gave up: {why} (seed {seed})").into()),
    }
}

fn config(regressions: Option<&Path>) -> Config {
    // `Config::default` has already read PROPTEST_CASES, PROPTEST_RNG_SEED and their kin.
    let mut config = Config::default();
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(DEFAULT_SEED);
    }
    config.failure_persistence = regressions
        .map(|path| Box::new(Regressions(path.to_owned())) as Box<dyn FailurePersistence>);
    config
}

/// The file that keeps the seeds of inputs that failed. proptest's own would print advice into the
/// middle of the run's output.
#[derive(Debug, Clone, PartialEq)]
struct Regressions(PathBuf);

const REGRESSIONS_HEAD: &str = "\
# Inputs that failed once, as proptest seeds; they are tried first. Kept under version control.
";

impl FailurePersistence for Regressions {
    fn load_persisted_failures2(&self, _: Option<&'static str>) -> Vec<PersistedSeed> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let seeds = text.lines().filter_map(|line| line.split('#').next());
        seeds.filter_map(|seed| seed.trim().parse().ok()).collect()
    }

    fn save_persisted_failure2(
        &mut self,
        _: Option<&'static str>,
        seed: PersistedSeed,
        shrunken_value: &dyn Debug,
    ) {
        let mut text = std::fs::read_to_string(&self.0).unwrap_or(REGRESSIONS_HEAD.into());
        let value = format!("{shrunken_value:?}").replace('\n', " ");
        let _ = writeln!(text, "{seed} # {}", value.chars().take(100).collect::<String>());
        let folder = self.0.parent().map_or(Ok(()), std::fs::create_dir_all);
        // The report holds the input itself, so a read-only checkout loses nothing.
        if let Err(e) = folder.and_then(|()| std::fs::write(&self.0, text)) {
            eprintln!("{}: {e}", self.0.display());
        }
    }

    fn box_clone(&self) -> Box<dyn FailurePersistence> {
        Box::new(self.clone())
    }

    fn eq(&self, other: &dyn FailurePersistence) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn report<V: Debug>(
    name: &str,
    seed: u64,
    why: &str,
    minimal: &V,
    to_vector: &dyn Fn(&V) -> String,
) -> String {
    let mut text = format!("{why}\n\nsmallest input found (seed {seed}):\n");
    let debug = format!("{minimal:?}");
    let shown: String = debug.chars().take(400).collect();
    let cut = if shown.len() < debug.len() { " …" } else { "" };
    let _ = writeln!(text, "    {shown}{cut}");
    let _ = writeln!(text, "\nas a vector, to be fixed with the bug:\n");
    let _ = writeln!(text, "[[case]]\nname = \"{}\"", vector_name(name));
    let _ = writeln!(text, "about = \"found by {name}\"");
    text + to_vector(minimal).trim_end() + "\n"
}

/// A kebab-case name that a person will replace by a better one.
fn vector_name(property: &str) -> String {
    let last = property.rsplit("::").next().unwrap_or(property);
    format!("regression-{last}")
}

/// Whether this run wants the long version of everything: `ORCD_DEEP=1`, set by the nightly job.
pub fn deep() -> bool {
    static DEEP: OnceLock<bool> = OnceLock::new();
    *DEEP.get_or_init(|| environment::is_on("ORCD_DEEP"))
}

/// Bytes as a TOML string of hex pairs, the way vectors write them.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Floats as a TOML array of bit patterns: decimal text would lose NaN payloads and -0.
pub fn f32_bits(values: &[f32]) -> String {
    let bits: Vec<String> =
        values.iter().map(|value| format!("0x{:08x}", value.to_bits())).collect();
    format!("[{}]", bits.join(", "))
}

impl ToVector for Vec<u8> {
    fn to_vector(&self) -> String {
        format!("bytes = \"{}\"\n", hex(self))
    }
}

impl ToVector for Vec<f32> {
    fn to_vector(&self) -> String {
        format!("bits = {}\n", f32_bits(self))
    }
}

impl ToVector for f32 {
    fn to_vector(&self) -> String {
        format!("bits = 0x{:08x}\n", self.to_bits())
    }
}

impl ToVector for String {
    fn to_vector(&self) -> String {
        format!("text = {}\n", toml::Value::String(self.clone()))
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl ToVector for $integer {
            fn to_vector(&self) -> String {
                format!("value = {self}\n")
            }
        }
    )*};
}
integers!(u8 u16 u32 i8 i16 i32 i64);
