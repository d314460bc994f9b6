//! `fieldSelector`, `labelSelector` and `shardSelector`: the objects that a request selects.

use serde_json::Value;

use super::error::ApiError;
use super::shards::Shards;

/// The objects that a list or watch selects: a namespace or all, and the selectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub namespace: Option<String>,
    requirements: Vec<Requirement>,
    /// The selected part of the hash space; `None` selects all.
    pub shards: Option<Shards>,
}

#[derive(Clone, Debug)]
struct Requirement {
    of: Of,
    test: Test,
}

#[derive(Clone, Debug)]
enum Of {
    /// A JSON pointer; a missing field counts as empty.
    Field(&'static str),
    Label(String),
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    IsNot(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    ExistsNot,
}

/// The supported selector fields. A real server has more for some kinds.
const FIELDS: [(&str, &str); 3] = [
    ("metadata.name", "/metadata/name"),
    ("metadata.namespace", "/metadata/namespace"),
    ("spec.nodeName", "/spec/nodeName"),
];

impl Scope {
    pub fn new(namespace: Option<String>, fields: &str, labels: &str, plural: &str) -> Result<Self, ApiError> {
        let mut requirements = Vec::new();
        for term in terms(fields) {
            let (key, test) = parse(term);
            if !matches!(test, Test::Is(_) | Test::IsNot(_)) {
                return Err(ApiError::bad_request(format!("invalid selector: '{term}'; can't understand '{key}'")));
            }
            let field = FIELDS.iter().find(|(name, _)| *name == key && (*name != "spec.nodeName" || plural == "pods"));
            let (_, pointer) =
                field.ok_or_else(|| ApiError::bad_request(format!("field label not supported: {key}")))?;
            requirements.push(Requirement { of: Of::Field(pointer), test });
        }
        for term in terms(labels) {
            let (key, test) = set(term).unwrap_or_else(|| parse(term));
            if key.contains(['(', ')', ' ']) {
                return Err(ApiError::bad_request(format!("unable to parse requirement: '{term}'")));
            }
            requirements.push(Requirement { of: Of::Label(key.to_owned()), test });
        }
        Ok(Self { namespace, requirements, shards: None })
    }

    /// Whether objects of the namespace may be left out, so the number of remaining items is unknown.
    pub const fn selects(&self) -> bool {
        !self.requirements.is_empty() || self.shards.is_some()
    }

    pub fn contains(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        if self.namespace.as_deref().is_some_and(|wanted| text("/metadata/namespace") != Some(wanted)) {
            return false;
        }
        let uid = text("/metadata/uid").unwrap_or_default();
        if self.shards.as_ref().is_some_and(|shards| !shards.contains(uid)) {
            return false;
        }
        self.requirements.iter().all(|requirement| {
            let value = match &requirement.of {
                Of::Field(pointer) => Some(text(pointer).unwrap_or_default()),
                Of::Label(key) => object["metadata"]["labels"].get(key).and_then(Value::as_str),
            };
            match &requirement.test {
                Test::Is(wanted) => value == Some(wanted),
                Test::IsNot(wanted) => value != Some(wanted),
                Test::In(wanted) => value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value)),
                Test::NotIn(wanted) => value.is_none_or(|value| wanted.iter().all(|wanted| wanted != value)),
                Test::Exists => value.is_some(),
                Test::ExistsNot => value.is_none(),
            }
        })
    }
}

/// The terms of a selector. Commas in parentheses separate values.
fn terms(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let split = selector.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    split.map(str::trim).filter(|term| !term.is_empty())
}

/// A term with a set: `app in (a,b)`.
fn set(term: &str) -> Option<(&str, Test)> {
    let (before, values) = term.strip_suffix(')')?.split_once('(')?;
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    match before.split_whitespace().collect::<Vec<_>>()[..] {
        [key, "in"] => Some((key, Test::In(values))),
        [key, "notin"] => Some((key, Test::NotIn(values))),
        _ => None,
    }
}

fn parse(term: &str) -> (&str, Test) {
    if let Some((key, value)) = term.split_once("!=") {
        (key, Test::IsNot(value.to_owned()))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Test::Is(value.to_owned()))
    } else if let Some(key) = term.strip_prefix('!') {
        (key, Test::ExistsNot)
    } else {
        (term, Test::Exists)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(fields: &str, labels: &str) -> bool {
        let pod = json!({
            "metadata": { "name": "web-1", "namespace": "shop", "labels": { "app": "web", "tier": "" } },
            "spec": { "nodeName": "node-1" },
        });
        Scope::new(None, fields, labels, "pods").expect("valid selectors").contains(&pod)
    }

    #[test]
    fn fields_are_equal_or_not() {
        assert!(matches("", ""));
        assert!(matches("metadata.name=web-1,spec.nodeName==node-1", ""));
        assert!(matches("metadata.namespace!=kube-system", ""));
        assert!(!matches("spec.nodeName=", ""));
        assert!(!matches("metadata.namespace!=shop", ""));
    }

    #[test]
    fn labels_are_equal_or_there() {
        assert!(matches("", "app=web,tier,!canary,canary!=yes"));
        assert!(!matches("", "app=db"));
        assert!(!matches("", "!app"));
        assert!(!matches("", "canary"));
    }

    #[test]
    fn labels_are_in_sets() {
        assert!(matches("", "app in (db, web),tier in (),canary notin (yes,no)"));
        assert!(!matches("", "app in (db,cache)"));
        assert!(!matches("", "app notin (db,web)"));
    }

    #[test]
    fn unsupported_selectors_are_rejected() {
        for (fields, labels, plural) in
            [("spec.replicas=1", "", "pods"), ("spec.nodeName=a", "", "services"), ("metadata.name", "", "pods")]
        {
            let error = Scope::new(None, fields, labels, plural).expect_err(fields);
            assert_eq!(error.code, 400);
        }
        assert!(Scope::new(None, "", "app within (a,b)", "pods").is_err());
    }
}
