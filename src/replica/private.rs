//! Watches that may see a Secret's data: on a thread whose memory is wiped when it is freed.

use std::io;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, pending, select_all};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::intake::wipe::wipe_frees_on_this_thread;
use crate::intake::{self, Form, Sink, Source, Status, SwappableClient};

/// What [`intake::run`] needs, but for the client and the token.
pub(super) struct Watch {
    pub source: Source,
    pub sinks: [Box<dyn Sink>; 2],
    pub status: Arc<Status>,
}

/// Runs `watches` by `client`, each by itself, but those that may see a Secret's data apart, where `private` says how the API server
/// is reached from there. The futures end with what they run.
///
/// # Errors
/// There is no thread.
pub(super) fn run_all(
    client: &kube::Client,
    private: Option<&watch::Receiver<kube::Config>>,
    watches: Vec<Watch>,
    stop: &CancellationToken,
) -> io::Result<Vec<BoxFuture<'static, ()>>> {
    let is_apart = |watch: &Watch| watch.source.endpoint.form == Form::Table && private.is_some();
    let (apart, others): (Vec<_>, Vec<_>) = watches.into_iter().partition(is_apart);
    let by_client = |w: Watch| intake::run(client.clone(), w.source, w.sinks, w.status, stop.clone()).boxed();
    let mut all: Vec<_> = others.into_iter().map(by_client).collect();
    if let Some(config) = private.filter(|_| !apart.is_empty()) {
        all.push(run(config.clone(), apart, stop.clone())?.boxed());
    }
    Ok(all)
}

/// Runs `watches` on a thread of their own, with clients that keep no connection. The future ends with the first of them. Requests
/// from a change of `config` on are made as it says.
fn run(
    mut config: watch::Receiver<kube::Config>,
    watches: Vec<Watch>,
    stop: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Dropped when the thread ends, be it by a panic.
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
            let run = |w: Watch| intake::run(client.clone(), w.source, w.sinks, w.status, stop.clone());
            let first = select_all(watches.into_iter().map(|w| Box::pin(run(w))));
            tokio::select! {
                _ = first => {}
                // Without a sender, nothing changes any more.
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
