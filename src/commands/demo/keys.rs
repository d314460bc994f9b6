//! Keys pressed while the demo runs. A terminal delivers keys one by one, and its mode is restored at the end. Input
//! from a pipe counts as keys too.

use std::io::{IsTerminal, Read, stdin};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A key with a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Grow,
    Shrink,
    Quit,
}

/// The stream of pressed keys.
pub(super) struct Keys {
    pressed: UnboundedReceiver<Key>,
    _terminal: Option<Terminal>,
}

impl Keys {
    /// Starts to read keys.
    pub fn listen() -> Self {
        let (send, pressed) = unbounded_channel();
        let terminal = Terminal::of_keys();
        // A background process that reads the terminal would be stopped.
        if terminal.is_some() || !stdin().is_terminal() {
            // NB: the thread ends with the process, because a read cannot be cancelled; nothing depends on it.
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

    /// The next key; pending forever if no more can come.
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

/// A terminal without line buffering and echo. Ctrl-C stays a signal.
struct Terminal(Termios);

impl Terminal {
    /// The mode of standard input, if it is a terminal, and ours.
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
        // A closed output needs no restored mode.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
