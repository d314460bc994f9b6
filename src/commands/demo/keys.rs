//! What is pressed while the demo runs. A terminal hands over keys one by one and gets its old ways back in the end; what
//! comes through a pipe counts as pressed, too.

use std::io::{IsTerminal, Read, stdin};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Grow,
    Shrink,
    Quit,
}

/// The keys, as they come.
pub(super) struct Keys {
    pressed: UnboundedReceiver<Key>,
    _terminal: Option<Terminal>,
}

impl Keys {
    /// Listens from now on.
    pub fn listen() -> Self {
        let (send, pressed) = unbounded_channel();
        let terminal = Terminal::of_keys();
        // In the background of a shell, whoever reads its terminal is stopped.
        if terminal.is_some() || !stdin().is_terminal() {
            // NB: it ends with the process, since a read cannot be called off; nothing depends on it.
            std::thread::spawn(move || {
                for key in stdin().lock().bytes().map_while(Result::ok).filter_map(Key::of) {
                    if send.send(key).is_err() {
                        break;
                    }
                }
            });
        }
        Self { pressed, _terminal: terminal }
    }

    /// The next one; never where no more can come.
    pub async fn next(&mut self) -> Key {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Key {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'+' | b'=' => Some(Self::Grow),
            b'-' | b'_' => Some(Self::Shrink),
            b'q' | b'Q' => Some(Self::Quit),
            _ => None,
        }
    }
}

/// A terminal that does not wait for the end of a line, nor echoes. Ctrl-C stays a signal.
struct Terminal(Termios);

impl Terminal {
    /// That of standard input, if it is one, and ours.
    fn of_keys() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        if tcgetpgrp(stdin()).ok()? != getpgrp() {
            return None;
        }
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &keys).ok()?;
        Some(Self(before))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Who closed it has no use for it.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
