//! The harness that rewrites arbitrary texts: as one expression, and as a file of rules.

use std::path::Path;

use super::promql::parse;
use super::rewrite::Rewriter;
use super::{RulesError, rewrite_file};

/// Rewrites `bytes` with several options.
///
/// # Panics
/// A rewritten text cannot be read, or would be rewritten again.
pub fn rewrite(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let labels = ["instance", "pod"].map(str::to_owned);
    for (honors_labels, resolution) in [(true, None), (false, Some("30s"))] {
        let rewriter = Rewriter { labels: &labels, honors_labels, resolution };
        expression(&rewriter, text);
        file(&rewriter, text);
    }
}

fn expression(rewriter: &Rewriter<'_>, text: &str) {
    let Ok(once) = rewriter.rewrite(text) else { return };
    let result = once.apply(text);
    if let Err(error) = parse(&result) {
        panic!("the result cannot be read: {error}: {result}");
    }
    let twice = rewriter.rewrite(&result).map(|twice| twice.apply(&result));
    assert_eq!(twice.as_deref(), Ok(&*result), "rewritten again");
}

fn file(rewriter: &Rewriter<'_>, text: &str) {
    let name = Path::new("rules.yaml");
    match rewrite_file(rewriter, name, text) {
        Ok(once) => match rewrite_file(rewriter, name, &once.text) {
            Ok(twice) => assert_eq!(twice.text, once.text, "rewritten again"),
            Err(error) => panic!("{error}"),
        },
        Err(error @ RulesError::Garbled { .. }) => panic!("{error}"),
        // Not a file of rules.
        Err(_) => {}
    }
}
