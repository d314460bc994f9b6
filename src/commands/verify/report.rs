//! Prints findings as text.

use std::io::{self, Write};

use jiff::Timestamp;

use super::compare::Finding;

/// Maximum number of objects that are named per resource and problem.
const MAX_NAMES: usize = 20;

/// Prints the full report: the replicas, a table, and the names of wrong objects.
pub(super) fn whole(out: &mut dyn Write, replicas: &[String], findings: &[Finding]) -> io::Result<()> {
    writeln!(out, "{}: {}\n", counted(replicas.len(), "replica"), replicas.join(", "))?;
    table(out, findings)?;
    for finding in findings.iter().filter(|f| f.has_differences()) {
        writeln!(out)?;
        names(out, replicas, finding)?;
    }
    writeln!(out, "\n{}", verdict(findings))
}

/// Prints one line for a round, and the details if there are differences.
pub(super) fn line(out: &mut dyn Write, replicas: &[String], findings: &[Finding]) -> io::Result<()> {
    writeln!(out, "{} {}: {}", now(), counted(replicas.len(), "replica"), verdict(findings))?;
    let trouble: Vec<_> = findings.iter().filter(|f| f.has_differences()).cloned().collect();
    if !trouble.is_empty() {
        table(out, &trouble)?;
        for finding in &trouble {
            names(out, replicas, finding)?;
        }
    }
    out.flush()
}

/// Prints one line for a round that failed.
pub(super) fn no_answer(out: &mut dyn Write, why: &str) -> io::Result<()> {
    writeln!(out, "{} not verified: {why}", now())?;
    out.flush()
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn table(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    let width = findings.iter().map(|f| f.resource.len()).max().unwrap_or_default().max("resource".len());
    writeln!(
        out,
        "{:width$}  {:>8}  {:>8}  {:>8}  {:>8}  by replica",
        "resource", "objects", "served", "missing", "doubled"
    )?;
    for finding in findings {
        let Finding { resource, objects, served, by_replica, missing, doubled } = finding;
        let by_replica: Vec<_> = by_replica.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{resource:width$}  {objects:>8}  {served:>8}  {:>8}  {:>8}  {}",
            missing.len(),
            doubled.len(),
            by_replica.join(" + ")
        )?;
    }
    Ok(())
}

fn names(out: &mut dyn Write, replicas: &[String], finding: &Finding) -> io::Result<()> {
    let Finding { resource, missing, doubled, .. } = finding;
    if !missing.is_empty() {
        writeln!(out, "{resource} served by no replica:")?;
        let mut names: Vec<_> = missing.values().cloned().collect();
        names.sort();
        first(out, &names)?;
    }
    if !doubled.is_empty() {
        writeln!(out, "{resource} served more than once:")?;
        let mut names: Vec<_> = doubled
            .values()
            .map(|(name, by)| {
                let by: Vec<_> = by.iter().map(|i| replicas.get(*i).map_or("?", String::as_str)).collect();
                format!("{name} by {}", by.join(", "))
            })
            .collect();
        names.sort();
        first(out, &names)?;
    }
    Ok(())
}

fn first(out: &mut dyn Write, names: &[String]) -> io::Result<()> {
    for name in names.iter().take(MAX_NAMES) {
        writeln!(out, "  {name}")?;
    }
    match names.len().checked_sub(MAX_NAMES) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "  and {more} more"),
    }
}

fn verdict(findings: &[Finding]) -> String {
    let sum = |count: fn(&Finding) -> usize| findings.iter().map(count).sum::<usize>();
    let (objects, missing, doubled) = (sum(|f| f.objects), sum(|f| f.missing.len()), sum(|f| f.doubled.len()));
    if missing + doubled == 0 {
        return format!(
            "each of {} of {} is served by exactly one replica",
            counted(objects, "object"),
            counted(findings.len(), "resource")
        );
    }
    format!("of {}, {missing} served by no replica and {doubled} by several", counted(objects, "object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_objects_are_named_up_to_a_limit() {
        let finding = Finding {
            resource: "pods".to_owned(),
            objects: 30,
            served: 5,
            by_replica: vec![3, 4],
            missing: (0..25).map(|i| (format!("uid-{i}"), format!("shop/web-{i:02}"))).collect(),
            doubled: [("uid".to_owned(), ("shop/db".to_owned(), vec![0, 1]))].into(),
        };
        let mut out = Vec::new();
        whole(&mut out, &["fleet-0".to_owned(), "fleet-1".to_owned()], &[finding]).expect("memory can be written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.starts_with("2 replicas: fleet-0, fleet-1\n"), "{text}");
        assert!(text.contains("pods            30         5        25         1  3 + 4\n"), "{text}");
        assert!(text.contains("  shop/web-19\n  and 5 more\n"), "{text}");
        assert!(text.contains("  shop/db by fleet-0, fleet-1\n"), "{text}");
        assert!(text.ends_with("of 30 objects, 25 served by no replica and 1 by several\n"), "{text}");
    }
}
