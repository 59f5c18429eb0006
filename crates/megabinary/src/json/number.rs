//! Numbers: reading with I-JSON's bound, writing as ECMAScript does.

use super::JsonReason;
use super::{MAX_SAFE_INTEGER, Value};

/// Reads one number token, which must be all of `text`.
pub(super) fn read(text: &str) -> Result<Value, JsonReason> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    let leading_zero = whole > 1 && unsigned.starts_with('0');
    let (fraction, exponent) = {
        let rest = &unsigned[whole..];
        match rest.strip_prefix('.') {
            None => (None, rest),
            Some(rest) => (Some(digits(rest)), &rest[digits(rest)..]),
        }
    };
    let sound_exponent = exponent.is_empty() || {
        let rest = exponent.strip_prefix(['e', 'E']).unwrap_or("");
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        !rest.is_empty() && digits(rest) == rest.len()
    };
    if whole == 0 || leading_zero || fraction == Some(0) || !sound_exponent {
        return Err(JsonReason::NumberSyntax);
    }
    if fraction.is_none() && exponent.is_empty() {
        return match text.parse::<i64>() {
            Ok(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => {
                Ok(Value::Int(value))
            }
            _ => Err(JsonReason::UnsafeNumber),
        };
    }
    let value: f64 = text.parse().map_err(|_| JsonReason::NumberSyntax)?;
    if value.abs() <= MAX_SAFE_INTEGER as f64 {
        Ok(Value::Number(value))
    } else {
        Err(JsonReason::UnsafeNumber)
    }
}

/// A finite number as RFC 8785 (ECMAScript's `Number::toString`) writes it. Not-a-number and
/// infinities, which JSON does not have, give `null`.
pub fn canonical(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return "null".to_owned();
    }
    let scientific = shortest(value.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} writes an e");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().expect("{:e} writes an integer exponent");
    let count = digits.len() as i32;
    // The decimal point stands after this many digits.
    let point = exponent + 1;
    let sign = if value < 0.0 { "-" } else { "" };
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let body = if (count..=21).contains(&point) {
        format!("{digits}{}", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let plus = if exponent > 0 { "+" } else { "" };
        format!("{first}{dot}{rest}e{plus}{exponent}")
    };
    format!("{sign}{body}")
}

/// The shortest digits that read back as `value`, of several the nearest, of two equally near the
/// even ones: ECMAScript's choice. Rust's own shortest form differs from it in the last point, so
/// its length is used and the digits are rounded again.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest
        .bytes()
        .take_while(|&byte| byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    let rounded = format!("{value:.*e}", digits - 1);
    if rounded.parse() == Ok(value) {
        rounded
    } else {
        shortest
    }
}
