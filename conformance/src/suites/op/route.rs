//! Routing: who is picked among equals, and how one is shared.

use super::Cases;
use super::data::Random;
use crate::reference::ops;
use crate::subject::Machine;
use engine::backend::Backend;
use harness::vector::Budget;
use harness::{Failure, compare};

pub(super) fn add<M: Machine>(cases: &mut Cases<M>) {
    let shapes = [(1, 2, 1), (5, 6, 3), (33, 32, 4), (3, 128, 4), (2, 33, 33), (1, 1, 1)];
    for (rows, experts, used) in shapes {
        let name = format!("route::{rows}x{used}-of-{experts}");
        let body = move |b: &mut M::Backend, random: &mut Random| {
            judge(b, &random.numbers(rows * experts, 5.0), experts, used)
        };
        cases.add(name, Box::new(body));
    }
    let mut fixed = |name: &str, scores: &'static [f32], used: usize| {
        let body = move |b: &mut M::Backend, _: &mut Random| judge(b, scores, scores.len(), used);
        cases.add(format!("route::{name}"), Box::new(body));
    };
    fixed("all-equal", &[2.5; 40], 5);
    fixed("zeros-of-both-signs", &[-0.0, 0.0, -0.0, 0.0, -1.0], 4);
    fixed("ties-at-the-edge", &[1.0, 3.0, 2.0, 2.0, 3.0, 2.0], 3);
    fixed("far-apart", &[-1e4, 1e4, 0.0, 9_999.0], 2);
    let body = |b: &mut M::Backend, _: &mut Random| not_a_number(b);
    cases.add("route::what-is-no-number-is-last".into(), Box::new(body));
}

fn judge<B: Backend>(
    backend: &mut B,
    scores: &[f32],
    experts: usize,
    used: usize,
) -> Result<(), Failure> {
    let rows = backend.write(experts, scores)?;
    let routing = backend.route(&rows, used)?;
    let (ids, shares) = backend.read_routing(&routing)?;
    let (mut want_ids, mut want_shares) = (Vec::new(), Vec::new());
    for row in scores.chunks_exact(experts) {
        let (ids, shares) = ops::route(row, used);
        want_ids.extend(ids);
        want_shares.extend(shares.iter().map(|share| *share as f32));
    }
    if ids != want_ids {
        return Err(format!("picked {ids:?}\nwanted {want_ids:?}\nof {scores:?}").into());
    }
    let budget = Budget {
        rel: Some(1e-6),
        abs: Some(1e-30),
        why: "an f64 softmax rounded once".into(),
        ..Budget::default()
    };
    compare::arrays("shares", &shares, &want_shares)
        .shape(&[("row", scores.len() / experts), ("expert", used)])
        .within(&budget)?;
    Ok(())
}

fn not_a_number<B: Backend>(backend: &mut B) -> Result<(), Failure> {
    let rows = backend.write(4, &[f32::NAN, 1.0, f32::NAN, 2.0])?;
    let routing = backend.route(&rows, 2)?;
    let (ids, shares) = backend.read_routing(&routing)?;
    if ids != [3, 1] || shares.iter().any(|share| !share.is_finite()) {
        return Err(format!("picked {ids:?} with {shares:?}").into());
    }
    // Chosen all the same where nothing else is left, it spoils the shares for all to see.
    let routing = backend.route(&rows, 3)?;
    let (ids, shares) = backend.read_routing(&routing)?;
    match ids == [3, 1, 0] && shares.iter().all(|share| share.is_nan()) {
        true => Ok(()),
        false => Err(format!("picked {ids:?} with {shares:?}").into()),
    }
}
