//! The answer around the data: `data`, `errors`, or something that is neither. Lenient in form, strict in what counts as an
//! answer.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::error::Category;

use crate::inventory::shape;
use crate::origin::discovery::error::Kind;
use crate::origin::discovery::wire::bounds;
use crate::origin::discovery::wire::fit::{self, Misfits};
use crate::origin::printable;

/// Fields that a server may lack, with their types: they are left out, and count as not asked.
pub(crate) const OPTIONAL: [(&str, &str); 2] =
    [("relationName", "ModelAppliedStateNode"), ("lastKnownResult", "TestAppliedStateNode")];

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Value,
}

/// Whence an answer came, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub host: String,
    pub status: u16,
    pub content_type: String,
}

impl Origin {
    fn not_graphql(&self, body: &[u8]) -> Kind {
        let start = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
        Kind::NotGraphql {
            host: self.host.clone(),
            status: self.status,
            content_type: printable(&self.content_type, 60),
            start: printable(&start, 80),
        }
    }
}

/// The data of a complete answer. What had to be made to fit is noted in `misfits`.
pub(crate) fn decode<T: DeserializeOwned>(origin: &Origin, body: &[u8], misfits: &mut Misfits) -> Result<T, Kind> {
    bounds::check(body)?;
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) => {
            if let Some(kind) = judge(origin, &envelope.errors) {
                return Err(kind);
            }
            envelope.data.ok_or_else(|| origin.not_graphql(body))
        }
        // A body without a length that is cut short looks like a normal end.
        Err(error) if error.classify() == Category::Eof => {
            Err(Kind::Cut { reason: format!("the answer ends after {} bytes", body.len()) })
        }
        Err(error) => match serde_json::from_slice::<Envelope<IgnoredAny>>(body) {
            Ok(envelope) => match judge(origin, &envelope.errors) {
                Some(kind) => Err(kind),
                None => decode_unfit(body, misfits),
            },
            Err(_) => match shape::without_bare_numbers(body) {
                Some(body) => {
                    misfits.bare_numbers = true;
                    decode(origin, &body, misfits)
                }
                None => Err(not_json(origin, body, &error)),
            },
        },
    }
}

fn not_json(origin: &Origin, body: &[u8], error: &serde_json::Error) -> Kind {
    if body.trim_ascii_start().starts_with(b"{") {
        Kind::Decode { path: "?".into(), reason: printable(&error.to_string(), 200) }
    } else {
        origin.not_graphql(body)
    }
}

fn decode_unfit<T: DeserializeOwned>(body: &[u8], misfits: &mut Misfits) -> Result<T, Kind> {
    let unfit = |path: String, reason: &str| Kind::Decode { path, reason: printable(reason, 200) };
    let value: Value = serde_json::from_slice(body).map_err(|error| unfit("?".into(), &error.to_string()))?;
    match fit::decode::<Envelope<T>>(value, misfits) {
        Ok(Envelope { data: Some(data), .. }) => Ok(data),
        Ok(_) => Err(unfit("data".into(), "it is null")),
        Err(wrong) => Err(unfit(wrong.path, &wrong.reason)),
    }
}

/// What an answer means whose HTTP status is no success.
pub(crate) fn refusal(origin: &Origin, body: &[u8]) -> Kind {
    if let Err(kind) = bounds::check(body) {
        return kind;
    }
    let errors =
        serde_json::from_slice::<Envelope<IgnoredAny>>(body).map(|envelope| envelope.errors).unwrap_or_default();
    let errors = problems(&errors);
    let detail = errors.first().map(|problem| format!(", `{}`", problem.message)).unwrap_or_default();
    let message = || match errors.first() {
        Some(problem) => problem.message.clone(),
        None => printable(&String::from_utf8_lossy(&body[..body.len().min(400)]), 80),
    };
    match origin.status {
        401 => Kind::Unauthorized { detail },
        403 => Kind::Forbidden { detail },
        408 | 500.. => Kind::Server { status: origin.status, message: message() },
        _ if errors.is_empty() && origin.content_type.contains("html") => origin.not_graphql(body),
        404 | 405 if errors.is_empty() => origin.not_graphql(body),
        status => match classify(&errors, status) {
            Kind::Server { status, message } => Kind::Refused { status, message },
            kind => kind,
        },
    }
}

struct Problem {
    message: String,
    code: String,
    path: String,
}

/// `errors` as a list, whatever its form; none of its parts is needed.
fn problems(errors: &Value) -> Vec<Problem> {
    let list = match errors {
        Value::Null => return Vec::new(),
        Value::Array(list) => list.as_slice(),
        other => std::slice::from_ref(other),
    };
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => printable(text, 200),
        None | Some(Value::Null) => String::new(),
        Some(other) => printable(&other.to_string(), 200),
    };
    let problem = |item: &Value| Problem {
        message: Some(text(item.get("message").or(item.as_str().map(|_| item))))
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| "no message".into()),
        code: text(item.pointer("/extensions/code")),
        path: item.get("path").map(|path| printable(&path.to_string(), 100)).unwrap_or_default(),
    };
    list.iter().map(problem).collect()
}

fn judge(origin: &Origin, errors: &Value) -> Option<Kind> {
    let problems = problems(errors);
    (!problems.is_empty()).then(|| classify(&problems, origin.status))
}

/// The kind of a non-empty list of errors: unknown fields first, then validation and access, else the server's own failure.
fn classify(problems: &[Problem], status: u16) -> Kind {
    let unknown: Vec<(String, String)> =
        problems.iter().filter_map(|problem| unknown_field(&problem.message)).collect();
    let needed = |(field, type_name): &&(String, String)| !is_optional(field, type_name);
    if let Some((field, type_name)) = unknown.iter().find(needed).or(unknown.first()) {
        return Kind::UnknownField { field: field.clone(), type_name: type_name.clone() };
    }
    problems.iter().find_map(|problem| permanent(problem, status)).unwrap_or_else(|| {
        let [Problem { message, path, .. }, ..] = problems else {
            return Kind::Server { status, message: "no message".into() };
        };
        let at = if path.is_empty() { String::new() } else { format!(" at {path}") };
        Kind::Server { status, message: format!("{message}{at}") }
    })
}

fn permanent(problem: &Problem, status: u16) -> Option<Kind> {
    let message = problem.message.clone();
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match problem.code.as_str() {
        _ if says(&["no data available for this input"]) => Some(Kind::NoData { message }),
        "UNAUTHENTICATED" => Some(Kind::Unauthorized { detail: format!(", `{message}`") }),
        "FORBIDDEN" => Some(Kind::Forbidden { detail: format!(", `{message}`") }),
        "GRAPHQL_VALIDATION_FAILED" | "GRAPHQL_PARSE_FAILED" | "BAD_USER_INPUT" => {
            Some(Kind::Refused { status, message })
        }
        _ if says(&["not authorized", "forbidden"]) => Some(Kind::Forbidden { detail: format!(", `{message}`") }),
        _ if says(&["unauthorized", "unauthenticated"]) => {
            Some(Kind::Unauthorized { detail: format!(", `{message}`") })
        }
        _ => None,
    }
}

/// True if the field may be left out of a question.
pub(crate) fn is_optional(field: &str, type_name: &str) -> bool {
    OPTIONAL.iter().any(|(name, on)| *name == field && (type_name == *on || type_name.is_empty()))
}

/// The field and type that a validation message calls unknown: `Cannot query field "f" on type "T".`, or
/// "type `T` does not have a field `f`".
fn unknown_field(message: &str) -> Option<(String, String)> {
    let quoted: Vec<&str> = message.split(['"', '\'', '`']).skip(1).step_by(2).collect();
    let nth = |index: usize| quoted.get(index).map(|text| (*text).to_owned());
    if message.contains("Cannot query field") {
        Some((nth(0)?, nth(1).unwrap_or_default()))
    } else if message.contains("does not have a field") {
        Some((nth(1)?, nth(0)?))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Data {
        total: i64,
        #[serde(default)]
        seconds: Option<f64>,
        #[serde(default)]
        meta: Value,
    }

    fn read(status: u16, body: &str) -> Result<Data, Kind> {
        let origin = Origin { host: "h".into(), status, content_type: "text/html".into() };
        decode(&origin, body.as_bytes(), &mut Misfits::default())
    }

    fn refused(status: u16, body: &str) -> Kind {
        refusal(&Origin { host: "h".into(), status, content_type: "application/json".into() }, body.as_bytes())
    }

    #[test]
    fn data_is_an_answer_with_or_without_an_empty_list_of_errors() {
        for body in [
            r#"{"data":{"total":1}}"#,
            r#"{"errors":[],"data":{"total":1}}"#,
            r#"{"data":{"total":1},"errors":null,"extensions":{}}"#,
        ] {
            assert_eq!(read(200, body).expect(body).total, 1);
        }
    }

    #[test]
    fn errors_of_any_form_are_errors() {
        for errors in [
            r#"[{"message":null}]"#,
            r#"["broken"]"#,
            r#""broken""#,
            r#"[{"locations":[{"line":1}],"path":[99999999999]}]"#,
            "[{}]",
        ] {
            let kind = read(200, &format!(r#"{{"data":{{"total":1}},"errors":{errors}}}"#)).expect_err(errors);
            assert!(matches!(kind, Kind::Server { .. }), "{kind:?}");
            assert!(kind.is_transient());
        }
    }

    #[test]
    fn partial_data_with_errors_tells_the_errors_not_the_gap() {
        let kind = read(200, r#"{"data":{"total":null},"errors":[{"message":"timeout","path":["a",1]}]}"#)
            .expect_err("an error");
        assert_eq!(kind, Kind::Server { status: 200, message: r#"timeout at ["a",1]"#.into() });
    }

    #[test]
    fn neither_data_nor_errors_is_no_graphql() {
        for body in [r#"{"error":"unauthorized"}"#, r#"{"data":null}"#, "<html>login</html>", "[]", "\"x\""] {
            let kind = read(200, body).expect_err(body);
            let Kind::NotGraphql { content_type, start, .. } = kind else { panic!("{body}: {kind:?}") };
            assert_eq!((content_type.as_str(), start.as_str()), ("text/html", body));
        }
    }

    #[test]
    fn a_cut_answer_is_asked_again_and_a_wrong_one_is_not() {
        assert!(matches!(read(200, r#"{"data":{"tot"#), Err(Kind::Cut { .. })));
        assert!(matches!(read(200, ""), Err(Kind::Cut { .. })));
        let kind = read(200, r#"{"data":{"total":null}}"#).expect_err("null");
        assert!(matches!(&kind, Kind::Decode { path, .. } if path == "data.total"), "{kind:?}");
    }

    #[test]
    fn numbers_in_quotes_are_read_but_not_in_free_json() {
        let data = read(200, r#"{"data":{"total":"7","seconds":"1.5","meta":{"total":"7"}}}"#).expect("data");
        assert_eq!((data.total, data.seconds), (7, Some(1.5)));
        assert_eq!(data.meta, serde_json::json!({"total": "7"}));
        assert!(matches!(read(200, r#"{"data":{"total":"many"}}"#), Err(Kind::Decode { .. })));
    }

    #[test]
    fn a_bare_nan_is_null_and_told_and_other_nonsense_is_an_error() {
        let origin = Origin { host: "h".into(), status: 200, content_type: "application/json".into() };
        let mut misfits = Misfits::default();
        let body = br#"{"data":{"total":1,"seconds":NaN,"meta":{"a":-Infinity,"b":"NaN"}}}"#;
        let data: Data = decode(&origin, body, &mut misfits).expect("data");
        assert_eq!((data.seconds, data.meta), (None, serde_json::json!({"a": null, "b": "NaN"})));
        assert!(misfits.warnings()[0].contains("`NaN`"), "{misfits:?}");
        for body in [r#"{"data":{"total":nan}}"#, r#"{"data":{"total":NaN,}}"#] {
            let kind = read(200, body).expect_err(body);
            assert!(matches!(&kind, Kind::Decode { path, .. } if path == "?"), "{body}: {kind:?}");
        }
    }

    #[test]
    fn access_and_validation_are_permanent() {
        let with = |message: &str, code: &str| {
            read(
                200,
                &format!(r#"{{"data":null,"errors":[{{"message":"{message}","extensions":{{"code":"{code}"}}}}]}}"#),
            )
            .expect_err(message)
        };
        assert!(matches!(with("There is no data available for this input", ""), Kind::NoData { .. }));
        assert!(matches!(with("User is not authorized", ""), Kind::Forbidden { .. }));
        assert!(matches!(with("x", "UNAUTHENTICATED"), Kind::Unauthorized { .. }));
        assert!(matches!(with("x", "BAD_USER_INPUT"), Kind::Refused { .. }));
        assert!(matches!(with("x", "INTERNAL_SERVER_ERROR"), Kind::Server { .. }));
    }

    #[test]
    fn an_unknown_field_is_named_and_a_needed_one_comes_first() {
        let body = r#"{"errors":[{"message":"Cannot query field \"relationName\" on type \"ModelAppliedStateNode\". Did you mean \"x\"?"}]}"#;
        let found = Kind::UnknownField { field: "relationName".into(), type_name: "ModelAppliedStateNode".into() };
        assert_eq!(refused(400, body), found);
        assert!(
            is_optional("relationName", "ModelAppliedStateNode") && !is_optional("relationName", "ExternalModelNode")
        );
        let body = r#"{"errors":[{"message":"Cannot query field \"relationName\" on type \"ModelAppliedStateNode\"."},
            {"message":"type `CatalogNode` does not have a field `owner`"}]}"#;
        assert_eq!(refused(400, body), Kind::UnknownField { field: "owner".into(), type_name: "CatalogNode".into() });
    }

    #[test]
    fn a_status_decides_before_the_body() {
        assert!(matches!(refused(401, "{}"), Kind::Unauthorized { .. }));
        assert!(matches!(refused(403, ""), Kind::Forbidden { .. }));
        assert!(matches!(refused(503, "<html>"), Kind::Server { status: 503, .. }));
        assert!(matches!(refused(408, ""), Kind::Server { .. }));
        assert!(matches!(refused(404, "no"), Kind::NotGraphql { .. }));
        assert!(matches!(
            refused(400, r#"{"errors":[{"message":"page too large"}]}"#),
            Kind::Refused { status: 400, .. }
        ));
    }
}
