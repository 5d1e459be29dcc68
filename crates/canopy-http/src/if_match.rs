//! `If-Match`: the versions that a call is meant for (RFC 9110, 13.1.1).

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use crate::wire::Fault;
use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;
use canopy_domain::{Expected, ExpectedVersions, Version};

/// Returns the versions of `If-Match`, for calls that require it.
pub(crate) fn required(request: &HttpRequest) -> Result<Expected, Problem> {
    let missing = || {
        Problem::new(
            ErrorCode::IfMatchRequired,
            "this call needs `If-Match` with the version it changes",
        )
    };
    expected(request)?.ok_or_else(missing)
}

/// Returns the versions of `If-Match`, if it is sent. A list over several lines is one list.
pub(crate) fn expected(request: &HttpRequest) -> Result<Option<Expected>, Problem> {
    let mut lines = request.headers().get_all(IF_MATCH).peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let fault = |code, message| Problem::field("If-Match", Fault::new(code, message));
    let invalid = || {
        fault(
            "invalid_version",
            "must be `*`, or versions such as \"3\" with commas between them",
        )
    };
    let mut tags = Vec::new();
    for line in lines {
        let line = line.to_str().map_err(|_| invalid())?.trim();
        if line == "*" {
            return Ok(Some(Expected::Any));
        }
        read_list(line, &mut tags).ok_or_else(invalid)?;
        if tags.len() > ExpectedVersions::MAX {
            return Err(fault("too_many_items", "must have at most 16 versions"));
        }
    }
    if tags.is_empty() {
        return Err(invalid());
    }
    let versions = ExpectedVersions::new(tags.into_iter().flatten());
    Ok(versions.map(Expected::OneOf))
}

/// Reads entity tags and unquoted versions, up to one more than the limit. A tag that is no version matches nothing.
/// Weak tags count like strong ones, because proxies weaken the tags of responses that they compress.
fn read_list(line: &str, tags: &mut Vec<Option<Version>>) -> Option<()> {
    let mut rest = line;
    while tags.len() <= ExpectedVersions::MAX {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(());
        }
        let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"');
        let (tag, behind) = match quoted {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find([' ', '\t', ',']).unwrap_or(rest.len())),
        };
        let is_number = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond all versions is well formed and stale, like the largest version.
        let version = is_number
            .then(|| tag.parse().unwrap_or(u32::MAX))
            .and_then(Version::new);
        if version.is_none() && quoted.is_none() {
            return None;
        }
        tags.push(version);
        rest = behind.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{Expected, Version, expected};
    use actix_web::http::header::IF_MATCH;
    use actix_web::test::TestRequest;

    fn accepted(lines: &[&str]) -> Option<Vec<u32>> {
        let mut request = TestRequest::default();
        for line in lines {
            request = request.append_header((IF_MATCH, *line));
        }
        let expected = expected(&request.to_http_request()).ok()?.unwrap();
        assert!(expected != Expected::Any || lines.contains(&"*"));
        let accepts = |number: &u32| expected.accepts(Version::new(*number).unwrap());
        Some((1..=6).filter(accepts).collect())
    }

    #[test]
    fn every_spelling_of_a_version_is_understood() {
        for (lines, versions) in [
            (&["3"] as &[&str], vec![3]),
            (&["\"3\""], vec![3]),
            (&["W/\"3\""], vec![3]),
            (&["*"], vec![1, 2, 3, 4, 5, 6]),
            (&["\"1\", W/\"3\" ,5"], vec![1, 3, 5]),
            (&["\"1\"", "\"2\""], vec![1, 2]),
            (&[", \"1\",,"], vec![1]),
            (&["\"a,b\", \"2\""], vec![2]),
            (&["\"xyzzy\""], vec![]),
            (&["99999999999"], vec![]),
        ] {
            assert_eq!(accepted(lines), Some(versions), "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_versions_is_refused() {
        let many = vec!["\"1\""; 17].join(",");
        for line in [
            "",
            ",",
            "zwei",
            "0",
            "-1",
            "\"1",
            "1\"",
            "\"1\" \"2\"",
            "w/\"1\"",
            "* , 1",
            &many,
        ] {
            assert_eq!(accepted(&[line]), None, "{line}");
        }
        assert!(accepted(&[&vec!["\"1\""; 16].join(",")]).is_some());
    }
}
