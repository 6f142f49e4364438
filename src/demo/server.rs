//! The server as its owner sees it: started, changed, spoiled, asked what it was asked, and stopped by dropping it.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use super::engine::{Body, DISCOVERY, Engine, SEMANTIC_LAYER};
use super::faults::{Action, Delivery, Fault, Place, Reply, edit};
use super::objects::{Environment, Query};
use super::platform::{Call, Platform, SemanticQuery};
use super::project::{Index, Project, Side};
use super::{Error, http};

/// A request that the server has answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation's name, empty if it has none; of the Admin API what is asked for, as `runs`.
    pub operation: String,
    /// The variables, null if there are none; of the Admin API the parameters.
    pub variables: Value,
    /// The path and the query string.
    pub target: String,
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

type Environments = BTreeMap<i64, Held>;

/// What a request's token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing.
    None,
    /// Discovery and the Semantic Layer.
    Metadata,
    /// The Admin API, too.
    Everything,
}

/// What is asked in GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Interface {
    Discovery,
    SemanticLayer,
}

impl Interface {
    fn engine_without(self, fields: &[&str]) -> Engine {
        Engine::without(if self == Self::Discovery { DISCOVERY } else { SEMANTIC_LAYER }, fields)
    }
}

/// What the server's tasks and its owner share. Who locks several of these does it in this order.
pub(super) struct Shared {
    token: String,
    platform_token: String,
    has_one_token: AtomicBool,
    discovery: Engine,
    semantic_layer: Engine,
    /// Engines of schemas that lack fields, by those.
    poorer: Mutex<HashMap<(Interface, String), Arc<Engine>>>,
    faults: Mutex<Vec<Fault>>,
    environments: RwLock<Environments>,
    platform: Mutex<Platform>,
    /// How many items fewer than at first are before the next page, by the list's operation.
    gone: Mutex<HashMap<String, i64>>,
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
        let shared = Arc::new(Shared::of(environments));
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

    /// The address under which the platform's other interfaces are: `/api/v2`, `/api/v3` and `/api/graphql`.
    pub fn platform_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that Discovery and the Semantic Layer accept.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// The token that the Admin API accepts, and the others as well.
    pub fn platform_token(&self) -> &str {
        if self.shared.has_one_token.load(Ordering::Relaxed) { self.token() } else { &self.shared.platform_token }
    }

    /// Lets one token open everything: from now on both are [`token`](Self::token).
    pub fn use_one_token(&self) {
        self.shared.has_one_token.store(true, Ordering::Relaxed);
    }

    /// The variables of a client's environment, with their values, by which `lineaged` finds all interfaces.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("LINEAGED_PLATFORM__URL", self.platform_url()),
            ("LINEAGED_DISCOVERY__TOKEN", self.token().to_owned()),
            ("LINEAGED_PLATFORM__TOKEN", self.platform_token().to_owned()),
            ("LINEAGED_PLATFORM__SEMANTIC_LAYER", "true".to_owned()),
        ]
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
        let result = change(&mut held.project);
        // Now, since the next change may leave no node that names this one's run.
        lock(&self.shared.platform).follow(environment, &held.project);
        result
    }

    /// Reads or changes what the platform holds around the environments, between two requests.
    pub fn change_platform<R>(&self, change: impl FnOnce(&mut Platform) -> R) -> R {
        change(&mut lock(&self.shared.platform))
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
    fn of(environments: Vec<(i64, Project)>) -> Self {
        let held = |project| Held { project, index: OnceLock::new() };
        let environments: Environments = environments.into_iter().map(|(id, project)| (id, held(project))).collect();
        Self {
            token: format!("demo_{:016x}", fastrand::u64(..)),
            platform_token: format!("demo_platform_{:016x}", fastrand::u64(..)),
            has_one_token: AtomicBool::new(false),
            discovery: Interface::Discovery.engine_without(&[]),
            semantic_layer: Interface::SemanticLayer.engine_without(&[]),
            poorer: Mutex::default(),
            faults: Mutex::default(),
            platform: Mutex::new(Platform::of(projects(&environments))),
            environments: RwLock::new(environments),
            gone: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    pub(super) fn access(&self, authorization: &str) -> Access {
        match ["Bearer ", "Token "].iter().find_map(|prefix| authorization.strip_prefix(prefix)) {
            Some(token) if token == self.platform_token => Access::Everything,
            Some(token) if token == self.token && self.has_one_token.load(Ordering::Relaxed) => Access::Everything,
            Some(token) if token == self.token => Access::Metadata,
            _ => Access::None,
        }
    }

    /// Answers a request in GraphQL, spoiled by every fault that matches.
    pub(super) fn answer(&self, interface: Interface, body: &Body) -> Reply {
        let engine = match interface {
            Interface::Discovery => &self.discovery,
            Interface::SemanticLayer => &self.semantic_layer,
        };
        let poorer = self.engine_for(interface, body);
        let engine = poorer.as_deref().unwrap_or(engine);
        self.reply(body, &|| match interface {
            Interface::Discovery => self.execute(engine, body),
            Interface::SemanticLayer => engine.execute(body, &SemanticQuery::of(projects(&self.environments()))),
        })
    }

    /// Answers a request to the Admin API, spoiled by every fault that matches.
    pub(super) fn administer(&self, call: &Call) -> Reply {
        let body = call.body();
        let operation = body.operation();
        if call.is_first() {
            lock(&self.gone).remove(&operation);
        }
        self.reply(&body, &|| {
            let gone = lock(&self.gone).get(&operation).copied().unwrap_or_default();
            let (status, envelope) = call.answer(&lock(&self.platform), gone);
            (status, serde_json::to_vec(&envelope).unwrap_or_default())
        })
    }

    /// Notes that a request was answered.
    pub(super) fn record(&self, target: &str, body: &Body, reply: &Reply) {
        let status = if reply.delivery == Delivery::Reset { 0 } else { reply.status };
        let variables = body.variables.clone().unwrap_or_default();
        let (operation, target) = (body.operation(), target.to_owned());
        lock(&self.requests).push(Request { operation, variables, target, status, at: Instant::now() });
    }

    fn environments(&self) -> RwLockReadGuard<'_, Environments> {
        self.environments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, body: &Body, execute: &dyn Fn() -> (u16, Vec<u8>)) -> Reply {
        let operation = body.operation();
        let mut faults = lock(&self.faults);
        if faults.iter().any(|fault| fault.is_about(&operation, body)) {
            return self.spoiled(body, &operation, &mut faults, execute);
        }
        drop(faults);
        let (status, bytes) = execute();
        Reply::json(status, bytes)
    }

    fn execute(&self, engine: &Engine, body: &Body) -> (u16, Vec<u8>) {
        let environments = self.environments();
        let ready = environments.iter().map(|(&id, held)| {
            let index = held.index.get_or_init(|| Index::of(&held.project));
            (id, Environment { project: &held.project, index })
        });
        engine.execute(body, &Query(ready.collect()))
    }

    /// The engine whose schema lacks what a fault says it lacks, if one does.
    fn engine_for(&self, interface: Interface, body: &Body) -> Option<Arc<Engine>> {
        let (mut missing, operation) = (Vec::new(), body.operation());
        for fault in lock(&self.faults).iter_mut().filter(|fault| fault.is_about(&operation, body)) {
            let Action::UnknownField(field) = &fault.action else { continue };
            let field = field.clone();
            if fault.strikes(&Place { is_first: true, is_last: true }) {
                missing.push(field);
            }
        }
        let fields: Vec<&str> = missing.iter().map(String::as_str).collect();
        let (key, make) = ((interface, fields.join(" ")), || Arc::new(interface.engine_without(&fields)));
        (!fields.is_empty()).then(|| Arc::clone(lock(&self.poorer).entry(key).or_insert_with(make)))
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
        let place = Place::of(body, &mut answer);
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
            match fault.action {
                Action::MoveAfter(side) => self.move_state(body, side),
                Action::ItemCameBefore => *lock(&self.gone).entry(operation.to_owned()).or_default() -= 1,
                Action::ItemWentBefore => *lock(&self.gone).entry(operation.to_owned()).or_default() += 1,
                _ => {}
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

fn projects(environments: &Environments) -> impl Iterator<Item = (i64, &Project)> {
    environments.iter().map(|(&id, held)| (id, &held.project))
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
        let (method, length) = (if body.is_empty() { "GET" } else { "POST" }, body.len());
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: it\r\nAuthorization: {token}\r\nContent-Length: {length}\r\n");
        stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).expect("text");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        Ok(Answer { status, json: serde_json::from_slice(&body).unwrap_or_default(), head, body })
    }

    fn admin(server: &Server, target: &str) -> Answer {
        send(server, &format!("Token {}", server.platform_token()), target, "").expect("an answer")
    }

    fn runs(server: &Server, parameters: &str) -> Answer {
        admin(server, &format!("/api/v2/accounts/1/runs/?{parameters}"))
    }

    fn metrics(server: &Server, query: &str) -> Answer {
        let body = json!({"query": query, "variables": {"environmentId": "1"}}).to_string();
        send(server, &format!("Bearer {}", server.token()), "/api/graphql", &body).expect("an answer")
    }

    fn ids_of(answer: &Answer) -> Vec<i64> {
        answer.json["data"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_i64()).collect()
    }

    /// All runs, read in pages of ten.
    fn walk(server: &Server) -> Vec<i64> {
        let pages = (0..5).map(|page| ids_of(&runs(server, &format!("limit=10&offset={}", page * 10))));
        pages.flatten().collect()
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
    fn the_admin_api_wants_its_own_token() {
        let server = server();
        let status = |token: &str| send(&server, token, "/api/v3/accounts/?state=1", "").expect("an answer").status;
        let (first, second) = (format!("Bearer {}", server.token()), format!("Token {}", server.platform_token()));
        assert_eq!([status(""), status("Bearer wrong"), status(&first), status(&second)], [401, 401, 403, 200]);
        let refused = send(&server, &first, "/api/v2/accounts/1/", "").expect("an answer").json;
        assert_eq!((&refused["data"], &refused["status"]["code"]), (&Value::Null, &json!(403)));
        assert_eq!(
            send(&server, &second, "/graphql", r#"{"query": "{ __typename }"}"#).expect("an answer").status,
            200
        );
        server.use_one_token();
        assert_eq!((status(&first), server.token()), (200, server.platform_token()));
        let last = server.requests().pop().expect("asked");
        assert_eq!((last.operation.as_str(), last.target.as_str()), ("accounts", "/api/v3/accounts/?state=1"));
        assert_eq!(admin(&server, "/api/v2/nothing/").status, 404);
    }

    #[test]
    fn paging_walks_all_runs_once() {
        let server = server();
        let all = ids_of(&runs(&server, ""));
        assert_eq!((all.len(), walk(&server)), (31, all));
    }

    #[test]
    fn an_evolved_project_has_new_runs() {
        let server = server();
        let newest = |server: &Server| runs(server, "order_by=-finished_at&limit=1").json["data"][0].clone();
        let before = newest(&server);
        server.change(1, |project| project.evolve(1));
        let after = newest(&server);
        assert!(before["id"].as_i64() < after["id"].as_i64());
        let applied = server.change(1, |project| (project.last_updated_at(Side::Applied), project.git_sha()));
        assert_eq!(Timestamp::parse(after["finished_at"].as_str().expect("a time")), applied.0);
        assert_eq!((after["git_sha"].as_str(), &after["is_error"]), (Some(applied.1.as_str()), &json!(true)));
    }

    #[test]
    fn lists_that_are_miscounted_or_shift() {
        let under = |action| {
            let server = server();
            server.add_fault(Fault::new(action).on("runs"));
            (runs(&server, "limit=10").json, walk(&server))
        };
        let pagination = |action| under(action).0["extra"]["pagination"].clone();
        assert_eq!(pagination(Action::PageCount(Some(0))), json!({"count": 0, "total_count": 31}));
        assert_eq!(pagination(Action::TotalOff(-21)), json!({"count": 10, "total_count": 10}));
        assert_eq!(pagination(Action::NoTotal), json!({"count": 10}));
        assert_eq!(pagination(Action::ShortPage(4)), json!({"count": 4, "total_count": 31}));
        assert_eq!(under(Action::LosePage).0["data"], json!([]));
        let (envelope, again) = under(Action::EnvelopeError(500, "no".to_owned()));
        assert_eq!((&envelope["data"], &envelope["status"]["is_success"]), (&Value::Null, &json!(false)));
        assert_eq!(again.len(), 31);
    }

    #[test]
    fn items_come_and_go_between_two_pages() {
        for (action, expected) in [(Action::ItemCameBefore, 32), (Action::ItemWentBefore, 30)] {
            let server = server();
            let all = walk(&server);
            server.add_fault(Fault::new(action).on("runs").page(Page::First));
            let (first, second) = (runs(&server, "limit=10"), runs(&server, "limit=10&offset=10"));
            assert_eq!(second.json["extra"]["pagination"]["total_count"], expected);
            let begins = ids_of(&second)[0];
            assert_eq!(begins, if expected == 32 { *ids_of(&first).last().expect("ten") } else { all[11] });
            assert_eq!(walk(&server), all, "from its beginning the list is whole");
        }
    }

    #[test]
    fn rules_know_the_last_page_of_a_list() {
        let server = server();
        server.add_fault(Fault::new(Action::HtmlPage).on("runs").page(Page::Last));
        assert!(!runs(&server, "limit=20").head.contains("text/html"));
        assert!(runs(&server, "limit=20&offset=20").head.contains("text/html"));
        server.add_fault(Fault::new(Action::Status(429, Vec::new(), String::new())).on("jobs").larger_than(50));
        assert_eq!(admin(&server, "/api/v2/accounts/1/jobs/?limit=50").status, 200);
        assert_eq!(admin(&server, "/api/v2/accounts/1/jobs/").status, 429);
    }

    #[test]
    fn the_semantic_layer_answers_and_refuses_what_does_not_fit() {
        let server = server();
        let query = "query Metrics($environmentId: BigInt!) { metricsPaginated(environmentId: $environmentId, pageSize: 3) {
            items { name dimensions { name qualifiedName type queryableGranularities } } pageNum totalItems totalPages } }";
        let page = metrics(&server, query).json["data"]["metricsPaginated"].clone();
        assert_eq!((&page["totalItems"], &page["totalPages"]), (&json!(4), &json!(2)));
        assert_eq!(page["items"][0]["name"], "average_order_value");
        assert_eq!(metrics(&server, &query.replace("qualifiedName", "fullName")).status, 400);
        server.add_fault(Fault::new(Action::UnknownField("Dimension.qualifiedName".to_owned())).on("Metrics"));
        assert_eq!(metrics(&server, query).status, 400);
        server.add_fault(Fault::new(Action::ShortPage(1)).on("Metrics"));
        server.add_fault(Fault::new(Action::TotalOff(5)).on("Metrics"));
        let page = metrics(&server, query).json["data"]["metricsPaginated"].clone();
        assert_eq!((page["items"].as_array().map(Vec::len), &page["totalItems"]), (Some(1), &json!(9)));
        let unknown = metrics(&server, "{ metrics(environmentId: 9001) { name } }").json;
        assert!(unknown["data"].is_null() && unknown["errors"].is_array());
    }

    #[test]
    fn it_stops_when_it_is_dropped() {
        let server = server();
        let address = server.address;
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
