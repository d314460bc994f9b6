//! The requests of a source: URLs and the accepted forms.

use http::header::ACCEPT;
use kube::client::Body;

use super::form::Form;
use super::source::Source;

/// Number of objects in a page, the same as in client-go:
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>
pub const PAGE: u64 = 500;

/// The requested duration of a watch in seconds, as in client-go, but long enough for several bookmarks (one per minute).
pub const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 290..=590;

/// The query parameter of every watch.
pub const WATCH: &str = "watch=1";

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind<'a> {
    /// A page of a list.
    Page {
        /// The maximum number of objects; `None` for all.
        limit: Option<u64>,
        /// The `continue` token of the previous page; empty for the first page.
        from: &'a str,
        /// The minimum resourceVersion of the list; 0 for any.
        at_least: u64,
    },
    /// A list of one object, to read the newest resourceVersion of the API server.
    Newest,
    /// A watch from a resourceVersion.
    Watch(&'a str),
    /// A watch that starts with all objects.
    StreamingList {
        /// The minimum resourceVersion of the list; 0 for the newest.
        at_least: u64,
    },
}

/// Builds a request; `selector` is the `shardSelector`, if there is one.
///
/// # Errors
/// The names in the source are not valid in a URL.
pub fn request(
    source: &Source,
    kind: RequestKind<'_>,
    selector: Option<&str>,
) -> Result<http::Request<Body>, http::Error> {
    let path = path(source) + "?";
    let start = path.len();
    let mut query = form_urlencoded::Serializer::for_suffix(path, start);
    if !source.field_selector.is_empty() {
        query.append_pair("fieldSelector", &source.field_selector);
    }
    if !source.label_selector.is_empty() {
        query.append_pair("labelSelector", &source.label_selector);
    }
    if source.endpoint.form == Form::Table {
        query.append_pair("includeObject", "Metadata");
    }
    match kind {
        RequestKind::Page { limit, from, at_least } => {
            if let Some(limit) = limit {
                query.append_pair("limit", &limit.to_string());
            }
            if !from.is_empty() {
                query.append_pair("continue", from);
            } else if at_least != 0 {
                query.append_pair("resourceVersion", &at_least.to_string());
                query.append_pair("resourceVersionMatch", "NotOlderThan");
            } else if source.use_cache {
                query.append_pair("resourceVersion", "0");
            }
        }
        RequestKind::Newest => {
            query.append_pair("limit", "1");
        }
        RequestKind::Watch(version) => {
            query.append_pair("resourceVersion", version);
        }
        RequestKind::StreamingList { at_least } => {
            query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan");
            if at_least != 0 {
                query.append_pair("resourceVersion", &at_least.to_string());
            }
        }
    }
    if let Some(selector) = selector {
        query.append_pair("shardSelector", selector);
    }
    let watch = !matches!(kind, RequestKind::Page { .. } | RequestKind::Newest);
    if watch {
        let (name, value) = WATCH.split_once('=').unwrap_or_default();
        query
            .append_pair(name, value)
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("timeoutSeconds", &fastrand::u32(WATCH_SECONDS).to_string());
    }
    http::Request::get(query.finish()).header(ACCEPT, accept(source, watch)).body(Body::empty())
}

fn path(source: &Source) -> String {
    let endpoint = &source.endpoint;
    let mut path = if endpoint.group.is_empty() {
        format!("/api/{}", endpoint.version)
    } else {
        format!("/apis/{}/{}", endpoint.group, endpoint.version)
    };
    if let Some(namespace) = &source.namespace {
        path = path + "/namespaces/" + namespace;
    }
    path + "/" + &endpoint.plural
}

/// The accepted forms, best first. NB: a request for a reduced form must not accept plain JSON or protobuf. The server would
/// send whole objects with all their data.
fn accept(source: &Source, watch: bool) -> String {
    let kind = match (source.endpoint.form, watch) {
        (Form::Object, _) => {
            let forms = if source.endpoint.protobuf {
                "application/vnd.kubernetes.protobuf, application/json;q=0.9"
            } else {
                "application/json"
            };
            return forms.to_owned();
        }
        (Form::Table, _) => return "application/json;as=Table;g=meta.k8s.io;v=v1".to_owned(),
        (Form::Metadata, true) => "PartialObjectMetadata",
        (Form::Metadata, false) => "PartialObjectMetadataList",
    };
    format!(
        "application/vnd.kubernetes.protobuf;as={kind};g=meta.k8s.io;v=v1, application/json;as={kind};g=meta.k8s.io;v=v1;q=0.9"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]

    use std::sync::Arc;

    use super::*;
    use crate::intake::{Endpoint, ShardState};
    use crate::sharding::Slice;

    fn source(group: &str, form: Form) -> Source {
        Source {
            endpoint: Endpoint {
                group: group.to_owned(),
                version: "v1".to_owned(),
                kind: "Thing".to_owned(),
                plural: "things".to_owned(),
                namespaced: true,
                form,
                protobuf: true,
                typed: true,
            },
            namespace: None,
            field_selector: String::new(),
            label_selector: String::new(),
            shard: Arc::new(ShardState::new(Slice::all())),
            server_side: false,
            audited: false,
            use_cache: false,
            object_limit: 0,
            batch_delay: std::time::Duration::ZERO,
            summed_up: false,
        }
    }

    fn uri(source: &Source, kind: RequestKind<'_>) -> String {
        request(source, kind, None).unwrap().uri().to_string()
    }

    #[test]
    fn a_page_is_asked_for_with_limit_and_token() {
        let mut source = source("", Form::Object);
        assert_eq!(
            uri(&source, RequestKind::Page { limit: Some(500), from: "", at_least: 0 }),
            "/api/v1/things?limit=500"
        );
        source.namespace = Some("a".to_owned());
        source.field_selector = "spec.nodeName=n,metadata.namespace!=b".to_owned();
        source.use_cache = true;
        assert_eq!(
            uri(&source, RequestKind::Page { limit: None, from: "", at_least: 0 }),
            "/api/v1/namespaces/a/things?fieldSelector=spec.nodeName%3Dn%2Cmetadata.namespace%21%3Db&resourceVersion=0"
        );
        assert!(
            uri(&source, RequestKind::Page { limit: Some(2), from: "a=b", at_least: 9 })
                .ends_with("&limit=2&continue=a%3Db")
        );
    }

    #[test]
    fn every_request_carries_the_selectors() {
        let mut source = source("", Form::Metadata);
        source.field_selector = "status.phase=Running".to_owned();
        source.label_selector = "app in (a,b),!c".to_owned();
        for kind in [
            RequestKind::Page { limit: None, from: "", at_least: 0 },
            RequestKind::Page { limit: Some(1), from: "next", at_least: 0 },
            RequestKind::Newest,
            RequestKind::Watch("1"),
            RequestKind::StreamingList { at_least: 0 },
        ] {
            let uri = request(&source, kind, Some("shardRange()")).unwrap().uri().to_string();
            let start = "/api/v1/things?fieldSelector=status.phase%3DRunning&labelSelector=app+in+%28a%2Cb%29%2C%21c&";
            assert!(uri.starts_with(start) && uri.contains("shardSelector="), "{uri}");
        }
    }

    #[test]
    fn a_list_can_require_a_minimum_version() {
        let mut source = source("", Form::Object);
        source.use_cache = true;
        let page = uri(&source, RequestKind::Page { limit: None, from: "", at_least: 9 });
        assert_eq!(page, "/api/v1/things?resourceVersion=9&resourceVersionMatch=NotOlderThan");
        let stream = uri(&source, RequestKind::StreamingList { at_least: 9 });
        assert!(stream.contains("?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9&watch=1"));
    }

    #[test]
    fn a_selector_is_encoded() {
        let source = source("", Form::Object);
        let request = request(&source, RequestKind::Watch("1"), Some("f(a,'0x1') || g")).unwrap();
        assert!(request.uri().to_string().contains("&shardSelector=f%28a%2C%270x1%27%29+%7C%7C+g&"));
    }

    #[test]
    fn a_watch_lasts_for_a_random_time() {
        let source = source("apps", Form::Object);
        let ends: std::collections::BTreeSet<u32> = (0..64)
            .map(|_| {
                let uri = uri(&source, RequestKind::Watch("7"));
                let (start, seconds) = uri.rsplit_once('=').unwrap();
                assert_eq!(
                    start,
                    "/apis/apps/v1/things?resourceVersion=7&watch=1&allowWatchBookmarks=true&timeoutSeconds"
                );
                seconds.parse().unwrap()
            })
            .collect();
        assert!(ends.iter().all(|s| WATCH_SECONDS.contains(s)) && ends.len() > 8, "{ends:?}");
    }

    #[test]
    fn a_reduced_form_never_accepts_whole_objects() {
        for form in [Form::Metadata, Form::Table] {
            for watch in [true, false] {
                assert!(accept(&source("", form), watch).split(", ").all(|f| f.contains(";as=")));
            }
        }
        assert!(
            uri(&source("", Form::Table), RequestKind::StreamingList { at_least: 0 })
                .contains("includeObject=Metadata")
        );
    }

    #[test]
    fn an_impossible_name_is_an_error() {
        let mut source = source("", Form::Object);
        source.namespace = Some("a b".to_owned());
        assert!(request(&source, RequestKind::Watch("1"), None).is_err());
    }
}
