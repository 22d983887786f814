//! Times benchmarks with criterion and closes with a table of speeds, the share of the baseline
//! reached in the same run, and the goals: a number without its baseline says more about the
//! machine than about the code.

use super::clock::thread_time;
use super::{Bench, Work, all, goals, tokenizer};
use comfy_table::{Cell, CellAlignment, Table, presets};
use criterion::{Criterion, Throughput};
use harness::{Failure, capability};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Nanoseconds per run of every benchmark that criterion's filter let through, one entry a sample.
type Samples = RefCell<BTreeMap<String, Vec<f64>>>;

/// `main` under `cargo bench`; takes criterion's own command line.
pub fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .without_plots()
        .configure_from_args();
    let (benches, beyond): (Vec<Bench>, Vec<Bench>) =
        all().into_iter().partition(has_what_it_needs);
    let samples = Samples::default();
    for bench in &benches {
        time(&mut criterion, bench, &samples);
    }
    criterion.final_summary();
    if !beyond.is_empty() {
        println!("{} benchmarks need what this machine lacks: {}", beyond.len(), lacks(&beyond));
    }
    let samples = samples.into_inner();
    if !samples.is_empty() {
        let medians = medians(&benches, samples);
        println!("{}", table(&benches, &medians));
        if let Some(goals) = goals::table(&benches, &medians) {
            println!("{goals}");
        }
    }
}

fn has_what_it_needs(bench: &Bench) -> bool {
    bench.needs.is_none_or(|name| capability::probe(name).is_ok())
}

/// What is missing, each once.
fn lacks(beyond: &[Bench]) -> String {
    let needs: BTreeSet<&str> = beyond.iter().filter_map(|bench| bench.needs).collect();
    let say = |name: &str| match capability::probe(name) {
        Ok(()) => name.to_owned(),
        Err(missing) => format!("{name} ({missing})"),
    };
    needs.into_iter().map(say).collect::<Vec<_>>().join(", ")
}

fn time(criterion: &mut Criterion, bench: &Bench, samples: &Samples) {
    let mut group = criterion.benchmark_group(&bench.name);
    group.throughput(Throughput::Bytes(bench.bytes as u64));
    if tokenizer::SLOW.contains(&bench.name.as_str()) {
        // Criterion's fewest: twenty would take five minutes, and say no more.
        group.sample_size(10);
    }
    // Criterion calls the closure several times and only if its filter matches: prepare once, late.
    let mut prepared: Option<Box<dyn Work>> = None;
    group.bench_function(bench.verb, |bencher| {
        let work = prepared.get_or_insert_with(|| match (bench.setup)(bench.bytes) {
            Ok(work) => work,
            Err(failure) => {
                eprintln!("{}: {}", bench.name, failure.text());
                std::process::exit(1);
            }
        });
        bencher.iter_custom(|rounds| {
            let elapsed = rounds_of(work.as_mut(), rounds);
            let per_round = elapsed.as_nanos() as f64 / rounds as f64;
            let mut samples = samples.borrow_mut();
            samples.entry(bench.name.clone()).or_default().push(per_round);
            elapsed
        });
    });
    group.finish();
    if let Some(Err(failure)) = prepared.map(|work| work.check()) {
        eprintln!("{}: {}", bench.name, failure.text());
        std::process::exit(1);
    }
}

fn rounds_of(work: &mut dyn Work, rounds: u64) -> Duration {
    if let Some(elapsed) = work.clocked(rounds) {
        return elapsed;
    }
    let mut elapsed = Duration::ZERO;
    let mut left = rounds;
    while left > 0 {
        let together = if work.reset() { 1 } else { left };
        let (start, computing) = (Instant::now(), thread_time());
        (0..together).for_each(|_| work.run());
        elapsed += match work.is_shared() {
            true => start.elapsed(),
            false => thread_time().saturating_sub(computing),
        };
        left -= together;
    }
    elapsed
}

/// Median nanoseconds by name; baselines that the filter left out are timed here.
fn medians(benches: &[Bench], samples: BTreeMap<String, Vec<f64>>) -> BTreeMap<String, f64> {
    let mut medians: BTreeMap<String, f64> =
        samples.into_iter().map(|(name, values)| (name, median(values))).collect();
    let wanted: Vec<&str> = benches
        .iter()
        .filter(|bench| medians.contains_key(&bench.name))
        .flat_map(|bench| goals::peers(&bench.name).chain(bench.baseline.as_deref()))
        .collect();
    for name in wanted {
        let bench = benches.iter().find(|bench| bench.name == name);
        if let (false, Some(Ok(nanoseconds))) = (medians.contains_key(name), bench.map(once)) {
            medians.insert(name.to_owned(), nanoseconds);
        }
    }
    medians
}

fn once(bench: &Bench) -> Result<f64, Failure> {
    let mut work = (bench.setup)(bench.bytes)?;
    let first = rounds_of(work.as_mut(), 2).as_nanos() as f64 / 2.0;
    // About 50 ms a sample, as criterion would take.
    let rounds = (5e7 / first).clamp(1.0, 1e6) as u64;
    let sample = |_| rounds_of(work.as_mut(), rounds).as_nanos() as f64 / rounds as f64;
    let samples = if first > 5e8 { 5 } else { 15 };
    Ok(median((0..samples).map(sample).collect()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(benches: &[Bench], medians: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["benchmark", "speed", "time", "GFLOP/s", "of baseline"]);
    for bench in benches {
        let Some(nanoseconds) = medians.get(&bench.name) else {
            continue;
        };
        let speed = bench.bytes as f64 / nanoseconds;
        let baseline = bench.baseline.as_ref().and_then(|name| {
            let base = benches.iter().find(|base| base.name == *name)?;
            Some(base.bytes as f64 / medians.get(name)?)
        });
        let share = baseline.map_or("".into(), |base| format!("{:.0} %", 100.0 * speed / base));
        let operations = match bench.operations_per_byte {
            0.0 => String::new(),
            each => format!("{:.1}", speed * each),
        };
        let speed = match speed < 1.0 {
            true => format!("{:.1} MB/s", 1e3 * speed),
            false => format!("{speed:.2} GB/s"),
        };
        let time = format!("{:.3} ms", nanoseconds / 1e6);
        table.add_row([
            Cell::new(format!("{}/{}", bench.name, bench.verb)),
            Cell::new(speed).set_alignment(CellAlignment::Right),
            Cell::new(time).set_alignment(CellAlignment::Right),
            Cell::new(operations).set_alignment(CellAlignment::Right),
            Cell::new(share).set_alignment(CellAlignment::Right),
        ]);
    }
    table
}
