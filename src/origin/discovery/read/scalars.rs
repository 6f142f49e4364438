//! The schema's custom scalars and enums, as the generated types use them. Enums are plain text: a value that is new to us is
//! no error.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::inventory::Text;

/// A moment, as the server wrote it: state stamps are compared as text.
pub(crate) type DateTime = String;
/// A JSON map.
pub(crate) type JSONObject = Value;
/// Any JSON value.
pub(crate) type AnyScalar = Value;

pub(crate) type FreshnessStatus = String;
pub(crate) type ReleaseVersion = String;
pub(crate) type ResourceNodeType = String;
pub(crate) type RunStatus = String;
pub(crate) type TestStatus = String;
pub(crate) type TestType = String;
pub(crate) type TimePeriod = String;

/// A 64-bit integer, which servers write as a number or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct BigInt(pub i64);

pub(crate) fn number(given: Option<BigInt>) -> Option<i64> {
    given.map(|BigInt(number)| number)
}

/// The id of a run: text, since only the platform counts its runs.
pub(crate) fn run(given: Option<BigInt>) -> Option<Text> {
    number(given).map(|number| number.to_string().into())
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BigIntVisitor)
    }
}

struct BigIntVisitor;

impl Visitor<'_> for BigIntVisitor {
    type Value = BigInt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer, as a number or as text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<BigInt, E> {
        Ok(BigInt(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<BigInt, E> {
        i64::try_from(number).map(BigInt).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<BigInt, E> {
        // Beyond 2^53 a float no longer says which integer was meant.
        let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
        if exact { Ok(BigInt(number as i64)) } else { Err(E::custom(format!("{number} is no 64-bit integer"))) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BigInt, E> {
        text.trim().parse().map(BigInt).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_integer_is_a_number_or_text() {
        for text in ["834", "\"834\"", "834.0", "\" 834 \""] {
            assert_eq!(serde_json::from_str::<BigInt>(text).expect(text), BigInt(834));
        }
        for text in ["834.5", "\"eight\"", "18446744073709551615", "true"] {
            assert!(serde_json::from_str::<BigInt>(text).is_err(), "{text}");
        }
    }
}
