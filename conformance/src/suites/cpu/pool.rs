//! `cpu::pool::*`: every item exactly once, whatever happens around it.

use engine::backend::cpu::pool::Pool;
use harness::{Case, Failure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("cpu::pool::each-item-once", |_| each_item_once()),
        Case::new("cpu::pool::each-thread-once", |_| each_thread_once()),
        Case::new("cpu::pool::work-within-work", |_| within()),
        Case::new("cpu::pool::callers-take-turns", |_| turns()),
        Case::new("cpu::pool::wakes-after-parking", |_| parked()),
        Case::new("cpu::pool::a-panic-reaches-the-caller", |_| panic_reaches_caller()),
    ]
}

/// Runs `n_items` and checks that each ran once.
fn once(pool: &Pool, n_items: usize) -> Result<(), Failure> {
    let runs: Vec<AtomicUsize> = (0..n_items).map(|_| AtomicUsize::new(0)).collect();
    pool.each(n_items, &|item| {
        runs[item].fetch_add(1, Ordering::Relaxed);
    });
    match runs.iter().position(|runs| runs.load(Ordering::Relaxed) != 1) {
        None => Ok(()),
        Some(item) => Err(format!(
            "{} threads, {n_items} items: item {item} ran {} times",
            pool.n_threads(),
            runs[item].load(Ordering::Relaxed)
        )
        .into()),
    }
}

fn each_item_once() -> Result<(), Failure> {
    for n_threads in [0, 1, 2, 3, 8] {
        let pool = Pool::new(n_threads);
        for round in 0..200 {
            once(&pool, [0, 1, 2, 3, 7, 8, 100, 1000][round % 8])?;
        }
    }
    Ok(())
}

fn each_thread_once() -> Result<(), Failure> {
    let pool = Pool::new(5);
    for _ in 0..200 {
        let runs: [AtomicUsize; 5] = Default::default();
        pool.run(&|thread| {
            runs[thread].fetch_add(1, Ordering::Relaxed);
        });
        if runs.iter().any(|runs| runs.load(Ordering::Relaxed) != 1) {
            return Err(format!("runs by thread: {runs:?}").into());
        }
    }
    Ok(())
}

/// A kernel that is called inside a kernel must not wait for the pool it runs on.
fn within() -> Result<(), Failure> {
    let pool = Pool::new(3);
    let inner = AtomicUsize::new(0);
    pool.each(20, &|_| {
        pool.each(10, &|_| {
            inner.fetch_add(1, Ordering::Relaxed);
        });
    });
    once(&pool, 100)?;
    match inner.load(Ordering::Relaxed) {
        200 => Ok(()),
        other => Err(format!("200 inner items, {other} ran").into()),
    }
}

fn turns() -> Result<(), Failure> {
    let pool = Pool::new(2);
    let results: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let caller = || (0..100).try_for_each(|_| once(&pool, 50));
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(caller)).collect();
        let join = |caller: std::thread::ScopedJoinHandle<_>| {
            caller.join().unwrap_or_else(|_| Err("a caller panicked".into()))
        };
        callers.into_iter().map(join).collect()
    });
    results.into_iter().collect()
}

fn parked() -> Result<(), Failure> {
    let pool = Pool::new(3);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(20));
        once(&pool, 100)?;
    }
    Ok(())
}

fn panic_reaches_caller() -> Result<(), Failure> {
    let pool = Pool::new(3);
    for item in [0, 57, 99] {
        let work = |at: usize| {
            if at == item {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        };
        let result = catch_unwind(AssertUnwindSafe(|| pool.each(100, &work)));
        match result {
            Err(reason) if reason.downcast_ref() == Some(&"on purpose") => {}
            Err(_) => return Err("another panic arrived".into()),
            Ok(()) => return Err(format!("the panic of item {item} was lost").into()),
        }
        once(&pool, 100)?;
    }
    Ok(())
}
