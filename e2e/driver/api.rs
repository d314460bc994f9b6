//! Requests of the cases to the API server.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::Request;
use kube::api::{Api as Typed, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::wait::until;

/// How long the API server may take until it grants a new permission.
const PERMISSION_LIMIT: Duration = Duration::from_secs(30);
/// How long to repeat a write that conflicts with others.
const CONFLICT_LIMIT: Duration = Duration::from_secs(10);
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// An administrator's access. Objects are plain JSON: the cases must not depend on the types that they test.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    /// The namespace of the case.
    pub namespace: String,
}

impl Api {
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    /// Path of a collection of the core API in the case's namespace.
    pub fn core(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.namespace)
    }

    async fn request(&self, method: &str, path: &str, content_type: &str, body: Vec<u8>) -> Result<Value> {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type).body(body)?;
        self.client.request(request).await.with_context(|| format!("{method} {path}"))
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, "application/json", Vec::new()).await
    }

    pub async fn create(&self, collection: &str, object: &Value) -> Result<Value> {
        self.request("POST", collection, "application/json", serde_json::to_vec(object)?).await
    }

    /// Replaces an object, whatever others write meanwhile, as `kubectl replace` does.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value> {
        let mut object = object.clone();
        until("a write without a conflict", CONFLICT_LIMIT, async || {
            object["metadata"]["resourceVersion"] = self.get(path).await?["metadata"]["resourceVersion"].take();
            self.request("PUT", path, "application/json", serde_json::to_vec(&object)?).await
        })
        .await
    }

    /// A merge patch.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value> {
        self.request("PATCH", path, "application/merge-patch+json", serde_json::to_vec(patch)?).await
    }

    /// Applies an object without effect, as `kubectl apply --server-side --dry-run=server` does. Unknown fields are an error.
    pub async fn dry_run(&self, object: &Value) -> Result<()> {
        let parsed: DynamicObject = serde_json::from_value(object.clone())?;
        let types = parsed.types.clone().context("an object without a kind")?;
        let name = parsed.metadata.name.clone().context("an object without a name")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let namespace = match &parsed.metadata.namespace {
            // Kustomize does not know that it belongs to no namespace. kubectl does, and the API server drops the field.
            Some(_) if resource.group == "flowcontrol.apiserver.k8s.io" => String::new(),
            Some(namespace) => format!("/namespaces/{namespace}"),
            None => String::new(),
        };
        let group = if resource.group.is_empty() { "/api" } else { "/apis" };
        let path = format!(
            "{group}/{}{namespace}/{}/{name}?dryRun=All&fieldManager=e2e&fieldValidation=Strict&force=true",
            resource.api_version, resource.plural
        );
        self.request("PATCH", &path, "application/apply-patch+yaml", serde_json::to_vec(object)?).await.map(drop)
    }

    /// Deletes at once, without a grace period.
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.delete_with(path, &json!({ "gracePeriodSeconds": 0 })).await
    }

    /// Deletes an object with these `DeleteOptions`.
    pub async fn delete_with(&self, path: &str, options: &Value) -> Result<Value> {
        self.request("DELETE", path, "application/json", serde_json::to_vec(options)?).await
    }

    /// The objects of a collection.
    pub async fn list(&self, collection: &str) -> Result<Vec<Value>> {
        match self.get(collection).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => bail!("{collection} is not a list"),
        }
    }

    /// The keys of all objects of a collection; an error if two are equal.
    pub async fn keys(&self, collection: &str, key: fn(&Value) -> Option<String>) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        for object in self.list(collection).await? {
            let key = key(&object).context("an object without its key")?;
            if !keys.insert(key.clone()) {
                bail!("{key} appears twice in {collection}");
            }
        }
        Ok(keys)
    }

    /// Creates the objects of a YAML file, of any kind. Objects without a namespace are cluster-scoped. A `status` is written in a
    /// second request, because the API server ignores it at creation.
    pub async fn create_all(&self, yaml: &str) -> Result<usize> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
        for object in &objects {
            let object: DynamicObject = serde_json::from_value(object.clone())?;
            let types = object.types.clone().context("an object without a kind")?;
            let name = object.metadata.name.clone().context("an object without a name")?;
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
            let api: Typed<DynamicObject> = match &object.metadata.namespace {
                Some(namespace) => Typed::namespaced_with(self.client.clone(), namespace, &resource),
                None => Typed::all_with(self.client.clone(), &resource),
            };
            let what = || format!("{} {name}", types.kind);
            api.create(&PostParams::default(), &object).await.with_context(what)?;
            if let Some(status) = object.data.get("status") {
                let patch = kube::api::Patch::Merge(json!({ "status": status }));
                api.patch_status(&name, &kube::api::PatchParams::default(), &patch).await.with_context(what)?;
            }
        }
        Ok(objects.len())
    }

    /// Creates a ServiceAccount in the case's namespace and returns a token of it. `everywhere` is its ClusterRole, `here` its
    /// Role in that namespace. Waits until the API server grants both: it reads roles and bindings through watches.
    pub async fn account(&self, name: &str, everywhere: &Value, here: Option<&Value>) -> Result<String> {
        let accounts = self.core("serviceaccounts");
        self.create(&accounts, &json!({ "metadata": { "name": name } })).await?;
        let namespaced = format!("/namespaces/{}", self.namespace);
        let scopes = [("Cluster", "", Some(everywhere)), ("", &*namespaced, here)];
        for (kind, scope, role) in scopes.into_iter().filter_map(|(kind, scope, role)| Some((kind, scope, role?))) {
            let role_name = self.role(name);
            let mut role = role.clone();
            role["metadata"] = json!({ "name": role_name });
            let plural = kind.to_lowercase();
            self.create(&format!("{RBAC}{scope}/{plural}roles"), &role).await?;
            let binding = json!({
                "metadata": { "name": role_name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": format!("{kind}Role"), "name": role_name },
                "subjects": [{ "kind": "ServiceAccount", "namespace": self.namespace, "name": name }],
            });
            self.create(&format!("{RBAC}{scope}/{plural}rolebindings"), &binding).await?;
            until("the permission", PERMISSION_LIMIT, async || self.ensure_permission(name, &role["rules"]).await)
                .await?;
        }
        let request =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] } });
        let answer = self.create(&format!("{accounts}/{name}/token"), &request).await?;
        Ok(answer["status"]["token"].as_str().context("no token")?.to_owned())
    }

    /// Takes the ClusterRole away from an account.
    pub async fn unbind(&self, account: &str) -> Result<()> {
        self.delete(&format!("{RBAC}/clusterrolebindings/{}", self.role(account))).await.map(drop)
    }

    /// The name of an account's roles, which no other case uses.
    fn role(&self, account: &str) -> String {
        format!("{}-{account}", self.namespace)
    }

    /// Returns an error unless a ServiceAccount has, in the case's namespace, the first permission of the first of these rules.
    async fn ensure_permission(&self, account: &str, rules: &Value) -> Result<()> {
        let rule = &rules[0];
        let wanted = match &rule["nonResourceURLs"][0] {
            Value::Null => json!({ "resourceAttributes": {
                "namespace": self.namespace,
                "verb": rule["verbs"][0],
                "group": rule["apiGroups"][0],
                "resource": rule["resources"][0],
                "name": rule["resourceNames"][0],
            }}),
            path => json!({ "nonResourceAttributes": { "path": path, "verb": rule["verbs"][0] } }),
        };
        let mut review =
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": wanted });
        review["spec"]["user"] = json!(format!("system:serviceaccount:{}:{account}", self.namespace));
        let answer = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await?;
        ensure!(answer["status"]["allowed"] == true, "{account} lacks the permission {rule}");
        Ok(())
    }
}

/// The UID of an object.
pub fn uid(object: &Value) -> Option<String> {
    Some(object["metadata"]["uid"].as_str()?.to_owned())
}

/// The name of an object.
pub fn name(object: &Value) -> Option<String> {
    Some(object["metadata"]["name"].as_str()?.to_owned())
}

/// Namespace and name of an object.
pub fn namespaced_name(object: &Value) -> Option<String> {
    Some(format!("{}/{}", object["metadata"]["namespace"].as_str()?, object["metadata"]["name"].as_str()?))
}
