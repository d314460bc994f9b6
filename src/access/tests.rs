use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::time::{advance, sleep};

use super::*;

/// Lets in who shows `good`, or nobody hears of it.
struct FakeReviewer {
    answers: Mutex<Result<Verdict, String>>,
    asked: AtomicUsize,
    takes: Duration,
}

impl FakeReviewer {
    fn filter(takes: Duration) -> (AuthFilter, Arc<Self>) {
        let reviewer = Arc::new(Self { answers: Mutex::new(Ok(Verdict::Allowed)), asked: AtomicUsize::new(0), takes });
        (AuthFilter::new(Arc::clone(&reviewer)), reviewer)
    }

    fn answer(&self, answer: Result<Verdict, &str>) {
        *self.answers.lock().expect("no panic") = answer.map_err(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Relaxed)
    }
}

impl TokenReviewer for Arc<FakeReviewer> {
    fn review<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Verdict, String>> {
        self.asked.fetch_add(1, Relaxed);
        let answer = self.answers.lock().expect("no panic").clone();
        Box::pin(async move {
            sleep(self.takes).await;
            if token == "good" { answer } else { Ok(Verdict::Unauthenticated) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_for_a_while_a_refusal_for_less() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    for (verdict, time) in
        [(Verdict::Allowed, ALLOWED), (Verdict::Forbidden, REFUSED), (Verdict::Unauthenticated, REFUSED)]
    {
        reviewer.answer(Ok(verdict));
        assert_eq!(filter.authorize("good", Requester::Anyone).await, Some(verdict));
        advance(time - Duration::from_millis(10)).await;
        assert_eq!(filter.authorize("good", Requester::Anyone).await, Some(verdict));
        assert_eq!(reviewer.asked(), 1);
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(filter.authorize("bad", Requester::Anyone).await, Some(Verdict::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nobody_is_let_in() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    reviewer.answer(Err("away"));
    assert_eq!(filter.authorize("good", Requester::Anyone).await, None);
    assert_eq!(filter.authorize("good", Requester::Peer).await, None);
    reviewer.answer(Ok(Verdict::Allowed));
    assert_eq!(
        filter.authorize("good", Requester::Anyone).await,
        Some(Verdict::Allowed),
        "no answer is not remembered"
    );
    reviewer.answer(Err("away"));
    advance(ALLOWED).await;
    assert_eq!(filter.authorize("good", Requester::Anyone).await, None);
}

#[tokio::test(start_paused = true)]
async fn peers_go_by_the_last_answer_while_there_is_no_newer_one() {
    let (filter, reviewer) = FakeReviewer::filter(2 * PATIENCE);
    reviewer.answer(Ok(Verdict::Allowed));
    assert_eq!(filter.authorize("good", Requester::Peer).await, None, "it takes too long");
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Allowed));
    reviewer.answer(Err("away"));
    reviewer.asked();
    for _ in 0..100 {
        advance(Duration::from_secs(30)).await;
        assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Allowed));
        assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Allowed));
        sleep(Duration::from_millis(1)).await;
    }
    assert!((90..=100).contains(&reviewer.asked()), "it is asked meanwhile, and not by each");
    advance(PEERS).await;
    assert_eq!(filter.authorize("good", Requester::Peer).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_loses_the_right_is_refused_soon() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::ZERO);
    assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Allowed));
    reviewer.answer(Ok(Verdict::Forbidden));
    advance(ALLOWED).await;
    assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Allowed));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(filter.authorize("good", Requester::Peer).await, Some(Verdict::Forbidden));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_strangers_keeps_nobody_waiting_who_is_known() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    assert_eq!(filter.authorize("good", Requester::Anyone).await, Some(Verdict::Allowed));
    advance(ALLOWED).await;
    for n in 0..100 {
        let filter = filter.clone();
        tokio::spawn(async move { filter.authorize(&n.to_string(), Requester::Anyone).await });
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(reviewer.asked(), 1 + AT_ONCE);
    let began = Instant::now();
    assert_eq!(filter.authorize("good", Requester::Anyone).await, Some(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn many_who_show_one_token_at_once_ask_a_few_times() {
    let (filter, reviewer) = FakeReviewer::filter(Duration::from_secs(1));
    let all = futures::future::join_all((0..50).map(|_| filter.authorize("good", Requester::Anyone))).await;
    assert!(all.iter().all(|verdict| *verdict == Some(Verdict::Allowed)));
    assert_eq!(reviewer.asked(), AT_ONCE);
}
