//! `?namespace=` of a scrape: whose objects it shows (`--namespaced-scrapes`).
//!
//! The [`AuthLayer`](super::AuthLayer) reads the parameter once, checks the permission for it, and passes its value on with the request. The
//! route does not read it again, so both cannot disagree.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::settings::names;
use crate::shown;

/// Maximum number of namespaces of a scrape. The check of an unknown token asks the API server about each.
const MAX_NAMESPACES: usize = 64;

/// The parameter.
const NAMESPACE: &str = "namespace";

/// The namespaces of a scrape, sorted, as an extension of the request. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScrapedNamespaces(pub Arc<[String]>);

impl ScrapedNamespaces {
    /// Returns the namespaces that a request names; `None` if it names none, or does not scrape. As with `resources`, the parameter
    /// may be repeated, and a value may be a comma-separated list.
    ///
    /// # Errors
    /// The parameter is no list of names of namespaces. Returns the text of the answer.
    pub fn of_request(path: &str, query: Option<&str>) -> Result<Option<Self>, String> {
        // The route of scrapes also takes a slash at the end.
        if !matches!(path, "/metrics" | "/metrics/") {
            return Ok(None);
        }
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut namespaces = BTreeSet::new();
        for (_, value) in pairs.filter(|(key, _)| key == NAMESPACE) {
            for name in value.split(',').map(str::trim) {
                let name = names::namespace(name)
                    .map_err(|error| format!("?namespace=: \"{}\" is {error}\n", shown::value(name)))?;
                namespaces.insert(name);
            }
            if namespaces.len() > MAX_NAMESPACES {
                return Err(format!(
                    "?namespace=: more than {MAX_NAMESPACES} namespaces; split them into several scrapes\n"
                ));
            }
        }
        Ok((!namespaces.is_empty()).then(|| Self(namespaces.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(query: &str) -> Result<Option<Vec<String>>, String> {
        ScrapedNamespaces::of_request("/metrics", Some(query)).map(|named| named.map(|named| named.0.to_vec()))
    }

    #[test]
    fn namespaces_may_be_repeated_and_lists() {
        for (query, expected) in [
            ("", &[] as &[&str]),
            ("resources=pods&namespaces=a", &[]),
            ("namespace=b&resources=pods&namespace=a", &["a", "b"]),
            ("namespace=b,a&namespace=b", &["a", "b"]),
            ("namespace=a%2C+b", &["a", "b"]),
            ("n%61mespace=a", &["a"]),
        ] {
            let expected = (!expected.is_empty()).then(|| expected.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(of(query), Ok(expected), "{query}");
        }
        assert_eq!(ScrapedNamespaces::of_request("/", Some("namespace=a")), Ok(None));
        assert_eq!(ScrapedNamespaces::of_request("/metrics", None), Ok(None));
        assert!(ScrapedNamespaces::of_request("/metrics/", Some("namespace=a")).expect("valid").is_some());
    }

    #[test]
    fn what_is_no_namespace_is_refused_with_a_reason() {
        for query in
            ["namespace", "namespace=", "namespace=a,", "namespace=A", "namespace=a.b", "namespace=*", "namespace=-a"]
        {
            let error = of(query).expect_err(query);
            assert!(error.contains("is not a namespace: 63 lower-case letters"), "{error}");
        }
        assert!(of(&format!("namespace={}", "a".repeat(64))).is_err());
        assert!(of(&format!("namespace={}", "a".repeat(63))).is_ok());
        assert!(
            of("namespace=a&namespace=%0a%1b").expect_err("no name").starts_with("?namespace=: \"\\u{1b}\" is not")
        );
        let many = |count: usize| (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>().join(",");
        assert!(of(&format!("namespace={}", many(64))).is_ok());
        assert!(of(&format!("namespace={}", many(65))).expect_err("too many").contains("more than 64"));
    }

    proptest! {
        #[test]
        fn any_query_gives_valid_names_or_a_short_reason(query in "(namespace=|[a-c,&=%+]|.){0,40}") {
            match of(&query) {
                Ok(named) => prop_assert!(named.unwrap_or_default().iter().all(|name| names::namespace(name).is_ok())),
                Err(error) => prop_assert!(error.len() < 400 && error.ends_with('\n')),
            }
        }
    }
}
