//! A connection below TLS. It reads in large pieces, and during a watch no more often than its [`BatchDelay`] allows.
//!
//! TLS requests 4 KB at a time and the server sends a watch event by event, so wakeups and system calls dominate the cost of an
//! event. Reading ahead saves system calls; a pause without wakeups saves wakeups. Knows only bytes.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use rustix::buffer::spare_capacity;
use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// A pause ends early when this much waits: half of the window of a new connection. An API server that cannot send ends the
/// watch of a slow client.
const EARLY_READ_BYTES: u64 = 32 << 10;

/// How often a pause checks how much waits.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How long data that arrives on a connection may accumulate before it is read. Clones belong to the same connection.
#[derive(Clone, Debug, Default)]
pub struct BatchDelay(Arc<AtomicU64>);

impl BatchDelay {
    /// Pauses for `delay` after each read, or shorter if much arrives. Data that arrives after an idle pause is read at once.
    pub fn set(&self, delay: Duration) {
        self.0.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A TCP connection that reads ahead.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    batch_delay: BatchDelay,
    /// The data read; the part before `start` was passed on.
    buffer: Vec<u8>,
    start: usize,
    /// The last read emptied the socket.
    is_drained: bool,
    /// When the first byte after the last pause was read.
    first_read: Option<Instant>,
    pause: Option<Pause>,
}

#[derive(Debug)]
enum Stream {
    /// Registered with the runtime: arriving data wakes the reader.
    Registered(TcpStream),
    /// Not registered: nothing wakes the reader.
    Detached(std::net::TcpStream),
    /// The change between the other two failed.
    Broken,
}

#[derive(Debug)]
struct Pause {
    end: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Registered(stream),
            batch_delay: BatchDelay::default(),
            buffer: Vec::new(),
            start: 0,
            is_drained: false,
            first_read: None,
            pause: None,
        }
    }

    /// Fills the buffer; an empty buffer is the end.
    fn poll_buffer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Yields to other tasks, even if the peer sends without end. The runtime does not count the reads of a detached stream.
        let budget = ready!(poll_proceed(cx));
        self.buffer.clear();
        self.start = 0;
        loop {
            ready!(self.poll_pause(cx))?;
            let buffer = &mut self.buffer;
            let result = match &self.stream {
                Stream::Registered(stream) => {
                    let Poll::Ready(readiness) = stream.poll_read_ready(cx) else {
                        // A quiet connection needs no memory.
                        self.buffer = Vec::new();
                        return Poll::Pending;
                    };
                    readiness?;
                    stream.try_io(Interest::READABLE, || read(stream, buffer))
                }
                Stream::Detached(stream) => read(stream, buffer),
                Stream::Broken => Err(io::ErrorKind::NotConnected.into()),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.first_read.is_none() {
                        self.register()?;
                    }
                    self.is_drained = true;
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok(length) => {
                    budget.made_progress();
                    self.is_drained = length != 0 && self.buffer.len() < self.buffer.capacity();
                    self.first_read.get_or_insert_with(Instant::now);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Pauses, if a pause is due.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_drained
            && let Some(first_read) = self.first_read.take()
        {
            let delay = self.batch_delay.delay();
            let end = first_read + delay;
            if !delay.is_zero() {
                self.detach()?;
                let timer = Box::pin(sleep_until(end.min(Instant::now() + POLL_INTERVAL)));
                self.pause = Some(Pause { end, timer });
            }
        }
        self.is_drained = false;
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll_over(&self.stream, cx));
            self.pause = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Lets arriving data wake the reader.
    fn register(&mut self) -> io::Result<()> {
        self.stream = match std::mem::replace(&mut self.stream, Stream::Broken) {
            Stream::Detached(stream) => Stream::Registered(TcpStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }

    /// Lets nothing wake the reader.
    fn detach(&mut self) -> io::Result<()> {
        self.stream = match std::mem::replace(&mut self.stream, Stream::Broken) {
            Stream::Registered(stream) => Stream::Detached(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// The stream for writing, which is rare.
    fn writer(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.register()?;
        match &mut self.stream {
            Stream::Registered(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Pause {
    /// Waits until the time is over or enough data waits.
    fn poll_over(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let waiting = match stream {
                Stream::Registered(stream) => ioctl_fionread(stream),
                Stream::Detached(stream) => ioctl_fionread(stream),
                Stream::Broken => return Poll::Ready(()),
            };
            // If this fails, the next read reports the error.
            if now >= self.end || waiting.is_ok_and(|waiting| waiting >= EARLY_READ_BYTES) {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.end.min(now + POLL_INTERVAL));
        }
    }
}

fn read(stream: impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.reserve_exact(READ_BYTES);
    Ok(rustix::io::read(stream, spare_capacity(buffer))?)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.buffer.len() {
            ready!(this.poll_buffer(cx))?;
        }
        let rest = this.buffer.get(this.start..).unwrap_or_default();
        let part = rest.get(..out.remaining()).unwrap_or(rest);
        out.put_slice(part);
        this.start += part.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().writer()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().writer()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TCP buffers nothing here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer()?.poll_shutdown(cx)
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.batch_delay.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use futures::poll;
    use tokio::io::AsyncReadExt;
    use tokio::time::advance;

    use super::*;

    const DELAY: Duration = Duration::from_millis(100);

    /// A socket, its batch delay, and the peer's end. Loopback delivers before a write returns.
    async fn connected() -> (Socket, BatchDelay, std::net::TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = Socket::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let batch_delay = socket.batch_delay.clone();
        let (peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        (socket, batch_delay, peer)
    }

    async fn read(socket: &mut Socket) -> usize {
        let mut bytes = vec![0; 2 * READ_BYTES];
        socket.read(&mut bytes).await.unwrap()
    }

    /// Whether a read would block.
    async fn is_waiting(socket: &mut Socket) -> bool {
        poll!(std::pin::pin!(read(socket))).is_pending()
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pace_all_is_read_as_it_arrives() {
        let (mut socket, _, mut peer) = connected().await;
        for length in [1, 2, 3] {
            peer.write_all(&vec![b'a'; length]).unwrap();
            assert_eq!(read(&mut socket).await, length);
        }
        drop(peer);
        assert_eq!(read(&mut socket).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn data_gathers_after_the_first_arrival() {
        let (mut socket, batch_delay, mut peer) = connected().await;
        batch_delay.set(DELAY);
        for _ in 0..2 {
            peer.write_all(b"first").unwrap();
            assert_eq!(read(&mut socket).await, 5);
            for _ in 0..3 {
                assert!(is_waiting(&mut socket).await);
                assert!(matches!(socket.stream, Stream::Detached(_)));
                peer.write_all(b"more").unwrap();
                advance(DELAY / 5).await;
            }
            assert!(is_waiting(&mut socket).await);
            advance(DELAY * 2 / 5).await;
            assert_eq!(read(&mut socket).await, 12);
            // A pause in which nothing arrives is the last.
            assert!(is_waiting(&mut socket).await);
            advance(DELAY).await;
            assert!(is_waiting(&mut socket).await);
            assert!(matches!(socket.stream, Stream::Registered(_)));
            assert_eq!(socket.buffer.capacity(), 0, "a quiet connection holds no memory");
        }
        drop(peer);
        assert_eq!(read(&mut socket).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_always_has_data_does_not_hold_the_task() {
        let (mut socket, batch_delay, mut peer) = connected().await;
        batch_delay.set(DELAY);
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut socket).await, 5);
        assert!(is_waiting(&mut socket).await);
        assert!(matches!(socket.stream, Stream::Detached(_)));
        // The end can be read again and again, like data that never ends.
        drop(peer);
        advance(DELAY).await;
        let mut reads = 0;
        while !is_waiting(&mut socket).await {
            reads += 1;
            assert!(reads < 1000, "the task never yields");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn much_does_not_wait_for_long() {
        let (mut socket, batch_delay, mut peer) = connected().await;
        batch_delay.set(Duration::from_secs(3600));
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut socket).await, 5);
        assert!(is_waiting(&mut socket).await);
        peer.write_all(&vec![b'a'; EARLY_READ_BYTES as usize]).unwrap();
        assert!(is_waiting(&mut socket).await);
        advance(POLL_INTERVAL).await;
        assert_eq!(read(&mut socket).await, EARLY_READ_BYTES as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn data_written_in_a_pause_is_sent_at_once() {
        use tokio::io::AsyncWriteExt;
        let (mut socket, batch_delay, mut peer) = connected().await;
        batch_delay.set(DELAY);
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut socket).await, 5);
        assert!(is_waiting(&mut socket).await);
        socket.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        std::io::Read::read_exact(&mut peer, &mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        peer.write_all(b"more").unwrap();
        assert!(is_waiting(&mut socket).await);
        assert_eq!(read(&mut socket).await, 4);
    }
}
