//! HTTP by hand, so that answers can be cut, dripped and reset at any byte: a listener, keep-alive, and which interface is at which path.
//! What is answered is decided elsewhere.

use std::io::{Error, ErrorKind, Result, Write};
use std::net::TcpListener as Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::engine::Body;
use super::faults::{Delivery, Length, Reply};
use super::platform::{Call, refused};
use super::server::{Access, Interface, Shared};

const LARGEST_HEAD: usize = 64 * 1024;
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Serves until it is told to stop, or whoever would tell it is gone.
pub(super) async fn serve(listener: Bound, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let accept = async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is the client's business.
                tokio::spawn(async move { drop(converse(stream, &shared).await) });
            }
        }
    };
    tokio::select! { () = accept => {}, _ = stopped => {} }
}

/// One request as HTTP states it.
struct Asked {
    method: String,
    target: String,
    authorization: String,
    accepts_gzip: bool,
    keeps_alive: bool,
    body: Vec<u8>,
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(asked) = receive(&mut stream, &mut buffer).await? {
        let reply = catch_unwind(AssertUnwindSafe(|| reply(&asked, shared)));
        let reply = reply.unwrap_or_else(|_| message(500, "the server panicked"));
        if !send(&mut stream, reply, &asked).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Every request is recorded, refused ones too.
fn reply(asked: &Asked, shared: &Shared) -> Reply {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let path = path.trim_end_matches('/');
    let access = shared.access(&asked.authorization);
    let (body, reply) = match (asked.method.as_str(), path) {
        ("POST", "/graphql") => graphql(asked, shared, Interface::Discovery, access),
        ("POST", "/api/graphql") => graphql(asked, shared, Interface::SemanticLayer, access),
        ("GET", _) if path.starts_with("/api/v") => admin(Call::parse(path, query), shared, access),
        _ => (Body::default(), message(404, "only POST /graphql, POST /api/graphql and GET /api/v… are served here")),
    };
    shared.record(&asked.target, &body, &reply);
    reply
}

fn graphql(asked: &Asked, shared: &Shared, interface: Interface, access: Access) -> (Body, Reply) {
    let body = serde_json::from_slice::<Body>(&asked.body);
    let reply = match &body {
        _ if access == Access::None => message(401, "Unauthorized"),
        Ok(body) => shared.answer(interface, body),
        Err(error) => message(400, &format!("the body is not a GraphQL request: {error}")),
    };
    (body.unwrap_or_default(), reply)
}

/// Refusals come in the API's envelope, too.
fn admin(call: Option<Call>, shared: &Shared, access: Access) -> (Body, Reply) {
    let refuse = |status, words| {
        let (status, envelope) = refused(status, words);
        Reply::json(status, envelope.to_string().into_bytes())
    };
    let body = call.as_ref().map(Call::body).unwrap_or_default();
    let reply = match (call, access) {
        (_, Access::None) => refuse(401, "Invalid token."),
        (_, Access::Metadata) => refuse(403, "You do not have permission to perform this action."),
        (Some(call), Access::Everything) => shared.administer(&call),
        (None, Access::Everything) => refuse(404, "The requested resource was not found."),
    };
    (body, reply)
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({"errors": [{"message": text}]}).to_string().into_bytes())
}

/// The next request on the connection; `None` when the client has closed it.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Asked>> {
    let (mut asked, head, length) = loop {
        if let Some(parsed) = parse(buffer)? {
            break parsed;
        }
        if buffer.len() > LARGEST_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "the head is too large"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    if length > LARGEST_BODY {
        return Err(Error::new(ErrorKind::InvalidData, "the body is too large"));
    }
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    asked.body = buffer[head..head + length].to_vec();
    buffer.drain(..head + length);
    Ok(Some(asked))
}

/// A request without its body, where the body begins, and how long it is; `None` while the head is not all there.
fn parse(buffer: &[u8]) -> Result<Option<(Asked, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let invalid = |error| Error::new(ErrorKind::InvalidData, error);
    let httparse::Status::Complete(head) = request.parse(buffer).map_err(invalid)? else { return Ok(None) };
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default()
    };
    let asked = Asked {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        authorization: header("authorization").to_owned(),
        accepts_gzip: header("accept-encoding").contains("gzip"),
        keeps_alive: !header("connection").eq_ignore_ascii_case("close"),
        body: Vec::new(),
    };
    let length = header("content-length").trim().parse().unwrap_or(0);
    Ok(Some((asked, head, length)))
}

/// Sends the answer; whether the connection can be used again.
async fn send(stream: &mut TcpStream, mut reply: Reply, asked: &Asked) -> Result<bool> {
    tokio::time::sleep(reply.delay).await;
    if reply.delivery == Delivery::Reset {
        stream.set_zero_linger()?;
        return Ok(false);
    }
    if asked.accepts_gzip && !reply.is_encoded && !reply.body.is_empty() {
        reply.body = gzip(&reply.body)?;
        reply.headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    }
    let is_cut = matches!(reply.delivery, Delivery::Cut(..));
    let keeps_alive = asked.keeps_alive && !is_cut;
    stream.write_all(head(&reply, keeps_alive).as_bytes()).await?;
    match reply.delivery {
        Delivery::Cut(bytes, length) => {
            let body = &reply.body[..bytes.min(reply.body.len())];
            if length == Length::Chunked {
                stream.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await?;
            }
            stream.write_all(body).await?;
        }
        Delivery::Drip(bytes, pause) => {
            for drop in reply.body.chunks(bytes.max(1)) {
                stream.write_all(drop).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Delivery::Whole | Delivery::Reset => stream.write_all(&reply.body).await?,
    }
    stream.flush().await?;
    Ok(keeps_alive)
}

fn head(reply: &Reply, keeps_alive: bool) -> String {
    let length = match reply.delivery {
        Delivery::Cut(_, Length::Missing | Length::Chunked) => None,
        Delivery::Cut(bytes, Length::Cut) => Some(bytes.min(reply.body.len())),
        _ => Some(reply.body.len()),
    };
    let mut head = format!("HTTP/1.1 {} Answer\r\nContent-Type: {}\r\n", reply.status, reply.content_type);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if matches!(reply.delivery, Delivery::Cut(_, Length::Chunked)) {
        head.push_str("Transfer-Encoding: chunked\r\n");
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str(if keeps_alive { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" });
    head
}

fn gzip(body: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body)?;
    gzip.finish()
}
