//! One request layer for every document: pace, retries, limits and security of a question to the Discovery API.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use graphql_client::GraphQLQuery;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::config::DiscoveryConfig;
use crate::origin::Cost;
use crate::origin::discovery::error::{Error, Kind, Place};
use crate::origin::discovery::wire::envelope::{self, OPTIONAL, Origin};
use crate::origin::discovery::wire::fit::Misfits;
use crate::origin::discovery::wire::pace::Pace;
use crate::origin::discovery::wire::retry::{Ask, Tries, backoff};
use crate::origin::discovery::wire::transport;
use crate::outbound::retry_after;

/// The largest answer, decompressed, that is taken.
const BODY_LIMIT: usize = 64 << 20;

/// However little patience is left, an answer gets this long.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// What all clients of the process share: the requests in flight, and the pace of each (host, token).
#[derive(Debug, Clone)]
pub struct Limits {
    in_flight: Arc<Semaphore>,
    /// How many of them one client may have: a server that hangs must not take them all.
    share: usize,
    paces: Arc<Mutex<HashMap<PaceKey, Arc<Pace>>>>,
    /// By environment, the questions asked again that nobody has taken note of.
    retries: Arc<Mutex<HashMap<i64, u64>>>,
    /// Until when each of the platform's other interfaces is not asked, since it said so.
    quiet: Arc<Mutex<HashMap<String, Instant>>>,
}

/// Host and the token's hash.
type PaceKey = (String, [u8; 32]);

impl Limits {
    /// Limits for at most `concurrency` requests in flight, which so many clients use at the same time.
    pub fn new(concurrency: u32, clients: usize) -> Self {
        let permits = (concurrency.max(1) as usize).min(Semaphore::MAX_PERMITS);
        let share = (permits / clients.max(1)).max(1);
        let in_flight = Arc::new(Semaphore::new(permits));
        Self { in_flight, share, paces: Arc::default(), retries: Arc::default(), quiet: Arc::default() }
    }

    fn note_retry(&self, environment_id: i64) {
        *self.retries.lock().unwrap_or_else(PoisonError::into_inner).entry(environment_id).or_default() += 1;
    }

    /// How many questions of the environment were asked again since the last call, also in reads that failed.
    pub fn take_retries(&self, environment_id: i64) -> u64 {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).remove(&environment_id).unwrap_or_default()
    }

    /// How long the interface with this name is not asked any more; nothing once it is.
    pub(crate) fn quiet(&self, name: &str) -> Option<Duration> {
        let until = self.quiet.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// It asks not to be asked for so long.
    pub(crate) fn keep_quiet(&self, name: &str, wait: Duration) {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Instant::now() + wait);
    }

    /// The one pace of this host and token. Requests of other processes count where it begins; those of this one are in it.
    fn pace(&self, key: PaceKey, spent: &[(Duration, usize)]) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(paces.entry(key).or_insert_with(|| Arc::new(Pace::after(spent))))
    }
}

/// Asks one Discovery API with one token. One client for each read, so that its cost is the read's.
pub struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    host: String,
    limits: Limits,
    share: Semaphore,
    pace: Arc<Pace>,
    per_minute: usize,
    timeout: Duration,
    give_up_after: Duration,
    read_deadline: Duration,
    cooldown: Duration,
    page_size: u32,
    body_limit: usize,
    backoff: Duration,
    requests: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    dropped: Mutex<BTreeSet<&'static str>>,
    misfits: Mutex<Misfits>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).field("cost", &self.cost()).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a, V> {
    query: Cow<'a, str>,
    operation_name: &'a str,
    variables: V,
}

impl Client {
    /// A client for what `config` says. Fails only where the configuration cannot work.
    pub fn new(config: &DiscoveryConfig, limits: &Limits) -> Result<Self, Error> {
        Self::after(config, limits, &[])
    }

    /// The same, where another process has sent requests to the same host with the same token: how long ago, and how many.
    pub fn after(config: &DiscoveryConfig, limits: &Limits, spent: &[(Duration, usize)]) -> Result<Self, Error> {
        let (url, host) = transport::endpoint(&config.url)?;
        let token = token(config)?;
        let http = transport::http_client(config, &host, token)?;
        let pace = limits.pace(pace_key(&url, &host, token), spent);
        Ok(Self {
            http,
            url,
            host,
            share: Semaphore::new(limits.share),
            limits: limits.clone(),
            pace,
            per_minute: config.requests_per_minute.max(1) as usize,
            timeout: config.timeout,
            give_up_after: config.give_up_after,
            read_deadline: config.read_deadline,
            cooldown: config.cooldown,
            page_size: config.page_size.max(1),
            body_limit: BODY_LIMIT,
            backoff: Duration::from_millis(200),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            dropped: Mutex::default(),
            misfits: Mutex::default(),
        })
    }

    /// What this client has asked so far.
    pub fn cost(&self) -> Cost {
        Cost {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    /// The optional fields that this server turned out not to know.
    pub(crate) fn dropped(&self) -> BTreeSet<&'static str> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What had to be made to fit the schema.
    pub(crate) fn misfits(&self) -> Misfits {
        self.misfits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn page_size(&self) -> u32 {
        self.page_size
    }

    /// How long a whole read may take.
    pub(crate) fn read_deadline(&self) -> Duration {
        self.read_deadline
    }

    /// A question for `resource`, of full pages.
    pub(crate) fn ask(&self, environment_id: i64, resource: &'static str) -> Ask {
        Ask::new(Place { environment_id, resource, page: 0 }, self.page_size, self.give_up_after)
    }

    /// Asks until there is an answer, the failure is permanent or patience ends.
    pub(crate) async fn answer<Q: GraphQLQuery>(
        &self,
        ask: &mut Ask,
        variables: impl Fn(&Ask) -> Q::Variables,
    ) -> Result<Q::ResponseData, Error> {
        let mut tries = Tries::default();
        loop {
            let body = self.question::<Q>(variables(ask)).map_err(|kind| Error::at(&ask.place, kind))?;
            let kind = match self.exchange::<Q>(body, &mut tries, ask.patience).await {
                Ok(data) => {
                    ask.recover();
                    return Ok(data);
                }
                Err(kind) => kind,
            };
            let place = ask.place.clone();
            let wait = self.next_try(&kind, ask, &mut tries);
            let failed = || Error::at(&place, kind.clone()).after_tries(tries.count, tries.elapsed());
            let wait = wait.ok_or_else(failed)?;
            if tries.count >= ask.tries || Instant::now() + wait > tries.deadline(ask.patience) {
                return Err(failed());
            }
            tracing::debug!(%kind, %place.resource, place.page, wait_ms = wait.as_millis() as u64, "asking again");
            self.retries.fetch_add(1, Ordering::Relaxed);
            self.limits.note_retry(place.environment_id);
            sleep(wait).await;
        }
    }

    fn question<Q: GraphQLQuery>(&self, variables: Q::Variables) -> Result<Vec<u8>, Kind> {
        let body = Q::build_query(variables);
        let dropped = self.dropped();
        let question = Question {
            query: without_lines(body.query, &dropped),
            operation_name: body.operation_name,
            variables: body.variables,
        };
        serde_json::to_vec(&question).map_err(|error| Kind::Setup(error.to_string()))
    }

    /// What a failure asks for: the wait before the next try, or `None` if there is no use in one.
    fn next_try(&self, kind: &Kind, ask: &mut Ask, tries: &mut Tries) -> Option<Duration> {
        match kind {
            Kind::UnknownField { field, type_name } => self.drop_field(field, type_name).then_some(Duration::ZERO),
            // The pace keeps all requests of this host and token quiet.
            Kind::RateLimited { wait } => {
                (*wait <= tries.left(ask.patience)).then(|| backoff(self.backoff, tries.count))
            }
            Kind::BodyTooLarge { .. } | Kind::TooManyValues { .. } => ask.halve_for_good().then_some(Duration::ZERO),
            kind if kind.is_transient() => {
                tries.failures += 1;
                if tries.failures >= 2 && !matches!(kind, Kind::Unreachable { .. }) {
                    ask.halve();
                }
                Some(backoff(self.backoff, tries.failures))
            }
            _ => None,
        }
    }

    /// Leaves an optional field out from now on. False if it is needed, or was left out already.
    fn drop_field(&self, field: &str, type_name: &str) -> bool {
        let optional = OPTIONAL.iter().find(|(name, _)| *name == field && envelope::is_optional(field, type_name));
        optional.is_some_and(|(name, _)| {
            tracing::warn!(field = name, "the server does not know this field: it is left out");
            self.dropped.lock().unwrap_or_else(PoisonError::into_inner).insert(name)
        })
    }

    /// One try.
    async fn exchange<Q: GraphQLQuery>(
        &self,
        question: Vec<u8>,
        tries: &mut Tries,
        patience: Duration,
    ) -> Result<Q::ResponseData, Kind> {
        let (origin, body) = self.send(question, tries, patience).await?;
        match origin.status {
            200..300 => {
                let mut misfits = Misfits::default();
                let decoded = envelope::decode(&origin, &body, &mut misfits);
                self.misfits.lock().unwrap_or_else(PoisonError::into_inner).extend(misfits);
                decoded
            }
            _ => Err(envelope::refusal(&origin, &body)),
        }
    }

    async fn send(&self, question: Vec<u8>, tries: &mut Tries, patience: Duration) -> Result<(Origin, Vec<u8>), Kind> {
        let _permits = loop {
            let deadline = tries.deadline(patience);
            self.pace.wait(self.per_minute, deadline).await.map_err(|wait| Kind::RateLimited { wait })?;
            let own = self.share.acquire().await.map_err(|_| Kind::SinkClosed)?;
            let permit = self.limits.in_flight.acquire().await.map_err(|_| Kind::SinkClosed)?;
            if self.pace.take(self.per_minute) {
                break (own, permit);
            }
        };
        tries.begin();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(question);
        let left = tries.left(patience).max(SHORTEST_TIMEOUT);
        let sent = request.timeout(self.timeout.min(left)).send().await;
        let response = sent.map_err(|error| transport::failure(error, &self.host))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Kind::Redirect { status: status.as_u16(), host: self.redirect_target(response.headers()) });
        }
        if status.as_u16() == 429 {
            let wait = retry_after(response.headers(), Utc::now()).unwrap_or(self.cooldown);
            self.pace.keep_quiet(wait);
            return Err(Kind::RateLimited { wait });
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let origin = Origin { host: self.host.clone(), status: status.as_u16(), content_type: content_type.to_owned() };
        let body = self.read(response).await?;
        Ok((origin, body))
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Kind> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport::failure(error, &self.host))? {
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > self.body_limit {
                return Err(Kind::BodyTooLarge { limit: self.body_limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn redirect_target(&self, headers: &HeaderMap) -> String {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = self.url.join(location).ok();
        target.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "an unreadable address".into())
    }
}

fn token(config: &DiscoveryConfig) -> Result<&str, Error> {
    let token = config.token.as_ref().map(|token| token.expose_secret());
    token.ok_or_else(|| Error::setup("there is no token: set `LINEAGED_DISCOVERY__TOKEN`, or `discovery.token_file`"))
}

fn pace_key(url: &reqwest::Url, host: &str, token: &str) -> PaceKey {
    let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    (place, Sha256::digest(token.as_bytes()).into())
}

/// Whether requests of both count together: those to one host with one token.
pub fn share_a_pace(one: &DiscoveryConfig, other: &DiscoveryConfig) -> bool {
    let key = |config: &DiscoveryConfig| {
        let (url, host) = transport::endpoint(&config.url).ok()?;
        Some(pace_key(&url, &host, token(config).ok()?))
    };
    key(one).is_some_and(|one| key(other) == Some(one))
}

/// The query without the lines that consist of a dropped field.
fn without_lines<'a>(query: &'a str, dropped: &BTreeSet<&'static str>) -> Cow<'a, str> {
    if dropped.is_empty() {
        return Cow::Borrowed(query);
    }
    let kept: Vec<&str> = query.lines().filter(|line| !dropped.contains(line.trim())).collect();
    Cow::Owned(kept.join("\n"))
}

#[cfg(test)]
impl Client {
    /// For tests: no waiting between tries, and a smaller cap.
    pub(crate) fn hurried(mut self, body_limit: usize) -> Self {
        self.backoff = Duration::from_millis(1);
        self.body_limit = body_limit;
        self
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Config;
    use crate::demo::{Action, Fault, Length, Project, Server};
    use crate::origin::discovery::groups::DefinitionGroups;
    use crate::origin::discovery::read::environment::{self, Stamps};
    use crate::origin::discovery::read::page::Document;
    use crate::time::Timestamp;

    const ENVIRONMENT: i64 = 834;

    fn server() -> Server {
        Server::start(vec![(ENVIRONMENT, Project::bundled(Timestamp::now()))]).expect("a server")
    }

    fn config(url: String, token: &str) -> DiscoveryConfig {
        let config = Config::for_one(ENVIRONMENT, "prod", url, token.into(), "unused.db".into()).expect("valid");
        let access = config.environments[0].origin.platform().expect("a platform").access.clone();
        DiscoveryConfig { page_size: 100, give_up_after: Duration::from_secs(60), ..access }
    }

    fn client(server: &Server) -> Client {
        let config = config(server.url(), server.token());
        Client::new(&config, &Limits::new(4, 1)).expect("a client").hurried(1 << 20)
    }

    fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Action {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Action::Status(status, headers, body.to_owned())
    }

    async fn probe(server: &Server) -> (Result<Stamps, Error>, Cost) {
        let client = client(server);
        let stamps = environment::state(&client, ENVIRONMENT).await;
        (stamps, client.cost())
    }

    /// The error of a probe that is always answered so, and how often it was asked.
    async fn failure(action: Action) -> (Error, usize) {
        let server = server();
        server.add_fault(Fault::new(action).always());
        let (stamps, _) = probe(&server).await;
        (stamps.expect_err("a failure"), server.requests().len())
    }

    #[tokio::test]
    async fn a_429_is_waited_for_as_long_as_it_says() {
        let server = server();
        server.add_fault(Fault::new(status(429, &[("retry-after", "0")], "")));
        let (stamps, cost) = probe(&server).await;
        assert_eq!(stamps.expect("stamps").adapter_type.as_deref(), Some("duckdb"));
        assert_eq!((cost.requests, cost.retries), (2, 1));
        assert!(cost.bytes > 0);
    }

    #[tokio::test]
    async fn a_429_that_outlasts_our_patience_fails_at_once_and_names_the_time() {
        // Nothing is said, so the cooldown of 300 s counts; patience is 60 s.
        let (error, asked) = failure(status(429, &[], "")).await;
        assert_eq!(asked, 1);
        assert_eq!(*error.kind(), Kind::RateLimited { wait: Duration::from_secs(300) });
        assert!(error.to_string().contains("300 s"), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_is_refused_and_nothing_follows_it() {
        let target = server();
        let (error, asked) = failure(status(302, &[("location", &format!("{}?token=x", target.url()))], "")).await;
        assert_eq!((asked, target.requests().len()), (1, 0));
        assert_eq!(*error.kind(), Kind::Redirect { status: 302, host: "127.0.0.1".into() });
        assert!(!error.to_string().contains("token=x"));
    }

    #[tokio::test]
    async fn what_breaks_on_the_way_is_asked_again() {
        let timed_out =
            Action::GraphqlErrors { keep_data: false, code: None, message: "upstream timed out".to_owned() };
        let broken = [
            Action::Reset,
            Action::CutBody(8, Length::Whole),
            Action::CutBody(8, Length::Chunked),
            Action::CutBody(8, Length::Missing),
            status(503, &[], "<html>busy</html>"),
            timed_out,
        ];
        for (number, action) in broken.into_iter().enumerate() {
            let server = server();
            server.add_fault(Fault::new(action).times(2));
            let (stamps, cost) = probe(&server).await;
            assert!(stamps.is_ok(), "{number}: {stamps:?}");
            assert_eq!(cost.retries, 2, "{number}");
        }
    }

    #[tokio::test]
    async fn what_will_not_change_is_asked_once() {
        let refusals: [(u16, &str); 5] = [
            (401, "{}"),
            (403, "{}"),
            (400, r#"{"errors":[{"message":"bad"}]}"#),
            (404, "not here"),
            (200, r#"{"errors":[{"message":"There is no data available for this input"}]}"#),
        ];
        for (code, body) in refusals {
            let (error, asked) = failure(status(code, &[], body)).await;
            assert_eq!(asked, 1, "{error}");
            assert!(
                !error.is_transient() && error.to_string().starts_with("environment 834, environment: "),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_page_that_is_too_large_or_keeps_failing_is_asked_in_halves() {
        for too_large in [true, false] {
            let server = server();
            let action = if too_large { Action::HugeBody(2 << 20) } else { status(502, &[], "") };
            server.add_fault(Fault::new(action).larger_than(29).always());
            let client = client(&server);
            let mut ask = client.ask(ENVIRONMENT, "groups");
            client.answer::<DefinitionGroups>(&mut ask, DefinitionGroups::variables).await.expect("a page");
            let firsts: Vec<_> =
                server.requests().iter().filter_map(|asked| asked.variables["first"].as_i64()).collect();
            let expected = if too_large { vec![100, 50, 25] } else { vec![100, 100, 50, 25] };
            assert_eq!(firsts, expected);
            assert_eq!(ask.first, if too_large { 25 } else { 50 }, "what was too large once stays small");
        }
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named_after_patience_ends() {
        let config =
            DiscoveryConfig { give_up_after: Duration::ZERO, ..config("http://127.0.0.1:9/".to_owned(), "secret") };
        let client = Client::new(&config, &Limits::new(1, 1)).expect("a client");
        let error = environment::state(&client, ENVIRONMENT).await.expect_err("nobody there");
        assert!(matches!(error.kind(), Kind::Unreachable { host, .. } if host == "127.0.0.1"), "{error}");
    }

    #[tokio::test]
    async fn a_request_says_who_asks() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/graphql", listener.local_addr().expect("an address"));
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut bytes = Vec::new();
            while !bytes.windows(4).any(|part| part == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut bytes).await.expect("read"), 0, "it went away");
            }
            stream.write_all(b"HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n").await.expect("sent");
            String::from_utf8_lossy(&bytes).to_lowercase()
        });
        let config = DiscoveryConfig { partner_source: Some("lineaged-tests".into()), ..config(url, "dbtc_secret") };
        let client = Client::new(&config, &Limits::new(1, 1)).expect("a client");
        environment::state(&client, ENVIRONMENT).await.expect_err("refused");
        let head = heard.await.expect("heard");
        for line in
            ["authorization: bearer dbtc_secret", "user-agent: lineaged/", "x-dbt-partner-source: lineaged-tests"]
        {
            assert!(head.contains(line), "{head}");
        }
    }

    #[tokio::test]
    async fn a_client_does_not_show_its_token() {
        let config = config("http://127.0.0.1:9/".to_owned(), "dbtc_secret");
        let client = Client::new(&config, &Limits::new(1, 1)).expect("a client");
        assert!(!format!("{client:?}").contains("dbtc_secret"));
    }

    #[test]
    fn a_dropped_field_loses_its_line_and_nothing_else() {
        let query = "a {\n  relationName\n  name\n  ... on X { relationName }\n}";
        let dropped = BTreeSet::from(["relationName"]);
        assert_eq!(without_lines(query, &dropped), "a {\n  name\n  ... on X { relationName }\n}");
        assert_eq!(without_lines(query, &BTreeSet::new()), query);
    }
}
