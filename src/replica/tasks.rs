//! The background tasks of a replica, none of which may end unnoticed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

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
    /// Dropping it aborts them.
    running: JoinSet<()>,
    names: HashMap<Id, String>,
    stop: CancellationToken,
}

impl Tasks {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { running: JoinSet::new(), names: HashMap::new(), stop }
    }

    /// What tells the tasks to end.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn spawn(&mut self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits for the first that ends; that is an error unless all were told to.
    pub(super) async fn ended(&mut self) -> Result<(), StopReason> {
        let ended = self.running.join_next_with_id().await;
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let (id, panicked) = match ended {
            None => return Ok(()),
            Some(Ok((id, ()))) => (id, false),
            Some(Err(error)) => (JoinError::id(&error), true),
        };
        Err(StopReason { task: self.names.remove(&id).unwrap_or_default(), panicked, unfit: None })
    }

    /// Tells all to end, and waits until they have.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.running.join_next().await.is_some() {} };
        // What is still there is aborted when the set is dropped.
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

impl Drop for Tasks {
    /// For what runs on threads of its own.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Tasks {
        let mut tasks = Tasks::new(CancellationToken::new());
        let stop = tasks.stop_token();
        tasks.spawn("the good one".to_owned(), stop.cancelled_owned());
        tasks
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_named() {
        let mut tasks = tasks();
        tasks.spawn("the lazy one".to_owned(), async {});
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "the lazy one ended");
        tasks.spawn("the clumsy one".to_owned(), async { panic!("on purpose") });
        assert_eq!(tasks.ended().await.expect_err("it ended").to_string(), "the clumsy one panicked");
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_ended_in_the_end() {
        let mut tasks = tasks();
        tasks.spawn("the deaf one".to_owned(), std::future::pending());
        tasks.stop().await;
    }
}
