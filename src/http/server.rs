//! Accepting connections and ending them: no client keeps one for ever, none keeps the others from theirs, and none keeps the server
//! from stopping.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::guard::Local;
use super::peers::{During, Peer, Peers};
use super::{App, Limits, State, routes};

/// All that hyper keeps of a request that is not yet understood: a longer header is refused.
const HEADER_BYTES: usize = 32 << 10;

/// After a failed accept (too many open files, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// What an address is told that has too many connections already.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until `shutdown` is done, and then lets requests that are under way end (for [`Limits::grace`] at most).
pub async fn serve(listener: TcpListener, state: State, shutdown: impl Future<Output = ()>) {
    let limits = state.limits.clone();
    let (stop, stopping) = watch::channel(());
    let router = routes::router(&App::new(state, stopping.clone()));
    let peers = Peers::new(limits.connections, limits.per_address);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &peers) => match accepted {
                Ok(Some((stream, peer))) => {
                    connections.spawn(connection(stream, peer, router.clone(), limits.clone(), stopping.clone()));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop((listener, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.grace, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// The next connection; `None` for one that was refused.
async fn accept(listener: &TcpListener, peers: &Arc<Peers>) -> io::Result<Option<(TcpStream, Arc<Peer>)>> {
    peers.room().await;
    let (stream, address) = listener.accept().await?;
    let peer = peers.enter(address.ip());
    if peer.is_none() {
        // As much as the system takes at once: nobody waits for whoever is refused.
        let _ = stream.try_write(TOO_MANY);
    }
    Ok(peer.map(|peer| (stream, peer)))
}

async fn connection(
    stream: TcpStream,
    peer: Arc<Peer>,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write));
    let asking = Arc::clone(&peer);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let during = asking.answering();
        request.extensions_mut().insert(Local(local));
        request.extensions_mut().insert(Arc::clone(&asking));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { answer.await.map(|response: Response| response.map(|body| Answering { body, _during: during })) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header).max_buf_size(HEADER_BYTES);
    let served = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(served);
    let patience = tokio::select! {
        ended = served.as_mut() => return told(ended),
        () = peer.sent_away() => return tracing::debug!("a silent connection made room for another"),
        // The sender is dropped when the server stops; nothing is ever sent.
        _ = stopping.changed() => limits.grace,
        () = sleep(limits.connection) => limits.write,
    };
    // The request that is under way is the last one.
    served.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(patience, served).await {
        told(ended);
    }
}

/// The body of an answer: as long as it is sent, the connection is not silent.
struct Answering {
    body: Body,
    _during: During,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
