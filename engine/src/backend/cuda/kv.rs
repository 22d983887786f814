//! Keys and values on the device: one ring of positions for each layer and slot. A saved session
//! fits this backend only: others lay keys out in other ways.

use super::context::Context;
use super::memory::{Buffer, Owner};
use super::stream::Stream;
use crate::error::{Error, Result};
use crate::kv::{CachePlan, LayerPlan, Precision};
use std::sync::Arc;

/// Keys and values of one layer.
pub(super) struct LayerCache {
    pub(super) plan: LayerPlan,
    pub(super) keys: Buffer,
    pub(super) values: Buffer,
}

/// Keys and values of all layers.
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
    pub(super) precision: Precision,
}

impl Cache {
    /// An empty one.
    pub(super) fn new(context: &Arc<Context>, stream: &Stream, plan: &CachePlan) -> Result<Cache> {
        let fill = if plan.poison { 0xff } else { 0 };
        let mut layers = Vec::with_capacity(plan.layers.len());
        for (index, layer) in plan.layers.iter().enumerate() {
            let bytes = plan.slots * layer.capacity * layer.width * plan.precision.bytes();
            let make = |what: &str| -> Result<Buffer> {
                let what = format!("{what} of layer {index}");
                let buffer = Buffer::new(context, Owner::Kv, &what, bytes)?;
                stream.fill(&buffer, fill)?;
                Ok(buffer)
            };
            layers.push(LayerCache { plan: *layer, keys: make("keys")?, values: make("values")? });
        }
        Ok(Cache { layers, precision: plan.precision })
    }

    /// Each buffer with the part of it that `slot` uses after `length` positions.
    fn parts(&self, slot: usize, length: usize) -> impl Iterator<Item = (&Buffer, usize, usize)> {
        let element = self.precision.bytes();
        self.layers.iter().flat_map(move |layer| {
            let LayerPlan { width, capacity } = layer.plan;
            let (at, bytes) =
                (slot * capacity * width * element, length.min(capacity) * width * element);
            [(&layer.keys, at, bytes), (&layer.values, at, bytes)]
        })
    }

    /// A slot's bytes after `length` positions.
    pub(super) fn save(&self, stream: &Stream, slot: usize, length: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (buffer, at, bytes) in self.parts(slot, length) {
            let start = out.len();
            out.resize(start + bytes, 0);
            stream.download(buffer, at, &mut out[start..])?;
        }
        Ok(out)
    }

    /// Puts back what `save` gave.
    pub(super) fn restore(
        &self,
        stream: &Stream,
        slot: usize,
        length: usize,
        saved: &[u8],
    ) -> Result<()> {
        let wanted: usize = self.parts(slot, length).map(|(_, _, bytes)| bytes).sum();
        if wanted != saved.len() {
            let has = saved.len();
            let detail = format!("a saved session of {has} bytes does not fit this cache");
            return Err(Error::Usage(detail));
        }
        let mut left = saved;
        for (buffer, at, bytes) in self.parts(slot, length) {
            let (part, rest) = left.split_at(bytes);
            stream.upload(part, buffer, at)?;
            left = rest;
        }
        Ok(())
    }
}
