//! Reads series from an exposition. Supports labels without escapes; Prometheus' own parser reads the others.

/// The lines of a family's series.
pub fn of<'a>(text: &'a str, family: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])))
}

/// The value of a label.
pub fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let labels = &line[line.find('{')? + 1..line.rfind('}')?];
    let mut rest = labels;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if key == name {
            return Some(value);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// The value of a series.
pub fn value(line: &str) -> Option<f64> {
    line.rsplit_once(' ')?.1.parse().ok()
}
