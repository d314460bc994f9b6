//! Detects changed files by polling them once a second.
//!
//! It does not use inotify: a ConfigMap changes through a symbolic link two directories up, editors rename files, network file
//! systems send no events, and other processes may have used up the few inotify instances of a node. Polling a file is one
//! `stat`, which follows all links.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::telemetry::ConfigKind;

/// The time between two polls.
const PERIOD: Duration = Duration::from_secs(1);

/// Identifies the content of a file without reading it; `None` if there is no file.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// The files to poll.
pub(super) struct Files {
    files: Vec<Watched>,
    next: Instant,
}

struct Watched {
    kind: ConfigKind,
    path: PathBuf,
    /// The stamp at the last reported change.
    known: Stamp,
    /// The stamp at the last poll.
    seen: Stamp,
}

impl Files {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self { files: Vec::new(), next: Instant::now() + PERIOD }
    }

    /// Sets the files of `kind`. Call it before the files are read, so that no change is missed. The stamps of files that were
    /// already in the set are kept.
    pub fn set(&mut self, kind: ConfigKind, paths: impl IntoIterator<Item = PathBuf>) {
        let (of_kind, others): (Vec<_>, _) = std::mem::take(&mut self.files).into_iter().partition(|f| f.kind == kind);
        self.files = others;
        let mut of_kind: Vec<_> = of_kind.into_iter().map(Some).collect();
        for path in paths {
            let before = of_kind.iter_mut().find_map(|file| file.take_if(|file| file.path == path));
            self.files.push(before.unwrap_or_else(|| {
                let stamp = stamp(std::fs::metadata(&path).ok());
                Watched { kind, path, known: stamp, seen: stamp }
            }));
        }
    }

    /// Waits until files have changed and then stayed the same for one poll, so that a partially written file is not read.
    /// Cancel-safe.
    pub async fn changed(&mut self) -> Vec<ConfigKind> {
        loop {
            sleep_until(self.next).await;
            let changed = self.poll().await;
            self.next = Instant::now() + PERIOD;
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Polls all files. Returns those that differ from the last reported change and have not changed since the last poll.
    async fn poll(&mut self) -> Vec<ConfigKind> {
        let mut now = Vec::new();
        for file in &self.files {
            now.push(stamp(tokio::fs::metadata(&file.path).await.ok()));
        }
        // NB: changes are recorded only after all files were polled, so that cancelling loses none.
        let mut changed = Vec::new();
        for (file, now) in self.files.iter_mut().zip(now) {
            if now != file.known && now == file.seen {
                file.known = now;
                changed.push(file.kind);
            }
            file.seen = now;
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

fn stamp(metadata: Option<std::fs::Metadata>) -> Stamp {
    let m = metadata?;
    Some((m.dev(), m.ino(), m.size(), (m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// Whether the second poll reports a change. The first poll must not report it.
    async fn reports(files: &mut Files) -> bool {
        assert!(files.poll().await.is_empty(), "it has just changed");
        !files.poll().await.is_empty()
    }

    fn files(path: &Path) -> Files {
        let mut files = Files::new();
        files.set(ConfigKind::Config, [path.to_owned()]);
        files
    }

    /// The directory of a ConfigMap: the file is a link through `..data`, which is a link to the directory of a version.
    fn publish(root: &Path, version: &str) {
        fs::create_dir(root.join(version)).expect("created");
        fs::write(root.join(version).join("config.yaml"), "port: 1").expect("written");
        symlink(version, root.join("..data_tmp")).expect("linked");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamed");
    }

    #[tokio::test]
    async fn swapped_renamed_and_written_files_are_reported_once() {
        let root = tempfile::tempdir().expect("a folder");
        publish(root.path(), "..1");
        let path = root.path().join("config.yaml");
        symlink("..data/config.yaml", &path).expect("linked");
        let mut files = files(&path);
        assert!(!reports(&mut files).await);
        publish(root.path(), "..2");
        assert!(reports(&mut files).await, "with the same content and size");
        assert!(!reports(&mut files).await);
        fs::write(root.path().join("new"), "port: 2").expect("written");
        fs::rename(root.path().join("new"), &path).expect("renamed");
        assert!(reports(&mut files).await);
        fs::write(&path, "port: 3").expect("written");
        assert!(reports(&mut files).await);
        fs::remove_file(&path).expect("removed");
        assert!(reports(&mut files).await);
        fs::write(&path, "port: 3").expect("written");
        assert!(reports(&mut files).await);
    }

    #[tokio::test]
    async fn a_file_is_reported_only_after_writing_ends() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("config.yaml");
        fs::write(&path, "").expect("written");
        let mut files = files(&path);
        for size in 1..6 {
            fs::write(&path, "x".repeat(size)).expect("written");
            assert!(files.poll().await.is_empty(), "it has just changed");
        }
        assert_eq!(files.poll().await, [ConfigKind::Config]);
    }

    #[tokio::test]
    async fn removed_files_are_not_reported() {
        let root = tempfile::tempdir().expect("a folder");
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        let mut files = files(&old);
        files.set(ConfigKind::Config, [new.clone()]);
        fs::write(&old, "x").expect("written");
        assert!(!reports(&mut files).await);
        fs::write(&new, "x").expect("written");
        assert!(reports(&mut files).await);
    }
}
