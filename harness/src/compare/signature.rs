//! What kind of mistake the damage looks like. A fixed table: each row recognises one mistake that
//! engines have made, and a selftest makes each of them.

use super::damage::Damage;
use super::place::PLACES;
use half::{bf16, f16};

/// One way values can be wrong; `None` when they are not wrong so.
type Signature = fn(&Damage) -> Option<String>;

/// The fixed table; the first that fits is named, so the narrower stands before the wider.
const VALUES: [(&str, Signature); 15] = [
    ("stale", stale),
    ("not a number", not_a_number),
    ("subnormals flushed", subnormals_flushed),
    ("all zeros", all_zeros),
    ("sign", sign),
    ("rounded", rounded),
    ("constant ratio", constant_ratio),
    ("constant offset", constant_offset),
    ("halves swapped", |damage| permuted(damage, "halves swapped", |i, n| (i + n / 2) % n)),
    ("neighbours swapped", |damage| permuted(damage, "neighbours swapped", |i, _| i ^ 1)),
    ("split read as interleaved", |damage| {
        permuted(damage, "split nibbles or halves read as interleaved", |i, n| {
            i / 2 + i % 2 * (n / 2)
        })
    }),
    ("interleaved read as split", |damage| {
        permuted(damage, "interleaved nibbles or pairs read as split", |i, n| {
            i % (n / 2) * 2 + i / (n / 2)
        })
    }),
    ("shifted", shifted),
    ("rows permuted", rows_permuted),
    ("rotated pairs", rotated_pairs),
];

/// The "looks like" line.
pub fn looks_like(damage: &Damage) -> String {
    let value = VALUES.iter().find_map(|(_, signature)| signature(damage));
    let place = PLACES.iter().find_map(|(_, place)| place(damage));
    match (value, place) {
        (Some(value), Some(place)) => format!("{value}; {place}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => "nothing in the table of signatures".into(),
    }
}

/// Equal but for rounding.
fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-5 * a.abs().max(b.abs())
}

fn stale(damage: &Damage) -> Option<String> {
    let before = damage.before.as_ref()?;
    let kept = |at: usize| before[at].to_bits() == damage.got[at].to_bits();
    damage.places().all(kept).then(|| "never written: still what the buffer held before".into())
}

fn not_a_number(damage: &Damage) -> Option<String> {
    let count = |what: fn(f64) -> bool| damage.pairs().filter(|(got, _)| what(*got)).count();
    let (nan, infinite) = (count(f64::is_nan), count(f64::is_infinite));
    (nan + infinite > 0).then(|| format!("{nan} NaN and {infinite} infinite"))
}

fn subnormals_flushed(damage: &Damage) -> Option<String> {
    let tiny = |want: f64| want != 0.0 && want.abs() < f64::from(f32::MIN_POSITIVE);
    let flushed = damage.pairs().all(|(got, want)| got == 0.0 && tiny(want));
    flushed.then(|| "subnormals flushed to zero".into())
}

fn all_zeros(damage: &Damage) -> Option<String> {
    damage.pairs().all(|(got, want)| got == 0.0 && want != 0.0).then(|| "all zeros".into())
}

fn sign(damage: &Damage) -> Option<String> {
    if !damage.pairs().all(|(got, want)| got == -want) {
        return None;
    }
    let zeros = damage.pairs().all(|(_, want)| want == 0.0);
    Some(if zeros { "sign of zero" } else { "sign flipped" }.into())
}

fn rounded(damage: &Damage) -> Option<String> {
    let half = |value: f64| f16::from_f32(value as f32).to_f64();
    let brain = |value: f64| bf16::from_f32(value as f32).to_f64();
    let single = |value: f64| f64::from(value as f32);
    let by = |round: &dyn Fn(f64) -> f64| damage.pairs().all(|(got, want)| got == round(want));
    let types: [(&str, &dyn Fn(f64) -> f64); 3] =
        [("f16", &half), ("bf16", &brain), ("f32", &single)];
    let name = types.iter().find(|(_, round)| by(*round)).map(|(name, _)| name)?;
    Some(format!("rounded to {name}"))
}

fn constant_ratio(damage: &Damage) -> Option<String> {
    let mut ratios = damage.pairs().map(|(got, want)| got / want);
    let first = ratios.next()?;
    let same = damage.count() > 1 && first.is_finite() && ratios.all(|ratio| close(ratio, first));
    same.then(|| format!("constant ratio {first:.6} (got / want)"))
}

fn constant_offset(damage: &Damage) -> Option<String> {
    let mut offsets = damage.pairs().map(|(got, want)| got - want);
    let first = offsets.next()?;
    let same =
        damage.count() > 1 && first.is_finite() && offsets.all(|offset| close(offset, first));
    same.then(|| format!("constant offset {first:+.6e} (got - want)"))
}

/// Each damaged run of n elements holds its own wants in another order: element i holds what
/// belongs to `from(i, n)`. Tried for quantisation blocks and for whole rows.
fn permuted(damage: &Damage, name: &str, from: fn(usize, usize) -> usize) -> Option<String> {
    let row = damage.row();
    let lengths = [16, 32, 64, 128, 256, row];
    let fits = |n: &usize| {
        let whole = *n >= 4 && n.is_multiple_of(2) && row.is_multiple_of(*n);
        whole
            && damage_in_runs(damage, *n).all(|run| {
                let (got, want) = (&damage.got[run..run + n], &damage.want[run..run + n]);
                (0..*n).all(|i| close(got[i], want[from(i, *n)]))
            })
    };
    let n = lengths.into_iter().find(fits)?;
    let of = if n == row { "each row".to_owned() } else { format!("each block of {n}") };
    Some(format!("{name} in {of}"))
}

/// Where the runs of `n` elements start that hold damage.
fn damage_in_runs(damage: &Damage, n: usize) -> impl Iterator<Item = usize> + '_ {
    let runs = (0..damage.bad.len() / n).map(move |run| run * n);
    runs.filter(move |run| damage.bad[*run..run + n].contains(&true))
}

fn shifted(damage: &Damage) -> Option<String> {
    let row = damage.row();
    if row < 4 {
        return None;
    }
    let by = |ahead: bool| {
        damage_in_runs(damage, row).all(|run| {
            let (got, want) = (&damage.got[run..run + row], &damage.want[run..run + row]);
            let (got, want) = if ahead { (got, &want[1..]) } else { (&got[1..], want) };
            got.iter().zip(want).all(|(g, w)| close(*g, *w))
        })
    };
    let (name, _) = damage.axes.last()?;
    let direction = [(true, "next"), (false, "previous")].into_iter().find(|(a, _)| by(*a))?.1;
    Some(format!("off by one: each {name} holds the {direction} one's value"))
}

fn rows_permuted(damage: &Damage) -> Option<String> {
    let row = damage.row();
    let rows = damage.want.len() / row;
    // Beyond this the search would cost more than the case.
    if row < 2 || !(2..=1024).contains(&rows) {
        return None;
    }
    let equal = |g: usize, w: usize| {
        let pairs = damage.got[g..g + row].iter().zip(&damage.want[w..w + row]);
        pairs.into_iter().all(|(g, w)| close(*g, *w))
    };
    let origin = |run: usize| (0..rows).find(|other| equal(run, other * row));
    let origins: Option<Vec<(usize, usize)>> =
        damage_in_runs(damage, row).map(|run| Some((run / row, origin(run)?))).collect();
    let shown: Vec<String> =
        origins?.iter().take(4).map(|(row, from)| format!("{row} holds {from}'s")).collect();
    Some(format!("rows in another order: {}", shown.join(", ")))
}

/// Lengths of pairs agree and their angles do not: a rotary embedding at another angle.
fn rotated_pairs(damage: &Damage) -> Option<String> {
    let row = damage.row();
    if row < 4 || !row.is_multiple_of(2) {
        return None;
    }
    let agree = |pair: &dyn Fn(usize) -> (usize, usize)| {
        damage_in_runs(damage, row).all(|run| {
            (0..row / 2).all(|i| {
                let (a, b) = pair(i);
                let length = |of: &[f64]| of[run + a].hypot(of[run + b]);
                close(length(&damage.got), length(&damage.want))
            })
        })
    };
    let half = row / 2;
    let neighbours = |i: usize| (2 * i, 2 * i + 1);
    let split = |i: usize| (i, i + half);
    let name = match () {
        () if agree(&neighbours) => "(2i, 2i+1)",
        () if agree(&split) => "(i, i + half)",
        () => return None,
    };
    Some(format!("rotated pairs {name}: lengths agree, angles do not"))
}
