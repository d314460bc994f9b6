//! Converts the OpenMetrics text of prometheus-client to text format 0.0.4.
//!
//! The formats differ in the names in HELP and TYPE (OpenMetrics leaves out `_total` and `_info`), in types, units and bucket
//! bounds, and in the last line.

/// Returns the same metrics in text format 0.0.4.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // HELP precedes TYPE, but the name in HELP depends on the type.
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest.split_once(' ').unwrap_or((rest, "")));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take() {
                out.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            }
            out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            push_sample(&mut out, line);
        }
    }
    out
}

/// OpenMetrics writes `le="1.0"`; text format 0.0.4 writes `le="1"`, as Go does.
fn push_sample(out: &mut String, line: &str) {
    const BOUND: &str = "le=\"";
    if let Some(at) = line.find(BOUND).map(|at| at + BOUND.len())
        && let Some((bound, rest)) = line[at..].split_once('"')
    {
        out.extend([&line[..at], bound.strip_suffix(".0").unwrap_or(bound), "\"", rest, "\n"]);
    } else {
        out.extend([line, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::from_open_metrics;

    #[test]
    fn each_type_gets_the_name_and_form_of_text() {
        let open = "# HELP lists Lists.\n# TYPE lists counter\nlists_total{result=\"success\"} 1\n\
                    # HELP build Build.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                    # HELP size_bytes Size.\n# TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes 2.5\n\
                    # HELP odd Odd.\n# TYPE odd unknown\nodd 1\n\
                    # HELP took_seconds Took.\n# TYPE took_seconds histogram\ntook_seconds_sum 0.5\ntook_seconds_count 1\n\
                    took_seconds_bucket{le=\"0.25\"} 0\ntook_seconds_bucket{le=\"1.0\",a=\"b\"} 1\n\
                    took_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let text = "# HELP lists_total Lists.\n# TYPE lists_total counter\nlists_total{result=\"success\"} 1\n\
                    # HELP build_info Build.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
                    # HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 2.5\n\
                    # HELP odd Odd.\n# TYPE odd untyped\nodd 1\n\
                    # HELP took_seconds Took.\n# TYPE took_seconds histogram\ntook_seconds_sum 0.5\ntook_seconds_count 1\n\
                    took_seconds_bucket{le=\"0.25\"} 0\ntook_seconds_bucket{le=\"1\",a=\"b\"} 1\n\
                    took_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(from_open_metrics(open), text);
    }
}
