//! The background tasks of a replica. Tasks may be added at any time. An unexpected end of a task is reported.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::fleet::FleetError;

/// How long tasks may take to stop: slightly longer than the servers wait for answers in progress.
const STOP_TIMEOUT: Duration = Duration::from_secs(23);

/// The unexpected end of a task.
#[derive(Debug, thiserror::Error)]
#[error("{}", match .unfit {
    Some(unfit) => unfit.to_string(),
    None => format!("task {task} {}", if *.panicked { "panicked" } else { "ended unexpectedly" }),
})]
pub struct StopReason {
    /// Name of the task.
    pub task: String,
    /// Whether it panicked. The panic message is on stderr.
    pub panicked: bool,
    /// Why this replica cannot be a member of a fleet, if that is the reason.
    pub unfit: Option<FleetError>,
}

/// Tasks that stop together.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Runs the tasks. Dropping it aborts all of them.
    runner: AbortOnDropHandle<()>,
    spawner: Spawner,
    ended: mpsc::UnboundedReceiver<StopReason>,
}

/// Starts tasks without keeping them alive.
#[derive(Clone, Debug)]
pub(super) struct Spawner {
    tasks: mpsc::UnboundedSender<Task>,
    stop: CancellationToken,
}

struct Task {
    name: String,
    /// Requests the end of the task.
    stop: CancellationToken,
    run: BoxFuture<'static, ()>,
}

impl Spawner {
    /// Returns the token that stops all tasks.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that must run until all tasks are stopped.
    pub fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.stop_token(), name, task);
    }

    /// Starts a task that may end after `stop` is cancelled, which is a child of [`Spawner::stop_token`].
    pub fn spawn_until(&self, stop: CancellationToken, name: String, task: impl Future<Output = ()> + Send + 'static) {
        // Sending fails only after the replica has stopped.
        let _ = self.tasks.send(Task { name, stop, run: task.boxed() });
    }

    /// Starts a task that is dropped when `stop` is cancelled, which is a child of [`Spawner::stop_token`] or that token, and must not end
    /// before.
    pub fn spawn_dropped(
        &self,
        stop: CancellationToken,
        name: String,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let dropped = stop.clone();
        self.spawn_until(stop, name, async move {
            dropped.run_until_cancelled(task).await;
        });
    }
}

impl Tasks {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self::wrapping(stop, |task| task)
    }

    /// As [`Self::new`], but runs what `wrap` makes of each task.
    pub(super) fn wrapping(
        stop: CancellationToken,
        wrap: impl Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Self {
        let (tasks, new) = mpsc::unbounded_channel();
        let (report, ended) = mpsc::unbounded_channel();
        let runner = AbortOnDropHandle::new(tokio::spawn(run(new, report, stop.clone(), wrap)));
        Self { runner, spawner: Spawner { tasks, stop }, ended }
    }

    pub(super) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Waits for the first task that ends unexpectedly.
    pub(super) async fn ended(&mut self) -> Result<(), StopReason> {
        self.ended.recv().await.map_or(Ok(()), Err)
    }

    /// Stops all tasks and waits for their end.
    pub(super) async fn stop(mut self) {
        self.spawner.stop.cancel();
        // Dropping the runner aborts the remaining tasks.
        let _ = tokio::time::timeout(STOP_TIMEOUT, &mut self.runner).await;
    }
}

impl Drop for Tasks {
    /// Stops what runs on other threads, which aborting the runner does not reach.
    fn drop(&mut self) {
        self.spawner.stop.cancel();
    }
}

/// Runs new tasks and reports those that end unexpectedly, until `stop` is cancelled and all tasks have ended.
async fn run(
    mut new: mpsc::UnboundedReceiver<Task>,
    report: mpsc::UnboundedSender<StopReason>,
    stop: CancellationToken,
    wrap: impl Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()>,
) {
    let mut running = JoinSet::new();
    let mut known: HashMap<Id, (String, CancellationToken)> = HashMap::new();
    loop {
        tokio::select! {
            biased;
            Some(Task { name, stop, run }) = new.recv() => {
                known.insert(running.spawn(wrap(run)).id(), (name, stop));
            }
            Some(ended) = running.join_next_with_id() => {
                let (id, panicked) = match ended {
                    Ok((id, ())) => (id, false),
                    Err(error) => (JoinError::id(&error), true),
                };
                if let Some((task, stop)) = known.remove(&id)
                    && !stop.is_cancelled()
                {
                    // Without a receiver the replica is being dropped.
                    let _ = report.send(StopReason { task, panicked, unfit: None });
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
        tasks.spawner().spawn("good-task".to_owned(), stop.cancelled_owned());
        tasks
    }

    #[tokio::test]
    async fn a_task_that_ends_unexpectedly_is_named() {
        let mut tasks = tasks();
        tasks.spawner().spawn("lazy-task".to_owned(), async {});
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "task lazy-task ended unexpectedly");
        tasks.spawner().spawn("clumsy-task".to_owned(), async { panic!("on purpose") });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "task clumsy-task panicked");
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_stopped_task_is_no_error_and_the_others_continue() {
        let mut tasks = tasks();
        let own = tasks.spawner().stop_token().child_token();
        tasks.spawner().spawn_until(own.clone(), "stopped-task".to_owned(), own.clone().cancelled_owned());
        own.cancel();
        tasks.spawner().spawn("lazy-task".to_owned(), async { tokio::task::yield_now().await });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "task lazy-task ended unexpectedly");
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_token_is_aborted() {
        let tasks = tasks();
        tasks.spawner().spawn("deaf-task".to_owned(), std::future::pending());
        tasks.stop().await;
    }
}
