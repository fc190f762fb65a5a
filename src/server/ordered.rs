//! Orders: what is sent as JSON, in the name of whoever asks.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, RequestExt};
use serde::de::DeserializeOwned;

use super::care::BackupRequest;
use super::gate::Caller;
use super::problem;
use crate::view::{
    CollectOrder, Order, Problem, ProblemKind, ResumeOrder, Sent, StartOrder, TokenOrder, UnholdOrder, code,
};

/// Something that is done in somebody's name.
pub(super) trait Named {
    /// Who asks, as they say themselves until it is known better.
    fn by(&mut self) -> &mut String;
}

macro_rules! named {
    ($($order:ty),*) => {
        $(impl Named for $order {
            fn by(&mut self) -> &mut String {
                &mut self.by
            }
        })*
    };
}

named!(BackupRequest, CollectOrder, Order, ResumeOrder, Sent, StartOrder, TokenOrder, UnholdOrder);

impl Caller {
    /// The same in the name of this caller.
    pub(super) fn signs<O: Named>(&self, mut order: O) -> O {
        let says = std::mem::take(order.by());
        *order.by() = self.named(says);
        order
    }
}

/// The body of a request, in the name of whoever was let in.
pub(super) struct Ordered<O>(pub(super) O);

impl<O: Named + DeserializeOwned + 'static, S: Send + Sync> FromRequest<S> for Ordered<O> {
    type Rejection = Response;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Response> {
        let caller = request.extract_parts::<Extension<Caller>>().await;
        let Extension(caller) = caller.map_err(IntoResponse::into_response)?;
        match read(Json::<O>::from_request(request, state).await) {
            Ok(order) => Ok(Self(caller.signs(order))),
            Err(problem) => Err(problem::response(&problem)),
        }
    }
}

/// What was sent, or what is wrong with its form.
pub(super) fn read<T>(sent: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    sent.map(|Json(value)| value).map_err(|rejection| {
        let code = match &rejection {
            JsonRejection::JsonDataError(_) => code::API_BODY,
            JsonRejection::MissingJsonContentType(_) => code::API_KIND,
            _ => code::API_JSON,
        };
        Problem::new(ProblemKind::Invalid, code, rejection.body_text())
    })
}
