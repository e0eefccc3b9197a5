//! A function that answers with what it gets.

use std::convert::Infallible;

use dfaas_faas::parse_duration;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

/// The body, the path and query (`X-Path`) and the number of this process (`X-Process`), after the time in the request's
/// header `X-Delay`.
pub(super) async fn answer(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    let delay = request
        .headers()
        .get("x-delay")
        .and_then(|text| text.to_str().ok());
    if let Some(delay) = delay.and_then(parse_duration) {
        tokio::time::sleep(delay).await;
    }
    let path = HeaderValue::from_str(&request.uri().to_string());
    let mut response = Response::new(request.into_body());
    if let Ok(path) = path {
        response.headers_mut().insert("x-path", path);
    }
    response
        .headers_mut()
        .insert("x-process", std::process::id().into());
    Ok(response)
}
