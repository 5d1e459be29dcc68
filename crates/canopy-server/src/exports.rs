//! Lines for a shell: the variables of the commands to paste.

use crate::config::PublicUrl;

/// The URL that clients reach the server at: `$BASE`.
const BASE: &str = "BASE";
/// The token: `$TOKEN`.
const TOKEN: &str = "TOKEN";
/// The URL of an environment on the portal surface: `$ENV`.
const ENVIRONMENT: &str = "ENV";
/// The URL of an account on the portal surface: `$ACC`.
const ACCOUNT: &str = "ACC";

/// The slugs of a token.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenPaths<'a> {
    /// The account.
    pub account: Option<&'a str>,
    /// The application and the environment.
    pub environment: Option<(&'a str, &'a str)>,
}

/// Writes the `export` lines for a token and the URLs that it opens.
pub fn exports(base: &PublicUrl, token: &str, paths: TokenPaths<'_>) -> String {
    let mut text = line(BASE, base.as_str());
    if let Some(account) = paths.account {
        let account = format!("{}/portal/v1/accounts/{account}", base.as_str());
        text.push_str(&line(ACCOUNT, &account));
        if let Some((application, environment)) = paths.environment {
            let environment = format!("{account}/applications/{application}/environments/{environment}");
            text.push_str(&line(ENVIRONMENT, &environment));
        }
    }
    text.push_str(&line(TOKEN, token));
    text
}

fn line(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_lines_as_they_are_meant() {
        let base = PublicUrl::of_listener("127.0.0.1:8080".parse().unwrap());
        assert_eq!(
            exports(&base, "a.b'c", TokenPaths::default()),
            "export BASE='http://127.0.0.1:8080'\nexport TOKEN='a.b'\\''c'\n"
        );
        let paths = TokenPaths {
            account: Some("acme"),
            environment: Some(("notes", "production")),
        };
        assert_eq!(
            exports(&base, "t", paths),
            "export BASE='http://127.0.0.1:8080'\n\
             export ACC='http://127.0.0.1:8080/portal/v1/accounts/acme'\n\
             export ENV='http://127.0.0.1:8080/portal/v1/accounts/acme/applications/notes/environments/production'\n\
             export TOKEN='t'\n"
        );
    }
}
