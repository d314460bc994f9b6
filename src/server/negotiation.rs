//! Content negotiation: text 0.0.4 or OpenMetrics by `Accept`, gzip by `Accept-Encoding`.
//!
//! No request is refused: a client that accepts neither format gets plain text 0.0.4, as from other exporters.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use mediatype::{MediaType, MediaTypeList};

use crate::exposition::Format;

/// Returns the format that the client prefers, and its content type. Among equal weights the first wins.
pub(super) fn format(headers: &HeaderMap) -> (Format, &'static str) {
    let mut best = (0.0, Format::Text, Format::Text.content_type());
    for value in values(headers, ACCEPT) {
        for accepted in MediaTypeList::new(value).flatten() {
            let weight = parameter(&accepted, "q").map_or(1.0, |q| weight(&q));
            if let Some((format, content_type)) = offer(&accepted)
                && weight > best.0
            {
                best = (weight, format, content_type);
            }
        }
    }
    (best.1, best.2)
}

/// Returns the format for a media range.
fn offer(accepted: &MediaType<'_>) -> Option<(Format, &'static str)> {
    let version = parameter(accepted, "version");
    let kind = (accepted.ty.as_str().to_ascii_lowercase(), accepted.subty.as_str().to_ascii_lowercase());
    match (kind.0.as_str(), kind.1.as_str(), version.as_deref()) {
        ("application", "openmetrics-text", None | Some("1.0.0")) => {
            Some((Format::OpenMetrics, Format::OpenMetrics.content_type()))
        }
        // The draft that older versions of Prometheus request. It does not differ for the metrics here.
        ("application", "openmetrics-text", Some("0.0.1")) => {
            Some((Format::OpenMetrics, "application/openmetrics-text; version=0.0.1; charset=utf-8"))
        }
        ("text", "plain", None | Some("0.0.4")) | ("text" | "*", "*", _) => {
            Some((Format::Text, Format::Text.content_type()))
        }
        _ => None,
    }
}

/// Whether the client accepts gzip, and does not prefer an uncompressed answer.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut rest) = (None, None, None);
    for coding in values(headers, ACCEPT_ENCODING).flat_map(|value| value.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = match parameters.trim().split_once('=') {
            Some((q, value)) if q.trim().eq_ignore_ascii_case("q") => weight(value),
            _ => 1.0,
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => rest = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(rest).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// Returns all values of a header that may be repeated.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn parameter(media: &MediaType<'_>, wanted: &str) -> Option<String> {
    let (_, value) = media.params.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(wanted))?;
    Some(value.unquoted_str().into_owned())
}

/// Parses a weight between 0 and 1. An invalid one counts as 0, so that the client does not get a format it may not accept.
fn weight(text: &str) -> f32 {
    text.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (name.clone(), HeaderValue::from_str(v).expect("a header value"))).collect()
    }

    #[test]
    fn the_format_with_the_highest_weight_wins() {
        let open = (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let draft = (Format::OpenMetrics, "application/openmetrics-text; version=0.0.1; charset=utf-8");
        let text = (Format::Text, "text/plain; version=0.0.4; charset=utf-8");
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let with_protobuf = format!(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,{prometheus_3}"
        );
        for (accept, expected) in [
            (prometheus_3, open),
            (with_protobuf.as_str(), open),
            ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", draft),
            ("application/openmetrics-text", open),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", open),
            ("application/openmetrics-text;version=2.0.0", text),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.3", text),
            ("application/openmetrics-text;q=0", text),
            ("application/openmetrics-text;q=x", text),
            ("text/plain, application/openmetrics-text", text),
            ("application/openmetrics-text;q=0.5, */*", text),
            ("application/vnd.google.protobuf", text),
            ("*/*", text),
            ("text/html, application/xhtml+xml, */*;q=0.8", text),
            ("", text),
            (",;=,\"", text),
        ] {
            assert_eq!(format(&headers(ACCEPT, &[accept])), expected, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), text);
        assert_eq!(format(&headers(ACCEPT, &["text/plain;q=0.5", "application/openmetrics-text"])), open);
    }

    #[test]
    fn gzip_is_used_if_it_is_accepted_and_not_less_preferred() {
        for (accept, expected) in [
            ("gzip", true),
            ("GZip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip ; q = 0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("identity;q=0.5, *", true),
            ("identity;q=0, gzip;q=0.1", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=0, *", false),
            ("gzip;q=high", false),
            ("*;q=0", false),
            ("identity", false),
            ("identity, gzip;q=0.5", false),
            ("deflate, br", false),
            ("gzippy", false),
            ("", false),
        ] {
            assert_eq!(gzip(&headers(ACCEPT_ENCODING, &[accept])), expected, "{accept}");
        }
        assert!(!gzip(&HeaderMap::new()));
        assert!(gzip(&headers(ACCEPT_ENCODING, &["br", "gzip"])));
    }

    proptest! {
        #[test]
        fn any_header_is_handled(value in "[ -~]{0,80}") {
            format(&headers(ACCEPT, &[&value]));
            gzip(&headers(ACCEPT_ENCODING, &[&value]));
        }
    }
}
