//! Reviews tokens with the API server: a TokenReview, then a SubjectAccessReview.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/webhook/>

use futures::future::BoxFuture;
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

/// Reviews tokens with a client that may create TokenReviews and SubjectAccessReviews.
#[derive(Clone)]
pub struct ApiServerReviewer(pub kube::Client);

impl TokenReviewer for ApiServerReviewer {
    fn review<'a>(&'a self, token: &'a str, namespaces: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        Box::pin(async move {
            let Some(user) = self.user(token).await? else { return Ok(Review::Unauthenticated) };
            let (everything, mut allowed) = (self.allows(&user, None).await?, Vec::new());
            for namespace in namespaces.iter().filter(|_| !everything) {
                allowed.push(self.allows(&user, Some(namespace)).await?);
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
