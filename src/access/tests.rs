use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, advance, sleep};

use super::filter::{ALLOWED_TTL, MAX_REVIEWS, REFUSED_TTL};
use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 1));

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
        assert_eq!(filter.authorize("good", HERE).await, Ok(verdict));
        advance(time - Duration::from_millis(10)).await;
        assert_eq!(filter.authorize("good", HERE).await, Ok(verdict));
        assert_eq!(reviewer.reviews(), 1);
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(filter.authorize("bad", HERE).await, Ok(Verdict::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn without_a_verdict_requests_are_refused() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    reviewer.set(None);
    assert_eq!(filter.authorize("good", HERE).await, Err(NoVerdict::NoAnswer));
    reviewer.set(Some(Verdict::Allowed));
    assert_eq!(filter.authorize("good", HERE).await, Ok(Verdict::Allowed), "errors are not cached");
    reviewer.set(None);
    advance(ALLOWED_TTL).await;
    assert_eq!(filter.authorize("good", HERE).await, Err(NoVerdict::NoAnswer));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_tokens_does_not_delay_known_ones() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    assert_eq!(filter.authorize("good", HERE).await, Ok(Verdict::Allowed));
    advance(ALLOWED_TTL).await;
    for n in 0..100 {
        let filter = filter.clone();
        tokio::spawn(async move { filter.authorize(&n.to_string(), HERE).await });
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(reviewer.reviews(), 1 + MAX_REVIEWS);
    let began = Instant::now();
    assert_eq!(filter.authorize("good", HERE).await, Ok(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_with_one_token_share_a_few_reviews() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    let all = futures::future::join_all((0..50).map(|_| filter.authorize("good", HERE))).await;
    assert!(all.iter().all(|verdict| *verdict == Ok(Verdict::Allowed)));
    assert_eq!(reviewer.reviews(), MAX_REVIEWS);
}

/// The reviews of random tokens in a minute, from clients that try again at once, `clients` at each of `addresses`.
async fn flood(filter: &AuthFilter, reviewer: &FakeReviewer, addresses: u8, clients: usize) -> usize {
    for n in 0..clients * usize::from(addresses) {
        let (filter, address) = (filter.clone(), [10, 0, 0, u8::try_from(n % usize::from(addresses)).expect("small")]);
        tokio::spawn(async move {
            for attempt in 0.. {
                let verdict = filter.authorize(&format!("{n} {attempt}"), address.into()).await;
                assert_ne!(verdict, Ok(Verdict::Allowed));
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    reviewer.reviews();
    sleep(Duration::from_secs(60)).await;
    reviewer.reviews()
}

#[tokio::test(start_paused = true)]
async fn random_tokens_cause_a_bounded_number_of_reviews() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_millis(1));
    let reviews = flood(&filter, &reviewer, 64, 4).await;
    assert!((600..=1205).contains(&reviews), "{reviews}");
}

#[tokio::test(start_paused = true)]
async fn a_good_token_gets_its_review_during_a_flood() {
    for (addresses, address, most) in [(64, HERE, 5), (1, HERE, 5), (1, [10, 0, 0, 0].into(), 70)] {
        let (filter, reviewer) = FakeReviewer::filter(Duration::from_millis(1));
        flood(&filter, &reviewer, addresses, 64 / usize::from(addresses)).await;
        for _ in 0..25 {
            reviewer.reviews();
            assert_eq!(filter.authorize("good", address).await, Ok(Verdict::Allowed));
            assert!(reviewer.reviews() <= most, "{addresses} addresses");
            // It is forgotten.
            filter.forget("good");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_one_refused_token_share_one_review() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_millis(1));
    for _ in 0..100 {
        let all = futures::future::join_all((0..50).map(|_| filter.authorize("bad", HERE))).await;
        assert!(all.iter().all(|verdict| *verdict == Ok(Verdict::Unauthenticated)));
    }
    assert!(reviewer.reviews() <= MAX_REVIEWS);
}
