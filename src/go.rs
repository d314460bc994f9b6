//! Rules of Go's standard library that kube-state-metrics' flags, configs and labels follow.

use std::path::{Component, Path, PathBuf};

/// Parses a boolean as `strconv.ParseBool` does.
///
/// # Errors
/// `text` is none of its spellings.
pub fn parse_bool(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

/// Returns the shortest equivalent path, as `filepath.Clean` does. Symbolic links are not followed.
pub fn clean_path(path: &Path) -> String {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some_and(|name| name != "..") => drop(clean.pop()),
            Component::ParentDir if clean.is_absolute() => {}
            other => clean.push(other),
        }
    }
    clean.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_go_cleans_them() {
        for (path, expected) in
            [("./a//b", "a/b"), ("/a/../b/./c", "/b/c"), ("/../a", "/a"), ("../a", "../a"), ("a/../../b", "../b")]
        {
            assert_eq!(clean_path(Path::new(path)), expected, "{path}");
        }
    }
}
