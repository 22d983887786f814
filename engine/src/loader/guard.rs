//! Keeps a process alive when a mapped file is cut short. Reading a page that is no longer in the
//! file raises SIGBUS; the handler here replaces the lost pages by zeros and takes a note, and the
//! owner of the mapping reports the note as an error. (libwayland guards shared buffers the same
//! way.) A SIGBUS elsewhere goes to whoever handled it before.
//!
//! Knows address ranges; knows no file.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// A guarded address range. Nodes are never freed, because the handler may be looking at them; a
/// node whose mapping is gone is used again.
#[derive(Debug)]
struct Node {
    start: AtomicUsize,
    /// 0 while the node guards nothing.
    end: AtomicUsize,
    taken: AtomicBool,
    hit: AtomicBool,
    next: *const Node,
}

static NODES: AtomicPtr<Node> = AtomicPtr::new(std::ptr::null_mut());
static INSTALL: Once = Once::new();
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

/// Keeps a mapping guarded while it lives.
#[derive(Debug)]
pub(super) struct Guarded(&'static Node);

// SAFETY: `next` is written once before the node is published and points to a node that is never
// freed; everything else is atomic.
unsafe impl Sync for Node {}

impl Guarded {
    /// Guards `mapping`, which must outlive the result.
    pub(super) fn new(mapping: &[u8]) -> Guarded {
        INSTALL.call_once(install);
        let node = free_node().unwrap_or_else(push_node);
        let range = mapping.as_ptr_range();
        node.hit.store(false, Ordering::Relaxed);
        node.start.store(range.start as usize, Ordering::Relaxed);
        node.end.store(range.end as usize, Ordering::Release);
        Guarded(node)
    }

    /// Whether any page of the mapping was lost.
    pub(super) fn was_hit(&self) -> bool {
        self.0.hit.load(Ordering::Acquire)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Release);
        self.0.taken.store(false, Ordering::Release);
    }
}

fn nodes() -> impl Iterator<Item = &'static Node> {
    let mut at: *const Node = NODES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: null or a leaked node.
        let node = unsafe { at.as_ref() }?;
        at = node.next;
        Some(node)
    })
}

fn free_node() -> Option<&'static Node> {
    nodes().find(|node| !node.taken.swap(true, Ordering::Acquire))
}

fn push_node() -> &'static Node {
    let node = Box::leak(Box::new(Node {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        taken: AtomicBool::new(true),
        hit: AtomicBool::new(false),
        next: std::ptr::null(),
    }));
    let mut head = NODES.load(Ordering::Acquire);
    loop {
        node.next = head;
        match NODES.compare_exchange_weak(head, node, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return node,
            Err(now) => head = now,
        }
    }
}

fn install() {
    // SAFETY: zero is a valid sigaction; sigemptyset and sigaction get valid pointers; the handler
    // has the signature that SA_SIGINFO asks for.
    unsafe {
        let previous = Box::leak(Box::new(std::mem::zeroed::<libc::sigaction>()));
        let mut ours = std::mem::zeroed::<libc::sigaction>();
        ours.sa_sigaction = on_sigbus as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut ours.sa_mask);
        libc::sigaction(libc::SIGBUS, std::ptr::null(), previous);
        PREVIOUS.store(previous, Ordering::Release);
        libc::sigaction(libc::SIGBUS, &ours, std::ptr::null_mut());
    }
}

extern "C" fn on_sigbus(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a valid siginfo to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    if !replace_lost_pages(address) {
        // SAFETY: the same arguments, in the same context, as the kernel would give.
        unsafe { pass_on(signal, info, context) };
    }
}

/// Puts zeros from the page of `address` to the end of its mapping: all of it is lost, because a
/// file has no holes behind its end. Only atomics and one system call, as a handler must.
fn replace_lost_pages(address: usize) -> bool {
    let guards = |node: &&Node| {
        let end = node.end.load(Ordering::Acquire);
        (node.start.load(Ordering::Relaxed)..end).contains(&address)
    };
    let Some(node) = nodes().find(guards) else { return false };
    node.hit.store(true, Ordering::Release);
    // SAFETY: sysconf is async-signal-safe. The range lies inside a live mapping that this process
    // owns (its owner is in the middle of reading it), so nothing else is replaced.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let start = address & !(page - 1);
        let length = node.end.load(Ordering::Acquire).saturating_sub(start);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let zeros = libc::mmap(start as *mut _, length, libc::PROT_READ, flags, -1, 0);
        zeros != libc::MAP_FAILED
    }
}

/// Hands a SIGBUS that is not ours to the handler before us, or back to the kernel's default.
///
/// # Safety
/// Only from a SIGBUS handler, with its arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    let previous = PREVIOUS.load(Ordering::Acquire);
    // SAFETY: set before our handler was installed, never freed.
    let action = unsafe { &*previous };
    let is_function = action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN;
    if is_function {
        // A handler without SA_SIGINFO takes only the first argument; passing more is harmless in
        // the calling conventions of every platform we run on.
        // SAFETY: the kernel accepted this address as a handler.
        let handler: Handler = unsafe { std::mem::transmute(action.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: restores what was there; the faulting instruction then runs again and the
        // default action applies.
        unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
    }
}
