//! What is answered when something is wrong: `{"code":400,"message":"…"}`.

use crate::proxy::ProxyError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The HTTP status, but for parameters that are wrong: these have codes of their own.
    code: u16,
    message: String,
}

/// The code of the real API for a parameter of another type.
const INVALID_TYPE: u16 = 601;
/// The same for something that is missing.
const REQUIRED: u16 = 602;

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: status.as_u16(),
            message: message.into(),
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A parameter in the query that is no whole number.
    pub(super) fn no_number(name: &str, value: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: INVALID_TYPE,
            message: format!("{name} in query must be of type int64: {value:?}"),
        }
    }

    /// A body that is not there.
    pub(super) fn no_data() -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: REQUIRED,
            message: "data in body is required".to_owned(),
        }
    }
}

impl From<ProxyError> for Refusal {
    fn from(error: ProxyError) -> Self {
        let status = match &error {
            ProxyError::Refused { .. } | ProxyError::ReloadFailed | ProxyError::Command { .. } => {
                StatusCode::BAD_REQUEST
            }
            ProxyError::Socket { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::debug!(status = self.status.as_u16(), message = self.message, "refused");
        let body = Json(json!({"code": self.code, "message": self.message}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}
