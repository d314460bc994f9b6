//! The program as a kubectl plugin: installed as `kubectl-ksf`, kubectl runs it for `kubectl ksf`.
//!
//! A plugin runs on a workstation, so it reads kubectl's kubeconfig by default, and requires a command: `kubectl ksf` alone would
//! otherwise serve metrics.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// How users call the plugin.
pub(super) const NAME: &str = "kubectl ksf";

/// Returns whether the program was started under the plugin's name. krew keeps the dash in links.
pub(super) fn is_called(program: Option<&OsString>) -> bool {
    let stem = program.and_then(|program| Path::new(program).file_stem());
    stem.is_some_and(|stem| stem == "kubectl-ksf" || stem == "kubectl_ksf")
}

/// Returns the kubeconfig that kubectl reads: the first existing file of `KUBECONFIG`, else `~/.kube/config`. Unlike kubectl, does not
/// merge several files.
pub(super) fn kubeconfig(variable: Option<&OsStr>, home: Option<PathBuf>) -> Option<PathBuf> {
    let listed: Vec<PathBuf> = variable.map(std::env::split_paths).into_iter().flatten().collect();
    let listed: Vec<_> = listed.into_iter().filter(|path| !path.as_os_str().is_empty()).collect();
    // If none exists, the error names the first.
    let first = listed.iter().find(|path| path.exists()).or(listed.first()).cloned();
    first.or_else(|| home.map(|home| home.join(".kube/config")).filter(|path| path.exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfig_is_that_of_kubectl() {
        let home = tempfile::tempdir().unwrap();
        let (config, other) = (home.path().join(".kube/config"), home.path().join("other"));
        let at_home = || Some(home.path().to_owned());
        assert_eq!(kubeconfig(None, at_home()), None, "in a pod there is none");
        std::fs::create_dir(home.path().join(".kube")).unwrap();
        std::fs::write(&config, "").unwrap();
        assert_eq!(kubeconfig(None, at_home()), Some(config.clone()));
        assert_eq!(kubeconfig(Some(OsStr::new("")), at_home()), Some(config.clone()));
        assert_eq!(kubeconfig(Some(other.as_os_str()), at_home()), Some(other.clone()), "the error names it");
        let several = std::env::join_paths([&other, &config]).unwrap();
        assert_eq!(kubeconfig(Some(&several), None), Some(config));
    }

    #[test]
    fn the_name_of_the_program_decides() {
        for (program, is) in
            [("/root/.krew/bin/kubectl-ksf", true), ("kubectl_ksf", true), ("/kube-state-fleet", false), ("", false)]
        {
            assert_eq!(is_called(Some(&OsString::from(program))), is, "{program}");
        }
    }
}
