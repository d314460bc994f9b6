use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, advance, sleep};

use super::filter::{ALLOWED_TTL, MAX_REVIEWS, REFUSED_TTL};
use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 1));

/// Gives `verdict`, or an error if there is none, for the token `good`; other tokens are not valid. With `Forbidden`, the token may
/// read the namespaces that begin with "own".
struct FakeReviewer {
    verdict: Mutex<Option<Verdict>>,
    /// The namespaces of the last review.
    asked: Mutex<Vec<String>>,
    reviews: AtomicUsize,
    takes: Duration,
}

impl FakeReviewer {
    fn filter(takes: Duration) -> (AuthFilter, Arc<Self>) {
        let verdict = Mutex::new(Some(Verdict::Allowed));
        let reviewer = Arc::new(Self { verdict, asked: Mutex::default(), reviews: AtomicUsize::new(0), takes });
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
    fn review<'a>(&'a self, token: &'a str, namespaces: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        *self.asked.lock().expect("no panic") = namespaces.to_vec();
        self.reviews.fetch_add(1, Relaxed);
        let verdict = *self.verdict.lock().expect("no panic");
        Box::pin(async move {
            sleep(self.takes).await;
            let verdict = if token == "good" { verdict } else { Some(Verdict::Unauthenticated) };
            let everything = match verdict.ok_or(ReviewError::NotLoaded)? {
                Verdict::Unauthenticated => return Ok(Review::Unauthenticated),
                verdict => verdict == Verdict::Allowed,
            };
            let own = namespaces.iter().filter(|_| !everything).map(|namespace| namespace.starts_with("own"));
            let refused = own.clone().take_while(|own| *own).count();
            Ok(Review::Authenticated { everything, namespaces: own.take(refused + 1).collect() })
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
        assert_eq!(filter.authorize("good", &[], HERE).await, Ok(verdict));
        advance(time - Duration::from_millis(10)).await;
        assert_eq!(filter.authorize("good", &[], HERE).await, Ok(verdict));
        assert_eq!(reviewer.reviews(), 1);
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(filter.authorize("bad", &[], HERE).await, Ok(Verdict::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn without_a_verdict_requests_are_refused() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    reviewer.set(None);
    assert_eq!(filter.authorize("good", &[], HERE).await, Err(NoVerdict::NoAnswer));
    reviewer.set(Some(Verdict::Allowed));
    assert_eq!(filter.authorize("good", &[], HERE).await, Ok(Verdict::Allowed), "errors are not cached");
    reviewer.set(None);
    advance(ALLOWED_TTL).await;
    assert_eq!(filter.authorize("good", &[], HERE).await, Err(NoVerdict::NoAnswer));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_tokens_does_not_delay_known_ones() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    assert_eq!(filter.authorize("good", &[], HERE).await, Ok(Verdict::Allowed));
    advance(ALLOWED_TTL).await;
    for n in 0..100 {
        let filter = filter.clone();
        tokio::spawn(async move { filter.authorize(&n.to_string(), &[], HERE).await });
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(reviewer.reviews(), 1 + MAX_REVIEWS);
    let began = Instant::now();
    assert_eq!(filter.authorize("good", &[], HERE).await, Ok(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_with_one_token_share_a_few_reviews() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    let all = futures::future::join_all((0..50).map(|_| filter.authorize("good", &[], HERE))).await;
    assert!(all.iter().all(|verdict| *verdict == Ok(Verdict::Allowed)));
    assert_eq!(reviewer.reviews(), MAX_REVIEWS);
}

/// The reviews of random tokens in a minute, from clients that try again at once, `clients` at each of `addresses`.
async fn flood(filter: &AuthFilter, reviewer: &FakeReviewer, addresses: u8, clients: usize) -> usize {
    for n in 0..clients * usize::from(addresses) {
        let (filter, address) = (filter.clone(), [10, 0, 0, u8::try_from(n % usize::from(addresses)).expect("small")]);
        tokio::spawn(async move {
            for attempt in 0.. {
                let verdict = filter.authorize(&format!("{n} {attempt}"), &[], address.into()).await;
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
            assert_eq!(filter.authorize("good", &[], address).await, Ok(Verdict::Allowed));
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
        let all = futures::future::join_all((0..50).map(|_| filter.authorize("bad", &[], HERE))).await;
        assert!(all.iter().all(|verdict| *verdict == Ok(Verdict::Unauthenticated)));
    }
    assert!(reviewer.reviews() <= MAX_REVIEWS);
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_token_may_have_rights_in_some_namespaces_only() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    reviewer.set(Some(Verdict::Forbidden));
    let asked = |names: &[&str]| {
        let (filter, names) = (filter.clone(), named(names));
        async move { filter.authorize("good", &names, HERE).await }
    };
    assert_eq!(asked(&["own1"]).await, Ok(Verdict::Allowed));
    assert_eq!(asked(&["own1"]).await, Ok(Verdict::Allowed));
    assert_eq!(reviewer.reviews(), 1);
    assert_eq!(asked(&[]).await, Ok(Verdict::Forbidden), "not everything");
    assert_eq!(reviewer.reviews(), 0, "that was reviewed, too");
    assert_eq!(asked(&["own1", "own2"]).await, Ok(Verdict::Allowed));
    assert_eq!(*reviewer.asked.lock().expect("no panic"), ["own2"], "only what is not known");
    assert_eq!(asked(&["own1", "other", "own3"]).await, Ok(Verdict::Forbidden));
    assert_eq!(reviewer.reviews(), 2);
    assert_eq!(asked(&["other"]).await, Ok(Verdict::Forbidden));
    assert_eq!(asked(&["own2", "other"]).await, Ok(Verdict::Forbidden));
    assert_eq!(reviewer.reviews(), 0);
    let bad = filter.authorize("bad", &named(&["own1"]), HERE).await;
    assert_eq!(bad, Ok(Verdict::Unauthenticated));
    assert_eq!(reviewer.reviews(), 1);
    advance(ALLOWED_TTL).await;
    reviewer.set(Some(Verdict::Unauthenticated));
    assert_eq!(asked(&["own1"]).await, Ok(Verdict::Unauthenticated), "the token has expired");
    assert_eq!(asked(&["own2"]).await, Ok(Verdict::Unauthenticated));
    assert_eq!(reviewer.reviews(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_may_read_everything_may_read_each_namespace() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    for names in [&["other"] as &[_], &["own", "other"], &[]] {
        assert_eq!(filter.authorize("good", &named(names), HERE).await, Ok(Verdict::Allowed));
    }
    assert_eq!(reviewer.reviews(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_tokens_does_not_delay_known_ones_of_a_namespace() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    reviewer.set(Some(Verdict::Forbidden));
    assert_eq!(filter.authorize("good", &named(&["own"]), HERE).await, Ok(Verdict::Allowed));
    advance(ALLOWED_TTL).await;
    for n in 0..100 {
        let filter = filter.clone();
        tokio::spawn(async move { filter.authorize(&n.to_string(), &named(&["own"]), HERE).await });
    }
    sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    assert_eq!(filter.authorize("good", &named(&["own"]), HERE).await, Ok(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}
