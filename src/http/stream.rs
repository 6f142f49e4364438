//! Rows that are sent while they are read, one in each line: one moment of the catalog, a few parts in memory. Whoever takes them too slowly is cut
//! off, since a reader is held meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::App;
use super::accept::Form;
use super::problem::Problem;
use super::query::Query;
use super::reading::{Moment, Written, moment};
use crate::answers::{Error, Reader, Table};

/// A part of an answer.
struct Part {
    of: Moment,
    bytes: Vec<u8>,
    is_last: bool,
}

/// Where the parts go.
pub(super) struct Sink {
    parts: mpsc::Sender<Part>,
    of: Moment,
    patience: Duration,
}

impl Sink {
    /// Sends rows, one in each line; fails if they are not taken in time. Blocks meanwhile.
    pub(super) fn send(&self, rows: &Table) -> Result<(), Error> {
        let written =
            Written::rows(rows, Form::Ndjson).map_err(|_| Error::TookTooLong("it could not be written".to_owned()))?;
        self.take(Part { of: self.of.clone(), bytes: written.body, is_last: false })
    }

    fn take(&self, part: Part) -> Result<(), Error> {
        let taken = Handle::current().block_on(self.parts.send_timeout(part, self.patience));
        taken.map_err(|_| {
            tracing::debug!("a long answer was not taken in time");
            Error::TookTooLong("it was not taken in time".to_owned())
        })
    }
}

/// Answers with what `make` sends. What is wrong before its first part is told as a problem; after that the connection is cut, so that
/// nobody takes a part for the whole.
pub(super) async fn stream(
    app: &Arc<App>,
    query: &Query,
    make: impl FnOnce(&Reader, &Sink) -> Result<(), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (as_of, limits) = (query.as_of()?, &app.state.limits);
    let turn = timeout(limits.reader_wait, Arc::clone(&app.streams).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Problem::Unavailable("too many are reading: try again".to_owned())) };
    let ((parts, rest), patience, own) = (mpsc::channel(1), limits.write, Arc::clone(app));
    let reading = tokio::spawn(async move {
        let _turn = turn;
        let make = move |reader: &Reader| {
            let sink = Sink { parts, of: Moment::of(reader, as_of), patience };
            make(reader, &sink)?;
            Ok(sink.take(Part { of: sink.of.clone(), bytes: Vec::new(), is_last: true })?)
        };
        moment(&own, as_of, make).await?
    });
    let mut parts = Parts { first: None, rest, is_over: false };
    parts.first = parts.rest.recv().await;
    let Some(of) = parts.first.as_ref().map(|part| part.of.clone()) else {
        let ended: Result<Result<(), Problem>, _> = reading.await;
        return Err(ended.ok().and_then(Result::err).unwrap_or(Problem::Internal));
    };
    let mut response = Response::new(Body::new(parts));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Form::Ndjson.content_type()));
    of.tell(&mut response);
    Ok(response)
}

/// The body of such an answer.
struct Parts {
    first: Option<Part>,
    rest: mpsc::Receiver<Part>,
    is_over: bool,
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let part = match self.first.take() {
            Some(part) => Some(part),
            None => std::task::ready!(self.rest.poll_recv(context)),
        };
        self.is_over = part.as_ref().is_none_or(|part| part.is_last);
        Poll::Ready(match part {
            Some(part) if part.is_last => None,
            Some(part) => Some(Ok(Frame::data(part.bytes.into()))),
            None => Some(Err("the answer was cut off")),
        })
    }
}
