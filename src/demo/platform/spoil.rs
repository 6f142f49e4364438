//! How answers with lists are spoiled that are not connections: those of the Admin API, and of the Semantic Layer.

use serde_json::{Value, json};

use crate::demo::faults::{Action, Place};

/// Spoils what the envelope or the page says of its items; other actions do nothing here.
pub(in crate::demo) fn edit(action: &Action, answer: &mut Value) {
    match action {
        Action::EnvelopeError(code, message) => {
            answer["data"] = Value::Null;
            answer["status"] =
                json!({"code": code, "is_success": false, "user_message": message, "developer_message": ""});
        }
        Action::PageCount(count) => set(answer, &["count"], |_| (*count).into()),
        Action::TotalOff(by) => {
            set(answer, &["total_count", "totalItems"], |total| {
                (total.as_i64().unwrap_or_default() + by).max(0).into()
            });
        }
        Action::NoTotal => set(answer, &["total_count", "totalItems"], |_| Value::Null),
        Action::ShortPage(most) => {
            each_list(answer, &mut |items| items.truncate(*most));
            let left = answer["data"].as_array().map(Vec::len);
            set(answer, &["count"], |_| left.into());
        }
        Action::EmptyList => {
            each_list(answer, &mut Vec::clear);
            set(answer, &["count", "total_count", "totalItems", "totalPages"], |_| 0.into());
        }
        Action::NullAt(pointer) => each_list(answer, &mut |items| {
            if let Some(value) = items.first_mut().and_then(|item| item.pointer_mut(pointer)) {
                *value = Value::Null;
            }
        }),
        Action::RewriteNode(change) => each_list(answer, &mut |items| items.iter_mut().for_each(change)),
        _ => {}
    }
}

/// The items of the envelope, of a page, or of a plain list.
pub(in crate::demo) fn each_list(answer: &mut Value, change: &mut dyn FnMut(&mut Vec<Value>)) {
    match answer.get_mut("data") {
        Some(Value::Array(items)) => change(items),
        Some(Value::Object(fields)) => {
            let lists = fields.values_mut().filter_map(|field| match field {
                Value::Object(page) => page.get_mut("items")?.as_array_mut(),
                list => list.as_array_mut(),
            });
            lists.for_each(change);
        }
        _ => {}
    }
}

/// Where in its list an answer is, if it is a page of one.
pub(in crate::demo) fn place(variables: &Value, answer: &Value) -> Option<Place> {
    if let Some(total) = answer["extra"]["pagination"]["total_count"].as_i64() {
        let offset = variables["offset"].as_i64().unwrap_or_default();
        let count = answer["data"].as_array().map_or(0, Vec::len) as i64;
        return Some(Place { is_first: offset == 0, is_last: offset + count >= total });
    }
    let page = answer["data"].as_object()?.values().find(|field| field["items"].is_array())?;
    let (number, pages) = (page["pageNum"].as_i64(), page["totalPages"].as_i64());
    Some(Place { is_first: number.is_none_or(|it| it <= 1), is_last: number >= pages })
}

/// Changes these counts where the answer has them; null takes one away from an envelope.
fn set(answer: &mut Value, names: &[&str], value: impl Fn(&Value) -> Value) {
    if let Some(pagination) = answer.pointer_mut("/extra/pagination").and_then(Value::as_object_mut) {
        for name in names {
            let Some(old) = pagination.remove(*name) else { continue };
            let new = value(&old);
            if !new.is_null() {
                pagination.insert((*name).to_owned(), new);
            }
        }
    }
    let pages =
        answer.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(|fields| fields.values_mut());
    for page in pages.filter(|page| page["items"].is_array()) {
        for name in names {
            if !page[*name].is_null() {
                page[*name] = value(&page[*name]);
            }
        }
    }
}
