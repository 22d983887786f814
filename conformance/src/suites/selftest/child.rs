//! Synthetic suites, run by a copy of this program in a child process: where the exit code or the
//! death of a process matters, nothing less shows it.

use harness::{Case, Failure, runner};
use libtest_mimic::Arguments;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// First argument of a child; the second names the suite, the third says who runs it.
const CHILD: &str = "selftest-child";

/// Runs a synthetic suite if this process was started as a selftest's child.
pub(crate) fn main() -> Option<ExitCode> {
    let mut arguments = std::env::args();
    let program = arguments.next()?;
    if arguments.next()? != CHILD {
        return None;
    }
    let (suite, who) = (arguments.next()?, arguments.next()?);
    let arguments = std::iter::once(program).chain(arguments);
    Some(match who.as_str() {
        "judge" => crate::judge::main(arguments.map(Into::into), || cases(&suite)),
        _ => runner::run(&Arguments::from_iter(arguments), cases(&suite)),
    })
}

/// How a child ended, and everything it said.
pub(super) struct Ended {
    /// `None` where a signal ended it.
    pub(super) code: Option<i32>,
    /// Both streams.
    pub(super) said: String,
}

/// Runs `suite` under `who` (`suite` or `judge`) in a child with a bare environment, plus `set`.
/// What it leaves goes to `results`.
pub(super) fn run(
    suite: &str,
    who: &str,
    arguments: &[&str],
    set: &[(&str, &str)],
    results: &Path,
) -> Result<Ended, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([CHILD, suite, who]).args(arguments).stdin(Stdio::null());
    let ours = |key: &str| {
        ["ORCD_", "NEXTEST", "GITHUB_"].iter().any(|prefix| key.starts_with(prefix))
            || key == "REQUIRE"
    };
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|key| ours(key) && key != "ORCD_ROOT") {
            command.env_remove(key);
        }
    }
    command.env("ORCD_RESULTS", results);
    let output = command.envs(set.iter().copied()).output()?;
    let [out, err] =
        [output.stdout, output.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
    Ok(Ended { code: output.status.code(), said: out + &err })
}

fn green(name: &str) -> Case {
    Case::new(name, |_| Ok(()))
}

/// What a machine without the folder of vocabularies lacks; children never have it.
const ABSENT: &str = "llama-cpp-models";

fn cases(suite: &str) -> Vec<Case> {
    match suite {
        "empty" => Vec::new(),
        "green" => ["a::one", "a::two", "b::one-more"].map(green).into(),
        "duplicate" => ["a::one", "a::same", "a::same"].map(green).into(),
        "bad-name" => vec![green("a::one"), green("no suite: at all")],
        "known-failure" => {
            vec![Case::new("a::known", |_| Err("it is broken".into())).known_failure("issue 7")]
        }
        "stale" => vec![green("a::one"), green("a::stale").known_failure("issue 7")],
        "lacking" => vec![green("a::one"), green("a::lacks").needs(ABSENT)],
        "lacking-known-failure" => {
            vec![green("a::one"), green("a::lacks").needs(ABSENT).known_failure("issue 7")]
        }
        "all-lacking" => vec![green("a::lacks").needs(ABSENT)],
        "misspelt-need" => vec![green("a::one"), green("a::two").needs("cuba")],
        "deviation" => vec![Case::new("a::differs", |run| {
            run.deviation("ggml-neg-zero", "the sign of zero is lost");
            Ok(())
        })],
        "red" => vec![green("a::one"), Case::new("a::red", |_| Err("1 is not 2".into()))],
        "panic" => vec![Case::new("a::panics", |_| {
            let empty: Vec<u32> = Vec::new();
            Err(format!("{}", empty[std::hint::black_box(3)]).into())
        })],
        "abort" => vec![Case::new("a::aborts", |_| std::process::abort())],
        "odd-figure" => vec![Case::new("a::measures", |run| {
            run.figure("nmse", f64::NAN, "");
            Ok(())
        })],
        "lanes" => lanes(),
        other => vec![Case::new("selftest::unknown-child", {
            let what = format!("no synthetic suite is called '{other}'");
            move |_| Err(what.as_str().into())
        })],
    }
}

/// Cases that count how many of their kind run at the same time.
fn lanes() -> Vec<Case> {
    fn counted(name: String, inside: &'static AtomicUsize, most: usize) -> Case {
        Case::new(name, move |_| {
            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::sleep(Duration::from_millis(20));
            inside.fetch_sub(1, Ordering::SeqCst);
            match now <= most {
                true => Ok(()),
                false => Err(format!("{now} at a time, at most {most}").into()),
            }
        })
    }
    static GPU: AtomicUsize = AtomicUsize::new(0);
    static SERVER: AtomicUsize = AtomicUsize::new(0);
    let gpu = (0..8).map(|i| counted(format!("cuda::op::case-{i}"), &GPU, 1));
    let server = (0..16).map(|i| counted(format!("http::case-{i}"), &SERVER, 4));
    gpu.chain(server).collect()
}
