//! The HTTP side: accepts connections and answers requests.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{Body, LARGEST_BODY, RequestBody, cut};
use super::error::ApiError;
use super::forms::{Answer, Form, Writer, negotiate, to_bytes};
use super::objects::{Page, State};
use super::paths::{Query, Target};
use super::request::Request;
use super::select::Scope;
use super::shards::Shards;
use super::shared::Shared;
use super::stream::watch;
use super::{proxy, statefulsets};

/// Serves connections until `stop`, then closes all.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, or the peer gave up: the next attempt may succeed.
                Err(_) => {
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        connections.spawn(async move {
            let service = service_fn(move |request: http::Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let connection = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // Clients that disconnect are normal.
                _ = connection => {}
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Answers one request.
pub(super) async fn answer<B: RequestBody>(shared: &Arc<Shared>, request: http::Request<B>) -> Response<Body> {
    match route(shared, request).await {
        Ok(answer) => answer,
        Err(error) => in_full(error.code, to_bytes(&error.status())),
    }
}

/// A request with a parsed path.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    table: usize,
    namespace: Option<String>,
    query: Query,
    accept: String,
}

async fn route<B: RequestBody>(shared: &Arc<Shared>, request: http::Request<B>) -> Result<Response<Body>, ApiError> {
    let (head, body) = request.into_parts();
    let text = |name: header::HeaderName| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let accept = text(header::ACCEPT);
    let query = head.uri.query().unwrap_or_default();
    let target = {
        let mut state = shared.state();
        state.remember(Request {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: query.to_owned(),
            accept: accept.clone(),
        });
        let target = Target::of(head.uri.path(), state.tables.iter().map(|table| &table.resource))?;
        if let Target::Resource { table, .. } | Target::Proxy { table, .. } = &target {
            let table = &state.tables[*table];
            if let Some(code) = table.faults.refuse {
                return Err(ApiError::wished_for(code, &table.resource.plural));
            }
        }
        target
    };
    let (table, namespace, name, subresource) = match target {
        Target::Other(segments) => return discovery(shared, &segments),
        Target::Proxy { table, namespace, pod, path } => {
            let (name, port) = proxy::target(&pod)?;
            let to = proxy::address(&*shared.state().get(table, &namespace, name)?, port)?;
            let asked = if query.is_empty() { path } else { format!("{path}?{query}") };
            return proxy::forward(to, &asked, &head, body).await;
        }
        Target::Resource { table, namespace, name, subresource } => (table, namespace, name, subresource),
    };
    let call = Call { shared, table, namespace, query: Query::parse(query)?, accept };
    let Some(name) = name else {
        return match head.method {
            Method::GET if call.query.watch => watch_of(&call),
            Method::GET => list(&call),
            Method::POST => {
                let mut object = call.body(body).await?;
                call.place(&mut object, None)?;
                let mut state = shared.state();
                let created = state.create(table, object, false)?;
                statefulsets::settle(&mut state);
                drop(state);
                call.one(201, &created)
            }
            _ => Err(ApiError::method_not_allowed()),
        };
    };
    // `status` is the only subresource, and only it is written there.
    let only_status = match subresource.as_deref() {
        None => false,
        Some("status") => true,
        Some(_) => return Err(ApiError::unknown_resource()),
    };
    let namespace = call.namespace.clone().unwrap_or_default();
    match head.method {
        Method::GET => {
            let object = shared.state().get(table, &namespace, &name)?;
            call.one(200, &object)
        }
        Method::PUT => {
            let mut object = call.body(body).await?;
            call.place(&mut object, Some(&name))?;
            let mut state = shared.state();
            if only_status {
                let mut whole = Value::clone(&*state.get(table, &namespace, &name)?);
                whole["status"] = object["status"].take();
                whole["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].take();
                object = whole;
            }
            let updated = state.update(table, object, false)?;
            statefulsets::settle(&mut state);
            drop(state);
            call.one(200, &updated)
        }
        Method::PATCH => {
            let kind = text(header::CONTENT_TYPE);
            if kind.split(';').next() != Some("application/merge-patch+json") {
                let message = "the simulator takes patches as application/merge-patch+json";
                return Err(ApiError::new(415, "UnsupportedMediaType", message));
            }
            let mut patch = call.body(body).await?;
            if let Some(patch) = patch.as_object_mut().filter(|_| only_status) {
                patch.retain(|key, _| matches!(key.as_str(), "status" | "metadata"));
            }
            let mut state = shared.state();
            let patched = state.patch(table, &namespace, &name, &patch)?;
            statefulsets::settle(&mut state);
            drop(state);
            call.one(200, &patched)
        }
        Method::DELETE if !only_status => {
            let mut options = call.body(body).await?;
            call.query.add_to_delete_options(&mut options);
            let mut state = shared.state();
            let deleted = statefulsets::delete(&mut state, table, &namespace, &name, &options)?;
            statefulsets::settle(&mut state);
            drop(state);
            Ok(in_full(
                200,
                to_bytes(&json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": { "name": name, "uid": deleted["metadata"]["uid"] },
                })),
            ))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

impl Call<'_> {
    /// The request's JSON; an empty body is null.
    async fn body(&self, body: impl RequestBody) -> Result<Value, ApiError> {
        let read = Limited::new(body, LARGEST_BODY).collect().await;
        let bytes =
            read.map_err(|error| ApiError::bad_request(format!("the body cannot be read: {error}")))?.to_bytes();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_request(format!("json parse error: {error}")))
    }

    /// Checks that an object matches its URL.
    fn place(&self, object: &mut Value, name: Option<&str>) -> Result<(), ApiError> {
        if !object.is_object() || !(object["metadata"].is_object() || object["metadata"].is_null()) {
            return Err(ApiError::bad_request("an object with metadata is wanted"));
        }
        for (key, is) in [("namespace", self.namespace.as_deref()), ("name", name)] {
            let Some(is) = is else { continue };
            let said = &mut object["metadata"][key];
            if said.is_null() {
                *said = is.into();
            } else if said != is {
                let message = format!("the {key} of the object does not match the {key} on the URL");
                return Err(ApiError::bad_request(message));
            }
        }
        Ok(())
    }

    fn form(&self, state: &State, answer: Answer) -> Result<Form, ApiError> {
        let form = negotiate(&self.accept, &self.query.include, answer)?;
        Ok(if state.tables[self.table].faults.whole_objects { Form::Whole } else { form })
    }

    fn scope(&self, state: &State) -> Result<Scope, ApiError> {
        let table = &state.tables[self.table];
        let mut scope =
            Scope::new(self.namespace.clone(), &self.query.fields, &self.query.labels, &table.resource.plural)?;
        let shards = &self.query.shards;
        if !shards.is_empty() && table.faults.refuse_shards {
            return Err(ApiError::bad_request("shardSelector is refused, as the simulator was told"));
        }
        if !shards.is_empty() && !table.faults.ignore_shards {
            scope.shards = Some(Shards::parse(shards)?);
        }
        Ok(scope)
    }

    fn one(&self, code: u16, object: &Value) -> Result<Response<Body>, ApiError> {
        let state = self.shared.state();
        let mut writer = Writer::new(&state.tables[self.table].resource, self.form(&state, Answer::One)?);
        drop(state);
        Ok(in_full(code, writer.one(object)))
    }
}

fn watch_of(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let (scope, form) = {
        let state = call.shared.state();
        (call.scope(&state)?, call.form(&state, Answer::Watch)?)
    };
    let body = watch(call.shared, call.table, scope, form, &call.query)?;
    Ok(respond(200, body))
}

fn list(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let query = &call.query;
    let mut state = call.shared.state();
    let (scope, form) = (call.scope(&state)?, call.form(&state, Answer::List)?);
    let page = page(&mut state, call, &scope)?;
    let table = &state.tables[call.table];
    let writer = Writer::new(&table.resource, form);
    let faults = table.faults.clone();
    drop(state);
    let mut metadata = json!({ "resourceVersion": page.version.to_string() });
    if let Some((list, from)) = page.next {
        let list = if faults.expire_pages { u64::MAX } else { list };
        metadata["continue"] = BASE64_URL_SAFE_NO_PAD.encode(format!("{list}.{from}")).into();
        if !scope.selects() || !query.next.is_empty() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    // The other forms of a list have no field for it.
    if let Some(shards) = scope.shards.as_ref().filter(|_| form == Form::Whole) {
        metadata["shardInfo"] = json!({ "selector": shards.selector });
    }
    let mut bytes = writer.list(metadata, page.objects.iter().map(|object| &**object));
    let Some(length) = faults.cut_lists.filter(|length| *length < bytes.len()) else {
        return Ok(in_full(200, bytes));
    };
    bytes.truncate(length);
    let part = stream::iter([Ok(Frame::data(Bytes::from(bytes)))]);
    Ok(respond(200, StreamBody::new(part.chain(stream::once(cut()))).boxed_unsync()))
}

fn page(state: &mut State, call: &Call<'_>, scope: &Scope) -> Result<Page, ApiError> {
    let query = &call.query;
    if !query.next.is_empty() {
        let invalid = || ApiError::bad_request("invalid continue token");
        let token = BASE64_URL_SAFE_NO_PAD.decode(&query.next).map_err(|_| invalid())?;
        let token = String::from_utf8(token).map_err(|_| invalid())?;
        let (list, from) = token.split_once('.').ok_or_else(invalid)?;
        let (list, from) = (list.parse().map_err(|_| invalid())?, from.parse().map_err(|_| invalid())?);
        return state.page(list, from, query.limit);
    }
    let current = state.version;
    // A real server answers a list at version 0 from its cache, without paging.
    let mut limit = query.limit;
    match (query.version_number()?, query.version_match.as_str()) {
        (None, "") => {}
        (None, _) => {
            return Err(ApiError::invalid("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        (Some(0), "Exact") => {
            return Err(ApiError::invalid("resourceVersionMatch \"Exact\" is forbidden for version 0"));
        }
        (Some(0), _) => limit = 0,
        (Some(asked), _) if asked > current => return Err(ApiError::version_too_large(asked, current)),
        (Some(asked), "Exact") if asked < current => {
            return Err(ApiError::expired(format!("The resourceVersion for the provided list is too old: {asked}")));
        }
        (Some(_), _) => {}
    }
    Ok(state.list(call.table, scope, limit))
}

/// `/version`, health paths, and discovery.
fn discovery(shared: &Shared, segments: &[String]) -> Result<Response<Body>, ApiError> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let state = shared.state();
    let resources = || state.tables.iter().map(|table| &table.resource);
    let of_version = |group: &str, version: &str| -> Result<Value, ApiError> {
        let found: Vec<_> = resources().filter(|r| r.group == group && r.version == version).collect();
        let first = found.first().ok_or_else(ApiError::unknown_resource)?;
        let entries = found.iter().map(|r| {
            json!({
                "name": r.plural, "singularName": r.kind.to_lowercase(), "namespaced": r.namespaced, "kind": r.kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            })
        });
        Ok(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(),
            "resources": entries.collect::<Value>(),
        }))
    };
    let group = |name: &str| -> Result<Value, ApiError> {
        let mut versions: Vec<_> = resources().filter(|r| r.group == name).collect();
        versions.dedup_by_key(|r| r.version.clone());
        let versions: Vec<_> =
            versions.iter().map(|r| json!({ "groupVersion": r.api_version(), "version": r.version })).collect();
        let preferred = versions.first().ok_or_else(ApiError::unknown_resource)?;
        Ok(json!({ "name": name, "versions": versions, "preferredVersion": preferred }))
    };
    let found = match *segments {
        ["healthz" | "livez" | "readyz", ..] => {
            let mut answer = in_full(200, b"ok".to_vec());
            answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
            return Ok(answer);
        }
        ["version"] => json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.0+simulator", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "simulator",
        }),
        ["api"] => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        ["api", version] => of_version("", version)?,
        ["apis"] => {
            let mut names: Vec<_> = resources().map(|r| r.group.as_str()).filter(|group| !group.is_empty()).collect();
            names.sort_unstable();
            names.dedup();
            let groups = names.into_iter().map(group).collect::<Result<Vec<_>, _>>()?;
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["apis", name] => {
            let mut found = group(name)?;
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            found
        }
        ["apis", name, version] => of_version(name, version)?,
        _ => return Err(ApiError::unknown_resource()),
    };
    Ok(in_full(200, to_bytes(&found)))
}

fn in_full(code: u16, body: Vec<u8>) -> Response<Body> {
    respond(code, Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync())
}

fn respond(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
