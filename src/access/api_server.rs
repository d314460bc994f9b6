//! Reviews tokens with the API server: a TokenReview, then a SubjectAccessReview.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/webhook/>

use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::reviewer::{ReviewError, TokenReviewer, Verdict};

/// The permission that every path requires; kube-state-metrics requires the same for `/metrics`.
const PATH: &str = "/metrics";
const VERB: &str = "get";

/// Reviews tokens with a client that may create TokenReviews and SubjectAccessReviews.
#[derive(Clone)]
pub struct ApiServerReviewer(pub kube::Client);

impl TokenReviewer for ApiServerReviewer {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Verdict, ReviewError>> {
        Box::pin(async move {
            match self.user(token).await? {
                None => Ok(Verdict::Unauthenticated),
                Some(user) => self.authorize(user).await,
            }
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

    async fn authorize(&self, user: UserInfo) -> Result<Verdict, ReviewError> {
        let attributes = NonResourceAttributes { path: Some(PATH.to_owned()), verb: Some(VERB.to_owned()) };
        let spec = SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            non_resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews: Api<SubjectAccessReview> = Api::all(self.0.clone());
        let created = reviews.create(&PostParams::default(), &review).await;
        let status = created.map_err(|e| review_error("subjectaccessreviews", e))?.status.unwrap_or_default();
        let allowed = status.allowed && status.denied != Some(true);
        Ok(if allowed { Verdict::Allowed } else { Verdict::Forbidden })
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
