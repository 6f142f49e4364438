//! Manifests that are older than the one that counts: they tell of where their invocation built, and of compiled code that is still good.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::files::Parse;
use super::json::{EachSeed, Raw};
use super::manifest::TellCode;
use super::place::{is_same_place, place_of, place_of_node};
use crate::inventory::{Code, Text, UniqueId};
use crate::origin::CodeText;
use crate::origin::draft::{Draft, clean};

/// What older manifests, and the newest, tell of their invocations.
#[derive(Debug, Default)]
pub(super) struct Invocations {
    /// Whether a manifest is of another place than the one that counts.
    pub is_elsewhere: HashMap<Text, bool>,
    /// The raw code that a node had, of those whose compiled code is looked for.
    pub raw: HashMap<(Text, UniqueId), Text>,
}

/// Reads an older manifest beside the nodes of the newest, and gives them its compiled code where their raw code is the same.
pub(super) struct OlderParser<'a> {
    pub invocation: Option<Text>,
    pub drafts: &'a mut BTreeMap<UniqueId, Draft>,
    pub invocations: &'a mut Invocations,
    pub code: TellCode<'a>,
}

fn wanted(key: &str) -> Option<&'static str> {
    const KEYS: [&str; 6] = ["compiled_code", "compiled_sql", "raw_code", "raw_sql", "relation_name", "resource_type"];
    KEYS.into_iter().find(|known| *known == key)
}

impl Parse for OlderParser<'_> {
    type Out = ();

    fn parse<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(Sections { parser: self, here: 0, elsewhere: 0 })
    }
}

struct Sections<'p, 'a> {
    parser: &'p mut OlderParser<'a>,
    here: usize,
    elsewhere: usize,
}

impl<'de> Visitor<'de> for Sections<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "nodes" || key == "functions" {
                let mut each = |id: String, raw: Raw| {
                    self.look(&UniqueId::from(id), raw);
                    true
                };
                map.next_value_seed(EachSeed { wanted, each: &mut each })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if let Some(invocation) = &self.parser.invocation {
            // Some nodes move when the project is edited; a target moves most.
            let is_elsewhere = self.elsewhere > self.here;
            self.parser.invocations.is_elsewhere.insert(invocation.clone(), is_elsewhere);
        }
        Ok(())
    }
}

impl Sections<'_, '_> {
    fn look(&mut self, id: &UniqueId, mut raw: Raw) {
        let OlderParser { invocation, drafts, invocations, code } = &mut *self.parser;
        let Some(draft) = drafts.get_mut(id) else { return };
        let place = raw.peek("relation_name").as_str().and_then(place_of);
        let is_here = match (place, place_of_node(&draft.node)) {
            (Some(place), Some(own)) => is_same_place(&place, &own),
            _ => true,
        };
        if draft.node.relation_name.is_some() {
            *(if is_here { &mut self.here } else { &mut self.elsewhere }) += 1;
        }
        let Some(present) = draft.node.raw_code.as_ref().filter(|_| draft.node.compiled_code.is_none()) else { return };
        let said = |value: serde_json::Value| {
            value.as_str().filter(|text| !text.is_empty()).map(|text| clean(text.to_owned()))
        };
        let Some(text) = said(raw.first(&["raw_code", "raw_sql"])) else { return };
        let had = Code::of(&text);
        let is_same = had == *present;
        if let Some(invocation) = invocation {
            invocations.raw.insert((invocation.clone(), id.clone()), had.sha256);
        }
        if is_same
            && is_here
            && let Some(text) = said(raw.first(&["compiled_code", "compiled_sql"]))
        {
            let compiled = Code::of(&text);
            draft.node.compiled_code = Some(compiled.clone());
            code(CodeText { node: id.clone(), is_compiled: true, code: compiled, text });
        }
    }
}
