//! Somebody who is sent events: records each request, and answers as it is told to. No assertions about behaviour here.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// What is answered to a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status, further headers, and a body.
    Status(u16, &'static str, String),
    /// Nothing, as long as the connection is there.
    Hang,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) event: Value,
    /// False if it was not answered with 201.
    pub(crate) is_taken: bool,
}

#[derive(Debug, Default)]
struct Book {
    posted: Vec<Posted>,
    next: VecDeque<Answer>,
    /// What is answered where nothing else is said; else 201.
    always: Option<Answer>,
}

/// It takes everything, unless it is told otherwise.
pub(crate) struct Receiver {
    pub(crate) address: String,
    book: Arc<Mutex<Book>>,
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub(crate) fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let book: Arc<Mutex<Book>> = Arc::default();
        let shared = Arc::clone(&book);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let book = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &book));
            }
        });
        Self { address, book }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests are answered so, one after the other.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.book).next.extend(answers);
    }

    pub(crate) fn always(&self, answer: Option<Answer>) {
        lock(&self.book).always = answer;
    }

    /// All requests.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        lock(&self.book).posted.clone()
    }

    /// The events that were taken since the last call.
    pub(crate) fn take(&self) -> Vec<Value> {
        let posted = std::mem::take(&mut lock(&self.book).posted);
        posted.into_iter().filter(|posted| posted.is_taken).map(|posted| posted.event).collect()
    }

    /// How many events were taken.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.book).posted.iter().filter(|posted| posted.is_taken).count()
    }
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status with a body of these words.
pub(crate) fn status(code: u16, body: &str) -> Answer {
    Answer::Status(code, "", body.to_owned())
}

fn serve(stream: TcpStream, book: &Mutex<Book>) {
    let mut stream = BufReader::new(stream);
    while let Some((path, authorization, body)) = request(&mut stream) {
        let answer = {
            let mut book = lock(book);
            let answer = book.next.pop_front().or_else(|| book.always.clone()).unwrap_or_else(|| status(201, ""));
            let is_taken = matches!(answer, Answer::Status(201, ..));
            let event = serde_json::from_slice(&body).expect("an event");
            book.posted.push(Posted { path, authorization, event, is_taken });
            answer
        };
        let Answer::Status(code, headers, body) = answer else {
            // It ends when the other side does.
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        };
        let text = format!("HTTP/1.1 {code} So\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Option<String>, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut authorization, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, authorization, body))
}
