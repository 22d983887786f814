//! What Python does where the template engine does otherwise: numbers, slices, whitespace, and how
//! large the result of a call will be. Knows values; does not know who pays.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// A Python number. `True` is 1.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

/// The value as a number, if it is one.
pub(super) fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Int(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).ok().map(Number::Int)
        }
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

/// Integers stay integers; anything else becomes a float.
pub(super) fn arithmetic(
    left: Number,
    right: Number,
    integers: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let float = |number| match number {
        Number::Int(value) => value as f64,
        Number::Float(value) => value,
    };
    match (left, right) {
        (Number::Int(a), Number::Int(b)) => match integers(a, b) {
            Some(value) => Ok(match i64::try_from(value) {
                Ok(small) => Value::from(small),
                Err(_) => Value::from(value),
            }),
            None => Err(wrong("an integer of more than 128 bits")),
        },
        _ => Ok(Value::from(floats(float(left), float(right)))),
    }
}

/// How often a text or list is repeated; below zero is never.
pub(super) fn repetitions(value: &Value) -> Result<usize, Error> {
    match number(value) {
        Some(Number::Int(times)) => Ok(usize::try_from(times.max(0)).unwrap_or(usize::MAX)),
        _ => Err(wrong(format!("cannot repeat {} times", value.kind()))),
    }
}

/// One of the three numbers of a slice; `none` and absent are the default.
pub(super) fn bound_of(value: &Value) -> Result<Option<i128>, Error> {
    match (value.is_none() || value.is_undefined(), number(value)) {
        (true, _) => Ok(None),
        (false, Some(Number::Int(bound))) => Ok(Some(bound)),
        _ => Err(wrong(format!("a slice bound is {}", value.kind()))),
    }
}

/// Indices that `[start:stop:step]` picks from `length` elements.
pub(super) fn slice(
    length: usize,
    [start, stop, step]: [Option<i128>; 3],
) -> Result<impl Iterator<Item = usize>, Error> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(wrong("slice step is zero"));
    }
    let length = length as i128;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i128| {
        let from_start = if bound < 0 { bound.saturating_add(length) } else { bound };
        from_start.clamp(lowest, highest)
    };
    let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let mut at = start.map_or(first, clamp);
    let end = stop.map_or(end, clamp);
    Ok(std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { at > end };
        let index = usize::try_from(at).ok().filter(|_| inside)?;
        at = at.saturating_add(step);
        Some(index)
    }))
}

/// `str(value)`: as the engine prints it, but floats as Python does.
pub(super) fn text(value: &Value) -> String {
    match number(value) {
        Some(Number::Float(float)) if float.is_infinite() => {
            if float > 0.0 { "inf" } else { "-inf" }.to_owned()
        }
        Some(Number::Float(float)) if float.is_nan() => "nan".to_owned(),
        Some(Number::Float(float)) => super::json::python_float(float),
        _ => value.to_string(),
    }
}

/// `str.isspace`: Unicode's White_Space and the four information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip`, `lstrip` and `rstrip` in one: which ends, and of which characters.
fn strip<'t>(text: &'t str, chars: Option<&str>, ends: (bool, bool)) -> &'t str {
    let drop = |c: char| chars.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if ends.0 { text.trim_start_matches(drop) } else { text };
    if ends.1 { text.trim_end_matches(drop) } else { text }
}

/// The filter `trim`.
pub(super) fn trim(value: Value, chars: Option<String>) -> String {
    strip(&value.to_string(), chars.as_deref(), (true, true)).to_owned()
}

/// The filter `length`: nothing has no length, but what is undefined has length 0.
pub(super) fn length(value: Value) -> Result<usize, Error> {
    match value.len() {
        Some(length) => Ok(length),
        None if value.is_undefined() => Ok(0),
        None => Err(wrong(format!("{} has no length", value.kind()))),
    }
}

/// A method of a Python object.
pub(super) fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    operands: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        let ends = match name {
            "strip" => Some((true, true)),
            "lstrip" => Some((true, false)),
            "rstrip" => Some((false, true)),
            _ => None,
        };
        if let (Some(ends), true) = (ends, operands.len() <= 1) {
            let chars = operands.first().and_then(Value::as_str);
            return Ok(Value::from(strip(text, chars, ends)));
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, operands)
}

/// How many bytes a filter or method may make beyond those it reads. An upper bound, counted
/// before the call, because afterwards the memory is gone.
pub(super) fn growth(name: &str, value: &Value, operands: &[Value]) -> usize {
    let text = |value: Option<&Value>| value.and_then(|v| v.as_str()).unwrap_or_default().len();
    match name {
        "replace" => {
            let body = value.as_str().unwrap_or_default();
            let old = operands.first().and_then(Value::as_str).unwrap_or_default();
            body.matches(old).count().saturating_mul(text(operands.get(1)))
        }
        // As a method the separator comes first.
        "join" => match value.as_str() {
            Some(separator) => {
                let parts = operands.first().and_then(Value::len).unwrap_or(0);
                parts.saturating_mul(separator.len())
            }
            None => value.len().unwrap_or(0).saturating_mul(text(operands.first())),
        },
        "indent" => {
            let lines = value.as_str().unwrap_or_default().matches('\n').count() + 1;
            let padding = widest(operands).max(text(operands.first()));
            lines.saturating_mul(padding)
        }
        "batch" | "slice" => widest(operands).saturating_mul(32),
        "format" => {
            written_numbers(value.as_str().unwrap_or_default()).saturating_add(widest(operands))
        }
        "map" => match operands.split_first() {
            Some((inner, rest)) => {
                let inner = inner.as_str().unwrap_or_default();
                let items = value.try_iter().into_iter().flatten();
                items.map(|item| growth(inner, &item, rest)).fold(0, usize::saturating_add)
            }
            None => 0,
        },
        _ => 0,
    }
}

/// The largest integer among the arguments, named ones included.
fn widest(operands: &[Value]) -> usize {
    let mut largest = 0;
    for operand in operands {
        if let Ok(named) = Kwargs::try_from(operand.clone()) {
            for key in named.args() {
                largest = largest.max(named.peek::<usize>(key).unwrap_or(0));
            }
        }
        largest = largest.max(operand.as_usize().unwrap_or(0));
    }
    largest
}

/// The sum of the numbers in a format string: widths and precisions.
fn written_numbers(format: &str) -> usize {
    let runs = format.split(|c: char| !c.is_ascii_digit());
    let width = |run: &str| match run.is_empty() {
        true => 0,
        false => run.parse().unwrap_or(usize::MAX),
    };
    runs.map(width).fold(0, usize::saturating_add)
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}
