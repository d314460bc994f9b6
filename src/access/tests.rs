use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::time::{advance, sleep};

use super::*;

/// Lets in who shows `good`, or nobody hears of it.
struct World {
    answers: Mutex<Result<Verdict, String>>,
    asked: AtomicUsize,
    takes: Duration,
}

impl World {
    fn access(takes: Duration) -> (Access, Arc<Self>) {
        let world = Arc::new(Self { answers: Mutex::new(Ok(Verdict::Allowed)), asked: AtomicUsize::new(0), takes });
        (Access::new(Arc::clone(&world)), world)
    }

    fn answer(&self, answer: Result<Verdict, &str>) {
        *self.answers.lock().expect("no panic") = answer.map_err(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Relaxed)
    }
}

impl Reviews for Arc<World> {
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
    let (access, world) = World::access(Duration::ZERO);
    for (verdict, time) in
        [(Verdict::Allowed, ALLOWED), (Verdict::Forbidden, REFUSED), (Verdict::Unauthenticated, REFUSED)]
    {
        world.answer(Ok(verdict));
        assert_eq!(access.judge("good", Asker::Anyone).await, Some(verdict));
        advance(time - Duration::from_millis(10)).await;
        assert_eq!(access.judge("good", Asker::Anyone).await, Some(verdict));
        assert_eq!(world.asked(), 1);
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(access.judge("bad", Asker::Anyone).await, Some(Verdict::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nobody_is_let_in() {
    let (access, world) = World::access(Duration::ZERO);
    world.answer(Err("away"));
    assert_eq!(access.judge("good", Asker::Anyone).await, None);
    assert_eq!(access.judge("good", Asker::Peer).await, None);
    world.answer(Ok(Verdict::Allowed));
    assert_eq!(access.judge("good", Asker::Anyone).await, Some(Verdict::Allowed), "no answer is not remembered");
    world.answer(Err("away"));
    advance(ALLOWED).await;
    assert_eq!(access.judge("good", Asker::Anyone).await, None);
}

#[tokio::test(start_paused = true)]
async fn peers_go_by_the_last_answer_while_there_is_no_newer_one() {
    let (access, world) = World::access(2 * PATIENCE);
    world.answer(Ok(Verdict::Allowed));
    assert_eq!(access.judge("good", Asker::Peer).await, None, "it takes too long");
    let (access, world) = World::access(Duration::ZERO);
    assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Allowed));
    world.answer(Err("away"));
    world.asked();
    for _ in 0..100 {
        advance(Duration::from_secs(30)).await;
        assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Allowed));
        assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Allowed));
        sleep(Duration::from_millis(1)).await;
    }
    assert!((90..=100).contains(&world.asked()), "it is asked meanwhile, and not by each");
    advance(PEERS).await;
    assert_eq!(access.judge("good", Asker::Peer).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_loses_the_right_is_refused_soon() {
    let (access, world) = World::access(Duration::ZERO);
    assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Allowed));
    world.answer(Ok(Verdict::Forbidden));
    advance(ALLOWED).await;
    assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Allowed));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(access.judge("good", Asker::Peer).await, Some(Verdict::Forbidden));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_strangers_keeps_nobody_waiting_who_is_known() {
    let (access, world) = World::access(Duration::from_secs(1));
    assert_eq!(access.judge("good", Asker::Anyone).await, Some(Verdict::Allowed));
    advance(ALLOWED).await;
    for n in 0..100 {
        let access = access.clone();
        tokio::spawn(async move { access.judge(&n.to_string(), Asker::Anyone).await });
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.asked(), 1 + AT_ONCE);
    let began = Instant::now();
    assert_eq!(access.judge("good", Asker::Anyone).await, Some(Verdict::Allowed));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn many_who_show_one_token_at_once_ask_a_few_times() {
    let (access, world) = World::access(Duration::from_secs(1));
    let all = futures::future::join_all((0..50).map(|_| access.judge("good", Asker::Anyone))).await;
    assert!(all.iter().all(|verdict| *verdict == Some(Verdict::Allowed)));
    assert_eq!(world.asked(), AT_ONCE);
}
