//! Label selectors as text.

use super::objects::{LabelSelector, LabelSelectorRequirement};

/// Returns a selector as `kubectl --selector` takes it, sorted by key: `app=web,tier in (a,b),!canary`. Empty without a selector.
///
/// Equals `LabelSelectorAsSelector(...).String()` of apimachinery. The API server does not validate the selectors of metrics, so an
/// unknown operator is printed as it is.
pub fn to_text(selector: Option<&LabelSelector<'_>>) -> String {
    let Some(LabelSelector { match_labels, match_expressions }) = selector else { return String::new() };
    let labels = match_labels.iter().flatten().map(|(key, value)| (key, format!("{key}={value}")));
    let expressions = match_expressions.iter().flatten().map(|wanted| (&*wanted.key, expression(wanted)));
    let mut parts: Vec<_> = labels.chain(expressions).collect();
    // The sort is stable, so that the order of expressions with the same key is kept.
    parts.sort_by_key(|(key, _)| *key);
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",")
}

fn expression(LabelSelectorRequirement { key, operator, values }: &LabelSelectorRequirement<'_>) -> String {
    let mut values: Vec<&str> = values.iter().flatten().map(|value| &**value).collect();
    values.sort_unstable();
    let values = values.join(",");
    match &**operator {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "Exists" => key.to_string(),
        "DoesNotExist" => format!("!{key}"),
        other => format!("{key} {other} ({values})"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::super::HorizontalPodAutoscalers;
    use super::*;
    use crate::intake::{Form, Unreadable, decode_object};

    /// The expected texts are those of apimachinery, except for the last one, which it rejects.
    #[test]
    fn a_selector_is_printed_as_apimachinery_does() {
        for (selector, expected) in [
            (json!({}), ""),
            (json!({"matchLabels": {"queue": "b", "app.kubernetes.io/name": "a"}}), "app.kubernetes.io/name=a,queue=b"),
            (json!({"matchLabels": {"queue": ""}}), "queue="),
            (
                json!({"matchLabels": {"m": "1"}, "matchExpressions": [
                    {"key": "z", "operator": "DoesNotExist"},
                    {"key": "n", "operator": "In", "values": ["y", "x"]},
                    {"key": "a", "operator": "NotIn", "values": ["x"]},
                    {"key": "b", "operator": "Exists"},
                ]}),
                "a notin (x),b,m=1,n in (x,y),!z",
            ),
            (json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}), "a Gt (1)"),
        ] {
            let metric = json!({"pods": {"metric": {"selector": selector}}});
            let object = json!({"spec": {"metrics": [metric]}});
            let object = decode_object::<HorizontalPodAutoscalers>(object, Form::Object, &Unreadable::default());
            let spec = object.expect("an autoscaler").spec.expect("a spec");
            let metrics = spec.metrics.expect("metrics");
            let parsed = metrics[0].pods.as_ref().expect("a source").metric.selector.as_ref();
            assert_eq!(to_text(parsed), expected, "{selector}");
        }
        assert_eq!(to_text(None), "");
    }
}
