use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, advance, sleep};

use super::filter::{ALLOWED_TTL, MAX_REVIEWS, REFUSED_TTL};
use super::*;

/// Gives `verdict`, or an error if there is none, for the token `good`; other tokens are not valid.
struct FakeReviewer {
    verdict: Mutex<Option<Verdict>>,
    reviews: AtomicUsize,
    takes: Duration,
}

impl FakeReviewer {
    fn filter(takes: Duration) -> (AuthFilter, Arc<Self>) {
        let verdict = Mutex::new(Some(Verdict::Allowed));
        let reviewer = Arc::new(Self { verdict, reviews: AtomicUsize::new(0), takes });
        (AuthFilter::new(Arc::clone(&reviewer)), reviewer)
    }

    fn set(&self, verdict: Option<Verdict>) {
        *self.verdict.lock().expect("no panic") = verdict;
    }

    /// The reviews since the last call.
    fn reviews(&self) -> usize {
        self.reviews.swap(0, Relaxed)
    }
}

impl TokenReviewer for Arc<FakeReviewer> {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Verdict, ReviewError>> {
        self.reviews.fetch_add(1, Relaxed);
        let verdict = *self.verdict.lock().expect("no panic");
        Box::pin(async move {
            sleep(self.takes).await;
            if token == "good" { verdict.ok_or(ReviewError::NotLoaded) } else { Ok(Verdict::Unauthenticated) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_allowed_token_is_cached_longer_than_a_refused_one() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    for (verdict, time) in
        [(Verdict::Allowed, ALLOWED_TTL), (Verdict::Forbidden, REFUSED_TTL), (Verdict::Unauthenticated, REFUSED_TTL)]
    {
        reviewer.set(Some(verdict));
        assert_eq!(filter.authorize("good").await, Some(verdict));
        advance(time - Duration::from_millis(10)).await;
        assert_eq!(filter.authorize("good").await, Some(verdict));
        assert_eq!(reviewer.reviews(), 1);
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(filter.authorize("bad").await, Some(Verdict::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn without_a_verdict_requests_are_refused() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    reviewer.set(None);
    assert_eq!(filter.authorize("good").await, None);
    reviewer.set(Some(Verdict::Allowed));
    assert_eq!(filter.authorize("good").await, Some(Verdict::Allowed), "errors are not cached");
    reviewer.set(None);
    advance(ALLOWED_TTL).await;
    assert_eq!(filter.authorize("good").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_tokens_does_not_delay_known_ones() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    assert_eq!(filter.authorize("good").await, Some(Verdict::Allowed));
    advance(ALLOWED_TTL).await;
    for n in 0..100 {
        let filter = filter.clone();
        tokio::spawn(async move { filter.authorize(&n.to_string()).await });
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(reviewer.reviews(), 1 + MAX_REVIEWS);
    let began = Instant::now();
    assert_eq!(filter.authorize("good").await, Some(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_with_one_token_share_a_few_reviews() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    let all = futures::future::join_all((0..50).map(|_| filter.authorize("good"))).await;
    assert!(all.iter().all(|verdict| *verdict == Some(Verdict::Allowed)));
    assert_eq!(reviewer.reviews(), MAX_REVIEWS);
}
