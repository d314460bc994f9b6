//! Sources that may receive a Secret's data run on a thread that wipes freed memory.

use std::io;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, pending, select_all};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::intake::wipe::wipe_frees_on_this_thread;
use crate::intake::{self, Form, Sink, Source, Status, SwappableClient};
use crate::sync::watch;

/// The arguments of [`intake::run`], without the client and the token.
pub(super) struct SourceTask {
    pub source: Source,
    pub sinks: [Box<dyn Sink>; 2],
    pub status: Arc<Status>,
    /// Stops it: the token of all tasks, or a child of it.
    pub stop: CancellationToken,
}

/// Runs each of `tasks` with `client`. With a `config`, those that may receive a Secret's data share a private thread with a
/// client of its own. Each future ends with the source that it runs, which the token beside it stops. `stop` stops all tasks.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn run_all(
    client: &kube::Client,
    config: Option<&watch::Receiver<kube::Config>>,
    tasks: Vec<SourceTask>,
    stop: &CancellationToken,
) -> io::Result<Vec<(CancellationToken, BoxFuture<'static, ()>)>> {
    let is_private = |task: &SourceTask| task.source.endpoint.form == Form::Table && config.is_some();
    let (private, others): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_private);
    let by_client = |w: SourceTask| {
        let run = intake::run(client.clone(), w.source, w.sinks, w.status, w.stop.clone());
        (w.stop, run.boxed())
    };
    let mut all: Vec<_> = others.into_iter().map(by_client).collect();
    if let Some(config) = config.filter(|_| !private.is_empty()) {
        // One thread for all that start together, and a further one for each namespace that is selected later.
        let until = match &*private {
            [task] => task.stop.clone(),
            _ => stop.clone(),
        };
        all.push((until.clone(), run(config.clone(), private, until)?.boxed()));
    }
    Ok(all)
}

/// Runs `tasks` on a thread of their own, with a client that reuses no connection and follows changes of `config`. The future
/// ends with the first task that is not stopped by itself.
fn run(
    mut config: watch::Receiver<kube::Config>,
    tasks: Vec<SourceTask>,
    stop: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Dropped when the thread ends, also by a panic.
    let (running, ended) = oneshot::channel::<()>();
    std::thread::Builder::new().name("private".to_owned()).spawn(move || {
        wipe_frees_on_this_thread();
        let _running = running;
        runtime.block_on(async {
            let first = config.borrow_and_update().clone();
            let (api_client, client) = match intake::private_client(first) {
                Ok(client) => SwappableClient::new(client),
                Err(error) => return error!(%error, "cannot set up a client"),
            };
            let run = |w: SourceTask| {
                let (client, stop) = (client.clone(), stop.clone());
                async move {
                    intake::run(client, w.source, w.sinks, w.status, w.stop.clone()).await;
                    if w.stop.is_cancelled() {
                        stop.cancelled().await;
                    }
                }
            };
            let first = select_all(tasks.into_iter().map(|task| Box::pin(run(task))));
            tokio::select! {
                _ = first => {}
                // Without a sender there are no more changes.
                never = async {
                    while config.changed().await.is_ok() {
                        let config = config.borrow_and_update().clone();
                        match intake::private_client(config) {
                            Ok(client) => api_client.set(client),
                            Err(error) => error!(%error, "cannot set up a client"),
                        }
                    }
                    pending().await
                } => never,
            }
        });
    })?;
    Ok(async {
        // Nothing is ever sent.
        let _ = ended.await;
    })
}
