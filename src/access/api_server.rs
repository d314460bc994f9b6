//! Reviews tokens with the API server: a TokenReview, then a SubjectAccessReview.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/webhook/>

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::reviewer::{Review, ReviewError, TokenReviewer};

/// The permission that every path requires; kube-state-metrics requires the same for `/metrics`.
const PATH: &str = "/metrics";
const VERB: &str = "get";
/// The permission for the series of a namespace, in that namespace. Named like `nodes/metrics`, which kubelets require for their
/// metrics, and which is no part of the API either. The ClusterRoles `view` and `edit` do not contain it.
const RESOURCE: &str = "namespaces";
const SUBRESOURCE: &str = "metrics";
/// The number of namespaces of a request that are reviewed at a time.
const AT_A_TIME: usize = 8;

/// Reviews tokens with a client that may create TokenReviews and SubjectAccessReviews.
#[derive(Clone)]
pub struct ApiServerReviewer(pub kube::Client);

impl TokenReviewer for ApiServerReviewer {
    fn review<'a>(&'a self, token: &'a str, namespaces: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        Box::pin(async move {
            let Some(user) = self.user(token).await? else { return Ok(Review::Unauthenticated) };
            let everything = self.allows(&user, None).await?;
            let asked = if everything { Vec::new() } else { namespaces.to_vec() };
            // A few at a time: 64 namespaces, one after the other, would take too long with a slow authorizer.
            let user = &user;
            let ask = |namespace: String| async move { self.allows(user, Some(&namespace)).await };
            let mut answers = stream::iter(asked).map(ask).buffered(AT_A_TIME);
            let mut allowed = Vec::new();
            while let Some(answer) = answers.next().await {
                allowed.push(answer?);
                if allowed.last() == Some(&false) {
                    break;
                }
            }
            Ok(Review::Authenticated { everything, namespaces: allowed })
        })
    }
}

impl ApiServerReviewer {
    /// Returns the user of a token, or `None` if the token is not valid.
    async fn user(&self, token: &str) -> Result<Option<UserInfo>, ReviewError> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews: Api<TokenReview> = Api::all(self.0.clone());
        let created = reviews.create(&PostParams::default(), &review).await;
        let status = created.map_err(|e| review_error("tokenreviews", e))?.status.unwrap_or_default();
        // `status.error` is about the token, not about the review, so it needs no handling of its own.
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }

    /// Returns whether `user` may read the series of a namespace; of all objects if it is `None`.
    async fn allows(&self, user: &UserInfo, namespace: Option<&str>) -> Result<bool, ReviewError> {
        let verb = Some(VERB.to_owned());
        let mut spec = SubjectAccessReviewSpec {
            user: user.username.clone(),
            groups: user.groups.clone(),
            uid: user.uid.clone(),
            extra: user.extra.clone(),
            ..SubjectAccessReviewSpec::default()
        };
        match namespace {
            None => {
                spec.non_resource_attributes = Some(NonResourceAttributes { path: Some(PATH.to_owned()), verb });
            }
            // Like a request for the Namespace itself, which also has its name as the namespace.
            Some(namespace) => {
                spec.resource_attributes = Some(ResourceAttributes {
                    verb,
                    resource: Some(RESOURCE.to_owned()),
                    subresource: Some(SUBRESOURCE.to_owned()),
                    namespace: Some(namespace.to_owned()),
                    name: Some(namespace.to_owned()),
                    version: Some("v1".to_owned()),
                    ..ResourceAttributes::default()
                });
            }
        }
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews: Api<SubjectAccessReview> = Api::all(self.0.clone());
        let created = reviews.create(&PostParams::default(), &review).await;
        let status = created.map_err(|e| review_error("subjectaccessreviews", e))?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }
}

/// NB: must not include the request, which contains the token.
fn review_error(resource: &'static str, error: kube::Error) -> ReviewError {
    match error {
        kube::Error::Api(status) if status.code == 403 => ReviewError::MissingPermission { resource },
        kube::Error::Api(status) => {
            ReviewError::Rejected { resource, code: status.code, message: status.message.trim().to_owned() }
        }
        reason => ReviewError::Unreachable { resource, reason },
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::{Request, Response};
    use kube::client::Body;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// An API server that needs 170 ms for an answer, and lets the user read namespaces, but not everything.
    fn slow() -> kube::Client {
        let service = tower::service_fn(async |request: Request<Body>| {
            sleep(Duration::from_millis(170)).await;
            let is_token = request.uri().path().ends_with("tokenreviews");
            let body = request.into_body().collect_bytes().await.expect("a body");
            let mut review: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            review["status"] = if is_token {
                serde_json::json!({ "authenticated": true, "user": { "username": "someone" } })
            } else {
                serde_json::json!({ "allowed": review["spec"]["resourceAttributes"].is_object() })
            };
            Ok::<_, Infallible>(Response::new(Body::from(review.to_string().into_bytes())))
        });
        kube::Client::new(service, "default")
    }

    #[tokio::test(start_paused = true)]
    async fn many_namespaces_are_reviewed_within_the_time_of_a_review() {
        let namespaces: Vec<String> = (0..64).map(|number| format!("n{number}")).collect();
        let reviewer = ApiServerReviewer(slow());
        let started = Instant::now();
        let review = reviewer.review("token", &namespaces).await.expect("a review");
        let Review::Authenticated { everything: false, namespaces } = review else { panic!("{review:?}") };
        assert_eq!(namespaces, [true; 64]);
        // Simulated time: two reviews, and eight rounds of eight.
        assert_eq!(started.elapsed().as_millis() / 10, 170);
    }
}
