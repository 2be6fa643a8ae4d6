//! The values of plain scalars, as `kubectl` reads them: YAML 1.1 in the version of `sigs.k8s.io/yaml`, which resolves with
//! `resolve.go` of go.yaml.in/yaml/v2 2.4.2. Must not know of documents. `tests/kubectl` compares with that program.

use serde_json::Number;

/// The value of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'t str),
}

/// The prefix of the tags that `!!` stands for.
pub(super) const CORE: &str = "tag:yaml.org,2002:";

/// Returns the value of a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Scalar<'_> {
    let scalar = match text.as_bytes().first() {
        None | Some(b'~' | b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') => word(text),
        Some(b'.') => float(text),
        Some(b'0'..=b'9' | b'+' | b'-') if !text.contains('_') => number(text),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        Some(_) => None,
    };
    scalar.unwrap_or(Scalar::Text(text))
}

/// Returns the value of a scalar with a tag, or why the tag does not fit. `tag` is the resolved tag.
pub(super) fn with_tag<'t>(tag: &str, text: &'t str) -> Result<Scalar<'t>, String> {
    let Some(kind) = tag.strip_prefix(CORE) else { return Ok(Scalar::Text(text)) };
    let scalar = resolve(text);
    match (kind, scalar) {
        ("int", scalar @ Scalar::Number(_)) if !is_float(&scalar) => Ok(scalar),
        ("float", Scalar::Number(number)) => {
            Ok(number.as_f64().and_then(Number::from_f64).map_or(Scalar::Null, Scalar::Number))
        }
        ("bool", scalar @ Scalar::Bool(_)) | ("null", scalar @ Scalar::Null) => Ok(scalar),
        ("int" | "float" | "bool" | "null", _) => Err(format!("a value with the tag !!{kind} is something else")),
        (_, _) => Ok(Scalar::Text(text)),
    }
}

/// Returns the text of a key that is a plain scalar; `None` if it is null, which JSON has no key for.
pub(super) fn key_text(text: &str) -> Option<String> {
    match resolve(text) {
        Scalar::Null => None,
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Text(text) => Some(text.to_owned()),
    }
}

fn is_float(scalar: &Scalar<'_>) -> bool {
    matches!(scalar, Scalar::Number(number) if number.is_f64())
}

fn word(text: &str) -> Option<Scalar<'static>> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Scalar::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        _ => None,
    }
}

/// Returns the number that a text without underscores is.
fn number(text: &str) -> Option<Scalar<'static>> {
    integer(text).or_else(|| float(text))
}

/// Parses an integer with Go's prefixes (`strconv.ParseInt` with base 0), and the binary ones that YAML adds.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        // `0b-1` is -1 there: what follows the prefix is read with a sign of its own.
        let signed = text.strip_prefix("0b").filter(|rest| rest.starts_with(['-', '+']))?;
        return i64::from_str_radix(signed, 2).ok().map(|number| Scalar::Number(number.into()));
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if !negative {
        return Some(Scalar::Number(magnitude.into()));
    }
    let number = 0_i64.checked_sub_unsigned(magnitude)?;
    Some(Scalar::Number(number.into()))
}

/// Parses `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`. A number out of range is a text.
fn float(text: &str) -> Option<Scalar<'static>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let all_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    let has_digits = !whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty());
    let exponent = exponent.is_none_or(|digits| {
        let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        !digits.is_empty() && all_digits(digits)
    });
    if !(has_digits && exponent && all_digits(whole) && fraction.is_none_or(all_digits)) {
        return None;
    }
    // `.5` with a sign has no hint for Go's table of first characters beyond the sign, and is a number too.
    text.parse::<f64>().ok().and_then(Number::from_f64).map(Scalar::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_have_the_values_that_kubectl_reads() {
        for (text, value) in [
            ("0400", json!(256)),
            ("0_7", json!(7)),
            ("0x_1F", json!(31)),
            ("0o17", json!(15)),
            ("0b101", json!(5)),
            ("-0b101", json!(-5)),
            ("0b-1", json!(-1)),
            ("1_000.5", json!(1000.5)),
            ("1e3", json!(1000.0)),
            ("09", json!(9.0)),
            ("08.5", json!(8.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-.5", json!(-0.5)),
            ("+12", json!(12)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551615", json!(u64::MAX)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("~", json!(null)),
            ("", json!(null)),
        ] {
            let read = match resolve(text) {
                Scalar::Null => json!(null),
                Scalar::Bool(value) => json!(value),
                Scalar::Number(number) => json!(number),
                Scalar::Text(text) => json!({ "text": text }),
            };
            assert_eq!(read, value, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_or_a_word_is_a_text() {
        for text in [
            "1e400",
            "tRue",
            "yEs",
            "nULL",
            "0x",
            "0b",
            "1-2",
            "2001-01-01",
            "12:30:45",
            ".",
            "._5",
            "1.2.3",
            "0x1p4",
            "-",
            "+",
            "1e",
            "_1",
            "5m",
            "\u{e9}",
            "v1",
            "<<",
            "1 2",
        ] {
            assert_eq!(resolve(text), Scalar::Text(text));
        }
    }
}
