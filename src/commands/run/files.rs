//! Notices when a file changes, by looking at it once a second.
//!
//! Looking, and not inotify: a ConfigMap is swapped by a symbolic link two folders up, editors rename, a mount may be a network
//! file system that tells of nothing, and a node has few inotify instances, which others may have used up. A look is one
//! `stat`, which follows all links.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::telemetry::ConfigKind;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// What tells one content from another without reading it; `None` of a file that is not there.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// Files that are looked at.
pub(super) struct Files {
    files: Vec<Watched>,
    next: Instant,
}

struct Watched {
    kind: ConfigKind,
    path: PathBuf,
    /// As it was when it was told of.
    known: Stamp,
    /// As it was at the last look.
    seen: Stamp,
}

impl Files {
    /// None yet.
    pub fn new() -> Self {
        Self { files: Vec::new(), next: Instant::now() + PERIOD }
    }

    /// From now on these are looked at for `kind`, and no others. To be called before they are read, so that no change falls
    /// between. What is known of those that were looked at before stays known.
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

    /// Waits until files have changed and then stayed as they are for a look: one that is being written is not read half.
    /// Can be dropped while it waits.
    pub async fn changed(&mut self) -> Vec<ConfigKind> {
        loop {
            sleep_until(self.next).await;
            let changed = self.look().await;
            self.next = Instant::now() + PERIOD;
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// What is as it was at the last look, and not as it was when it was told of.
    async fn look(&mut self) -> Vec<ConfigKind> {
        let mut now = Vec::new();
        for file in &self.files {
            now.push(stamp(tokio::fs::metadata(&file.path).await.ok()));
        }
        // NB: nothing is noted before all is looked at, so that what is dropped meanwhile loses nothing.
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

    /// Whether a change is told of at the second look, as it must not be at the first.
    async fn tells(files: &mut Files) -> bool {
        assert!(files.look().await.is_empty(), "it has just changed");
        !files.look().await.is_empty()
    }

    fn files(path: &Path) -> Files {
        let mut files = Files::new();
        files.set(ConfigKind::Config, [path.to_owned()]);
        files
    }

    /// A ConfigMap's folder: the file is a link through `..data`, which is a link to the folder of a version.
    fn publish(root: &Path, version: &str) {
        fs::create_dir(root.join(version)).expect("created");
        fs::write(root.join(version).join("config.yaml"), "port: 1").expect("written");
        symlink(version, root.join("..data_tmp")).expect("linked");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamed");
    }

    #[tokio::test]
    async fn a_swapped_config_map_a_renamed_file_and_a_written_one_are_noticed_once() {
        let root = tempfile::tempdir().expect("a folder");
        publish(root.path(), "..1");
        let path = root.path().join("config.yaml");
        symlink("..data/config.yaml", &path).expect("linked");
        let mut files = files(&path);
        assert!(!tells(&mut files).await);
        publish(root.path(), "..2");
        assert!(tells(&mut files).await, "with the same content and size");
        assert!(!tells(&mut files).await);
        fs::write(root.path().join("new"), "port: 2").expect("written");
        fs::rename(root.path().join("new"), &path).expect("renamed");
        assert!(tells(&mut files).await);
        fs::write(&path, "port: 3").expect("written");
        assert!(tells(&mut files).await);
        fs::remove_file(&path).expect("removed");
        assert!(tells(&mut files).await);
        fs::write(&path, "port: 3").expect("written");
        assert!(tells(&mut files).await);
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("config.yaml");
        fs::write(&path, "").expect("written");
        let mut files = files(&path);
        for size in 1..6 {
            fs::write(&path, "x".repeat(size)).expect("written");
            assert!(files.look().await.is_empty(), "it has just changed");
        }
        assert_eq!(files.look().await, [ConfigKind::Config]);
    }

    #[tokio::test]
    async fn what_is_no_longer_asked_for_is_not_told_of() {
        let root = tempfile::tempdir().expect("a folder");
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        let mut files = files(&old);
        files.set(ConfigKind::Config, [new.clone()]);
        fs::write(&old, "x").expect("written");
        assert!(!tells(&mut files).await);
        fs::write(&new, "x").expect("written");
        assert!(tells(&mut files).await);
    }
}
