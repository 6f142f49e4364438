//! The server as its owner sees it: started, changed, spoiled, asked what it was asked, and stopped by dropping it.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use super::engine::{Body, Engine};
use super::faults::{Action, Delivery, Fault, Place, Reply, edit};
use super::objects::Environment;
use super::project::{Index, Project, Side};
use super::{Error, http};

/// A request that the server has answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation's name, empty if it has none.
    pub operation: String,
    /// The variables, null if there are none.
    pub variables: Value,
    /// The status it was answered with; 0 if the connection was reset.
    pub status: u16,
    /// When.
    pub at: Instant,
}

/// A project and what follows from it.
struct Held {
    project: Project,
    index: OnceLock<Index>,
}

/// What the server's tasks and its owner share.
pub(super) struct Shared {
    token: String,
    engine: Engine,
    /// Engines of schemas that lack fields, by those.
    poorer: Mutex<HashMap<String, Arc<Engine>>>,
    environments: RwLock<BTreeMap<i64, Held>>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<Request>>,
}

/// A Discovery server on loopback, in a thread of its own. Dropping it stops it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves these environments, by id, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(environments: Vec<(i64, Project)>) -> Result<Self, Error> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), environments)
    }

    /// Serves these environments at this address.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start_on(address: SocketAddr, environments: Vec<(i64, Project)>) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let held = |project| Held { project, index: OnceLock::new() };
        let shared = Arc::new(Shared {
            token: format!("demo_{:016x}", fastrand::u64(..)),
            engine: Engine::without(&[]),
            poorer: Mutex::default(),
            environments: RwLock::new(environments.into_iter().map(|(id, project)| (id, held(project))).collect()),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || runtime.block_on(http::serve(listener, for_thread, stopped)));
        Ok(Self { address: bound, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where to send queries.
    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// The token that it accepts.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// Reads or changes a project, between two requests.
    ///
    /// # Panics
    /// When the server has no such environment.
    pub fn change<R>(&self, environment: i64, change: impl FnOnce(&mut Project) -> R) -> R {
        let mut environments = self.shared.environments.write().unwrap_or_else(PoisonError::into_inner);
        let held =
            environments.get_mut(&environment).unwrap_or_else(|| panic!("there is no environment {environment}"));
        held.index = OnceLock::new();
        change(&mut held.project)
    }

    /// Adds a rule. All rules that match an answer spoil it, in the order in which they were added.
    pub fn add_fault(&self, rule: Fault) {
        lock(&self.shared.faults).push(rule);
    }

    /// Behaves again.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// The requests so far, refused ones too, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.requests).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A thread that panicked is as stopped as one that was told to.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

impl Shared {
    pub(super) fn accepts(&self, authorization: &str) -> bool {
        let token = ["Bearer ", "Token "].iter().find_map(|prefix| authorization.strip_prefix(prefix));
        token == Some(self.token.as_str())
    }

    /// Answers a request, spoiled by every fault that matches.
    pub(super) fn answer(&self, body: &Body) -> Reply {
        let operation = body.operation();
        let engine = self.engine_for(&operation, body);
        let execute = || self.execute(engine.as_deref().unwrap_or(&self.engine), body);
        let mut faults = lock(&self.faults);
        if faults.iter().any(|fault| fault.is_about(&operation, body)) {
            return self.spoiled(body, &operation, &mut faults, &execute);
        }
        drop(faults);
        let (status, bytes) = execute();
        Reply::json(status, bytes)
    }

    /// Notes that a request was answered.
    pub(super) fn record(&self, body: &Body, reply: &Reply) {
        let status = if reply.delivery == Delivery::Reset { 0 } else { reply.status };
        let variables = body.variables.clone().unwrap_or_default();
        lock(&self.requests).push(Request { operation: body.operation(), variables, status, at: Instant::now() });
    }

    fn execute(&self, engine: &Engine, body: &Body) -> (u16, Vec<u8>) {
        let environments = self.environments.read().unwrap_or_else(PoisonError::into_inner);
        let ready = environments.iter().map(|(&id, held)| {
            let index = held.index.get_or_init(|| Index::of(&held.project));
            (id, Environment { project: &held.project, index })
        });
        engine.execute(body, ready.collect())
    }

    /// The engine whose schema lacks what a fault says it lacks, if one does.
    fn engine_for(&self, operation: &str, body: &Body) -> Option<Arc<Engine>> {
        let mut missing = Vec::new();
        for fault in lock(&self.faults).iter_mut().filter(|fault| fault.is_about(operation, body)) {
            let Action::UnknownField(field) = &fault.action else { continue };
            let field = field.clone();
            if fault.strikes(&Place { is_first: true, is_last: true }) {
                missing.push(field);
            }
        }
        let fields: Vec<&str> = missing.iter().map(String::as_str).collect();
        let make = || Arc::new(Engine::without(&fields));
        (!fields.is_empty()).then(|| Arc::clone(lock(&self.poorer).entry(fields.join(" ")).or_insert_with(make)))
    }

    fn spoiled(
        &self,
        body: &Body,
        operation: &str,
        faults: &mut [Fault],
        execute: &dyn Fn() -> (u16, Vec<u8>),
    ) -> Reply {
        let after = body.variables.as_ref().and_then(|it| it["after"].as_str());
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let (mut status, bytes) = execute();
        let mut answer = parse(&bytes);
        let place = Place::of(after, &mut answer);
        let striking: Vec<&Fault> = faults
            .iter_mut()
            .filter(|fault| fault.is_about(operation, body) && !matches!(fault.action, Action::UnknownField(_)))
            .filter_map(|fault| fault.strikes(&place).then_some(&*fault))
            .collect();
        for fault in &striking {
            if let Action::MoveBefore(side) = fault.action {
                self.move_state(body, side);
                let bytes;
                (status, bytes) = execute();
                answer = parse(&bytes);
            }
        }
        for fault in &striking {
            edit(&fault.action, &mut answer, after);
            if let Action::MoveAfter(side) = fault.action {
                self.move_state(body, side);
            }
        }
        let mut reply = Reply::json(status, serde_json::to_vec(&answer).unwrap_or_default());
        striking.iter().for_each(|fault| reply.spoil(&fault.action));
        reply
    }

    /// Moves the environment that the request names in a variable (`…id`), else all.
    fn move_state(&self, body: &Body, side: Side) {
        let variables = body.variables.as_ref().and_then(Value::as_object);
        let ids = variables.into_iter().flatten().filter(|(name, _)| name.to_lowercase().ends_with("id"));
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let named: Vec<i64> = ids.filter_map(|(_, value)| number(value)).collect();
        let mut environments = self.environments.write().unwrap_or_else(PoisonError::into_inner);
        for (id, held) in environments.iter_mut() {
            if named.is_empty() || named.contains(id) {
                held.project.move_last_updated_at(side);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use serde_json::json;

    use super::super::{Length, Page};
    use super::*;
    use crate::time::Timestamp;

    const QUERY: &str = "query Models($environmentId: BigInt!, $first: Int, $after: String) {
        environment(id: $environmentId) { applied { lastUpdatedAt models(first: $first, after: $after) {
            totalCount pageInfo { hasNextPage endCursor } edges { cursor node { uniqueId tags relationName } } } } } }";

    /// What came back, as HTTP and as JSON (null if it is none).
    struct Answer {
        status: u16,
        head: String,
        body: Vec<u8>,
        json: Value,
    }

    impl Answer {
        fn models(&self) -> &Value {
            &self.json["data"]["environment"]["applied"]["models"]
        }

        fn ids(&self) -> Vec<String> {
            let edges = self.models()["edges"].as_array().into_iter().flatten();
            edges.map(|edge| edge["node"]["uniqueId"].as_str().unwrap_or_default().to_owned()).collect()
        }
    }

    fn send(server: &Server, token: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(server.address)?;
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: it\r\nAuthorization: {token}\r\nContent-Length: {length}\r\n");
        stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).expect("text");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        Ok(Answer { status, json: serde_json::from_slice(&body).unwrap_or_default(), head, body })
    }

    fn page(server: &Server, first: i64, after: Option<&str>) -> std::io::Result<Answer> {
        let variables = json!({"environmentId": 1, "first": first, "after": after});
        let body = json!({"query": QUERY, "operationName": "Models", "variables": variables}).to_string();
        send(server, &format!("Bearer {}", server.token()), "/graphql", &body)
    }

    fn ask(server: &Server) -> Answer {
        page(server, 500, None).expect("an answer")
    }

    fn server() -> Server {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").expect("a time");
        Server::start(vec![(1, Project::bundled(now))]).expect("it starts")
    }

    /// The answer under one fault; the next must be sound again.
    fn under(action: Action) -> std::io::Result<Answer> {
        let server = server();
        let sound = ask(&server);
        server.add_fault(Fault::new(action).on("Models"));
        let answer = page(&server, 500, None);
        let last = server.requests().pop().expect("asked");
        assert_eq!(last.status, answer.as_ref().map_or(0, |it| it.status));
        assert_eq!(ask(&server).ids(), sound.ids());
        answer
    }

    #[test]
    fn paging_walks_all_nodes_once() {
        let server = server();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let answer = page(&server, 3, after.as_deref()).expect("an answer");
            seen.extend(answer.ids());
            after = answer.models()["pageInfo"]["endCursor"].as_str().map(str::to_owned);
            if answer.models()["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        let applied = server.change(1, |project| project.applied_ids());
        let models: BTreeSet<String> = applied.into_iter().filter(|id| id.starts_with("model.")).collect();
        assert_eq!(seen.len(), models.len());
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), models);
    }

    #[test]
    fn more_than_500_at_once_are_refused() {
        let answer = page(&server(), 501, None).expect("an answer");
        assert_eq!(answer.status, 200);
        assert!(answer.json["data"]["environment"]["applied"].is_null());
        assert!(answer.json["errors"][0]["message"].as_str().is_some_and(|it| it.contains("500")));
    }

    #[test]
    fn an_invalid_query_is_a_bad_request() {
        let server = server();
        let body = json!({"query": "{ environment(id: 1) { nonsense } }"}).to_string();
        let token = format!("Token {}", server.token());
        assert_eq!(send(&server, &token, "/graphql", &body).expect("an answer").status, 400);
        assert_eq!(send(&server, &token, "/graphql", "no JSON").expect("an answer").status, 400);
        let no_variable = json!({"query": QUERY}).to_string();
        assert_eq!(send(&server, &token, "/graphql", &no_variable).expect("an answer").status, 400);
    }

    #[test]
    fn wrong_tokens_and_paths_are_refused() {
        let server = server();
        for token in ["Bearer wrong", server.token(), ""] {
            assert_eq!(send(&server, token, "/graphql", "{}").expect("an answer").status, 401);
        }
        assert_eq!(send(&server, "", "/", "{}").expect("an answer").status, 404);
        let statuses: Vec<u16> = server.requests().iter().map(|it| it.status).collect();
        assert_eq!(statuses, [401, 401, 401, 404]);
    }

    #[test]
    fn a_connection_serves_many_requests_and_gzip() {
        let server = server();
        let mut stream = TcpStream::connect(server.address).expect("connected");
        let body = json!({"query": QUERY, "variables": {"environmentId": 1}}).to_string();
        let (token, length) = (server.token(), body.len());
        let head = format!("POST /graphql HTTP/1.1\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n");
        for last in ["", "connection: close\r\n"] {
            stream.write_all(format!("{head}accept-encoding: gzip\r\n{last}\r\n{body}").as_bytes()).expect("sent");
        }
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("read");
        let gzip = bytes.windows(2).rposition(|it| it == [0x1f, 0x8b]).expect("compressed");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[gzip..]).read_to_string(&mut text).expect("gzip");
        assert!(text.starts_with("{\"data\":"), "{text}");
        assert_eq!(server.requests().len(), 2);
    }

    #[test]
    fn changes_show_in_the_next_answer_and_move_the_state() {
        let server = server();
        let before = ask(&server);
        let id = server.change(1, |project| project.add_model("fct_new", &["model.mini_shop.orders"]));
        let after = ask(&server);
        assert!(after.ids().contains(&id));
        let moved = |answer: &Answer| answer.json["data"]["environment"]["applied"]["lastUpdatedAt"].clone();
        assert_ne!(moved(&before), moved(&after));
        server.change(1, |project| project.remove("model.mini_shop.orders"));
        assert!(server.change(1, |project| project.node(&id).expect("there").parents.is_empty()));
        server.change(1, |project| project.restore("model.mini_shop.orders"));
        assert_eq!(
            server.change(1, |project| project.node(&id).expect("there").parents.clone()),
            ["model.mini_shop.orders".into()]
        );
        server.change(1, |project| project.set_null_applied(true));
        let null = ask(&server);
        assert!(null.json["data"]["environment"]["applied"].is_null() && null.json.get("errors").is_none());
    }

    #[test]
    fn a_grown_project_has_copies_with_edges_among_themselves() {
        let mut project = Project::bundled(Timestamp::now());
        let (nodes, edges) = (project.ids().len(), project.edges().len());
        project.grow(30);
        assert_eq!((project.ids().len(), project.edges().len()), (3 * nodes, 3 * edges));
        assert!(
            project.edges().contains(&("model.mini_shop.orders__2".into(), "model.mini_shop.broken_model__2".into()))
        );
    }

    #[test]
    fn statuses_and_pages_that_are_no_answers() {
        let header = vec![("Retry-After".to_owned(), "7".to_owned())];
        let answer = under(Action::Status(429, header, "slow down".to_owned())).expect("an answer");
        assert!(answer.status == 429 && answer.head.contains("Retry-After: 7\r\n") && answer.body == b"slow down");
        assert!(under(Action::HtmlPage).expect("an answer").head.contains("text/html"));
        assert!(under(Action::EmptyBody).expect("an answer").body.is_empty());
        assert_eq!(under(Action::HugeBody(100_000)).expect("an answer").body.len(), 100_000);
        let bomb = under(Action::GzipBomb(1_000_000)).expect("an answer");
        assert!(bomb.body.len() < 5_000 && bomb.head.contains("Content-Encoding: gzip"));
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&bomb.body[..]).read_to_end(&mut text).expect("gzip");
        assert_eq!(text.len(), 1_000_000);
    }

    #[test]
    fn connections_that_break() {
        assert!(under(Action::Reset).is_err());
        for (length, stated) in [(Length::Whole, true), (Length::Cut, true), (Length::Missing, false)] {
            let answer = under(Action::CutBody(40, length)).expect("an answer");
            assert!(answer.body.len() == 40 && answer.head.contains("Content-Length") == stated, "{length:?}");
            assert_eq!(answer.head.contains("Content-Length: 40\r\n"), length == Length::Cut);
        }
        let chunked = under(Action::CutBody(40, Length::Chunked)).expect("an answer");
        assert!(chunked.head.contains("Transfer-Encoding: chunked") && chunked.body.starts_with(b"28\r\n{"));
        let whole = under(Action::Drip(500, Duration::from_millis(1))).expect("an answer");
        assert!(whole.json.is_object());
        let asked = Instant::now();
        under(Action::Delay(Duration::from_millis(50))).expect("an answer");
        assert!(asked.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn answers_with_errors() {
        let action = |keep_data| Action::GraphqlErrors {
            keep_data,
            code: Some("INTERNAL".to_owned()),
            message: "no".to_owned(),
        };
        let kept = under(action(true)).expect("an answer");
        assert!(kept.json["data"].is_object() && kept.json["errors"][0]["extensions"]["code"] == "INTERNAL");
        assert!(under(action(false)).expect("an answer").json["data"].is_null());
        let null = under(Action::NullState(Side::Applied)).expect("an answer");
        assert!(null.json["data"]["environment"]["applied"].is_null() && null.json.get("errors").is_none());
        let unknown = under(Action::UnknownField("ModelAppliedStateNode.relationName".to_owned())).expect("an answer");
        assert!(
            unknown.status == 400
                && unknown.json["errors"][0]["message"].as_str().is_some_and(|it| it.contains("relationName"))
        );
    }

    #[test]
    fn pages_that_are_not_whole() {
        let models = ask(&server()).ids();
        let total = models.len();
        let counted = |action| {
            let answer = under(action).expect("an answer");
            assert_eq!(answer.models()["totalCount"], total);
            answer.ids()
        };
        assert!(counted(Action::LosePage).is_empty());
        assert_eq!(counted(Action::DropLastNode), models[..total - 1]);
        let doubled = counted(Action::DuplicateNode);
        assert!(doubled.len() == total && doubled[total - 1] == models[0]);
        let null = under(Action::NullAt("/tags".to_owned())).expect("an answer");
        assert!(
            null.models()["edges"][0]["node"]["tags"].is_null() && null.models()["edges"][1]["node"]["tags"].is_array()
        );
        assert!(under(Action::NullAt(String::new())).expect("an answer").models()["edges"][0]["node"].is_null());
        let rewritten = under(Action::RewriteNode(Box::new(|node| node["uniqueId"] = "x".into()))).expect("an answer");
        assert!(rewritten.ids().iter().all(|id| id == "x"));
        let edited = under(Action::EditAnswer(Box::new(|answer| answer["data"] = 1.into()))).expect("an answer");
        assert_eq!(edited.json["data"], 1);
    }

    #[test]
    fn a_repeated_cursor_is_the_one_that_was_sent() {
        let server = server();
        let cursor = page(&server, 3, None).expect("an answer").models()["pageInfo"]["endCursor"].clone();
        server.add_fault(Fault::new(Action::RepeatCursor));
        let answer = page(&server, 3, cursor.as_str()).expect("an answer");
        assert_eq!(answer.models()["pageInfo"], json!({"endCursor": cursor, "hasNextPage": true}));
    }

    #[test]
    fn the_state_moves_before_or_after_an_answer() {
        let moved = |answer: &Answer| answer.json["data"]["environment"]["applied"]["lastUpdatedAt"].clone();
        for (action, shows_at_once) in
            [(Action::MoveBefore(Side::Applied), true), (Action::MoveAfter(Side::Applied), false)]
        {
            let server = server();
            let before = moved(&ask(&server));
            server.add_fault(Fault::new(action));
            assert_eq!(moved(&ask(&server)) != before, shows_at_once);
            assert_ne!(moved(&ask(&server)), before);
        }
    }

    #[test]
    fn rules_strike_where_and_as_often_as_they_say() {
        let server = server();
        let models = ask(&server).ids();
        let statuses = |rule: Fault| {
            server.clear_faults();
            server.add_fault(rule);
            let (mut statuses, mut after) = (Vec::new(), None);
            for model in models.chunks(3) {
                statuses.push(page(&server, 3, after.as_deref()).expect("an answer").status);
                after = model.last().map(|id| id.bytes().map(|it| format!("{it:02x}")).collect::<String>());
            }
            statuses
        };
        let fault = || Fault::new(Action::Status(500, Vec::new(), String::new()));
        assert_eq!(statuses(fault()), [500, 200, 200, 200]);
        assert_eq!(statuses(fault().on("Sources")), [200; 4]);
        assert_eq!(statuses(fault().skip(1).times(2)), [200, 500, 500, 200]);
        assert_eq!(statuses(fault().page(Page::Middle)), [200, 500, 200, 200]);
        assert_eq!(statuses(fault().page(Page::Last)), [200, 200, 200, 500]);
        assert_eq!(statuses(fault().always()), [500; 4]);
        assert_eq!(statuses(fault().larger_than(3).always()), [200; 4]);
        assert_eq!(statuses(fault().larger_than(2)), [500, 200, 200, 200]);
    }

    #[test]
    fn it_stops_when_it_is_dropped() {
        let server = server();
        let address = server.address;
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
