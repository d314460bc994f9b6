//! Reads a line of an exposition.

/// Name, labels (`name="value"`, as they stand) and value of a series.
pub fn split(line: &str) -> (&str, Vec<&str>, &str) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, mut rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels = Vec::new();
    while rest != "}" {
        let start = rest.find("=\"").expect("a label has a value") + 2;
        let mut end = start;
        while rest.as_bytes()[end] != b'"' {
            end += 1 + usize::from(rest.as_bytes()[end] == b'\\');
        }
        labels.push(&rest[..=end]);
        rest = rest[end + 1..].trim_start_matches(',');
    }
    (name, labels, value)
}
