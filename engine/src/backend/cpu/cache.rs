//! Keys and values in memory: one ring of positions for each layer and slot.

use crate::error::{Error, Result};
use crate::kv::{CachePlan, LayerPlan, Precision};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Elements as they are stored.
#[derive(Debug)]
enum Store {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

/// Keys and values of one layer.
#[derive(Debug)]
pub(super) struct LayerCache {
    plan: LayerPlan,
    keys: Store,
    values: Store,
}

/// Keys and values of all layers.
#[derive(Debug)]
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
}

impl Store {
    fn new(length: usize, plan: &CachePlan) -> Store {
        let fill = if plan.poison { f32::NAN } else { 0.0 };
        match plan.precision {
            Precision::F32 => Store::F32(vec![fill; length]),
            Precision::F16 => Store::F16(vec![f16::from_f32(fill); length]),
        }
    }

    fn put(&mut self, at: usize, row: &[f32]) {
        match self {
            Store::F32(all) => all[at..at + row.len()].copy_from_slice(row),
            Store::F16(all) => all[at..at + row.len()].convert_from_f32_slice(row),
        }
    }

    fn get<'s>(&'s self, at: usize, width: usize, scratch: &'s mut [f32]) -> &'s [f32] {
        match self {
            Store::F32(all) => &all[at..at + width],
            Store::F16(all) => {
                all[at..at + width].convert_to_f32_slice(&mut scratch[..width]);
                &scratch[..width]
            }
        }
    }

    fn save(&self, at: usize, length: usize, out: &mut Vec<u8>) {
        match self {
            Store::F32(all) => out.extend(bytemuck::cast_slice(&all[at..at + length])),
            Store::F16(all) => {
                all[at..at + length].iter().for_each(|x| out.extend(x.to_bits().to_le_bytes()));
            }
        }
    }

    fn restore(&mut self, at: usize, length: usize, bytes: &mut &[u8]) -> Option<()> {
        match self {
            Store::F32(all) => {
                let (head, rest) = bytes.split_at_checked(4 * length)?;
                *bytes = rest;
                let numbers =
                    head.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                all[at..at + length].iter_mut().zip(numbers).for_each(|(x, y)| *x = y);
            }
            Store::F16(all) => {
                let (head, rest) = bytes.split_at_checked(2 * length)?;
                *bytes = rest;
                let numbers = head.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]));
                all[at..at + length].iter_mut().zip(numbers).for_each(|(x, y)| *x = y);
            }
        }
        Some(())
    }
}

impl LayerCache {
    fn at(&self, slot: usize, position: usize) -> usize {
        (slot * self.plan.capacity + position % self.plan.capacity) * self.plan.width
    }

    /// Keeps key and value of a position.
    pub(super) fn put(&mut self, slot: usize, position: usize, key: &[f32], value: &[f32]) {
        let at = self.at(slot, position);
        self.keys.put(at, key);
        self.values.put(at, value);
    }

    /// Elements `start ..` of a position's key, as many as `scratch` has. What is stored in f32 is
    /// lent as it stands.
    pub(super) fn key<'s>(
        &'s self,
        slot: usize,
        position: usize,
        start: usize,
        scratch: &'s mut [f32],
    ) -> &'s [f32] {
        self.keys.get(self.at(slot, position) + start, scratch.len(), scratch)
    }

    /// The same of its value.
    pub(super) fn value<'s>(
        &'s self,
        slot: usize,
        position: usize,
        start: usize,
        scratch: &'s mut [f32],
    ) -> &'s [f32] {
        self.values.get(self.at(slot, position) + start, scratch.len(), scratch)
    }

    /// Where a slot begins and how many elements of it are in use after `length` positions.
    fn used(&self, slot: usize, length: usize) -> (usize, usize) {
        let positions = length.min(self.plan.capacity);
        (slot * self.plan.capacity * self.plan.width, positions * self.plan.width)
    }
}

impl Cache {
    /// An empty one.
    pub(super) fn new(plan: &CachePlan) -> Cache {
        let layer = |layer: &LayerPlan| {
            let length = plan.slots * layer.capacity * layer.width;
            let (keys, values) = (Store::new(length, plan), Store::new(length, plan));
            LayerCache { plan: *layer, keys, values }
        };
        Cache { layers: plan.layers.iter().map(layer).collect() }
    }

    /// A slot's bytes after `length` positions.
    pub(super) fn save(&self, slot: usize, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for layer in &self.layers {
            let (at, count) = layer.used(slot, length);
            layer.keys.save(at, count, &mut out);
            layer.values.save(at, count, &mut out);
        }
        out
    }

    /// Puts back what `save` gave.
    pub(super) fn restore(&mut self, slot: usize, length: usize, saved: &[u8]) -> Result<()> {
        let refuse = || {
            let detail =
                format!("a saved session of {} bytes does not fit this cache", saved.len());
            Error::Usage(detail)
        };
        let mut left = saved;
        for layer in &mut self.layers {
            let (at, count) = layer.used(slot, length);
            layer.keys.restore(at, count, &mut left).ok_or_else(refuse)?;
            layer.values.restore(at, count, &mut left).ok_or_else(refuse)?;
        }
        if left.is_empty() { Ok(()) } else { Err(refuse()) }
    }
}
