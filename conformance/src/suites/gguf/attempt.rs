//! One attempt at a file: what the reader said, what it cost, and whether it came back at all.
//! Knows how to ask the reader, not what the right answer is.

use crate::alloc::{self, Heap};
use engine::error::{Class, Error};
use engine::loader::gguf::Layout;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Without an answer after this long the reader is said to hang.
pub const HANG: Duration = Duration::from_secs(60);

/// What the reader said about some bytes.
#[derive(Debug)]
pub enum Answer {
    /// Accepted, with its layout.
    Accepted(Box<Layout>),
    /// Refused, with a class and the whole text.
    Refused(Class, String),
    /// Neither: an error without a class, or a panic. Always a defect.
    Broken(String),
}

impl Answer {
    /// `Ok` or the class, the way vectors write it.
    pub fn word(&self) -> String {
        match self {
            Answer::Accepted(_) => "Ok".into(),
            Answer::Refused(class, _) => class.to_string(),
            Answer::Broken(_) => "broken".into(),
        }
    }

    /// The text of the error, if there is one.
    pub fn text(&self) -> &str {
        match self {
            Answer::Accepted(_) => "accepted",
            Answer::Refused(_, text) | Answer::Broken(text) => text,
        }
    }
}

/// An answer and its price.
#[derive(Debug)]
pub struct Attempt {
    /// What the reader said.
    pub answer: Answer,
    /// What it allocated meanwhile.
    pub heap: Heap,
    /// How long it took.
    pub took: Duration,
}

/// Reads `bytes` on this thread.
pub fn parse(bytes: &[u8]) -> Attempt {
    of(|| Layout::parse(bytes))
}

/// Times and weighs a reading on this thread; a panic is caught and becomes an answer.
pub fn of(reading: impl FnOnce() -> Result<Layout, Error>) -> Attempt {
    let start = Instant::now();
    let (result, heap) = alloc::measure(|| catch_unwind(AssertUnwindSafe(reading)));
    let took = start.elapsed();
    let answer = match result {
        Ok(Ok(layout)) => Answer::Accepted(Box::new(layout)),
        Ok(Err(error)) => from_error(&error),
        Err(payload) => Answer::Broken(format!("panic: {}", panic_text(&*payload))),
    };
    Attempt { answer, heap, took }
}

/// Reads `bytes` on a thread of its own, watched. `took` is then the work of that thread, not the
/// time on the wall: on a busy machine the wall counts the work of others.
pub fn parse_alone(bytes: &Arc<Vec<u8>>) -> Result<Attempt, String> {
    // The kernel counts in ticks of a few milliseconds: nothing to learn about shorter attempts.
    const WORTH_ASKING: Duration = Duration::from_millis(20);
    let bytes = Arc::clone(bytes);
    watched(HANG, move |_| {
        let mut attempt = parse(&bytes);
        if attempt.took > WORTH_ASKING {
            attempt.took = attempt.took.min(thread_time().unwrap_or(attempt.took));
        }
        attempt
    })
}

/// How long this thread has been on a processor since it began; nothing where no one says.
fn thread_time() -> Option<Duration> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = statistics.split(' ').next()?.parse().ok()?;
    // Zero means that this kernel does not count.
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

/// An error as an answer: only a refusal is a fit reply to bytes.
pub fn from_error(error: &Error) -> Answer {
    match error.class() {
        Some(class) => Answer::Refused(class, error.to_string()),
        None => Answer::Broken(format!("not a refusal: {error}")),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("(no text)")
}

/// What is wrong with the text of a refusal of a container: it must be readable and have a number
/// in it.
pub fn unfit(text: &str) -> Option<String> {
    let numbered = text.contains(|c: char| c.is_ascii_digit());
    unreadable(text).or_else(|| (!numbered).then(|| format!("a refusal without a number: {text}")))
}

/// What is wrong with the text of any refusal: it must be one line of printable text of a bearable
/// length.
pub fn unreadable(text: &str) -> Option<String> {
    const LONGEST: usize = 1000;
    // Control characters break lines and drive terminals; the others turn text around.
    let hostile =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if let Some(c) = text.chars().find(|c| hostile(*c)) {
        return Some(format!("the message holds {c:?}: {text:?}"));
    }
    let long = text.len() > LONGEST;
    long.then(|| format!("the message has {} bytes, {LONGEST} allowed", text.len()))
}

/// Where a long piece of work stands, so that a hang can be told from patience.
pub type Progress = Arc<AtomicU64>;

/// Runs `work` on a thread of its own. When its progress number stands still for `limit`, the
/// thread is given up (there is no way to stop it) and the number it hangs at comes back.
pub fn watched<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, String> {
    let progress = Progress::default();
    let (sender, receiver) = channel();
    let theirs = Arc::clone(&progress);
    std::thread::spawn(move || {
        // The receiver is gone only when we have given up; then nobody wants the result.
        let _ = sender.send(work(&theirs));
    });
    let mut last_seen = 0;
    loop {
        match receiver.recv_timeout(limit) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err("the worker thread died".into()),
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.load(Ordering::Relaxed);
                if now == last_seen {
                    return Err(format!("hangs: still at input {now} after {limit:?}"));
                }
                last_seen = now;
            }
        }
    }
}
