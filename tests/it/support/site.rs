//! The server in this process on a real port, asked byte by byte. No assertions about behaviour here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lineaged::config::{CoverageTargets, HttpConfig};
use lineaged::http::{Limits, Platform, Served, State, serve};
use lineaged::sync::Due;
use lineaged::telemetry::Telemetry;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::{ENVIRONMENT, World};

/// What the site's webhooks are signed with.
pub(crate) const SECRET: &str = "a secret of the webhook";

/// A server in this process.
pub(crate) struct Site {
    pub(crate) runtime: Runtime,
    pub(crate) address: SocketAddr,
    pub(crate) due: Due,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    ended: Option<tokio::task::JoinHandle<()>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        assert_eq!(self.code, 200, "{}", self.text());
        self.json().as_array().expect("a list").clone()
    }

    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link")?.strip_prefix('<').expect("a link");
        Some(link.strip_suffix(">; rel=\"next\"").expect("the next").to_owned())
    }
}

impl Site {
    pub(crate) fn of(world: &World) -> Self {
        Self::with(world, |_| {})
    }

    pub(crate) fn with(world: &World, change: impl FnOnce(&mut State)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let environments = vec![(ENVIRONMENT, "prod".to_owned())];
        let platforms = vec![Platform { id: ENVIRONMENT, platform_id: ENVIRONMENT, account_id: None }];
        let due = Due::new([ENVIRONMENT]);
        let mut state = State {
            due: due.clone(),
            telemetry: Telemetry::new(&environments),
            served: watch::Sender::new(Served { environments, platforms }).subscribe(),
            ended: watch::Sender::new(()).subscribe(),
            catalog: world.catalog(),
            http: HttpConfig { listen: address, allowed_hosts: vec!["Catalog.example".to_owned()], api_token: None },
            webhook_secret: Some(SECRET.into()),
            targets: CoverageTargets::default(),
            limits: Limits::default(),
        };
        change(&mut state);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let ended = runtime.spawn(serve(listener, state, shutdown));
        Self { runtime, address, due, stop: Mutex::new(Some(stop)), ended: Some(ended) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream
    }

    /// Sends a header (lines without the blank one at the end) and a body, and reads to the end.
    pub(crate) fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        // A server that has refused already may have closed its side.
        let _ = stream.write_all(body);
        answer(&mut stream).unwrap_or_else(|| panic!("no answer to {head}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}", self.address), b"")
    }

    pub(crate) fn get_with(&self, path: &str, header: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{header}", self.address), b"")
    }

    pub(crate) fn post(&self, path: &str, headers: &str) -> Answer {
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0{headers}", self.address), b"")
    }

    pub(crate) fn deliver(&self, body: &[u8], headers: &str) -> Answer {
        let head = format!("POST /webhooks/dbt HTTP/1.1\r\nHost: {}\r\nContent-Length: {}", self.address, body.len());
        self.send(&format!("{head}{headers}"), body)
    }

    /// Asks the server to stop.
    pub(crate) fn tell_to_stop(&self) {
        drop(self.stop.lock().expect("a lock").take());
    }

    /// Asks the server to stop, and tells how long that took.
    pub(crate) fn stop(mut self) -> Duration {
        let begun = Instant::now();
        self.tell_to_stop();
        self.runtime.block_on(self.ended.take().expect("a task")).expect("it ended");
        begun.elapsed()
    }
}

/// Everything until the other side closes; `None` if that is nothing.
pub(crate) fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let mut lines = head.split("\r\n");
    let code = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let body = bytes[end + 4..].to_vec();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Some(Answer { code, headers, body: if chunked { unchunked(&body) } else { body } })
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("a size"), 16).expect("a size");
        whole.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
        if size == 0 {
            break;
        }
    }
    whole
}
