//! What a body says that it is.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::review::Quoted;
use crate::status::Rejection;

/// Takes `application/json` in any case and with any parameters (RFC 9110, section 8.3.1).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let first = all.next();
    let text = first.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let is_json = |text: &str| {
        let essence = text.split(';').next().unwrap_or_default();
        essence
            .trim_ascii()
            .eq_ignore_ascii_case("application/json")
    };
    // Two of them are two opinions.
    if all.next().is_none() && text.as_deref().is_some_and(is_json) {
        return Ok(());
    }
    let found = Quoted::new(text.as_deref());
    Err(Rejection::MediaType { found })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn checked(values: &[&'static str]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for &value in values {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        check(&headers).map_err(|rejection| rejection.to_string())
    }

    #[rstest]
    #[case("application/json")]
    #[case("Application/JSON")]
    #[case("application/json; charset=utf-8")]
    #[case("application/json ;charset=utf-8")]
    fn json(#[case] value: &'static str) {
        assert_eq!(checked(&[value]), Ok(()));
    }

    #[rstest]
    #[case::missing(&[], "missing")]
    #[case::empty(&[""], "``")]
    #[case::curls(&["application/x-www-form-urlencoded"], "`application/x-www-form-urlencoded`")]
    #[case::yaml(&["application/yaml"], "`application/yaml`")]
    #[case::longer(&["application/jsonp"], "`application/jsonp`")]
    #[case::suffix(&["application/x+json"], "`application/x+json`")]
    #[case::list(&["application/json, text/plain"], "`application/json, text/plain`")]
    #[case::two(&["application/json", "text/plain"], "`application/json`")]
    fn something_else(#[case] values: &[&'static str], #[case] found: &str) {
        let expected = format!("content type is {found}, send `Content-Type: application/json`");
        assert_eq!(checked(values), Err(expected));
    }
}
