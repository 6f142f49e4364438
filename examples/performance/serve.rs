//! The API from memory. What was asked before is answered by its bytes; what was not is answered by the demo's server, once.
//!
//! Beside `POST /graphql` there is `POST /control`, which takes some of `{"state": "first" | "changed" | "rerun", "latency": MS, "reset": true}`
//! and answers with the requests, bytes and misses since the last reset, and `GET /asked`, the bodies of those requests.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use lineaged::demo::{Growth, Project, Server};
use lineaged::time::Timestamp;
use serde_json::{Value, json};

/// Which state of the project is served, each newer than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Served {
    First,
    /// One in a hundred models is described anew, one has other parents, and one is new.
    Changed,
    /// Everything has run again.
    Rerun,
}

#[derive(Debug, Default, serde::Deserialize)]
struct Control {
    state: Option<Served>,
    latency: Option<u64>,
    #[serde(default)]
    reset: bool,
}

/// Status and compressed text.
type Answer = (StatusCode, Bytes);

struct Memory {
    answers: Mutex<HashMap<(Served, Bytes), Answer>>,
    engine: Mutex<Engine>,
    client: reqwest::Client,
    now: Mutex<Now>,
}

struct Now {
    state: Served,
    latency: Duration,
    asked: Vec<Bytes>,
    bytes: usize,
    misses: usize,
}

/// The demo's server with the project in one of the states.
struct Engine {
    sample: Project,
    growth: Growth,
    state: Served,
    server: Server,
}

impl Engine {
    fn new(sample: Project, growth: Growth) -> Result<Self, Box<dyn Error>> {
        let server = Self::grown(&sample, &growth)?;
        Ok(Self { sample, growth, state: Served::First, server })
    }

    fn grown(sample: &Project, growth: &Growth) -> Result<Server, Box<dyn Error>> {
        let mut project = sample.clone();
        project.grow_to(growth);
        Ok(Server::start(vec![(1, project)])?)
    }

    fn go_to(&mut self, state: Served) -> Result<(), Box<dyn Error>> {
        if state < self.state {
            (self.server, self.state) = (Self::grown(&self.sample, &self.growth)?, Served::First);
        }
        if self.state == Served::First && state > Served::First {
            self.server.change(1, change);
        }
        if self.state < Served::Rerun && state == Served::Rerun {
            self.server.change(1, Project::touch);
        }
        self.state = state;
        Ok(())
    }
}

fn change(project: &mut Project) {
    let ids = project.ids().into_iter().filter(|(_, kind)| *kind == "model").map(|(id, _)| id);
    let models: Vec<String> = ids.collect();
    for id in models.iter().step_by(100) {
        project.describe(id, "What it holds, told anew.");
    }
    let is_root = |id: &&String| {
        project.node(id).is_some_and(|node| node.parents.iter().all(|it| !it.as_str().starts_with("model.")))
    };
    let Some(root) = models.iter().find(is_root).cloned() else { return };
    let has_parents = |id: &&String| project.node(id).is_some_and(|node| node.parents.len() > 1);
    if let Some(rewired) = models[models.len() / 2..].iter().find(has_parents) {
        project.rewire(rewired, &[&root]);
    }
    project.add_model("one_more", &[&root]);
}

/// Serves until standard input ends.
pub(crate) fn run(options: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut sample = None;
    let mut growth = Growth { models: 1_000, sources_per_model: 1, is_deep: false };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or(format!("`{option}` wants a value"));
        match *option {
            "--sample" => sample = Some(PathBuf::from(value()?)),
            "--models" => growth.models = value()?.parse()?,
            "--sources" => growth.sources_per_model = value()?.parse()?,
            "--deep" => growth.is_deep = true,
            _ => return Err(format!("there is no option `{option}`").into()),
        }
    }
    let now = Timestamp::now();
    let sample = match sample {
        Some(folder) => Project::load(&folder, now)?,
        None => Project::bundled(now),
    };
    let engine = Engine::new(sample, growth)?;
    let nodes = engine.server.change(1, |project| project.ids().len());
    let routes = routes(engine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
    println!("{}", json!({"url": format!("http://{}", listener.local_addr()?), "nodes": nodes}));
    runtime.spawn(async move { axum::serve(listener, routes).await });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn routes(engine: Engine) -> Result<Router, Box<dyn Error>> {
    let memory = Memory {
        answers: Mutex::default(),
        engine: Mutex::new(engine),
        client: reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?,
        now: Mutex::new(Now { state: Served::First, latency: Duration::ZERO, asked: Vec::new(), bytes: 0, misses: 0 }),
    };
    let routes = Router::new().route("/graphql", post(answer)).route("/control", post(control));
    Ok(routes.route("/asked", get(asked)).with_state(Arc::new(memory)))
}

async fn answer(State(memory): State<Arc<Memory>>, headers: HeaderMap, body: Bytes) -> Response {
    let (state, latency) = {
        let now = lock(&memory.now);
        (now.state, now.latency)
    };
    tokio::time::sleep(latency).await;
    let known = lock(&memory.answers).get(&(state, body.clone())).cloned();
    let is_known = known.is_some();
    let found = match known {
        Some(known) => Ok(known),
        None => memory.ask_engine(state, &body).await,
    };
    let (status, compressed) = match found {
        Ok(found) => found,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let accepts_gzip =
        headers.get("accept-encoding").and_then(|it| it.to_str().ok()).is_some_and(|it| it.contains("gzip"));
    let sent = if accepts_gzip { compressed } else { inflated(&compressed) };
    memory.note(body, sent.len(), is_known);
    let encoding = accepts_gzip.then_some([("content-encoding", "gzip")]);
    (status, [("content-type", "application/json")], encoding, sent).into_response()
}

impl Memory {
    /// Asks the demo's server, and remembers what it says.
    async fn ask_engine(&self, state: Served, body: &Bytes) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let (url, token) = {
            let mut engine = lock(&self.engine);
            engine.go_to(state).map_err(|error| error.to_string())?;
            (engine.server.url(), engine.server.token().to_owned())
        };
        let asked = self.client.post(url).bearer_auth(token).body(body.clone()).send().await?;
        let (status, text) = (asked.status(), asked.bytes().await?);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text)?;
        let answer = (status, Bytes::from(gzip.finish()?));
        lock(&self.answers).insert((state, body.clone()), answer.clone());
        Ok(answer)
    }

    fn note(&self, body: Bytes, bytes: usize, is_known: bool) {
        let mut now = lock(&self.now);
        now.asked.push(body);
        now.bytes += bytes;
        now.misses += usize::from(!is_known);
    }
}

async fn control(State(memory): State<Arc<Memory>>, Json(control): Json<Control>) -> Json<Value> {
    let mut now = lock(&memory.now);
    let told = json!({"requests": now.asked.len(), "bytes": now.bytes, "misses": now.misses});
    now.state = control.state.unwrap_or(now.state);
    now.latency = control.latency.map_or(now.latency, Duration::from_millis);
    if control.reset {
        now.asked.clear();
        (now.bytes, now.misses) = (0, 0);
    }
    Json(told)
}

async fn asked(State(memory): State<Arc<Memory>>) -> Json<Vec<String>> {
    Json(lock(&memory.now).asked.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect())
}

fn inflated(compressed: &[u8]) -> Bytes {
    let mut text = Vec::new();
    // The bytes are our own.
    let _ = flate2::read::GzDecoder::new(compressed).read_to_end(&mut text);
    text.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn posted(routes: &Router, path: &str, body: &Value) -> Bytes {
        let request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string()));
        let answer = routes.clone().oneshot(request.expect("a request")).await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.into_body().collect().await.expect("a body").to_bytes()
    }

    async fn misses(routes: &Router, control: Value) -> Value {
        let told: Value = serde_json::from_slice(&posted(routes, "/control", &control).await).expect("JSON");
        told["misses"].clone()
    }

    #[tokio::test]
    async fn what_was_asked_before_is_answered_from_memory_in_each_state() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let growth = Growth { models: 20, sources_per_model: 1, is_deep: false };
        let engine = Engine::new(Project::bundled(Timestamp::now()), growth).expect("an engine");
        let routes = routes(engine).expect("routes");
        let question = json!({"query": "{ environment(id: 1) { applied { models { totalCount edges { node { description } } } } } }"});
        let first = posted(&routes, "/graphql", &question).await;
        assert!(String::from_utf8_lossy(&first).contains("\"totalCount\":20"));
        assert_eq!(posted(&routes, "/graphql", &question).await, first);
        assert_eq!(misses(&routes, json!({"state": "changed", "reset": true})).await, 1);
        let changed = posted(&routes, "/graphql", &question).await;
        assert!(String::from_utf8_lossy(&changed).contains("\"totalCount\":21"));
        assert!(String::from_utf8_lossy(&changed).contains("told anew"));
        assert_eq!(misses(&routes, json!({"state": "first", "reset": true})).await, 1);
        assert_eq!(posted(&routes, "/graphql", &question).await, first);
        assert_eq!(misses(&routes, json!({})).await, 0);
    }
}
