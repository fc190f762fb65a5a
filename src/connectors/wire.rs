//! Common ground of the connectors that speak HTTP: one way to make a client, to send, and to say
//! what a broken call means. The one question behind all of it is whether something was sent.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, redirect};
use serde_json::Value;

use super::BuildFault;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// Longest answer that is read. A batch of 50 products with all their parts is below 1 MB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How much of an answer's text goes into a fault.
const EXCERPT_CHARS: usize = 300;
/// Longest time to open a connection; what takes longer is not there.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Up to ten of them.
    Followed,
    /// Never: a key in a header must not travel to another place.
    Refused,
}

/// How long a connection is kept that nobody uses. Node's servers, Medusa's among them, close one after
/// 5 s (`server.keepAliveTimeout`); a request that met with that would be a doubt for nothing.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Makes a client; each request may take `timeout`.
pub(crate) fn client(timeout: Duration, redirects: Redirects) -> Result<Client, BuildFault> {
    built(builder(timeout, redirects))
}

/// What a client is made from. The TLS provider is installed here, once per process, because reqwest is
/// built without one of its own.
pub(crate) fn builder(timeout: Duration, redirects: Redirects) -> ClientBuilder {
    // An error says that another connector was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let policy = match redirects {
        Redirects::Followed => redirect::Policy::default(),
        Redirects::Refused => redirect::Policy::none(),
    };
    Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT_MAX))
        .redirect(policy)
        .pool_idle_timeout(IDLE_MAX)
}

/// The client itself.
pub(crate) fn built(builder: ClientBuilder) -> Result<Client, BuildFault> {
    builder.build().map_err(|error| BuildFault {
        field: None,
        place: None,
        message: format!("failed to make an HTTP client: {error}"),
        hint: None,
    })
}

/// The address of the other side as its settings give it, without a slash at the end.
pub(crate) fn base_url(settings: &serde_json::Map<String, Value>) -> Result<String, BuildFault> {
    let url = super::settings::required(settings, "url")?;
    match reqwest::Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(BuildFault::field("url", "'url' must begin with http:// or https://")),
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `Retry-After`, when it was given in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// No answer.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// The request can not even be made: its address or a header is wrong. It never will be.
    Unsendable(Fault),
    /// No connection came about, so nothing was sent.
    Unsent(Fault),
    /// Something was sent, and nobody knows what became of it.
    Silent(Fault),
}

/// Sends one request and reads the whole answer. Faults name neither the address nor headers.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Broken> {
    let mut response = request.send().await.map_err(broken)?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Broken::Silent(Fault::new(name::NO_ANSWER, "the answer is longer than 32 MiB")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body })
}

fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    if error.is_builder() {
        Broken::unsendable(&format!("the request can not be made: {reason}"))
    } else if error.is_connect() {
        Broken::Unsent(Fault::new(name::UNREACHABLE, format!("failed to connect: {reason}")))
    } else if error.is_timeout() {
        Broken::Silent(Fault::new(name::TIMEOUT, "no answer within the step's timeout"))
    } else {
        Broken::Silent(Fault::new(name::NO_ANSWER, format!("the connection broke: {reason}")))
    }
}

impl Broken {
    /// A request that can not be made, for this reason.
    pub(crate) fn unsendable(reason: &str) -> Self {
        Self::Unsendable(Fault::new(name::REFUSED, reason))
    }

    /// What went wrong, and, when surely nothing was sent, whether another attempt makes sense; `None`:
    /// perhaps the other side did what it was asked for.
    pub(crate) fn known(self) -> (Fault, Option<Again>) {
        match self {
            Self::Unsendable(fault) => (fault, Some(Again::Never)),
            Self::Unsent(fault) => (fault, Some(Again::Later)),
            Self::Silent(fault) => (fault, None),
        }
    }

    /// What it means for a call that changes something.
    pub(crate) fn of_write(self) -> Outcome {
        match self.known() {
            (fault, Some(again)) => Outcome::Refused { fault, again },
            (fault, None) => Outcome::Unclear(fault),
        }
    }

    /// What it means for a call that changes nothing: surely nothing was done.
    pub(crate) fn of_read(self) -> Outcome {
        let (fault, again) = self.known();
        Outcome::Refused { fault, again: again.unwrap_or(Again::Later) }
    }

    /// The fault alone.
    pub(crate) fn fault(self) -> Fault {
        self.known().0
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The status and the beginning of the body as a fault.
    pub(crate) fn fault(&self) -> Fault {
        let text = String::from_utf8_lossy(&self.body);
        let excerpt: String = text.trim().chars().take(EXCERPT_CHARS).collect();
        let separator = if excerpt.is_empty() { "" } else { ": " };
        Fault::new(name::STATUS, format!("HTTP {}{separator}{excerpt}", self.status))
    }

    /// What the status means for a call that changes something, when nothing better is known:
    /// told to wait, surely refused, or perhaps done.
    pub(crate) fn of_write(&self) -> Outcome {
        match (self.status, self.retry_after) {
            (429 | 503, Some(pause)) => Outcome::Refused { fault: self.fault(), again: Again::After(pause) },
            (425 | 429, None) => Outcome::Refused { fault: self.fault(), again: Again::Later },
            (500.., _) => Outcome::Unclear(self.fault()),
            // The other side gave up on us, perhaps half-way.
            (408, _) => Outcome::Unclear(self.fault()),
            _ => Outcome::Refused { fault: self.fault(), again: Again::Never },
        }
    }

    /// Whether another try makes sense for a call that changes nothing.
    pub(crate) fn again_of_read(&self) -> Again {
        match (self.status, self.retry_after) {
            (429 | 503, Some(pause)) => Again::After(pause),
            (408 | 425 | 429 | 500.., _) => Again::Later,
            _ => Again::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<u64>) -> Answer {
        Answer { status, retry_after: retry_after.map(Duration::from_secs), body: b"why".to_vec() }
    }

    #[test]
    fn a_status_says_whether_something_may_have_happened() {
        let again = |status, pause| match answer(status, pause).of_write() {
            Outcome::Refused { again, .. } => Some(again),
            _ => None,
        };
        assert_eq!(again(429, Some(7)), Some(Again::After(Duration::from_secs(7))));
        assert_eq!(again(503, Some(7)), Some(Again::After(Duration::from_secs(7))));
        assert_eq!(again(429, None), Some(Again::Later));
        assert_eq!(again(422, None), Some(Again::Never));
        assert_eq!(again(503, None), None);
        assert_eq!(again(500, Some(7)), None);
        assert_eq!(answer(500, None).again_of_read(), Again::Later);
    }

    #[tokio::test]
    async fn a_refused_connection_sent_nothing_and_its_fault_hides_the_address() {
        let client = client(Duration::from_secs(5), Redirects::Refused).unwrap();
        // Port 0 accepts nobody.
        let broken = send(client.get("http://127.0.0.1:0/secret-path")).await.unwrap_err();
        let Broken::Unsent(fault) = broken else { panic!("{broken:?}") };
        assert_eq!(fault.name, name::UNREACHABLE);
        assert!(!fault.message.contains("secret-path"), "{fault}");
    }

    #[tokio::test]
    async fn a_request_that_can_not_be_made_is_not_tried_again() {
        let client = client(Duration::from_secs(5), Redirects::Refused).unwrap();
        for request in [client.get("no address"), client.get("http://127.0.0.1:0").header("a\nb", "c")] {
            let broken = send(request).await.unwrap_err();
            assert!(matches!(broken, Broken::Unsendable(_)), "{broken:?}");
            let (fault, again) = broken.known();
            assert_eq!((fault.name.as_str(), again), (name::REFUSED, Some(Again::Never)));
        }
    }
}
