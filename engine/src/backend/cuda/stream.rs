//! The order in which a device does things: streams, copies, events that take the time, and graphs
//! that replay a captured order. Knows bytes and kernels as black boxes.

use super::context::Context;
use super::memory::{Buffer, Pinned};
use crate::error::{Error, Result};
use cudarc::driver::sys::{CUevent, CUgraph, CUgraphExec, CUstream};
use std::sync::Arc;

/// A queue of work for a device.
pub struct Stream {
    context: Arc<Context>,
    pub(super) raw: CUstream,
}

// SAFETY: the driver's streams may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: the driver locks inside.
unsafe impl Sync for Stream {}

impl Stream {
    /// A stream that waits for no other.
    pub fn new(context: &Arc<Context>) -> Result<Stream> {
        const NON_BLOCKING: u32 = 1;
        let mut raw = std::ptr::null_mut();
        context.call("create a stream", |driver| {
            // SAFETY: `raw` outlives the call.
            unsafe { (driver.stream_create)(&mut raw, NON_BLOCKING) }
        })?;
        Ok(Stream { context: context.clone(), raw })
    }

    /// The device it belongs to.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Waits until everything asked of this stream is done. Errors of kernels surface here.
    pub fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream lives as long as `self`.
        self.context.call("wait for the device's work", |driver| unsafe {
            (driver.stream_synchronize)(self.raw)
        })
    }

    /// Copies `from` to `at` in `to`, and returns when `from` may be changed again.
    pub fn upload(&self, from: &[u8], to: &Buffer, at: usize) -> Result<()> {
        inside("upload", at, from.len(), to)?;
        self.context.call("copy to the device", |driver| {
            let target = to.address() + at as u64;
            // SAFETY: both ranges are as long as said: checked above, and waited for below.
            unsafe { (driver.host_to_device)(target, from.as_ptr().cast(), from.len(), self.raw) }
        })?;
        self.synchronize()
    }

    /// Copies from `at` in `from` until `to` is full, and returns when it is.
    pub fn download(&self, from: &Buffer, at: usize, to: &mut [u8]) -> Result<()> {
        inside("download", at, to.len(), from)?;
        self.context.call("copy from the device", |driver| {
            let source = from.address() + at as u64;
            // SAFETY: both ranges are as long as said: checked above, and waited for below.
            unsafe { (driver.device_to_host)(to.as_mut_ptr().cast(), source, to.len(), self.raw) }
        })?;
        self.synchronize()
    }

    /// Queues a copy of the first `bytes` of `from`, which stays borrowed until the returned token
    /// has seen the stream come this far.
    pub fn upload_later<'a>(
        &'a self,
        from: &'a Pinned,
        bytes: usize,
        to: &Buffer,
        at: usize,
    ) -> Result<Pending<'a>> {
        self.queue_upload(from, bytes, to, at)?;
        Ok(Pending { stream: self })
    }

    /// The same for whoever keeps the source as it is until an event recorded afterwards.
    pub(super) fn queue_upload(
        &self,
        from: &Pinned,
        bytes: usize,
        to: &Buffer,
        at: usize,
    ) -> Result<()> {
        inside("upload", at, bytes, to)?;
        let from = from.as_slice().get(..bytes).ok_or_else(|| outside("upload", bytes, 0))?;
        self.context.call("copy to the device", |driver| {
            let target = to.address() + at as u64;
            // SAFETY: both ranges are checked; the caller keeps the source until it has been read,
            // and pinned memory that is freed too early waits for the device.
            unsafe { (driver.host_to_device)(target, from.as_ptr().cast(), bytes, self.raw) }
        })
    }

    /// Copies between two places on the device.
    pub fn copy(
        &self,
        from: &Buffer,
        from_at: usize,
        to: &Buffer,
        to_at: usize,
        bytes: usize,
    ) -> Result<()> {
        inside("copy", from_at, bytes, from)?;
        inside("copy", to_at, bytes, to)?;
        let (source, target) = (from.address() + from_at as u64, to.address() + to_at as u64);
        self.context.call("copy on the device", |driver| {
            // SAFETY: both ranges are checked.
            unsafe { (driver.device_to_device)(target, source, bytes, self.raw) }
        })
    }

    /// Sets every byte of `to` to `value`.
    pub fn fill(&self, to: &Buffer, value: u8) -> Result<()> {
        self.context.call("fill device memory", |driver| {
            // SAFETY: the range is the whole buffer.
            unsafe { (driver.set_bytes)(to.address(), value, to.bytes(), self.raw) }
        })
    }

    /// Sets to zero what was allocated behind the end of `to` so that kernels may copy it.
    pub(super) fn clear_rest(&self, to: &Buffer) -> Result<()> {
        let rest = to.allocated() - to.bytes();
        if rest == 0 {
            return Ok(());
        }
        self.context.call("fill device memory", |driver| {
            let end = to.address() + to.bytes() as u64;
            // SAFETY: the range is what the buffer has behind its end.
            unsafe { (driver.set_bytes)(end, 0, rest, self.raw) }
        })
    }

    /// Lets this stream wait until `event` has happened.
    pub fn wait(&self, event: &Event) -> Result<()> {
        self.context.call("wait for an event", |driver| {
            // SAFETY: both live as long as they are borrowed; 0 is the only flag.
            unsafe { (driver.stream_wait)(self.raw, event.raw, 0) }
        })
    }

    /// Records what `queue` asks of this stream, without doing it, and returns it ready to replay.
    pub fn capture(&self, queue: impl FnOnce() -> Result<()>) -> Result<Graph> {
        const THREAD_LOCAL: i32 = 1;
        // SAFETY: the stream lives as long as `self`.
        self.context.call("begin a capture", |driver| unsafe {
            (driver.capture_begin)(self.raw, THREAD_LOCAL)
        })?;
        let queued = queue();
        let mut graph = std::ptr::null_mut();
        // A capture must be ended even if queueing failed, or the stream is of no more use.
        let ended = self.context.call("end a capture", |driver| {
            // SAFETY: `graph` outlives the call.
            unsafe { (driver.capture_end)(self.raw, &mut graph) }
        });
        let graph = Captured { context: &self.context, raw: graph };
        queued?;
        ended?;
        graph.instantiate()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once; the driver finishes what is queued.
        let _ = self.context.answer(|driver| unsafe { (driver.stream_destroy)(self.raw) });
    }
}

fn inside(what: &'static str, at: usize, bytes: usize, buffer: &Buffer) -> Result<()> {
    match at.checked_add(bytes) {
        Some(end) if end <= buffer.bytes() => Ok(()),
        _ => Err(outside(what, bytes, buffer.bytes().saturating_sub(at))),
    }
}

fn outside(what: &'static str, bytes: usize, room: usize) -> Error {
    Error::kernel(what, format!("{bytes} bytes do not fit: the buffer has {room} there"))
}

/// A copy under way. Waits for it when dropped, so that its source cannot change too early.
#[must_use = "dropping it waits for the copy"]
pub struct Pending<'a> {
    stream: &'a Stream,
}

impl Pending<'_> {
    /// Waits for the copy.
    pub fn wait(self) -> Result<()> {
        self.stream.synchronize()
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let _ = self.stream.synchronize();
    }
}

/// A point in a stream, with the time it was reached.
pub struct Event {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: the driver's events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: the driver locks inside.
unsafe impl Sync for Event {}

impl Event {
    /// Marks the point that `stream` has been asked to reach.
    pub fn record(stream: &Stream) -> Result<Event> {
        let context = stream.context.clone();
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` outlives the call; 0 asks for an event that takes the time.
        context.call("create an event", |driver| unsafe { (driver.event_create)(&mut raw, 0) })?;
        let event = Event { context, raw };
        // SAFETY: both live as long as they are borrowed.
        event.context.call("record an event", |driver| unsafe {
            (driver.event_record)(event.raw, stream.raw)
        })?;
        Ok(event)
    }

    /// Waits for it.
    pub fn wait(&self) -> Result<()> {
        self.context.call("wait for an event", |driver| {
            // SAFETY: the event lives as long as `self`.
            unsafe { (driver.event_synchronize)(self.raw) }
        })
    }

    /// Waits for it and returns the milliseconds since `earlier`.
    pub fn ms_since(&self, earlier: &Event) -> Result<f64> {
        self.wait()?;
        let mut ms = 0f32;
        self.context.call("read an event's time", |driver| {
            // SAFETY: `ms` outlives the call, and both events live as long as they are borrowed.
            unsafe { (driver.event_elapsed)(&mut ms, earlier.raw, self.raw) }
        })?;
        Ok(f64::from(ms))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created in `record`, destroyed once.
        let _ = self.context.answer(|driver| unsafe { (driver.event_destroy)(self.raw) });
    }
}

/// What a capture gave, until it is instantiated.
struct Captured<'a> {
    context: &'a Arc<Context>,
    raw: CUgraph,
}

impl Captured<'_> {
    fn instantiate(self) -> Result<Graph> {
        let mut nodes = 0;
        self.context.call("count a graph's nodes", |driver| {
            // SAFETY: a null list asks for the count only, and `nodes` outlives the call.
            unsafe { (driver.graph_nodes)(self.raw, std::ptr::null_mut(), &mut nodes) }
        })?;
        let mut raw = std::ptr::null_mut();
        self.context.call("instantiate a graph", |driver| {
            // SAFETY: `raw` outlives the call.
            unsafe { (driver.graph_instantiate)(&mut raw, self.raw, 0) }
        })?;
        Ok(Graph { context: self.context.clone(), raw, nodes })
    }
}

impl Drop for Captured<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: ended in `capture`, destroyed once.
            let _ = self.context.answer(|driver| unsafe { (driver.graph_destroy)(self.raw) });
        }
    }
}

/// A captured order of work, ready to be replayed. It refers to buffers by address: whoever made it
/// keeps them alive.
pub struct Graph {
    context: Arc<Context>,
    raw: CUgraphExec,
    nodes: usize,
}

// SAFETY: we never launch one graph from two threads at once: `launch` takes `&mut self`.
unsafe impl Send for Graph {}

impl Graph {
    /// How many kernels and copies it holds.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Puts it on the device ahead of its first launch.
    pub fn prepare(&mut self, stream: &Stream) -> Result<()> {
        self.context.call("upload a graph", |driver| {
            // SAFETY: both live as long as they are borrowed.
            unsafe { (driver.graph_upload)(self.raw, stream.raw) }
        })
    }

    /// Queues all of it.
    pub fn launch(&mut self, stream: &Stream) -> Result<()> {
        self.context.call("launch a graph", |driver| {
            // SAFETY: both live as long as they are borrowed.
            unsafe { (driver.graph_launch)(self.raw, stream.raw) }
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: instantiated once, destroyed once.
        let _ = self.context.answer(|driver| unsafe { (driver.graph_exec_destroy)(self.raw) });
    }
}
