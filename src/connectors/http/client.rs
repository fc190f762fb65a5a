//! Sends what `prepare` made.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;

use super::BuildFault;
use crate::connectors::wire::{self, Answer, Broken, Redirects};

/// An HTTP client with the step's timeout.
pub(super) struct Caller {
    client: Client,
}

impl Caller {
    /// Each request may take `timeout`. Redirects are to be followed only where requests change nothing:
    /// after a redirected change "nothing was sent" would no longer be known.
    pub(super) fn new(timeout: Duration, redirects: Redirects) -> Result<Self, BuildFault> {
        Ok(Self { client: wire::client(timeout, redirects)? })
    }

    /// Sends one prepared request, with these headers beside its own, which win. A body that is text
    /// is sent as it is, any other as JSON.
    pub(super) async fn send(&self, request: &Value, beside: &HeaderMap) -> Result<Answer, Broken> {
        let method = request["method"].as_str().unwrap_or_default();
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Broken::unsendable(&format!("'{method}' is not an HTTP method")))?;
        let url = request["url"].as_str().unwrap_or_default();
        let url = reqwest::Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| Broken::unsendable("'url' must begin with http:// or https://"))?;
        let mut headers = beside.clone();
        for (header, value) in request["headers"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let valid =
                HeaderName::from_bytes(header.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            let (header, value) =
                valid.ok_or_else(|| Broken::unsendable(&format!("the header '{header}' is wrong")))?;
            headers.insert(header, value);
        }
        // The headers first: JSON says what it is only where they do not.
        let builder = self.client.request(method, url).headers(headers);
        wire::send(match request.get("body") {
            None => builder,
            Some(Value::String(text)) => builder.body(text.clone()),
            Some(body) => builder.json(body),
        })
        .await
    }
}
