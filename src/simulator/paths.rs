//! Parses the URL of a request.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::error::ApiError;
use super::resource_type::ResourceType;

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Not a resource but discovery, health or version, with the path's segments.
    Other(Vec<String>),
    /// A resource, by the index of its table.
    Resource { table: usize, namespace: Option<String>, name: Option<String>, subresource: Option<String> },
    /// The proxy to a pod, by the index of the table of pods. `pod` may contain a port, and `path` begins with a slash.
    Proxy { table: usize, namespace: String, pod: String, path: String },
}

impl Target {
    pub fn of<'a>(path: &str, resources: impl Iterator<Item = &'a ResourceType> + Clone) -> Result<Self, ApiError> {
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match *parts {
            ["api", version, ref rest @ ..] if !rest.is_empty() => ("", version, rest),
            ["apis", group, version, ref rest @ ..] if !rest.is_empty() => (group, version, rest),
            _ => return Ok(Self::Other(segments)),
        };
        let find = |plural: &str| {
            let is = |r: &ResourceType| r.group == group && r.version == version && r.plural == plural;
            resources.clone().enumerate().find(|(_, r)| is(r))
        };
        // `namespaces/x/status` is a subresource of a namespace unless there are objects called `status`.
        let (namespace, rest) = match *rest {
            ["namespaces", namespace, plural, ref more @ ..] if find(plural).is_some_and(|(_, r)| r.namespaced) => {
                (Some(namespace), [&[plural], more].concat())
            }
            _ => (None, rest.to_vec()),
        };
        if let (Some(namespace), ["pods", pod, "proxy", path @ ..]) = (namespace, &rest[..]) {
            let (table, _) = find("pods").ok_or_else(ApiError::unknown_resource)?;
            let path = format!("/{}", path.join("/"));
            return Ok(Self::Proxy { table, namespace: namespace.to_owned(), pod: (*pod).to_owned(), path });
        }
        let (plural, name, subresource) = match *rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return Err(ApiError::unknown_resource()),
        };
        let (table, resource) = find(plural).ok_or_else(ApiError::unknown_resource)?;
        if resource.namespaced && name.is_some() && namespace.is_none() {
            return Err(ApiError::unknown_resource());
        }
        let [namespace, name, subresource] = [namespace, name, subresource].map(|part| part.map(str::to_owned));
        Ok(Self::Resource { table, namespace, name, subresource })
    }
}

/// The query parameters that the simulator supports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub watch: bool,
    pub version: String,
    pub version_match: String,
    pub send_initial_events: Option<bool>,
    pub bookmarks: bool,
    pub timeout_seconds: Option<u64>,
    pub limit: usize,
    pub next: String,
    pub fields: String,
    pub labels: String,
    pub shards: String,
    pub include: String,
    pub grace: Option<u64>,
    pub propagation: String,
}

impl Query {
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, ApiError> {
            value.parse().map_err(|_| ApiError::bad_request(format!("{key}: '{value}' is no number")))
        }
        let is_true = |value: &str| matches!(value, "1" | "true");
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "watch" => parsed.watch = is_true(&value),
                "resourceVersion" => parsed.version = value.into_owned(),
                "resourceVersionMatch" => parsed.version_match = value.into_owned(),
                "sendInitialEvents" => parsed.send_initial_events = Some(is_true(&value)),
                "allowWatchBookmarks" => parsed.bookmarks = is_true(&value),
                "timeoutSeconds" => parsed.timeout_seconds = Some(number(&key, &value)?),
                "limit" => parsed.limit = number(&key, &value)?,
                "continue" => parsed.next = value.into_owned(),
                "fieldSelector" => parsed.fields = value.into_owned(),
                "labelSelector" => parsed.labels = value.into_owned(),
                "gracePeriodSeconds" => parsed.grace = Some(number(&key, &value)?),
                "propagationPolicy" => parsed.propagation = value.into_owned(),
                "shardSelector" => parsed.shards = value.into_owned(),
                "includeObject" => parsed.include = value.into_owned(),
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// Adds the URL's delete options to the body, which takes precedence.
    pub fn add_to_delete_options(&self, options: &mut Value) {
        if !options.is_object() {
            *options = json!({});
        }
        if let Some(grace) = self.grace.filter(|_| options["gracePeriodSeconds"].is_null()) {
            options["gracePeriodSeconds"] = grace.into();
        }
        if !self.propagation.is_empty() && options["propagationPolicy"].is_null() {
            options["propagationPolicy"] = self.propagation.as_str().into();
        }
    }

    /// `resourceVersion` as a number, if it is given.
    pub fn version_number(&self) -> Result<Option<u64>, ApiError> {
        if self.version.is_empty() {
            return Ok(None);
        }
        let invalid = |_| ApiError::bad_request(format!("invalid resource version: \"{}\"", self.version));
        self.version.parse().map(Some).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Result<Target, u16> {
        let resources = [
            ResourceType::new("", "v1", "namespaces", "Namespace", false),
            ResourceType::new("", "v1", "pods", "Pod", true),
            ResourceType::new("apps", "v1", "deployments", "Deployment", true),
        ];
        Target::of(path, resources.iter()).map_err(|error| error.code)
    }

    fn resource(table: usize, [namespace, name, subresource]: [&str; 3]) -> Result<Target, u16> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Target::Resource { table, namespace: given(namespace), name: given(name), subresource: given(subresource) })
    }

    #[test]
    fn paths_name_resources() {
        assert_eq!(target("/api/v1/pods"), resource(1, ["", "", ""]));
        assert_eq!(target("/api/v1/namespaces/shop/pods"), resource(1, ["shop", "", ""]));
        assert_eq!(target("/api/v1/namespaces/shop/pods/a%3Ab"), resource(1, ["shop", "a:b", ""]));
        assert_eq!(target("/api/v1/namespaces"), resource(0, ["", "", ""]));
        assert_eq!(target("/api/v1/namespaces/shop"), resource(0, ["", "shop", ""]));
        assert_eq!(target("/api/v1/namespaces/shop/status"), resource(0, ["", "shop", "status"]));
        assert_eq!(
            target("/apis/apps/v1/namespaces/shop/deployments/web/status"),
            resource(2, ["shop", "web", "status"])
        );
    }

    #[test]
    fn a_pod_is_a_server_of_its_own() {
        let proxy = |path: &str| {
            let [namespace, pod, path] = ["shop", "web-0:81", path].map(str::to_owned);
            Ok(Target::Proxy { table: 1, namespace, pod, path })
        };
        assert_eq!(target("/api/v1/namespaces/shop/pods/web-0:81/proxy/fleet/objects"), proxy("/fleet/objects"));
        assert_eq!(target("/api/v1/namespaces/shop/pods/web-0:81/proxy"), proxy("/"));
        assert_eq!(target("/api/v1/pods/web-0:81/proxy/metrics"), Err(404));
    }

    #[test]
    fn unknown_paths_are_not_found() {
        for path in ["/api/v1/nodes", "/apis/apps/v2/deployments", "/api/v1/pods/a", "/api/v1/namespaces/a/b/c/d/e"] {
            assert_eq!(target(path), Err(404), "{path}");
        }
        assert_eq!(target("/version"), Ok(Target::Other(vec!["version".to_owned()])));
        assert_eq!(target("/"), Ok(Target::Other(Vec::new())));
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("watch=1&fieldSelector=metadata.namespace%21%3Dkube-system&limit=5&unknown=x");
        let query = query.expect("valid");
        assert!(query.watch);
        assert_eq!((query.fields.as_str(), query.limit), ("metadata.namespace!=kube-system", 5));
        assert_eq!(Query::parse("limit=x").map_err(|error| error.code), Err(400));
    }
}
