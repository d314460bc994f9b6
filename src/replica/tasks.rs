//! The background tasks of a replica, none of which may end unnoticed. They come and go while it runs.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::fleet::Unfit;

/// How long tasks may take to end when they are told to: a little longer than the servers give to answers.
const PATIENCE: Duration = Duration::from_secs(23);

/// A part of a replica that ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("{}", match .unfit {
    Some(unfit) => unfit.to_string(),
    None => format!("{task} {}", if *.panicked { "panicked" } else { "ended" }),
})]
pub struct StopReason {
    /// Which.
    pub task: String,
    /// Whether it panicked. The message went to stderr.
    pub panicked: bool,
    /// Why this replica can be in no fleet, if that is the reason.
    pub unfit: Option<Unfit>,
}

/// Tasks that end together.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Runs them. Dropping it aborts them all.
    runner: AbortOnDropHandle<()>,
    spawner: Spawner,
    ended: mpsc::UnboundedReceiver<StopReason>,
}

/// Starts tasks, but does not keep them alive.
#[derive(Clone, Debug)]
pub(super) struct Spawner {
    tasks: mpsc::UnboundedSender<Task>,
    stop: CancellationToken,
}

struct Task {
    name: String,
    /// What tells it to end.
    stop: CancellationToken,
    run: BoxFuture<'static, ()>,
}

impl Spawner {
    /// What tells all tasks to end.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that ends when all do.
    pub fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.stop_token(), name, task);
    }

    /// Starts a task that may end once `stop`, a child of [`Spawner::stop_token`], has told it to.
    pub fn spawn_until(&self, stop: CancellationToken, name: String, task: impl Future<Output = ()> + Send + 'static) {
        // Nobody takes it when the replica has ended, and nobody needs it then.
        let _ = self.tasks.send(Task { name, stop, run: task.boxed() });
    }
}

impl Tasks {
    pub(super) fn new(stop: CancellationToken) -> Self {
        let (tasks, new) = mpsc::unbounded_channel();
        let (tell, ended) = mpsc::unbounded_channel();
        let runner = AbortOnDropHandle::new(tokio::spawn(run(new, tell, stop.clone())));
        Self { runner, spawner: Spawner { tasks, stop }, ended }
    }

    pub(super) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Waits for the first that ends without having been told to.
    pub(super) async fn ended(&mut self) -> Result<(), StopReason> {
        self.ended.recv().await.map_or(Ok(()), Err)
    }

    /// Tells all to end, and waits until they have.
    pub(super) async fn stop(mut self) {
        self.spawner.stop.cancel();
        // What is still there is aborted when the runner is dropped.
        let _ = tokio::time::timeout(PATIENCE, &mut self.runner).await;
    }
}

impl Drop for Tasks {
    /// For what runs on threads of its own.
    fn drop(&mut self) {
        self.spawner.stop.cancel();
    }
}

/// Runs what comes, and tells what ends by itself, until `stop` and the end of all.
async fn run(mut new: mpsc::UnboundedReceiver<Task>, tell: mpsc::UnboundedSender<StopReason>, stop: CancellationToken) {
    let mut running = JoinSet::new();
    let mut known: HashMap<Id, (String, CancellationToken)> = HashMap::new();
    loop {
        tokio::select! {
            Some(Task { name, stop, run }) = new.recv() => {
                known.insert(running.spawn(run).id(), (name, stop));
            }
            Some(ended) = running.join_next_with_id() => {
                let (id, panicked) = match ended {
                    Ok((id, ())) => (id, false),
                    Err(error) => (JoinError::id(&error), true),
                };
                if let Some((task, stop)) = known.remove(&id)
                    && !stop.is_cancelled()
                {
                    // Who does not listen any more has given the replica up.
                    let _ = tell.send(StopReason { task, panicked, unfit: None });
                }
            }
            () = stop.cancelled(), if running.is_empty() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        let tasks = Tasks::new(CancellationToken::new());
        let stop = tasks.spawner().stop_token();
        tasks.spawner().spawn("the good one".to_owned(), stop.cancelled_owned());
        tasks
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_named() {
        let mut tasks = tasks();
        tasks.spawner().spawn("the lazy one".to_owned(), async {});
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "the lazy one ended");
        tasks.spawner().spawn("the clumsy one".to_owned(), async { panic!("on purpose") });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "the clumsy one panicked");
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_task_that_was_told_to_end_is_no_error_and_the_others_go_on() {
        let mut tasks = tasks();
        let own = tasks.spawner().stop_token().child_token();
        tasks.spawner().spawn_until(own.clone(), "the one that goes".to_owned(), own.clone().cancelled_owned());
        own.cancel();
        tasks.spawner().spawn("the lazy one".to_owned(), async { tokio::task::yield_now().await });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "the lazy one ended");
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_ended_in_the_end() {
        let tasks = tasks();
        tasks.spawner().spawn("the deaf one".to_owned(), std::future::pending());
        tasks.stop().await;
    }
}
