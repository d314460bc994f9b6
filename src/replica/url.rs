//! Shows URLs without the credentials in them.

use http::Uri;

/// Returns the URL without its user name and password.
pub(super) fn without_password(url: &Uri) -> String {
    let text = url.to_string();
    let Some((credentials, _)) = url.authority().and_then(|authority| authority.as_str().rsplit_once('@')) else {
        return text;
    };
    text.replacen(&format!("{credentials}@"), "", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_left_out() {
        for (url, shown) in [
            ("https://ann:secret@10.0.0.1:6443/a", "https://10.0.0.1:6443/a"),
            ("https://ann@host/", "https://host/"),
            ("https://host/a@b", "https://host/a@b"),
        ] {
            assert_eq!(without_password(&url.parse().expect("a URL")), shown);
        }
    }
}
