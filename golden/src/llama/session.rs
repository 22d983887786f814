//! A forward pass of llama.cpp over token ids, with its intermediate tensors on request. Knows how
//! a context is set up so that its answer is reproducible; not what is asked.

use super::Model;
use super::taps::{Collector, Tap};
use crate::Result;
use llama_cpp_sys_2 as sys;
use std::ptr::NonNull;

/// Rows of one graph. Fixed, because a recording names it.
pub(crate) const ROWS_A_GRAPH: usize = 512;

/// How a context is set up. What is not here is fixed: no flash attention and an f32 cache, unless
/// speed is what is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Positions; llama.cpp rounds up to 256, and chooses LongRoPE's factors by it.
    pub(crate) n_ctx: usize,
    pub(crate) threads: usize,
    pub(crate) cache: Cache,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cache {
    /// f32, no flash attention, the whole cache for windowed layers too.
    Exact,
    /// What llama.cpp does by default.
    Fast,
}

impl Settings {
    /// For recordings: one thread, nothing rounded that need not be.
    pub(crate) fn exact(n_ctx: usize) -> Self {
        Self { n_ctx, threads: 1, cache: Cache::Exact }
    }
}

/// Which rows' logits are wanted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Rows {
    All,
    Last,
    From(usize),
}

pub(crate) struct Session<'m> {
    context: NonNull<sys::llama_context>,
    model: &'m Model,
    past: usize,
    /// Its address is llama.cpp's user data, so it stays where it is.
    collector: Box<Collector>,
}

impl<'m> Session<'m> {
    /// `wanted` says which taps are kept; none for a pass without callbacks.
    pub(crate) fn new(
        model: &'m Model,
        settings: Settings,
        wanted: Option<fn(&str) -> bool>,
    ) -> Result<Self> {
        let mut collector = Box::new(Collector::new(wanted.unwrap_or(|_| false)));
        let threads = i32::try_from(settings.threads)?;
        // SAFETY: the model outlives the context; the collector is boxed and outlives it too.
        let context = unsafe {
            let mut parameters = sys::llama_context_default_params();
            parameters.n_ctx = u32::try_from(settings.n_ctx)?;
            parameters.n_batch = u32::try_from(ROWS_A_GRAPH)?;
            parameters.n_ubatch = u32::try_from(ROWS_A_GRAPH)?;
            parameters.n_threads = threads;
            parameters.n_threads_batch = threads;
            parameters.offload_kqv = false;
            parameters.op_offload = false;
            if settings.cache == Cache::Exact {
                parameters.type_k = sys::GGML_TYPE_F32;
                parameters.type_v = sys::GGML_TYPE_F32;
                parameters.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_DISABLED;
                parameters.swa_full = true;
            }
            if wanted.is_some() {
                parameters.cb_eval = Some(Collector::callback);
                parameters.cb_eval_user_data = (&raw mut *collector).cast();
            }
            sys::llama_init_from_model(model.model.as_ptr(), parameters)
        };
        let context = NonNull::new(context).ok_or("llama.cpp makes no context")?;
        Ok(Self { context, model, past: 0, collector })
    }

    /// Feeds `ids` in graphs of at most `ROWS_A_GRAPH` rows; the wanted rows' logits, row by row.
    pub(crate) fn decode(&mut self, ids: &[i32], rows: Rows) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        let first = match rows {
            Rows::All => 0,
            Rows::Last => ids.len() - 1,
            Rows::From(first) => first,
        };
        for (index, chunk) in ids.chunks(ROWS_A_GRAPH).enumerate() {
            let start = index * ROWS_A_GRAPH;
            let wants = |row: usize| start + row >= first;
            self.graph(chunk, &wants)?;
            for row in (0..chunk.len()).filter(|row| wants(*row)) {
                logits.extend_from_slice(self.row(row)?);
            }
        }
        Ok(logits)
    }

    fn graph(&mut self, ids: &[i32], wants: &dyn Fn(usize) -> bool) -> Result<()> {
        let count = i32::try_from(ids.len())?;
        self.collector.begin(self.past, ids.len());
        // SAFETY: the batch has room for `count` tokens of one sequence, all of which are set;
        // it is freed once, after the call that reads it.
        let status = unsafe {
            let mut batch = sys::llama_batch_init(count, 0, 1);
            batch.n_tokens = count;
            for (row, id) in ids.iter().enumerate() {
                *batch.token.add(row) = *id;
                *batch.pos.add(row) = i32::try_from(self.past + row)?;
                *batch.n_seq_id.add(row) = 1;
                **batch.seq_id.add(row) = 0;
                *batch.logits.add(row) = i8::from(wants(row));
            }
            let status = sys::llama_decode(self.context.as_ptr(), batch);
            sys::llama_batch_free(batch);
            status
        };
        if status != 0 {
            let (first, count) = (self.past, ids.len());
            return Err(format!("llama_decode: {status} for {count} rows from {first}").into());
        }
        self.past += ids.len();
        self.collector.check()
    }

    /// Logits of a row of the last graph.
    fn row(&self, row: usize) -> Result<&[f32]> {
        // SAFETY: null unless the row was marked; then a row of the vocabulary's length that lives
        // until the next graph, which needs `&mut self`.
        unsafe {
            let row = sys::llama_get_logits_ith(self.context.as_ptr(), i32::try_from(row)?);
            let row = NonNull::new(row).ok_or("llama.cpp has no logits for a row")?;
            Ok(std::slice::from_raw_parts(row.as_ptr(), self.model.n_vocab()))
        }
    }

    /// What was tapped since the last call, one entry a tap, rows of several graphs joined.
    pub(crate) fn taps(&mut self) -> Vec<Tap> {
        self.collector.take()
    }

    /// Forgets every position.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the context lives as long as `self`.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.context.as_ptr()), true) };
        self.past = 0;
    }

    /// Positions there is room for, as llama.cpp rounded them.
    pub(crate) fn n_ctx(&self) -> usize {
        // SAFETY: the context lives as long as `self`.
        unsafe { sys::llama_n_ctx(self.context.as_ptr()) as usize }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: made by us, freed once, before the model that it borrows.
        unsafe { sys::llama_free(self.context.as_ptr()) }
    }
}
