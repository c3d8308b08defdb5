//! The numbers of a tree, as the values of protobuf fields.

use super::{Node, TreeError};

/// Reads a whole number; text and a zero fraction are accepted.
pub(super) fn integer<T: TryFrom<i128>>(node: &Node<'_>) -> Result<T, TreeError> {
    let number = match node {
        Node::Int(value) => Some(i128::from(*value)),
        Node::Uint(value) => Some(i128::from(*value)),
        Node::Float(value) => whole(*value),
        Node::Text(text) => match number_of_text(text) {
            Some(Node::Int(value)) => Some(value.into()),
            Some(Node::Uint(value)) => Some(value.into()),
            Some(Node::Float(value)) => whole(value),
            _ => None,
        },
        _ => None,
    };
    let Some(number) = number else {
        return Err(TreeError::expected("a whole number", node));
    };
    T::try_from(number).map_err(|_| TreeError::new(format!("{node} is out of the field's range")))
}

fn whole(value: f64) -> Option<i128> {
    const MAX: f64 = 2e19;
    // A whole number within these bounds converts exactly.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and within the range"
    )]
    (value.fract() == 0.0 && value.abs() < MAX).then_some(value as i128)
}

/// Reads a number as the nearest `f64`; text is accepted.
pub(super) fn double(node: &Node<'_>) -> Result<f64, TreeError> {
    let from_number = |node: &Node<'_>| match node {
        Node::Float(value) => Some(*value),
        // Rounded to the nearest double, as JSON numbers usually are.
        #[expect(clippy::cast_precision_loss, reason = "the nearest is what is wanted")]
        Node::Int(value) => Some(*value as f64),
        #[expect(clippy::cast_precision_loss, reason = "the nearest is what is wanted")]
        Node::Uint(value) => Some(*value as f64),
        _ => None,
    };
    let value = match node {
        Node::Text(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => number_of_text(text).as_ref().and_then(from_number),
        },
        node => from_number(node),
    };
    value.ok_or_else(|| TreeError::expected("a number", node))
}

/// Reads a number as the nearest `f32`; text is accepted.
pub(super) fn float(node: &Node<'_>) -> Result<f32, TreeError> {
    let value = double(node)?;
    if value.is_nan() {
        return Ok(narrowed(value));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounds to the nearest; overflow is checked below"
    )]
    let single = value as f32;
    if value.is_finite() && single.is_infinite() {
        return Err(TreeError::new(format!(
            "{node} is out of the field's range"
        )));
    }
    Ok(single)
}

/// This NaN as an `f32`, with the upper bits of its payload. A conversion would make a signaling NaN a quiet one.
fn narrowed(nan: f64) -> f32 {
    let sign = if nan.is_sign_negative() { 1 << 31 } else { 0 };
    let payload = u32::try_from((nan.to_bits() >> 29) & 0x7f_ffff).unwrap_or_default();
    let kept = f32::from_bits(sign | 0x7f80_0000 | payload);
    // Without a payload it would be infinite.
    if kept.is_nan() { kept } else { f32::NAN }
}

/// Parses a JSON number; `None` where the text is not one, or is out of the range of a double.
pub(in crate::body) fn number_of_text<'a>(text: &str) -> Option<Node<'a>> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let count = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let whole = count(digits);
    let has_leading_zero = whole > 1 && digits.first() == Some(&b'0');
    if whole == 0 || has_leading_zero {
        return None;
    }
    let mut rest = digits.get(whole..)?;
    if rest.is_empty() {
        if let Ok(value) = text.parse() {
            return Some(Node::Int(value));
        }
        if let Ok(value) = text.parse() {
            return Some(Node::Uint(value));
        }
    }
    if let [b'.', fraction @ ..] = rest {
        let len = count(fraction);
        if len == 0 {
            return None;
        }
        rest = fraction.get(len..)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        let len = count(exponent);
        if len == 0 {
            return None;
        }
        rest = exponent.get(len..)?;
    }
    if !rest.is_empty() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Node::Float(value))
}
