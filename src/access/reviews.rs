//! Asks the API server: a TokenReview, then a SubjectAccessReview.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/webhook/>

use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::{TokenReviewer, Verdict};

/// The right that is asked for, whatever is read: as kube-state-metrics does for `/metrics`.
const PATH: &str = "/metrics";
const VERB: &str = "get";

/// The API server, by a client with the right to ask about others.
#[derive(Clone)]
pub struct ApiServerReviewer(pub kube::Client);

impl TokenReviewer for ApiServerReviewer {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Verdict, String>> {
        Box::pin(async move {
            match self.user(token).await? {
                None => Ok(Verdict::Unauthenticated),
                Some(user) => self.may(user).await,
            }
        })
    }
}

impl ApiServerReviewer {
    async fn user(&self, token: &str) -> Result<Option<UserInfo>, String> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews: Api<TokenReview> = Api::all(self.0.clone());
        let review = reviews.create(&PostParams::default(), &review).await.map_err(|e| reason("tokenreviews", &e))?;
        let status = review.status.unwrap_or_default();
        // What the status calls an error is what is wrong with the token.
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }

    async fn may(&self, user: UserInfo) -> Result<Verdict, String> {
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
        let review = created.map_err(|e| reason("subjectaccessreviews", &e))?;
        let status = review.status.unwrap_or_default();
        let allowed = status.allowed && status.denied != Some(true);
        Ok(if allowed { Verdict::Allowed } else { Verdict::Forbidden })
    }
}

/// NB: never with the request, which holds the token.
fn reason(resource: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "the right to create {resource} is missing; `kube-state-fleet docs rbac --auth-filter` prints the rights that are needed"
        ),
        kube::Error::Api(status) => {
            format!("the API server refuses {resource}: {} ({})", status.message.trim(), status.code)
        }
        other => format!("the API server does not answer: {other}"),
    }
}
