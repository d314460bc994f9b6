//! Reads files that come from outside, within bounds: only regular files, and at most so many bytes of them.
//!
//! A FIFO or a device in place of a file would block the reader, or fill its memory. All files that a user or a Secret provides
//! are read here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The size limit of configurations, certificates and tokens; real ones are far smaller.
pub const CONFIG_BYTES: u64 = 4 << 20;
/// The size limit of dumps of a cluster's objects: 100,000 pods in JSON fit into half of it.
pub const DUMP_BYTES: u64 = 2 << 30;

/// How long a pipe may have no writer before reading it fails.
const NO_WRITER: Duration = Duration::from_secs(5);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses to read it.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a directory, a device, a socket or a pipe.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// Nobody writes to the pipe.
    #[error("is a pipe to which nothing writes")]
    Silent,
    /// It has more bytes than allowed.
    #[error("larger than the maximum of {0} bytes")]
    TooLarge(u64),
    /// It is no text.
    #[error("not UTF-8")]
    NotUtf8,
}

impl ReadError {
    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a regular file of at most `maximum` bytes. Follows symbolic links.
///
/// # Errors
/// The file cannot be read, is not a regular file, or is larger.
pub fn read(path: &Path, maximum: u64) -> Result<Vec<u8>, ReadError> {
    let file = open(path)?;
    match kind(&file)? {
        Kind::Regular => content(file, maximum),
        Kind::Pipe => Err(ReadError::NotRegular("a pipe")),
        Kind::Other(name) => Err(ReadError::NotRegular(name)),
    }
}

/// Reads a regular file of at most `maximum` bytes as text.
///
/// # Errors
/// Those of [`read`], or the file is not UTF-8.
pub fn read_text(path: &Path, maximum: u64) -> Result<String, ReadError> {
    text(read(path, maximum)?)
}

/// Reads a regular file or a pipe of at most `maximum` bytes, for input that a shell may redirect.
///
/// # Errors
/// Those of [`read`], or nothing writes to the pipe.
pub fn read_or_pipe(path: &Path, maximum: u64) -> Result<Vec<u8>, ReadError> {
    let file = open(path)?;
    match kind(&file)? {
        Kind::Regular => content(file, maximum),
        Kind::Pipe => {
            await_writer(&file)?;
            content(file, maximum)
        }
        Kind::Other(name) => Err(ReadError::NotRegular(name)),
    }
}

/// Reads at most `maximum` bytes of `input`.
///
/// # Errors
/// The input cannot be read, or is longer.
pub fn read_stream(input: impl Read, maximum: u64) -> Result<Vec<u8>, ReadError> {
    content(input, maximum)
}

/// The kinds of files that matter here.
enum Kind {
    Regular,
    Pipe,
    Other(&'static str),
}

/// Opens without waiting: opening a FIFO would otherwise block until something writes to it.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// NB: asks the open file, not the path, which may name another file by now.
fn kind(file: &File) -> io::Result<Kind> {
    let kind = file.metadata()?.file_type();
    Ok(if kind.is_file() {
        Kind::Regular
    } else if kind.is_fifo() {
        Kind::Pipe
    } else if kind.is_dir() {
        Kind::Other("a directory")
    } else if kind.is_socket() {
        Kind::Other("a socket")
    } else {
        Kind::Other("a device")
    })
}

/// Waits until the pipe has data or an end, and lets reads block from then on.
fn await_writer(pipe: &File) -> Result<(), ReadError> {
    let timeout = Timespec { tv_sec: NO_WRITER.as_secs().cast_signed(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)).map_err(io::Error::from)?;
    if ready == 0 {
        return Err(ReadError::Silent);
    }
    let flags = fcntl_getfl(pipe).map_err(io::Error::from)?;
    fcntl_setfl(pipe, flags - OFlags::NONBLOCK).map_err(io::Error::from)?;
    Ok(())
}

fn content(input: impl Read, maximum: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    // NB: a file may grow while it is read, so its size says nothing.
    input.take(maximum.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > maximum {
        return Err(ReadError::TooLarge(maximum));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, ReadError> {
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn fifo(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("pipe");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe");
        path
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").expect("written");
        assert_eq!(read_text(&path, 3).expect("it fits"), "abc");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("file", &link).expect("linked");
        assert_eq!(read(&link, 3).expect("links are followed"), b"abc");
        let says = |path: &Path| read_text(path, 2).expect_err("refused").to_string();
        assert_eq!(says(&path), "larger than the maximum of 2 bytes");
        assert_eq!(says(&fifo(folder.path())), "is a pipe, not a regular file");
        assert_eq!(says(folder.path()), "is a directory, not a regular file");
        assert_eq!(says(Path::new("/dev/zero")), "is a device, not a regular file");
        assert!(read(&folder.path().join("none"), 2).expect_err("refused").is_missing());
        std::fs::write(&path, b"\xff").expect("written");
        assert_eq!(says(&path), "not UTF-8");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_where_pipes_are_allowed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = fifo(folder.path());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut pipe = OpenOptions::new().write(true).open(path).expect("a reader opens it");
                for _ in 0..3 {
                    pipe.write_all(&[b'a'; 100_000]).expect("it is read");
                }
            }
        });
        assert_eq!(read_or_pipe(&path, 300_000).expect("it fits").len(), 300_000);
        writer.join().expect("written");
        assert!(matches!(read_or_pipe(Path::new("/dev/zero"), 9), Err(ReadError::NotRegular("a device"))));
        assert!(matches!(read_stream(io::repeat(0), 9), Err(ReadError::TooLarge(9))));
    }
}
