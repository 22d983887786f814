//! `tojson` as `json.dumps` writes it: `", "` and `": "` between items, no HTML escapes, keys in
//! their own order, floats as Python prints them. Knows nothing of templates beyond the filter's
//! arguments.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How deep a value may nest; Python's own encoder stops near 1000.
const DEPTH_MAX: usize = 128;
/// Widest indent that is an indent and not an attack.
const INDENT_MAX: usize = 64;

/// The arguments `transformers` gives its `tojson` filter.
struct Style {
    indent: Option<String>,
    item: String,
    key: String,
    ensure_ascii: bool,
    sort_keys: bool,
}

/// The filter: `value | tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
pub(super) fn tojson(value: &Value, arguments: &Kwargs, bytes_max: usize) -> Result<String, Error> {
    let style = Style::read(arguments)?;
    arguments.assert_all_used()?;
    let mut writer = Writer { out: String::new(), style, bytes_max };
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// `json.dumps(value, ensure_ascii=False)`.
pub(super) fn dumps(value: &serde_json::Value) -> String {
    let plain = Kwargs::from_iter(std::iter::empty::<(&str, Value)>());
    let value = Value::from(minijinja::value::Serde(value));
    // A parsed JSON value nests less deeply than the writer allows, and holds nothing else.
    tojson(&value, &plain, usize::MAX).unwrap_or_default()
}

impl Style {
    fn read(arguments: &Kwargs) -> Result<Self, Error> {
        let indent = match arguments.get::<Option<Value>>("indent")? {
            None => None,
            Some(value) if value.is_none() => None,
            Some(value) => Some(match (value.as_str(), value.as_usize()) {
                (Some(text), _) if text.len() <= INDENT_MAX => text.to_owned(),
                (None, Some(width)) if width <= INDENT_MAX => " ".repeat(width),
                _ => return Err(wrong(format!("tojson: indent is over {INDENT_MAX}"))),
            }),
        };
        let separators = arguments.get::<Option<Vec<String>>>("separators")?;
        let (item, key) = match separators.as_deref() {
            Some([item, key]) => (item.clone(), key.clone()),
            Some(_) => return Err(wrong("tojson: separators are two texts".into())),
            None if indent.is_some() => (",".into(), ": ".into()),
            None => (", ".into(), ": ".into()),
        };
        Ok(Style {
            indent,
            item,
            key,
            ensure_ascii: arguments.get::<Option<bool>>("ensure_ascii")? == Some(true),
            sort_keys: arguments.get::<Option<bool>>("sort_keys")? == Some(true),
        })
    }
}

struct Writer {
    out: String,
    style: Style,
    bytes_max: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(wrong(format!("tojson: nested deeper than {DEPTH_MAX}")));
        }
        if self.out.len() > self.bytes_max {
            return Err(wrong(format!("tojson: over {} bytes", self.bytes_max)));
        }
        match value.kind() {
            ValueKind::None => self.out += "null",
            ValueKind::Bool => self.out += if value.is_true() { "true" } else { "false" },
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.map(|item| (None, item)).collect();
                self.items('[', items, ']', depth)?;
            }
            ValueKind::Map => self.object(value, depth)?,
            other => return Err(wrong(format!("{other} is not JSON serializable"))),
        }
        Ok(())
    }

    fn object(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut items = Vec::new();
        for key in value.try_iter()? {
            let item = value.get_item(&key)?;
            let name = match key.as_str() {
                Some(text) => text.to_owned(),
                // Python writes `true`, `null` and numbers as they stand in JSON.
                None => {
                    let start = self.out.len();
                    self.value(&key, depth + 1)?;
                    self.out.split_off(start)
                }
            };
            items.push((Some(name), item));
        }
        if self.style.sort_keys {
            items.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.items('{', items, '}', depth)
    }

    fn items(
        &mut self,
        open: char,
        items: Vec<(Option<String>, Value)>,
        close: char,
        depth: usize,
    ) -> Result<(), Error> {
        self.out.push(open);
        let empty = items.is_empty();
        for (index, (name, item)) in items.into_iter().enumerate() {
            if index > 0 {
                self.out += &self.style.item;
            }
            self.line(depth + 1);
            if let Some(name) = name {
                self.string(&name);
                self.out += &self.style.key;
            }
            self.value(&item, depth + 1)?;
        }
        if !empty {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.style.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out += indent;
            }
        }
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        if value.is_integer() {
            self.out += &value.to_string();
            return Ok(());
        }
        match f64::try_from(value.clone()) {
            Ok(number) => self.out += &python_float(number),
            Err(error) => return Err(wrong(format!("tojson: {error}"))),
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        use std::fmt::Write;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out += "\\\"",
                '\\' => self.out += "\\\\",
                '\n' => self.out += "\\n",
                '\r' => self.out += "\\r",
                '\t' => self.out += "\\t",
                '\u{8}' => self.out += "\\b",
                '\u{c}' => self.out += "\\f",
                c if (c as u32) < 0x20 || (self.style.ensure_ascii && (c as u32) >= 0x7f) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a String cannot fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// `repr` of a Python float: shortest digits that read back, exponent form outside 1e-4 … 1e16.
pub(super) fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let magnitude = number.abs();
    if number == 0.0 || (1e-4..1e16).contains(&magnitude) {
        let plain = format!("{number}");
        let whole = !plain.contains('.');
        return if whole { plain + ".0" } else { plain };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
