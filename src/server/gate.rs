//! Who may come in, how, and with how much. Everything that is asked passes here first.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;

use super::{Service, problem};
use crate::core::token::{Scope, Token};
use crate::view::{Problem, ProblemKind, code};

/// Longest body that is read.
pub(super) const BODY_MAX: usize = 1 << 20;
/// Longest wait for all of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What the body of most requests keeps.
const BOUNDS: Bounds = Bounds { bytes: BODY_MAX, time: BODY_TIMEOUT };

/// What a body must keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most bytes.
    pub(super) bytes: usize,
    /// The longest wait for all of them.
    pub(super) time: Duration,
}
/// The cookie in which a browser keeps a token.
pub(super) const COOKIE: &str = "milepost_token";

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

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// How they came in.
    pub way: Way,
    /// The name of their token.
    pub token: Option<String>,
}

impl Caller {
    /// Who asks, as events name them. A token is believed before what somebody says of themselves.
    pub(super) fn named(&self, says: String) -> String {
        match &self.token {
            Some(name) => format!("token:{name}"),
            None if says.is_empty() => "somebody".to_owned(),
            None => says,
        }
    }
}

/// Lets a request in, with its caller and its whole body, or answers why not.
pub(super) async fn pass(
    State((service, access)): State<(Service, Access)>,
    request: Request,
    next: Next,
) -> Response {
    if access == Access::Proof {
        return next.run(request).await;
    }
    let way = request.extensions().get::<Way>().copied().unwrap_or(Way::Network);
    let (mut parts, body) = request.into_parts();
    if changes(&parts.method)
        && let Err(problem) = from_here(&parts.headers)
    {
        return problem::response(&problem);
    }
    let token = match admitted(&service, access, way, &parts.headers) {
        Ok(token) => token,
        Err(refusal) => return refusal.into_response(),
    };
    let body = match whole(&parts.headers, body, BOUNDS).await {
        Ok(body) => Body::from(body),
        Err(status) => return problem::limit(status, BOUNDS),
    };
    parts.extensions.insert(Caller { way, token: token.map(|token| token.name) });
    next.run(Request::from_parts(parts, body)).await
}

/// Why nobody is let in.
enum Refusal {
    /// Nobody knows who asks.
    Unknown,
    /// It is known, and not enough.
    NotEnough(Problem),
}

impl Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown => problem::unauthorized(),
            Self::NotEnough(problem) => problem::response(&problem),
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
    if access == Access::Local {
        let detail = "this is only done over the socket in the state directory";
        return Err(Refusal::NotEnough(Problem::new(ProblemKind::Forbidden, code::SCOPE, detail)));
    }
    let Some(text) = presented(headers) else {
        let may_look = access == Access::Read && service.anonymous == Anonymous::Reads;
        return if may_look && names_this_machine(headers) { Ok(None) } else { Err(Refusal::Unknown) };
    };
    let token = service.operator.token(&text).ok_or(Refusal::Unknown)?;
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

/// The token in a request: that of the header, else that of the cookie.
fn presented(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        // Whoever presents something is not nobody, even when it is not a token.
        return Some(text.strip_prefix("Bearer ").unwrap_or_default().trim().to_owned());
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Browsers say which site's page asks, and send JSON to another site only after asking it first, which
/// is never granted here. So a page elsewhere cannot make a visitor's browser act.
fn from_here(headers: &HeaderMap) -> Result<(), Problem> {
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
    let has_body = text(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let is_json = text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    if (has_body || headers.contains_key(header::CONTENT_TYPE)) && !is_json {
        let detail = "what is sent has to be JSON: content-type: application/json";
        return Err(Problem::new(ProblemKind::Invalid, code::API_BODY, detail));
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
