//! Who may come in, how, and with how much. Everything that is asked passes here first, of the API and of the
//! page alike: they differ in what is sent to them, and in how they say no.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;

use super::{Service, problem};
use crate::core::escape;
use crate::core::token::{Scope, Token};
use crate::view::{Problem, ProblemKind, code};

/// Longest body that is read.
pub(super) const BODY_MAX: usize = 1 << 20;
/// Longest wait for all of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What the body of most requests keeps.
const BOUNDS: Bounds = Bounds { bytes: BODY_MAX, time: BODY_TIMEOUT };
/// The same of somebody of whom nothing is known, and who has a token to say at most.
const STRANGERS: Bounds = Bounds { bytes: 8 << 10, time: BODY_TIMEOUT };
/// The cookie in which a browser keeps a token.
pub(super) const COOKIE: &str = "milepost_token";

/// What a body must keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most bytes.
    pub(super) bytes: usize,
    /// The longest wait for all of them.
    pub(super) time: Duration,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the socket: the file system lets only the owner of the state directory open it.
    Socket,
    /// Over the network.
    Network,
}

/// What a path asks of whoever comes in over the network. Over the socket everything is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// That what is sent proves from whom it is. It decides itself how much of it is read, and no page of a
    /// browser can make such a proof.
    Proof,
    /// A token; none for looking, when the server was told so.
    Read,
    /// A token that is good for acting.
    Operate,
    /// Not to come in over the network at all.
    Local,
}

/// What is sent in a kind of request, and how it is said that nobody is let in.
pub(super) struct Manner {
    /// The content type of bodies. One that a page of another site could send without asking first is only
    /// fit where browsers have to say which site they come from.
    pub(super) sent: &'static str,
    /// Whether what changes something has to say which site asks. Programs do not, browsers do.
    pub(super) names_its_site: bool,
    /// The answer to whoever is not let in.
    pub(super) refuse: fn(&Parts, &Refusal) -> Response,
}

/// How programs ask.
pub(super) const API: Manner =
    Manner { sent: "application/json", names_its_site: false, refuse: |_, refusal| refusal.response() };

/// What stands before one path.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) service: Service,
    pub(super) access: Access,
    pub(super) manner: &'static Manner,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// How they came in.
    pub way: Way,
    /// Their token.
    pub token: Option<Token>,
}

impl Caller {
    /// Whether they would be let in to act.
    pub(super) fn may_act(&self) -> bool {
        self.way == Way::Socket || self.token.as_ref().is_some_and(|token| token.scope == Scope::Operate)
    }

    /// Whether they would be let in again: a token may be taken away meanwhile.
    pub(super) fn is_still_known(&self, service: &Service) -> bool {
        self.token.as_ref().is_none_or(|token| service.operator.is_good(token))
    }

    /// Who asks, as events name them. A token is believed before what somebody says of themselves.
    pub(super) fn named(&self, says: String) -> String {
        match &self.token {
            Some(token) => format!("token:{}", token.name),
            None if says.is_empty() => "somebody".to_owned(),
            None => says,
        }
    }
}

/// Lets a request in, with its caller and its whole body, or answers why not.
pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(problem) = readable(parts.uri.path()) {
        return (gate.manner.refuse)(&parts, &Refusal::NotEnough(problem));
    }
    if gate.access == Access::Proof {
        return gate.answered(parts, body, next).await;
    }
    match gate.admit(&parts, body).await {
        Ok((caller, body)) => {
            parts.extensions.insert(caller);
            gate.answered(parts, body, next).await
        }
        Err(refusal) => (gate.manner.refuse)(&parts, &refusal),
    }
}

impl Gate {
    /// What changes something is carried through, also when whoever asked for it hangs up meanwhile: between
    /// what is made durable and what follows from it there is no place to stop.
    async fn answered(&self, parts: Parts, body: Body, next: Next) -> Response {
        if !changes(&parts.method) {
            return next.run(Request::from_parts(parts, body)).await;
        }
        let request = Request::from_parts(parts.clone(), body);
        tokio::spawn(next.run(request))
            .await
            .unwrap_or_else(|error| (self.manner.refuse)(&parts, &Refusal::NotEnough(Problem::defect(error))))
    }

    async fn admit(&self, parts: &Parts, body: Body) -> Result<(Caller, Body), Refusal> {
        let way = parts.extensions.get::<Way>().copied().unwrap_or(Way::Network);
        if changes(&parts.method) {
            from_here(&parts.headers, self.manner).map_err(Refusal::NotEnough)?;
        }
        let token = admitted(&self.service, self.access, way, &parts.headers)?;
        let bounds = if self.access == Access::Open { STRANGERS } else { BOUNDS };
        let body = whole(&parts.headers, body, bounds).await;
        let body = body.map_err(|status| Refusal::TooMuch(status, bounds))?;
        Ok((Caller { way, token }, Body::from(body)))
    }
}

/// Why nobody is let in.
pub(super) enum Refusal {
    /// Nobody knows who asks.
    Unknown,
    /// It is known, and not enough.
    NotEnough(Problem),
    /// What is sent is too large, or came too slowly.
    TooMuch(StatusCode, Bounds),
}

impl Refusal {
    fn response(&self) -> Response {
        match self {
            Self::Unknown => problem::unauthorized(),
            Self::NotEnough(problem) => problem::response(problem),
            Self::TooMuch(status, bounds) => problem::limit(*status, *bounds),
        }
    }
}

fn admitted(
    service: &Service,
    access: Access,
    way: Way,
    headers: &HeaderMap,
) -> Result<Option<Token>, Refusal> {
    if way == Way::Socket || matches!(access, Access::Open | Access::Proof) {
        return Ok(None);
    }
    let token = match presented(headers) {
        Some(text) => Some(service.operator.token(&text).ok_or(Refusal::Unknown)?),
        // A browser that keeps a token that was taken away is nobody's.
        None => kept(headers).and_then(|text| service.operator.token(text)),
    };
    let Some(token) = token else {
        let may_look = access == Access::Read && service.anonymous == Anonymous::Reads;
        return if may_look && names_this_machine(headers) { Ok(None) } else { Err(Refusal::Unknown) };
    };
    if access == Access::Local {
        let detail = "this is only done over the socket in the state directory";
        return Err(Refusal::NotEnough(Problem::new(ProblemKind::Forbidden, code::SCOPE, detail)));
    }
    if access == Access::Operate && token.scope < Scope::Operate {
        let detail = format!("the token '{}' is good for looking, not for acting", token.name);
        return Err(Refusal::NotEnough(Problem::new(ProblemKind::Forbidden, code::SCOPE, detail)));
    }
    Ok(Some(token))
}

/// What somebody without a token may do over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing but ask whether the server is up.
    #[default]
    Nothing,
    /// Look; only for a server that listens on loopback.
    Reads,
}

/// The token in the header. Whoever presents something is not nobody, even when it is not a token.
fn presented(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    Some(text.strip_prefix("Bearer ").unwrap_or_default().trim().to_owned())
}

/// The token that a browser keeps in its cookie.
fn kept(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// What is named in a path is text: a name that is none is nobody's.
fn readable(path: &str) -> Result<(), Problem> {
    if escape::decoded(path).is_some_and(|text| !text.contains('\0')) {
        return Ok(());
    }
    let detail = "a path is text in UTF-8, with %XX for what it has no letter for";
    Err(Problem::new(ProblemKind::Invalid, code::API_PATH, detail))
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Browsers say which site's page asks, and send JSON to another site only after asking it first, which
/// is never granted here. A form is only taken from a browser that says so. So a page elsewhere cannot make a visitor's browser act.
fn from_here(headers: &HeaderMap, manner: &Manner) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let refused = |detail: &str| Problem::new(ProblemKind::Forbidden, code::ORIGIN, detail);
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site"))
        && !["same-origin", "none"].contains(&site)
    {
        return Err(refused("a page of another site asks for this"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let asked = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        if asked.is_none() || asked != text(header::HOST) {
            return Err(refused("a page of another site asks for this"));
        }
    }
    if manner.names_its_site
        && !headers.contains_key(header::ORIGIN)
        && !headers.contains_key("sec-fetch-site")
    {
        return Err(refused("this is for browsers that say which site asks: programs have the API"));
    }
    let has_body = text(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let is_fit = text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with(manner.sent));
    if (has_body || headers.contains_key(header::CONTENT_TYPE)) && !is_fit {
        let detail = format!("what is sent here is content-type: {}", manner.sent);
        return Err(Problem::new(ProblemKind::Invalid, code::API_KIND, detail));
    }
    Ok(())
}

/// A name that somebody else may let point to this machine is not answered without a token.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.chars().all(|digit| digit.is_ascii_digit()) { name } else { host }
    });
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// The body as a whole, within its bounds of size and time.
pub(super) async fn whole(headers: &HeaderMap, body: Body, bounds: Bounds) -> Result<Bytes, StatusCode> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > bounds.bytes as u64) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match tokio::time::timeout(bounds.time, to_bytes(body, bounds.bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
