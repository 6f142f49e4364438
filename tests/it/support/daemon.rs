//! `lineaged serve` as a child process: started, listened to, asked over HTTP, told to end. No assertions about behaviour here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use lineaged::demo::Project;
use lineaged::time::Timestamp;
use serde_json::Value;
use sha2::Sha256;

use super::{ENVIRONMENT, World};

/// What webhooks are signed with.
pub(crate) const SECRET: &str = "a webhook's secret";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that runs; dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    /// The lines of the log so far.
    pub(crate) log: Vec<String>,
    pub(crate) address: String,
}

impl World {
    /// One environment that is served, on a free port, by this schedule (`interval = "1s"`).
    pub(crate) fn served(schedule: &str) -> Self {
        Self::all_served(vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))], schedule)
    }

    /// The same with several environments; `schedule` may go on with other sections.
    pub(crate) fn all_served(environments: Vec<(i64, Project)>, schedule: &str) -> Self {
        let extra = format!(
            "page_size = 500\ntimeout = \"20s\"\ngive_up_after = \"40s\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[schedule]\n{schedule}"
        );
        Self::with(environments, &extra)
    }

    /// `lineaged serve`, once it serves.
    pub(crate) fn serve(&self) -> Daemon {
        Daemon::start(self.command(&["serve"]).env("LINEAGED_WEBHOOK__SECRET", SECRET))
    }
}

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        let stderr = child.stderr.take().expect("its log");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut daemon = Self { child, lines, log: Vec::new(), address: String::new() };
        let line = daemon.line("serving");
        daemon.address = line["fields"]["address"].as_str().expect("an address").to_owned();
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of the log, from here on, with this message.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { panic!("no `{message}`: {:#?}", self.log) };
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            self.log.push(line);
            if value["fields"]["message"] == message {
                return value;
            }
        }
    }

    /// Waits until something is so; it is looked at after each line of the log, and a few times a second.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what} did not happen: {:#?}", self.log);
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before {what}: {:#?}", self.log),
            }
        }
    }

    /// Sends SIGTERM; how it ended, and how long that took.
    pub(crate) fn end(self) -> (ExitStatus, Duration) {
        let (status, took, _) = self.end_with_log();
        (status, took)
    }

    /// The same, with the whole of its log.
    pub(crate) fn end_with_log(mut self) -> (ExitStatus, Duration, Vec<String>) {
        let began = Instant::now();
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill");
        assert!(told.success());
        // Its log ends when it does.
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("it did not end: {:#?}", self.log),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        (self.child.wait().expect("ended"), began.elapsed(), std::mem::take(&mut self.log))
    }

    pub(crate) fn connect(&self) -> Http {
        Http::connect(&self.address)
    }

    /// A signed webhook.
    pub(crate) fn webhook(&self, body: &str) -> Reply {
        self.connect().ask("POST", "/webhooks/dbt", &[("Authorization", &signature(body))], body)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The HMAC-SHA256 of a webhook's body.
pub(crate) fn signature(body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key").chain_update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the dbt platform sends when a run of the environment has ended now.
pub(crate) fn run_completed(event_id: &str) -> String {
    let at = Timestamp::now();
    format!(
        r#"{{"eventId":"{event_id}","eventType":"job.run.completed","timestamp":"{at}","data":{{"environmentId":"{ENVIRONMENT}"}}}}"#
    )
}

/// A connection that is kept.
pub(crate) struct Http {
    address: String,
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Http {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Self { address: address.to_owned(), stream: BufReader::new(stream) }
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(method, path, headers, body.len(), body)
    }

    /// Announces a body of `length` bytes and sends `body`.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
        body: &str,
    ) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n", self.address);
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        text.push_str(body);
        self.stream.get_mut().write_all(text.as_bytes()).expect("sent");
        self.receive().unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn receive(&mut self) -> std::io::Result<Reply> {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            assert!(!line.starts_with("transfer-encoding"), "only whole bodies are read here: {line}");
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some(rest) = line.strip_prefix("content-length:") {
                length = rest.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Reply { status, body })
    }
}
