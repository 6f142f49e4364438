//! A tiny HTTP server on this machine, whose every answer a test decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::config::DiscoveryConfig;
use crate::origin::discovery::wire::client::{Client, Limits};

/// What a client asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub operation: String,
    pub query: String,
    pub variables: Value,
    /// How often this operation was asked before.
    pub earlier: usize,
}

/// What the server answers.
pub(crate) enum Answer {
    Json(Value),
    Status(u16, &'static str, &'static str),
    /// Bytes as they are; then the connection closes.
    Raw(&'static str),
}

pub(crate) struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/graphql", listener.local_addr().expect("an address"));
        let server = Self { url, asked: Arc::default(), connections: Arc::default() };
        let (asked, connections, answer) =
            (Arc::clone(&server.asked), Arc::clone(&server.connections), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &asked, &*answer).await });
            }
        });
        server
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Everything asked of one operation.
    pub(crate) fn asked(&self, operation: &str) -> Vec<Asked> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|asked| asked.operation == operation).cloned().collect()
    }

    pub(crate) fn config(&self) -> DiscoveryConfig {
        DiscoveryConfig {
            url: self.url.clone(),
            token: Some("dbtc_secret".to_owned().into()),
            page_size: 100,
            concurrency: 4,
            requests_per_minute: 60_000,
            timeout: Duration::from_secs(20),
            give_up_after: Duration::from_secs(60),
            read_deadline: Duration::from_secs(600),
            cooldown: Duration::from_secs(300),
            ca_file: None,
            partner_source: Some("lineaged-tests".into()),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.config(), &Limits::new(4, 1)).expect("a client").hurried(1 << 20)
    }
}

async fn serve(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, answer: &(dyn Fn(&Asked) -> Answer + Send + Sync)) {
    let Some(body) = read_request(&mut stream).await else { return };
    let body: Value = serde_json::from_slice(&body).expect("a JSON question");
    let operation = body["operationName"].as_str().unwrap_or_default().to_owned();
    let question = {
        let mut asked = asked.lock().expect("no panic");
        let earlier = asked.iter().filter(|other| other.operation == operation).count();
        let query = body["query"].as_str().unwrap_or_default().to_owned();
        asked.push(Asked { operation, query, variables: body["variables"].clone(), earlier });
        asked.last().cloned().expect("just pushed")
    };
    let response = match answer(&question) {
        Answer::Json(value) => http(200, "content-type: application/json\r\n", &value.to_string()),
        Answer::Status(status, headers, body) => http(status, headers, body),
        Answer::Raw(text) => text.to_owned(),
    };
    // The client may have hung up already.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn http(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads a request, and returns its body; `None` if it is not whole.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            assert!(head.contains("authorization: bearer dbtc_secret"), "{head}");
            assert!(
                head.contains("user-agent: lineaged/") && head.contains("x-dbt-partner-source: lineaged-tests"),
                "{head}"
            );
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
            if bytes.len() >= end + 4 + length {
                return Some(bytes.split_off(end + 4));
            }
        }
        let read = stream.read_buf(&mut bytes).await.ok()?;
        if read == 0 {
            return None;
        }
    }
}

/// A whole environment: the nodes of each operation, and answers cut into pages.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    pub lists: HashMap<&'static str, Vec<Value>>,
}

/// Where each operation's list stands in an answer.
const LISTS: [(&str, &str, &str); 17] = [
    ("AppliedModels", "applied", "models"),
    ("AppliedSources", "applied", "sources"),
    ("AppliedSeeds", "applied", "seeds"),
    ("AppliedSnapshots", "applied", "snapshots"),
    ("AppliedTests", "applied", "tests"),
    ("AppliedExposures", "applied", "exposures"),
    ("DefinitionModels", "definition", "models"),
    ("DefinitionSources", "definition", "sources"),
    ("DefinitionSeeds", "definition", "seeds"),
    ("DefinitionSnapshots", "definition", "snapshots"),
    ("DefinitionTests", "definition", "tests"),
    ("DefinitionExposures", "definition", "exposures"),
    ("DefinitionMetrics", "definition", "metrics"),
    ("DefinitionSemanticModels", "definition", "semanticModels"),
    ("DefinitionSavedQueries", "definition", "savedQueries"),
    ("DefinitionGroups", "definition", "groups"),
    ("DefinitionIds", "definition", "resources"),
];

impl Environment {
    pub(crate) fn with(mut self, operation: &'static str, nodes: Vec<Value>) -> Self {
        self.lists.insert(operation, nodes);
        self
    }

    /// The answer to a question, of a moment that `applied_at` names.
    pub(crate) fn answer(&self, asked: &Asked, applied_at: &str) -> Value {
        let mut applied = json!({"lastUpdatedAt": applied_at, "latestGitSha": "abc", "resourceCounts": {}});
        let mut definition = json!({"lastUpdatedAt": null, "resourceCounts": null});
        if let Some((_, state, list)) = LISTS.iter().find(|(operation, ..)| *operation == asked.operation) {
            let state = if *state == "applied" { &mut applied } else { &mut definition };
            state[list] = self.page(asked);
        }
        json!({"data": {"environment": {"adapterType": "duckdb", "dbtProjectName": "shop", "applied": applied, "definition": definition}}})
    }

    fn page(&self, asked: &Asked) -> Value {
        let nodes = self.lists.get(asked.operation.as_str()).cloned().unwrap_or_default();
        let wanted = |node: &Value| match asked.variables["uniqueIds"].as_array() {
            Some(ids) => ids.contains(&node["uniqueId"]),
            None => true,
        };
        let nodes: Vec<Value> = nodes.into_iter().filter(wanted).collect();
        let start = asked.variables["after"].as_str().and_then(|after| after.parse().ok()).unwrap_or(0);
        let first = asked.variables["first"].as_u64().unwrap_or(0) as usize;
        let end = nodes.len().min(start + first);
        let edges: Vec<Value> = nodes[start..end].iter().map(|node| json!({"node": node})).collect();
        let info = json!({"hasNextPage": end < nodes.len(), "endCursor": end.to_string()});
        json!({"totalCount": nodes.len(), "pageInfo": info, "edges": edges})
    }
}
