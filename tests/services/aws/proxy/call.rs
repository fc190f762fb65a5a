//! One call of the AWS API, in whichever of its protocols: JSON with a target header (SQS,
//! EventBridge), REST with XML (S3), CBOR with the operation in the path (CloudWatch).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

/// A call on its way to the server.
#[derive(Debug)]
pub(crate) struct Call {
    /// As the API calls it: `PutEvents`, `GetObject`.
    pub(crate) operation: String,
    /// Which call of this operation this is, from 1.
    pub(crate) number: u64,
    /// What is asked; of S3 the object's content.
    pub(crate) body: Bytes,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

impl Call {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let operation = operation(&head.method, &path, &head.headers);
        Self { operation, number: 0, body, method: head.method, path, headers: head.headers }
    }

    /// What is asked, of a protocol with JSON; null otherwise.
    pub(crate) fn asks(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What a service answers that refuses the call with this error code.
    pub(super) fn refusal(&self, status: u16, code: &str) -> Response<Full<Bytes>> {
        let message = "the test says so";
        let (kind, body) = if self.path.contains("/operation/") {
            ("application/cbor", cbor(&[("__type", code), ("message", message)]))
        } else if self.headers.contains_key("x-amz-target") {
            let body = json!({ "__type": code, "message": message });
            ("application/x-amz-json-1.0", body.to_string().into_bytes())
        } else {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            ("application/xml", body.into_bytes())
        };
        let answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
        let answer = answer.header("content-type", kind).header("x-amzn-errortype", code);
        let answer =
            if kind == "application/cbor" { answer.header("smithy-protocol", "rpc-v2-cbor") } else { answer };
        answer.body(Full::new(body.into())).unwrap()
    }

    /// The batch without the entries at these positions; none when nothing remains of it.
    pub(super) fn without_entries(&self, failing: &[usize]) -> Option<Bytes> {
        let mut asks = self.asks();
        let entries = asks["Entries"].as_array_mut().expect("only batches have entries");
        let mut position = 0..;
        entries.retain(|_| !failing.contains(&position.next().unwrap()));
        let empty = entries.is_empty();
        (!empty).then(|| asks.to_string().into())
    }

    /// The server's answer to the rest of the batch, with the failed entries put in their places.
    pub(super) fn with_failed(&self, told: &Bytes, failing: &[usize], code: &str) -> Response<Full<Bytes>> {
        let mut told: Value = serde_json::from_slice(told).unwrap();
        let entries = self.asks()["Entries"].as_array().unwrap().clone();
        if self.operation == "PutEvents" {
            let mut went = told["Entries"].as_array().cloned().unwrap_or_default().into_iter();
            let failed = json!({ "ErrorCode": code, "ErrorMessage": "the test says so" });
            let all = (0..entries.len()).map(|position| {
                if failing.contains(&position) {
                    failed.clone()
                } else {
                    went.next().expect("the server answered for fewer entries than it got")
                }
            });
            let all: Vec<Value> = all.collect();
            let count = all.iter().filter(|entry| entry.get("ErrorCode").is_some()).count();
            told = json!({ "FailedEntryCount": count, "Entries": all });
        } else {
            let mut failed = told["Failed"].as_array().cloned().unwrap_or_default();
            failed.extend(failing.iter().filter_map(|&position| entries.get(position)).map(|entry| {
                json!({ "Id": entry["Id"], "Code": code, "SenderFault": false, "Message": "the test says so" })
            }));
            let went = told["Successful"].as_array().cloned().unwrap_or_default();
            told = json!({ "Successful": went, "Failed": failed });
        }
        let answer = Response::builder().header("content-type", "application/x-amz-json-1.0");
        answer.body(Full::new(told.to_string().into())).unwrap()
    }
}

fn operation(method: &Method, path: &str, headers: &HeaderMap) -> String {
    if let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if let Some((_, operation)) = path.rsplit_once("/operation/") {
        return operation.to_owned();
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if let Some(named) = query.split('&').find_map(|pair| pair.strip_prefix("x-id=")) {
        return named.to_owned();
    }
    let key = path.trim_matches('/').contains('/');
    let asks = |what: &str| query.split('&').any(|pair| pair.split('=').next() == Some(what));
    let s3 = match (method.as_str(), key) {
        ("POST", true) if asks("uploads") => "CreateMultipartUpload",
        ("POST", true) => "CompleteMultipartUpload",
        ("HEAD", true) => "HeadObject",
        ("HEAD", false) => "HeadBucket",
        ("PUT", false) if asks("notification") => "PutBucketNotificationConfiguration",
        ("GET", false) if asks("notification") => "GetBucketNotificationConfiguration",
        ("PUT", false) => "CreateBucket",
        ("GET", false) => "ListObjectsV2",
        (method, _) => method,
    };
    s3.to_owned()
}

/// A map of short texts, as CBOR (RFC 8949) writes it.
fn cbor(pairs: &[(&str, &str)]) -> Vec<u8> {
    let head = |major: u8, length: usize| match u8::try_from(length).unwrap() {
        length @ 0..24 => vec![major << 5 | length],
        length => vec![major << 5 | 0x18, length],
    };
    let mut bytes = head(5, pairs.len());
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend(head(3, text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}
