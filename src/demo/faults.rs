//! How the server is made to misbehave: rules that say which answers to spoil, and how. They act below GraphQL, on the answer as
//! JSON or on its bytes. Sending what remains is `http`'s business.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::engine::Body;
use super::platform;
use super::project::Side;

/// Which pages of a connection a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Every answer.
    Any,
    /// The page that is asked for without a cursor.
    First,
    /// A page that is neither the first nor the last.
    Middle,
    /// The page after which there is no other.
    Last,
}

/// What the `Content-Length` of a cut answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The length of the whole: the connection ends too early.
    Whole,
    /// The length of what is sent: the JSON is cut, HTTP is not.
    Cut,
    /// Nothing: the end of the connection is the end of the body.
    Missing,
    /// Nothing, since the body comes in chunks, of which the last is never sent.
    Chunked,
}

type Edit = Box<dyn Fn(&mut Value) + Send + Sync>;

/// What goes wrong.
#[non_exhaustive]
pub enum Action {
    /// Answers this status with these headers and this body.
    Status(u16, Vec<(String, String)>, String),
    /// Resets the connection instead of answering.
    Reset,
    /// Sends only so many bytes of the body (compressed, if the client takes gzip), then closes.
    CutBody(usize, Length),
    /// Sends the body so many bytes at a time, with a pause between.
    Drip(usize, Duration),
    /// Waits before it answers.
    Delay(Duration),
    /// Adds an error, with the data kept or null.
    GraphqlErrors {
        /// Whether the data stay.
        keep_data: bool,
        /// `extensions.code`, if there is one.
        code: Option<String>,
        /// The message.
        message: String,
    },
    /// Says that there is a next page, and gives the cursor that the request came with, if it came with one.
    RepeatCursor,
    /// Leaves out the nodes of a page; counts and cursors stay.
    LosePage,
    /// Answers as if the list were empty: no nodes, a count of 0 and no next page.
    EmptyList,
    /// Leaves out the last node of a page; counts and cursors stay.
    DropLastNode,
    /// Puts the first node of a page in the place of the last, so that the count stays right.
    DuplicateNode,
    /// Makes null what this JSON pointer (`/tags`, or the empty text for the node itself) names in a page's first node.
    NullAt(String),
    /// Changes each node of a page.
    RewriteNode(Edit),
    /// Changes the whole answer.
    EditAnswer(Edit),
    /// The server's schema lacks this field: `relationName`, or `ModelAppliedStateNode.relationName` for one type only.
    UnknownField(String),
    /// Moves the state's `lastUpdatedAt` before the answer is made, as if a run had just ended.
    MoveBefore(Side),
    /// Moves the state's `lastUpdatedAt` right after the answer was made.
    MoveAfter(Side),
    /// Answers null for a state, without an error.
    NullState(Side),
    /// Puts this code and message in the envelope of the Admin API, and null for the data; the HTTP status stays.
    EnvelopeError(i64, String),
    /// Says this of how many items the page has (`pagination.count`); `None` says nothing.
    PageCount(Option<i64>),
    /// Adds this to what the answer says of how many items there are (`total_count`, `totalItems`), to none at least.
    TotalOff(i64),
    /// Does not say how many items there are.
    NoTotal,
    /// Gives so many items of a page at most, though more were asked for and follow.
    ShortPage(usize),
    /// After this answer an item comes before those of its page, until the list is read from its beginning: the next page of the Admin
    /// API repeats the last item.
    ItemCameBefore,
    /// After this answer an item before the next page is gone, until the list is read from its beginning: the next page skips one.
    ItemWentBefore,
    /// Answers a web page with status 200, as a proxy's login does.
    HtmlPage,
    /// Answers nothing with status 200.
    EmptyBody,
    /// Answers so many bytes that are no use, uncompressed.
    HugeBody(usize),
    /// The same, compressed to almost nothing.
    GzipBomb(usize),
}

/// A rule: which answers to spoil, and how. By default the next one, of whatever operation.
pub struct Fault {
    pub(super) action: Action,
    operation: Option<String>,
    page: Page,
    larger_than: i64,
    skip: usize,
    times: usize,
}

impl Fault {
    /// Spoils the next answer in this way.
    pub fn new(action: Action) -> Self {
        Self { action, operation: None, page: Page::Any, larger_than: -1, skip: 0, times: 1 }
    }

    /// Only answers to the operation of this name.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only answers that are this page.
    #[must_use]
    pub fn page(mut self, page: Page) -> Self {
        self.page = page;
        self
    }

    /// Only answers to who asks for more than so many nodes at once.
    #[must_use]
    pub fn larger_than(mut self, nodes: i64) -> Self {
        self.larger_than = nodes;
        self
    }

    /// Lets so many answers that would match pass first.
    #[must_use]
    pub fn skip(mut self, answers: usize) -> Self {
        self.skip = answers;
        self
    }

    /// Spoils so many answers.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Spoils every answer that matches.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Whether it may still strike an answer to this.
    pub(super) fn is_about(&self, operation: &str, body: &Body) -> bool {
        let number = |name: &&str| body.variables.as_ref().and_then(|variables| variables[*name].as_i64());
        let first = ["first", "limit", "pageSize"].iter().find_map(number).unwrap_or_default();
        self.times > 0 && first > self.larger_than && self.operation.as_deref().is_none_or(|it| it == operation)
    }

    /// Whether it strikes an answer that it is about. Counts it.
    pub(super) fn strikes(&mut self, place: &Place) -> bool {
        let is_page = match self.page {
            Page::Any => true,
            Page::First => place.is_first,
            Page::Middle => !place.is_first && !place.is_last,
            Page::Last => place.is_last,
        };
        if !is_page {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

/// Where in a connection, or in another list, an answer is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub is_first: bool,
    pub is_last: bool,
}

impl Place {
    pub(super) fn of(body: &Body, answer: &mut Value) -> Self {
        let variables = body.variables.as_ref().unwrap_or(&Value::Null);
        if let Some(place) = platform::place(variables, answer) {
            return place;
        }
        let (after, mut has_next) = (variables["after"].as_str(), false);
        each_connection(answer, &mut |it| has_next |= it["pageInfo"]["hasNextPage"] == true);
        Self { is_first: after.is_none_or(str::is_empty), is_last: !has_next }
    }
}

/// How the bytes of an answer go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Reset,
    Cut(usize, Length),
    Drip(usize, Duration),
}

/// An answer, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// The body is compressed already, or must not be.
    pub is_encoded: bool,
    pub delay: Duration,
    pub delivery: Delivery,
}

impl Reply {
    pub(super) fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: "application/json",
            body,
            is_encoded: false,
            delay: Duration::ZERO,
            delivery: Delivery::Whole,
        }
    }

    /// Spoils the bytes; actions on JSON do nothing here.
    pub(super) fn spoil(&mut self, action: &Action) {
        match action {
            Action::Status(status, headers, body) => {
                (self.status, self.headers, self.body) = (*status, headers.clone(), body.clone().into_bytes());
            }
            Action::Reset => self.delivery = Delivery::Reset,
            Action::CutBody(bytes, length) => self.delivery = Delivery::Cut(*bytes, *length),
            Action::Drip(bytes, pause) => self.delivery = Delivery::Drip(*bytes, *pause),
            Action::Delay(delay) => self.delay = *delay,
            Action::HtmlPage => {
                self.content_type = "text/html; charset=utf-8";
                self.body =
                    b"<!DOCTYPE html><html><title>Sign in</title><body>Sign in to continue</body></html>".to_vec();
            }
            Action::EmptyBody => self.body.clear(),
            Action::HugeBody(bytes) => (self.body, self.is_encoded) = (vec![b' '; *bytes], true),
            Action::GzipBomb(bytes) => {
                self.headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
                (self.body, self.is_encoded) = (bomb(*bytes), true);
            }
            _ => {}
        }
    }
}

fn bomb(bytes: usize) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let blanks = [b' '; 8192];
    let mut left = bytes;
    while left > 0 && gzip.write_all(&blanks[..left.min(blanks.len())]).is_ok() {
        left -= left.min(blanks.len());
    }
    gzip.finish().unwrap_or_default()
}

/// Spoils an answer's JSON; actions on bytes do nothing here. `after` is the cursor that the request came with.
pub(super) fn edit(action: &Action, answer: &mut Value, after: Option<&str>) {
    platform::edit(action, answer);
    match action {
        Action::GraphqlErrors { keep_data, code, message } => {
            let extensions = code.as_ref().map(|code| json!({"code": code}));
            answer["errors"] =
                json!([{"message": message, "path": ["environment", "applied"], "extensions": extensions}]);
            if !keep_data {
                answer["data"] = Value::Null;
            }
        }
        Action::RepeatCursor => each_connection(answer, &mut |it| {
            it["pageInfo"]["hasNextPage"] = true.into();
            if let Some(after) = after {
                it["pageInfo"]["endCursor"] = after.into();
            }
        }),
        Action::LosePage => each_edges(answer, Vec::clear),
        Action::EmptyList => {
            each_lineage(answer, &mut Vec::clear);
            each_connection(answer, &mut |it| {
                it["edges"] = json!([]);
                it["totalCount"] = 0.into();
                it["pageInfo"] = json!({"hasNextPage": false, "endCursor": null});
            });
        }
        Action::DropLastNode => each_edges(answer, |edges| drop(edges.pop())),
        Action::DuplicateNode => each_edges(answer, |edges| match edges.first().cloned() {
            Some(first) if edges.len() > 1 => edges.splice(edges.len() - 1.., [first]).for_each(drop),
            Some(first) => edges.push(first),
            None => {}
        }),
        Action::NullAt(pointer) => each_edges(answer, |edges| {
            let node = edges.first_mut().and_then(|edge| edge.get_mut("node")?.pointer_mut(pointer));
            if let Some(value) = node {
                *value = Value::Null;
            }
        }),
        Action::RewriteNode(change) => {
            each_lineage(answer, &mut |nodes| nodes.iter_mut().for_each(change));
            each_connection(answer, &mut |it| {
                it["edges"].as_array_mut().into_iter().flatten().for_each(|edge| change(&mut edge["node"]));
            });
        }
        Action::EditAnswer(change) => change(answer),
        Action::NullState(side) => {
            let key = if *side == Side::Applied { "applied" } else { "definition" };
            if let Some(state) = answer.pointer_mut(&format!("/data/environment/{key}")) {
                *state = Value::Null;
            }
        }
        _ => {}
    }
}

/// The items of each list, whether they are edges, the nodes of a lineage, or another interface's.
fn each_edges(answer: &mut Value, mut change: impl FnMut(&mut Vec<Value>)) {
    platform::each_list(answer, &mut change);
    each_lineage(answer, &mut change);
    each_connection(answer, &mut |connection| {
        if let Some(edges) = connection["edges"].as_array_mut() {
            change(edges);
        }
    });
}

/// The lineage of either state.
fn each_lineage(answer: &mut Value, change: &mut dyn FnMut(&mut Vec<Value>)) {
    for state in ["applied", "definition"] {
        let nodes = answer.pointer_mut(&format!("/data/environment/{state}/lineage"));
        nodes.and_then(Value::as_array_mut).into_iter().for_each(&mut *change);
    }
}

/// Everything in the answer that has edges or a count, wherever it is and whatever it is called.
fn each_connection(value: &mut Value, act: &mut impl FnMut(&mut Value)) {
    let Value::Object(map) = value else { return };
    let is_one = map.get("edges").is_some_and(Value::is_array) || map.contains_key("pageInfo");
    if is_one || map.contains_key("totalCount") {
        act(value);
    } else {
        map.values_mut().for_each(|inner| each_connection(inner, act));
    }
}
