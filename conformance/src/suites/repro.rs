//! `BACKEND::repro::MODEL::WAY`: the bits of a row depend on the model and the row's own past, and
//! on nothing else. Each case asks the same prompt in another way and wants the same bytes. The
//! negative control breaks one reduction on purpose and must be caught.

use crate::subject::{Defect, Feed, Machine, OnCpu, OnCpuFast, OnCuda, OnCudaFast, OnThreads};
use crate::subject::{Subject, Wrapped, fixtures};
use crate::worker;
use engine::backend::{Backend, NoTaps};
use engine::batch::{Batch, Role};
use engine::error::Result as EngineResult;
use engine::forward::{Context, Logits};
use engine::kv::Precision;
use engine::profile::Profile;
use harness::{Case, Failure, compare};
use std::path::Path;

/// Long enough to cross the fixtures' windows and YaRN's original context.
const PROMPT: usize = 100;

/// What one way of asking gives: logits of every token of the prompt.
type Ask<B> = fn(&mut Subject<B>, &[u32]) -> EngineResult<Vec<f32>>;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = on::<OnCpu>();
    cases.extend(on::<OnCpuFast>());
    cases.extend(on::<OnCuda>());
    cases.extend(on::<OnCudaFast>());
    for (model, path) in fixtures() {
        // The CPU computes prompt and generated rows alike; others need not.
        let mut cpu = |way: &str, check: fn(&Path) -> Result<(), Failure>| {
            let (name, path) = (format!("cpu::repro::{model}::{way}"), path.clone());
            cases.push(Case::new(name, move |_| check(&path)).requirements(["C19"]));
        };
        cpu("generated-as-prompt", |path| same::<OnCpu>(path, one_by_one));
        cpu("fast-generated-as-prompt", |path| same::<OnCpuFast>(path, one_by_one));
        cpu("one-thread", other_threads::<OnCpu, OnThreads<1, false>>);
        cpu("four-threads", other_threads::<OnCpu, OnThreads<4, false>>);
        cpu("five-threads", other_threads::<OnCpu, OnThreads<5, false>>);
        cpu("fast-one-thread", other_threads::<OnCpuFast, OnThreads<1, true>>);
        cpu("fast-four-threads", other_threads::<OnCpuFast, OnThreads<4, true>>);
        cpu("fast-five-threads", other_threads::<OnCpuFast, OnThreads<5, true>>);
        cpu("another-process", |path| another_process::<OnCpu>(path, "exact"));
        cpu("fast-another-process", |path| another_process::<OnCpuFast>(path, "fast"));
    }
    cases
}

/// Two threads, and another number of them.
fn other_threads<A: Machine, B: Machine>(path: &Path) -> Result<(), Failure> {
    let mut subject = open::<A>(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let want = whole(&mut subject, &tokens)?;
    let got = whole(&mut open::<B>(path)?, &tokens)?;
    judge(&got, &want, tokens.len())
}

/// What a process of its own writes to a file.
fn another_process<M: Machine>(path: &Path, precision: &str) -> Result<(), Failure> {
    let mut subject = open::<M>(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let want = whole(&mut subject, &tokens)?;
    let folder = tempfile::tempdir()?;
    let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
    let arguments = ["logits", &path.to_string_lossy(), "--tokens", &ids.join(",")];
    let out = ["--threads", "3", "--precision", precision, "--out", "logits.npy"];
    let finished = worker::run(folder.path(), arguments.iter().chain(&out))?;
    if finished.code != Some(0) {
        return Err(format!("{finished:?}").into());
    }
    let file = std::fs::read(folder.path().join("logits.npy"))?;
    let data = file.len().checked_sub(4 * want.len()).ok_or("too short")?;
    let numbers = file[data..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    judge(&numbers.collect::<Vec<_>>(), &want, tokens.len())
}

/// The ways that every backend must be indifferent to.
pub(super) fn on<M: Machine>() -> Vec<Case> {
    let ways: [(&str, Ask<M::Backend>); 9] = [
        ("again", whole),
        ("parts-of-1", |subject, tokens| subject.logits(tokens, Feed::parts(tokens, 1))),
        ("parts-of-3", |subject, tokens| subject.logits(tokens, Feed::parts(tokens, 3))),
        ("parts-of-64", |subject, tokens| subject.logits(tokens, Feed::parts(tokens, 64))),
        ("company-of-7", |subject, tokens| company(subject, tokens, 7)),
        ("company-of-2", |subject, tokens| company(subject, tokens, 2)),
        ("warm", warm),
        ("restored", restored),
        ("room-to-spare", room),
    ];
    let mut cases = Vec::new();
    for (model, path) in fixtures() {
        for (way, ask) in ways {
            let (path, name) = (path.clone(), format!("{}::repro::{model}::{way}", M::NAME));
            cases.push(Case::new(name, move |_| same::<M>(&path, ask)));
        }
        for others in [1, 7, 32] {
            let name = format!("{}::repro::{model}::generated-beside-{others}", M::NAME);
            let path = path.clone();
            cases.push(Case::new(name, move |_| generated_in_company::<M>(&path, others)));
        }
        let name = format!("{}::repro::{model}::half-precision-past", M::NAME);
        let half = path.clone();
        cases.push(Case::new(name, move |_| half_precision::<M>(&half)));
        let name = format!("{}::repro::{model}::only-what-was-saved-here", M::NAME);
        let saved = path.clone();
        cases.push(Case::new(name, move |_| foreign::<M>(&saved)));
        let name = format!("{}::repro::{model}::negative-control", M::NAME);
        cases.push(Case::new(name, move |_| negative_control::<M>(&path)));
    }
    let needs = M::NEEDS;
    cases
        .into_iter()
        .map(|case| match needs {
            Some(needs) => case.needs(needs).requirements(["C19"]),
            None => case.requirements(["C19"]),
        })
        .collect()
}

/// Ids that look like nothing in particular and differ from one position to the next.
fn prompt(n_vocab: usize) -> Vec<u32> {
    let hash = |at: u64| (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    (0..PROMPT as u64).map(|at| (hash(at) % n_vocab as u64) as u32).collect()
}

fn open<M: Machine>(path: &Path) -> EngineResult<Subject<M::Backend>> {
    Subject::open(M::open()?, path, Profile::Reference, |_| ())
}

fn same<M: Machine>(path: &Path, ask: Ask<M::Backend>) -> Result<(), Failure> {
    let mut subject = open::<M>(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let want = whole(&mut subject, &tokens)?;
    let got = ask(&mut subject, &tokens)?;
    judge(&got, &want, tokens.len())
}

fn judge(got: &[f32], want: &[f32], rows: usize) -> Result<(), Failure> {
    let shape = [("token", rows), ("logit", want.len() / rows)];
    compare::arrays("logits", got, want).shape(&shape).exactly()
}

fn whole<B: Backend>(subject: &mut Subject<B>, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    subject.logits(tokens, Feed::whole(tokens))
}

/// Each token as if the model had made it.
fn one_by_one<B: Backend>(subject: &mut Subject<B>, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    let mut context = subject.context(1, Feed::parts(tokens, 1))?;
    let mut taps = NoTaps;
    context.extend(&mut subject.runner(&mut taps), 0, tokens, Role::Generated, Logits::All)
}

/// Beside `others` other sequences, whose rows stand before and behind ours; they started earlier,
/// so that no two rows are at the same position.
fn company<B: Backend>(
    subject: &mut Subject<B>,
    tokens: &[u32],
    others: usize,
) -> EngineResult<Vec<f32>> {
    let slots = others + 1;
    let feed = Feed { max_rows: 4 * slots, total: 2 * PROMPT, ..Feed::whole(tokens) };
    let mut context = subject.context(slots, feed)?;
    let ours = others / 2;
    context.start(ours, tokens.len())?;
    for slot in (0..slots).filter(|slot| *slot != ours) {
        extend(subject, &mut context, slot, &tokens[..3 * slot + 1])?;
    }
    let mut logits = Vec::new();
    for part in tokens.chunks(4) {
        let mut batch = Batch::default();
        for slot in 0..slots {
            let mut rows = context.rows(slot, part, Role::Prompt).rows;
            rows.iter_mut().for_each(|row| row.logits = slot == ours);
            batch.rows.extend(rows);
        }
        logits.extend(context.forward(&mut subject.runner(&mut NoTaps), &batch)?);
    }
    Ok(logits)
}

/// Generated rows beside those of other sequences, of which every third is read instead.
fn generated_in_company<M: Machine>(path: &Path, others: usize) -> Result<(), Failure> {
    let mut subject = open::<M>(path)?;
    let mut tokens = prompt(subject.model.architecture.n_vocab);
    tokens.truncate(10);
    let want = one_by_one(&mut subject, &tokens)?;
    let (slots, ours) = (others + 1, others / 2);
    let feed = Feed { max_rows: 2 * slots, total: 2 * PROMPT, ..Feed::whole(&tokens) };
    let mut context = subject.context(slots, feed)?;
    context.start(ours, tokens.len())?;
    let mut got = Vec::new();
    for token in &tokens {
        let mut batch = Batch::default();
        for slot in 0..slots {
            let mut rows = match slot % 3 == 2 && slot != ours {
                true => context.rows(slot, &[*token, 1], Role::Prompt).rows,
                false => context.rows(slot, &[*token], Role::Generated).rows,
            };
            rows.iter_mut().for_each(|row| row.logits = slot == ours);
            batch.rows.extend(rows);
        }
        got.extend(context.forward(&mut subject.runner(&mut NoTaps), &batch)?);
    }
    judge(&got, &want, tokens.len())
}

/// In a cache that held another sequence, half of it kept from an earlier visit.
fn warm<B: Backend>(subject: &mut Subject<B>, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    let mut context = subject.context(1, Feed::whole(tokens))?;
    let other: Vec<u32> = tokens.iter().rev().copied().collect();
    extend(subject, &mut context, 0, &other)?;
    context.start(0, tokens.len())?;
    let half = tokens.len() / 2;
    let mut logits = extend(subject, &mut context, 0, &tokens[..half])?;
    extend(subject, &mut context, 0, &other[..9])?;
    context.cut(&subject.model, 0, half)?;
    logits.extend(extend(subject, &mut context, 0, &tokens[half..])?);
    Ok(logits)
}

/// Saved in the middle and put back into another context, in another slot.
fn restored<B: Backend>(subject: &mut Subject<B>, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    let half = tokens.len() / 2;
    let mut first = subject.context(1, Feed::whole(tokens))?;
    let mut logits = extend(subject, &mut first, 0, &tokens[..half])?;
    let saved = first.save(&mut subject.backend, 0)?;
    drop(first);
    let mut second = subject.context(3, Feed::whole(tokens))?;
    second.restore(&mut subject.backend, 2, &saved)?;
    logits.extend(extend(subject, &mut second, 2, &tokens[half..])?);
    Ok(logits)
}

/// A saved past that stands elsewhere in memory, is cut short or is none at all is refused, and
/// the slot stays as it was.
fn foreign<M: Machine>(path: &Path) -> Result<(), Failure> {
    let mut subject = open::<M>(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let mut first = subject.context(1, Feed::whole(&tokens))?;
    extend(&mut subject, &mut first, 0, &tokens[..9])?;
    let saved = first.save(&mut subject.backend, 0)?;
    let half = Feed { kv: Precision::F16, ..Feed::whole(&tokens) };
    let longer = Feed { total: tokens.len() + 64, ..Feed::whole(&tokens) };
    let other_layout = {
        let at = saved.windows(3).position(|three| three == &M::Backend::LAYOUT.as_bytes()[..3]);
        let mut other = saved.clone();
        other[at.ok_or("a saved session does not name its layout")?] ^= 1;
        other
    };
    let whole = Feed::whole(&tokens);
    let wrong: [(&str, Feed, &[u8]); 6] = [
        ("keys of another precision", half, &saved),
        ("a cache of another length", longer, &saved),
        ("another machine's layout", whole, &other_layout),
        ("a byte too few", whole, &saved[..saved.len() - 1]),
        ("half a heading", whole, &saved[..20]),
        ("nothing", whole, &[]),
    ];
    for (what, feed, bytes) in wrong {
        let mut context = subject.context(1, feed)?;
        match context.restore(&mut subject.backend, 0, bytes) {
            Err(_) if context.length(0) == 0 => (),
            found => return Err(format!("{what}: {found:?}, {}", context.length(0)).into()),
        }
    }
    Ok(first.restore(&mut subject.backend, 0, &saved)?)
}

/// In a context that could hold far more.
fn room<B: Backend>(subject: &mut Subject<B>, tokens: &[u32]) -> EngineResult<Vec<f32>> {
    let most = match subject.model.architecture.learned_positions {
        true => subject.model.architecture.n_ctx,
        false => 3000,
    };
    let mut context = subject.context(2, Feed { total: most, ..Feed::whole(tokens) })?;
    context.start(0, tokens.len())?;
    extend(subject, &mut context, 0, tokens)
}

fn extend<B: Backend>(
    subject: &mut Subject<B>,
    context: &mut Context<B>,
    slot: usize,
    tokens: &[u32],
) -> EngineResult<Vec<f32>> {
    context.extend(&mut subject.runner(&mut NoTaps), slot, tokens, Role::Prompt, Logits::All)
}

/// A past in f16 is rounded before its first use: whether a key was just made or made long ago
/// changes nothing.
fn half_precision<M: Machine>(path: &Path) -> Result<(), Failure> {
    let mut subject = open::<M>(path)?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let ask = |subject: &mut Subject<M::Backend>, max_rows| {
        subject.logits(&tokens, Feed { kv: Precision::F16, ..Feed::parts(&tokens, max_rows) })
    };
    let want = ask(&mut subject, tokens.len())?;
    let got = ask(&mut subject, 7)?;
    judge(&got, &want, tokens.len())?;
    let exact = whole(&mut subject, &tokens)?;
    if exact == want {
        return Err("a past in f16 gives the bits of one in f32: it was not rounded".into());
    }
    Ok(())
}

/// A reduction that depends on how many rows are there must not pass.
fn negative_control<M: Machine>(path: &Path) -> Result<(), Failure> {
    let broken = Wrapped::new(M::open()?, Defect::OrderDependentNorm);
    let mut subject = Subject::open(broken, path, Profile::Reference, |_| ())?;
    let tokens = prompt(subject.model.architecture.n_vocab);
    let want = subject.logits(&tokens, Feed::whole(&tokens))?;
    let got = subject.logits(&tokens, Feed::parts(&tokens, 1))?;
    match (subject.backend.hits, got == want) {
        (0, _) => Err("the defect was never met".into()),
        (_, true) => Err("a reduction that depends on the batch was not noticed".into()),
        _ => Ok(()),
    }
}
