//! The threads of the CPU backend: parked while there is nothing to do, spinning for a moment
//! between the steps of one token. Knows work items by number, not what they compute; a kernel
//! must give an item the same bits whoever runs it, so who runs it may be left to chance.

use super::level::{self, Level};
use std::any::Any;
use std::cell::Cell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// How often an idle thread looks again before it parks: some tens of microseconds, which is
/// longer than the serial work between two matrix products and shorter than anyone notices.
const SPINS: u32 = 1500;

thread_local! {
    /// Whether this thread is inside a pool's work already.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A fixed number of threads, the caller's included, and the instructions they may use.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    level: Level,
    /// One dispatch at a time.
    turn: Mutex<()>,
}

/// The work of one dispatch; the reference is only alive while `Pool::run` waits.
type Job = &'static (dyn Fn(usize) + Sync);

/// Where a slice starts that threads take disjoint parts of.
struct Start(*mut f32);

// SAFETY: `Pool::parts` hands out disjoint parts only, and numbers may be sent to any thread.
unsafe impl Sync for Start {}

impl Start {
    /// # Safety
    /// The part is inside the slice, which outlives it, and no other part overlaps it.
    unsafe fn part<'s>(&self, at: usize, len: usize) -> &'s mut [f32] {
        // SAFETY: the caller vouches for it.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}

struct Shared {
    /// The number of dispatches so far; a change is the signal to start.
    round: AtomicUsize,
    /// Workers that have not finished this round.
    pending: AtomicUsize,
    stop: AtomicBool,
    round_job: Mutex<Option<(Job, Thread)>>,
    failure: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Pool {
    /// A pool of `n_threads` (at least one; the caller is one of them) with the strongest
    /// instructions of this machine. A thread that the system refuses is done without: the bits of
    /// a result do not depend on how many there are.
    pub fn new(n_threads: usize) -> Self {
        Pool::with_level(n_threads, level::best())
    }

    /// As [`Pool::new`] with weaker instructions, for comparing them.
    pub fn with_level(n_threads: usize, level: Level) -> Self {
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            round_job: Mutex::new(None),
            failure: Mutex::new(None),
        });
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            let builder = thread::Builder::new().name(format!("cpu-{index}"));
            builder.spawn(move || shared.serve(index)).ok()
        };
        let workers = (1..n_threads).map_while(spawn).collect();
        let level = level.min(level::best());
        Pool { shared, workers, level, turn: Mutex::new(()) }
    }

    /// Threads that share the work, the caller's included.
    pub fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// The instructions its work may use; this machine has them.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Calls `work` once for every number below `n_items`, on all threads, in no fixed order, and
    /// returns when all are done.
    pub fn each(&self, n_items: usize, work: &(dyn Fn(usize) + Sync)) {
        if n_items <= 1 || self.workers.is_empty() {
            return (0..n_items).for_each(work);
        }
        let next = AtomicUsize::new(0);
        self.run(&|_| {
            loop {
                let item = next.fetch_add(1, Ordering::Relaxed);
                if item >= n_items {
                    break;
                }
                work(item);
            }
        });
    }

    /// Calls `work` once for every `len` numbers of `out` (fewer at its end), with their place
    /// among the parts, on all threads.
    pub fn parts(&self, out: &mut [f32], len: usize, work: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        let (n_numbers, start) = (out.len(), Start(out.as_mut_ptr()));
        self.each(n_numbers.div_ceil(len.max(1)), &|part| {
            let at = part * len;
            // SAFETY: inside `out`, which is borrowed mutably until all work is done, and `each`
            // calls this once for every part, so no two parts are the same.
            let own = unsafe { start.part(at, len.min(n_numbers - at)) };
            work(part, own);
        });
    }

    /// Calls `work` once a thread with the thread's number, and returns when all are done. Within
    /// a pool's work it runs all numbers on the calling thread.
    pub fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() || BUSY.get() {
            return (0..self.n_threads()).for_each(work);
        }
        let turn = lock(&self.turn);
        // SAFETY: only the lifetime is changed. No worker touches the job after it has counted
        // itself out of `pending`, and this function does not end before all have.
        let job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(work) };
        *lock(&self.shared.round_job) = Some((job, thread::current()));
        self.shared.pending.store(self.workers.len(), Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        BUSY.set(true);
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        BUSY.set(false);
        wait_until(|| self.shared.pending.load(Ordering::Acquire) == 0);
        *lock(&self.shared.round_job) = None;
        let other = lock(&self.shared.failure).take();
        drop(turn);
        if let Some(failure) = own.err().or(other) {
            resume_unwind(failure);
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads, {:?})", self.n_threads(), self.level)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker's panic was handed to the caller when it happened.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn serve(&self, index: usize) {
        BUSY.set(true);
        let mut seen = 0;
        loop {
            wait_until(|| self.round.load(Ordering::Acquire) != seen);
            seen = self.round.load(Ordering::Acquire);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some((job, caller)) = lock(&self.round_job).clone() else {
                continue;
            };
            if let Err(failure) = catch_unwind(AssertUnwindSafe(|| job(index))) {
                *lock(&self.failure) = Some(failure);
            }
            if self.pending.fetch_sub(1, Ordering::Release) == 1 {
                caller.unpark();
            }
        }
    }
}

/// Returns as soon as `done` holds; whoever makes it hold unparks this thread.
fn wait_until(done: impl Fn() -> bool) {
    let mut spins = 0;
    while !done() {
        if spins < SPINS {
            spins += 1;
            spin_loop();
        } else {
            thread::park();
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
