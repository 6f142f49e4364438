//! JSON node by node: a file never stands in memory as a whole, and of a node only what is wanted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::inventory::shape;
use crate::origin::draft::clean;

/// What of a map is wanted: a known key as it is listed, or nothing.
pub(super) type Wanted = fn(&str) -> Option<&'static str>;

/// The wanted members of a map, taken out of it one by one.
#[derive(Debug, Default)]
pub(super) struct Raw(Vec<(&'static str, Value)>);

impl Raw {
    pub(super) fn peek(&self, key: &str) -> &Value {
        self.0.iter().find(|(name, _)| *name == key).map_or(&Value::Null, |(_, value)| value)
    }

    pub(super) fn take(&mut self, key: &str) -> Value {
        self.0.iter_mut().find(|(name, _)| *name == key).map(|(_, value)| value.take()).unwrap_or_default()
    }

    /// The first of these keys that is not null.
    pub(super) fn first(&mut self, keys: &[&str]) -> Value {
        keys.iter().map(|key| self.take(key)).find(|value| !value.is_null()).unwrap_or_default()
    }

    /// The member, else what `config` says of it. What is empty says nothing.
    pub(super) fn or_config(&mut self, key: &str) -> Value {
        let value = self.take(key);
        if says_something(&value) { value } else { self.peek("config")[key].clone() }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// A member taken out of a map; null where it is no map.
pub(super) fn part(value: &mut Value, key: &str) -> Value {
    value.get_mut(key).map(Value::take).unwrap_or_default()
}

/// The items of a list; none where it is no list.
pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// A map, of which only the wanted members are kept; whatever else it is holds none.
pub(super) struct RawSeed(pub Wanted);

macro_rules! nothing_else {
    ($value:expr) => {
        nothing_else!($value, $value);
    };
    ($value:expr, $null:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($null)
        }
    };
}

impl<'de> DeserializeSeed<'de> for RawSeed {
    type Value = Option<Raw>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RawSeed {
    type Value = Option<Raw>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut raw = Raw::default();
        while let Some(key) = map.next_key_seed(KeySeed(self.0))? {
            match key {
                Some(key) => raw.0.push((key, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(raw))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    nothing_else!(None);
}

struct KeySeed(Wanted);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((self.0)(key))
    }
}

/// What a value is that should hold others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Map,
    List,
    Null,
    /// A text, a number, yes or no.
    Single,
}

/// A map of maps, or a list of them, each handed on as soon as it is read; tells which it was. The key of a list's item is empty.
pub(super) struct EachSeed<'a> {
    pub wanted: Wanted,
    pub each: &'a mut dyn FnMut(String, Raw) -> bool,
}

impl<'de> DeserializeSeed<'de> for EachSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Shape, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EachSeed<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or a list of maps")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if let Some(raw) = map.next_value_seed(RawSeed(self.wanted))?
                && !(self.each)(clean(key), raw)
            {
                return Err(serde::de::Error::custom("enough was read"));
            }
        }
        Ok(Shape::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        while let Some(raw) = items.next_element_seed(RawSeed(self.wanted))? {
            if let Some(raw) = raw
                && !(self.each)(String::new(), raw)
            {
                return Err(serde::de::Error::custom("enough was read"));
            }
        }
        Ok(Shape::List)
    }

    nothing_else!(Shape::Single, Shape::Null);
}

/// The keys of a map alone.
#[derive(Debug, Default)]
pub(super) struct Keys(pub Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            keys.push(key);
        }
        Ok(Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Keys, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Keys::default())
    }

    nothing_else!(Keys::default());
}

/// Values of another type than they should be, that say nothing: one warning for each field.
#[derive(Debug, Default)]
pub(super) struct Misfits(BTreeMap<&'static str, (String, String, usize)>);

impl Misfits {
    fn note(&mut self, field: &'static str, id: &str, value: &Value) {
        let shown = || value.to_string().chars().take(60).collect();
        self.0.entry(field).or_insert_with(|| (id.to_owned(), shown(), 0)).2 += 1;
    }

    pub(super) fn warnings(self) -> Vec<String> {
        let warning = |(field, (id, value, count)): (&str, (String, String, usize))| {
            let others = if count == 1 { String::new() } else { format!(" and {} more", count - 1) };
            format!("`{field}` of `{id}`{others} is of another type than it should be (`{value}`): taken as unknown")
        };
        self.0.into_iter().map(warning).collect()
    }
}

/// Reads values as the types that they should be of, and notes which are not.
pub(super) struct Fit<'a> {
    pub id: &'a str,
    pub misfits: &'a mut Misfits,
}

impl Fit<'_> {
    fn or_note<T>(&mut self, field: &'static str, value: &Value, found: Option<T>) -> Option<T> {
        if found.is_none() && !value.is_null() {
            self.misfits.note(field, self.id, value);
        }
        found
    }

    pub(super) fn text(&mut self, field: &'static str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            value => self.or_note(field, &value, shape::text(&value)),
        }
    }

    pub(super) fn integer(&mut self, field: &'static str, value: &Value) -> Option<i64> {
        self.or_note(field, value, shape::integer(value))
    }

    pub(super) fn float(&mut self, field: &'static str, value: &Value) -> Option<f64> {
        self.or_note(field, value, shape::float(value))
    }

    pub(super) fn flag(&mut self, field: &'static str, value: &Value) -> Option<bool> {
        let found = match value {
            Value::Bool(yes) => Some(*yes),
            Value::String(text) if text == "true" || text == "false" => Some(text == "true"),
            value => shape::float(value).map(|number| number != 0.0),
        };
        self.or_note(field, value, found)
    }

    /// A list of texts, also where it is a single one.
    pub(super) fn texts(&mut self, field: &'static str, value: Value) -> Vec<String> {
        match value {
            Value::Array(items) => items.into_iter().filter_map(|item| shape::text(&item)).collect(),
            Value::String(text) => vec![text],
            value => self.or_note(field, &value, None).unwrap_or_default(),
        }
    }
}
