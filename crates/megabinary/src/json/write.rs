//! Writing JSON: canonical for signatures, indented for people.

use std::fmt::Write as _;

use super::{Value, number};

/// RFC 8785: no white space, keys in the order of their UTF-16 code units, ECMAScript's numbers.
/// Recursion follows the value's depth, which [`super::parse`] has bounded.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    put_canonical(&mut out, value);
    out.into_bytes()
}

fn put_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put_canonical(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put_string(out, key);
                out.push(':');
                put_canonical(out, value);
            }
            out.push('}');
        }
        scalar => put_scalar(out, scalar),
    }
}

/// Two spaces of indentation, keys in the value's own order, a line feed at the end.
pub fn pretty(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    put_pretty(&mut out, value, 0);
    out.push('\n');
    out.into_bytes()
}

fn put_pretty(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            // Lists of scalars are read at a glance on one line.
            if items
                .iter()
                .all(|item| !matches!(item, Value::Array(_) | Value::Object(_)))
            {
                put_list(out, items);
                return;
            }
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(out, index, depth + 1);
                put_pretty(out, item, depth + 1);
            }
            new_line(out, 0, depth);
            out.push(']');
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                new_line(out, index, depth + 1);
                put_string(out, key);
                out.push_str(": ");
                put_pretty(out, value, depth + 1);
            }
            new_line(out, 0, depth);
            out.push('}');
        }
        other => put_canonical(out, other),
    }
}

fn put_list(out: &mut String, items: &[Value]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        put_scalar(out, item);
    }
    out.push(']');
}

/// Ends a line; `index` > 0 puts a comma after the item before.
fn new_line(out: &mut String, index: usize, depth: usize) {
    out.push_str(if index > 0 { ",\n" } else { "\n" });
    (0..depth).for_each(|_| out.push_str("  "));
}

fn put_scalar(out: &mut String, value: &Value) {
    match value {
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Number(value) => out.push_str(&number::canonical(*value)),
        Value::String(text) => put_string(out, text),
        Value::Null | Value::Array(_) | Value::Object(_) => out.push_str("null"),
    }
}

/// Only what must be escaped is, in the shortest form.
fn put_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
