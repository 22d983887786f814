//! Keys and values in memory: one ring of positions for each layer and slot. Values lie position by
//! position; keys lie in tiles of sixteen positions, element by element, so that sixteen scores are
//! computed side by side without ever being added up across.

use crate::error::{Error, Result};
use crate::kv::{CachePlan, GRAIN, LayerPlan, Precision};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::ops::Range;

/// Positions of a tile. A ring is whole tiles, so a position's lane never changes.
pub(super) const TILE: usize = GRAIN;

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

    /// Puts the elements of a row `stride` apart.
    fn put(&mut self, at: usize, stride: usize, row: &[f32]) {
        let places = (at..).step_by(stride);
        match self {
            Store::F32(all) => places.zip(row).for_each(|(at, x)| all[at] = *x),
            Store::F16(all) => places.zip(row).for_each(|(at, x)| all[at] = f16::from_f32(*x)),
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

/// Values of some positions, from a first one on.
pub(super) struct Values<'v> {
    elements: &'v [f32],
    /// Elements from one position to the next.
    stride: usize,
    first: usize,
}

impl Values<'_> {
    /// The value of a position.
    #[inline(always)] // part of attention's innermost loop
    pub(super) fn row(&self, position: usize, dim: usize) -> &[f32] {
        let at = (position - self.first) * self.stride;
        &self.elements[at..at + dim]
    }
}

impl LayerCache {
    /// Elements of one slot.
    fn slot_len(&self) -> usize {
        self.plan.capacity * self.plan.width
    }

    /// Keeps key and value of a position.
    pub(super) fn put(&mut self, slot: usize, position: usize, key: &[f32], value: &[f32]) {
        let place = position % self.plan.capacity;
        let start = slot * self.slot_len();
        let tile = start + place / TILE * TILE * self.plan.width + place % TILE;
        self.keys.put(tile, TILE, key);
        self.values.put(start + place * self.plan.width, 1, value);
    }

    /// Elements `start .. start + dim` of the keys of a tile's positions, sixteen by sixteen.
    pub(super) fn keys<'s>(
        &'s self,
        slot: usize,
        tile: usize,
        start: usize,
        dim: usize,
        scratch: &'s mut [f32],
    ) -> &'s [f32] {
        let place = tile * TILE % self.plan.capacity;
        let at = slot * self.slot_len() + place * self.plan.width + start * TILE;
        self.keys.get(at, dim * TILE, scratch)
    }

    /// Elements `start .. start + dim` of the values of some positions, which may run over the
    /// ring's end. Those that are read `often` are put side by side: as they lie, lines of several
    /// fall on each other in the nearest cache.
    pub(super) fn values<'s>(
        &'s self,
        slot: usize,
        positions: Range<usize>,
        start: usize,
        dim: usize,
        often: bool,
        scratch: &'s mut [f32],
    ) -> Values<'s> {
        let (first, ring, width) = (positions.start, self.plan.capacity, self.plan.width);
        let at = |position: usize| slot * self.slot_len() + position % ring * width + start;
        let whole = !often && first % ring + positions.len() <= ring;
        if let (Store::F32(all), true) = (&self.values, whole) {
            let end = at(positions.end - 1) + dim;
            return Values { elements: &all[at(first)..end], stride: width, first };
        }
        for (position, out) in positions.zip(scratch.chunks_exact_mut(dim)) {
            match &self.values {
                Store::F32(all) => out.copy_from_slice(&all[at(position)..at(position) + dim]),
                Store::F16(all) => {
                    all[at(position)..at(position) + dim].convert_to_f32_slice(out);
                }
            }
        }
        Values { elements: scratch, stride: dim, first }
    }

    /// Where a slot begins and how many elements of it are in use after `length` positions.
    fn used(&self, slot: usize, length: usize) -> (usize, usize) {
        let positions = length.next_multiple_of(TILE).min(self.plan.capacity);
        (slot * self.slot_len(), positions * self.plan.width)
    }
}

impl Cache {
    /// An empty one.
    pub(super) fn new(plan: &CachePlan) -> Cache {
        let layer = |layer: &LayerPlan| {
            let layer = &LayerPlan { capacity: layer.capacity.next_multiple_of(TILE), ..*layer };
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
