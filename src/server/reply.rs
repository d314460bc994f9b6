//! Routes and replies that several ports have in common.

use http::{HeaderValue, Method, StatusCode, header};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply};

/// The routes of one port, or some of them.
pub type Routes = BoxedFilter<(Response,)>;

/// Serves the routes of both on one port.
pub fn both(first: Routes, second: Routes) -> Routes {
    first.or(second).unify().boxed()
}

/// Answers GET with `answer` and HEAD with its headers; refuses other methods.
pub(super) fn read_only(method: &Method, answer: impl FnOnce() -> Response) -> Response {
    match *method {
        Method::GET => answer(),
        Method::HEAD => without_body(answer()),
        _ => {
            let refusal = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed; use GET or HEAD\n");
            warp::reply::with_header(refusal, header::ALLOW, "GET, HEAD").into_response()
        }
    }
}

/// NB: drops the body here, which frees its memory at once instead of when the connection gets to it.
fn without_body(answer: Response) -> Response {
    let (parts, _) = answer.into_parts();
    Response::from_parts(parts, Default::default())
}

/// Returns plain text with a status.
pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Response {
    let mut answer = body.into().into_response();
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
