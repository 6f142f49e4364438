//! Reads one key at a time out of the merged sources, and notes what is wrong with it instead of stopping.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::Figment;
use figment::value::{Dict, Num, Value};
use secrecy::SecretString;

use super::{Problems, keys, parse_duration};
use crate::redact;
use crate::selection;

/// Where a secret was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) secret: SecretString,
    /// The file that holds it, if one does.
    pub(super) file: Option<PathBuf>,
}

/// The merged sources, and the problems found so far.
pub(super) struct Reader {
    pub(super) figment: Figment,
    /// The configuration file, if one was read.
    pub(super) file: Option<PathBuf>,
    pub(super) problems: Problems,
}

impl Reader {
    /// Where the value of a key was said, for people.
    fn source_of(&self, key: &str, value: &Value) -> String {
        let metadata = self.figment.get_metadata(value.tag());
        match metadata.and_then(|metadata| metadata.source.as_ref()).and_then(|source| source.file_path()) {
            Some(path) => path.display().to_string(),
            None => variable(key),
        }
    }

    /// Whether a value is of a variable.
    pub(super) fn is_variable(&self, value: Option<&Value>) -> bool {
        let metadata = value.and_then(|value| self.figment.get_metadata(value.tag()));
        metadata.is_some_and(|metadata| metadata.source.is_none())
    }

    /// Whether anything is said of a key; of a secret also by a file.
    pub(super) fn is_said(&self, key: &str) -> bool {
        let names = [key.to_owned(), format!("{key}_file")];
        let is_secret = keys::SECRETS.contains(&key);
        let said = |name: &String| std::env::var_os(variable(name)).is_some() || self.figment.contains(name);
        names.iter().take(if is_secret { 2 } else { 1 }).any(said)
    }

    /// Whether what is said of a key is what holds anyway.
    pub(super) fn is_default(&self, key: &str) -> bool {
        self.figment.find_value(key).is_ok_and(|value| scalar(&value).as_deref() == Some(keys::default_of(key)))
    }

    /// Where a relative path starts that a key gives: at the folder of the file, or at the working directory if a variable says it.
    pub(super) fn folder_of(&self, key: &str) -> PathBuf {
        self.folder_of_value(self.figment.find_value(key).ok().as_ref())
    }

    /// The same, of a value.
    pub(super) fn folder_of_value(&self, value: Option<&Value>) -> PathBuf {
        let folder = self.file.as_deref().and_then(Path::parent).filter(|_| !self.is_variable(value));
        folder.map(Path::to_owned).unwrap_or_default()
    }

    /// Notes a problem with the value of a key.
    pub(super) fn complain(&mut self, key: &str, value: &Value, message: String) {
        let source = self.source_of(key, value);
        self.problems.add(key, source, message);
    }

    /// The value of a key as text, or its default; `None` if it has neither.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.parse(key, "text", |text| Some(text.to_owned()))
    }

    /// The value of a key, or its default, as `parse` reads it; a problem that says what was expected where it can't.
    pub(super) fn parse<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Ok(value) = self.figment.find_value(key) else {
            let default = keys::default_of(key);
            return (!default.is_empty()).then(|| parse(default)).flatten();
        };
        self.parse_value(key, &value, expected, parse)
    }

    pub(super) fn parse_value<T>(
        &mut self,
        key: &str,
        value: &Value,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        // As a variable it is taken as it was written: figment would make a number of `1.50`.
        let written = match self.is_variable(Some(value)) {
            true => std::env::var(variable(key)).ok(),
            false => None,
        };
        let text = written.or_else(|| scalar(value));
        // A token in the wrong place is a token.
        text.iter()
            .filter(|text| text.starts_with("dbtc_") || text.starts_with("dbtu_"))
            .for_each(|text| redact::keep(text));
        let parsed = text.and_then(|text| parse(&text));
        if parsed.is_none() {
            let found = scalar(value).map_or_else(|| value.to_actual().to_string(), |text| format!("`{text}`"));
            self.complain(key, value, format!("is {found}: use {expected}"));
        }
        parsed
    }

    /// A whole number within bounds.
    pub(super) fn number<T: FromStr + PartialOrd + Copy>(&mut self, key: &str, min: T, max: T, expected: &str) -> T {
        let within = |text: &str| text.parse::<T>().ok().filter(|number| *number >= min && *number <= max);
        // After a problem the value is not used.
        self.parse(key, expected, within).unwrap_or(min)
    }

    /// A duration; `None` if there is none.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let positive = |text: &str| parse_duration(text).filter(|duration| !duration.is_zero());
        self.parse(key, "a number with a unit, e.g. 90s, 15m, 24h or 400d", positive)
    }

    /// A list of texts; the default is written with commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Ok(value) = self.figment.find_value(key) else {
            let default = keys::default_of(key);
            return default.split(", ").filter(|text| !text.is_empty()).map(str::to_owned).collect();
        };
        let items: Option<Vec<String>> = value.as_array().and_then(|items| items.iter().map(scalar).collect());
        items.unwrap_or_else(|| {
            self.complain(key, &value, "is no list of texts: use [\"…\", \"…\"]".to_owned());
            Vec::new()
        })
    }

    /// A list of selectors in dbt's grammar.
    pub(super) fn selectors(&mut self, key: &str) -> Vec<String> {
        let selectors = self.list(key);
        if let (Err(error), Ok(value)) = (selection::parse(&selectors), self.figment.find_value(key)) {
            self.complain(key, &value, error.to_string());
        }
        selectors
    }

    /// The maps of a list such as `[[environments]]`; `help` says how it is written.
    pub(super) fn dicts(&mut self, key: &str, help: &str) -> Vec<Dict> {
        let Ok(value) = self.figment.find_value(key) else { return Vec::new() };
        let dicts: Option<Vec<Dict>> =
            value.as_array().and_then(|items| items.iter().map(|item| item.as_dict().cloned()).collect());
        dicts.unwrap_or_else(|| {
            self.complain(key, &value, format!("is no list of {key}: use {help}"));
            Vec::new()
        })
    }

    /// The value of a key that an entry of a list must have, as `parse` reads it.
    pub(super) fn required<T>(
        &mut self,
        place: &str,
        dict: &Dict,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let place = format!("{place}.{key}");
        let Some(value) = dict.get(key) else {
            self.problems.add(&place, "not set", format!("is missing: use {expected}"));
            return None;
        };
        self.parse_value(&place, value, expected, parse)
    }

    /// A secret, taken literally: from its variable, from the file that its `…_FILE` variable names, from the configuration
    /// file, or from the file that is named there.
    pub(super) fn secret(&mut self, key: &str) -> Option<Found> {
        let file_key = format!("{key}_file");
        let (name, file_name) = (variable(key), variable(&file_key));
        if let Some(text) = std::env::var_os(&name) {
            return self.checked(key, &name, text.into_string().ok(), None);
        }
        if let Some(path) = std::env::var_os(&file_name) {
            return self.secret_file(&file_key, &file_name, Path::new(&path));
        }
        let (value, path) = (self.figment.find_value(key).ok(), self.figment.find_value(&file_key).ok());
        self.secret_of(key, value.as_ref(), path.as_ref())
    }

    /// A secret that the configuration file gives: literally, or as the name of a file.
    pub(super) fn secret_of(&mut self, key: &str, value: Option<&Value>, path: Option<&Value>) -> Option<Found> {
        let file_key = format!("{key}_file");
        match (value, path) {
            (Some(value), Some(_)) => {
                let name = file_key.rsplit('.').next().unwrap_or_default();
                self.complain(key, value, format!("is given, and so is {name}: use one of them"));
                None
            }
            (Some(value), None) => {
                let (source, file) = (self.source_of(key, value), self.file.clone());
                self.checked(key, &source, value.as_str().map(str::to_owned), file)
            }
            (None, Some(path)) => {
                let source = self.source_of(&file_key, path);
                let Some(name) = path.as_str() else {
                    self.problems.add(&file_key, source, "is no text: use the name of a file");
                    return None;
                };
                self.secret_file(&file_key, &source, &self.folder_of_value(Some(path)).join(name))
            }
            (None, None) => None,
        }
    }

    fn secret_file(&mut self, key: &str, source: &str, path: &Path) -> Option<Found> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                self.checked(key, source, Some(text), Some(path.to_owned()))
            }
            Err(error) => {
                let name = path.display().to_string();
                // Without a folder and an ending it may be the secret itself.
                let name = if name.contains(['/', '.']) { format!("`{name}`") } else { "that file".to_owned() };
                let message = format!("can't read {name} ({}): name a file that holds it", error.kind());
                self.problems.add(key, source, message);
                None
            }
        }
    }

    /// A secret goes into a header, so it has to be visible ASCII. What is wrong is told without it.
    fn checked(&mut self, key: &str, source: &str, text: Option<String>, file: Option<PathBuf>) -> Option<Found> {
        text.as_deref().into_iter().for_each(redact::keep);
        let wrong = match text.as_deref() {
            None => "is no text: put it in quotes",
            Some("") => "is empty: set it, or leave it out",
            Some(text) if !text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) => {
                "holds a line break or a letter outside ASCII: copy it again"
            }
            Some(_) => "",
        };
        match text {
            Some(text) if wrong.is_empty() => Some(Found { secret: SecretString::from(text), file }),
            _ => {
                self.problems.add(key, source, wrong);
                None
            }
        }
    }

    /// Notes every key that does not exist, with the nearest that does.
    pub(super) fn complain_of_unknown_keys(&mut self) {
        let Ok(all) = self.figment.extract::<Dict>() else { return };
        for (section, value) in &all {
            match (value, keys::of_list(section)) {
                (Value::Array(_, items), Some(known)) => {
                    for (number, item) in items.iter().enumerate() {
                        let keys = item.as_dict().into_iter().flat_map(Dict::iter);
                        for (name, value) in keys.filter(|(name, _)| !known.contains(&name.as_str())) {
                            let near = keys::nearest(name, known.iter().copied());
                            self.unknown(&format!("{section}[{number}].{name}"), value, near);
                        }
                    }
                }
                (Value::Dict(_, keys_of), _) => {
                    self.complain_of_unknown_keys_in(section, keys_of);
                }
                (value, None) => {
                    let near = keys::nearest(section, keys::KEYS.iter().map(|(known, _)| *known));
                    self.unknown(section, value, near);
                }
                _ => {}
            }
        }
    }

    /// Of a section, or of a map in it whose keys are known one by one.
    fn complain_of_unknown_keys_in(&mut self, section: &str, keys_of: &Dict) {
        for (name, value) in keys_of {
            let key = format!("{section}.{name}");
            let is_map =
                keys::KEYS.iter().any(|(known, _)| known.strip_prefix(&key).is_some_and(|it| it.starts_with('.')));
            if let (true, Value::Dict(_, inner)) = (is_map, value) {
                self.complain_of_unknown_keys_in(&key, inner);
                continue;
            }
            let is_known = keys::KEYS.iter().any(|(known, _)| *known == key);
            // No other key has keys of its own.
            let inner = value.as_dict().and_then(|dict| dict.keys().next());
            let key = inner.map_or(key.clone(), |inner| format!("{key}.{inner}"));
            if !is_known || inner.is_some() {
                self.unknown(&key, value, keys::nearest(&key, keys::KEYS.iter().map(|(known, _)| *known)));
            }
        }
    }

    fn unknown(&mut self, key: &str, value: &Value, near: Option<&str>) {
        let hint = near
            .map_or_else(|| "`lineaged init` writes all there are".to_owned(), |near| format!("do you mean `{near}`?"));
        self.complain(key, value, format!("there is no such key: {hint}"));
    }
}

/// The variable that gives a key.
pub(super) fn variable(key: &str) -> String {
    format!("LINEAGED_{}", key.replace('.', "__").to_uppercase())
}

/// A value that is not a list or a map, as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, letter) => Some(letter.to_string()),
        Value::Bool(_, yes) => Some(yes.to_string()),
        Value::Num(_, number) => Some(match number {
            Num::F32(number) => number.to_string(),
            Num::F64(number) => number.to_string(),
            number => number.to_i128().map(|n| n.to_string()).or(number.to_u128().map(|n| n.to_string()))?,
        }),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
    }
}
