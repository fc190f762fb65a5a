//! A server that does what a test tells it to, and otherwise as a healthy empty shop.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the server was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and path.
    pub(super) call: String,
    pub(super) query: String,
    pub(super) authorization: String,
    pub(super) body: Value,
    /// How often the same call came before.
    pub(super) before: usize,
}

/// What it does about it.
pub(super) enum Reply {
    Says(u16, Value),
    /// Nothing, until the client goes.
    Dawdles,
}

type Script = dyn Fn(&Asked) -> Option<Reply> + Send + Sync;

/// A running server.
pub(super) struct Liar {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Liar {
    /// A server that follows the script, and does as a healthy empty shop where it says nothing.
    pub(super) async fn start(script: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        let app = Router::new().fallback(move |request: Request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move { answer(request, &*script, &log).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked }
    }

    /// The calls so far that begin like this.
    pub(super) fn calls(&self, beginning: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.call.starts_with(beginning)).cloned().collect()
    }
}

async fn answer(request: Request, script: &Script, log: &Mutex<Vec<Asked>>) -> Response {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let mut asked = Asked {
        call: format!("{} {}", head.method, head.uri.path()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.unwrap_or_default(),
        body: serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap_or_default(),
        before: 0,
    };
    {
        let mut log = log.lock().unwrap();
        asked.before = log.iter().filter(|other| other.call == asked.call).count();
        log.push(asked.clone());
    }
    match script(&asked).unwrap_or_else(|| healthy(&asked)) {
        Reply::Says(status, body) => {
            (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
        }
        Reply::Dawdles => std::future::pending().await,
    }
}

/// A shop with one channel and one profile, that creates whatever it is told and holds nothing.
fn healthy(asked: &Asked) -> Reply {
    let made = |product: &Value| json!({ "id": format!("prod_{}", product["external_id"]), "handle": product["handle"], "external_id": product["external_id"] });
    Reply::Says(
        200,
        match asked.call.as_str() {
            "POST /auth/user/emailpass" => json!({ "token": format!("t{}", asked.before) }),
            "GET /admin/stores" => json!({ "stores": [{
            "default_sales_channel_id": "sc_1", "supported_currencies": [{ "currency_code": "eur" }],
        }] }),
            "GET /admin/sales-channels" => json!({ "sales_channels": [{ "id": "sc_1", "name": "Web" }] }),
            "GET /admin/shipping-profiles" => {
                json!({ "shipping_profiles": [{ "id": "sp_1", "name": "Usual", "type": "default" }] })
            }
            "GET /admin/stock-locations" => json!({ "stock_locations": [] }),
            "POST /admin/products/batch" => {
                let created = asked.body["create"].as_array().into_iter().flatten().map(made);
                json!({ "created": created.collect::<Vec<_>>(), "updated": [] })
            }
            _ => json!({ "products": [] }),
        },
    )
}
