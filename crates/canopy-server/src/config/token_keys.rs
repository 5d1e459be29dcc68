//! Additional keys that tokens may be signed with.

use super::layers::Raw;
use super::value::{ClaimText, Secret};
use crate::adapter::DocumentUrl;
use canopy_domain::port::{AccountName, EnvironmentName, PrincipalKind, SubjectKind};
use canopy_domain::{AccountId, EnvironmentId, Slug};
use canopy_http::token::{AccountRule, ClaimMapping, ClaimPath, EnvironmentRule, PrincipalRule};
use std::collections::BTreeMap;
use std::path::PathBuf;
use uuid::Uuid;

/// Minimum number of bytes of an HS256 secret.
pub const MIN_SECRET_BYTES: usize = 32;

/// Maximum number of sources.
pub const MAX_SOURCES: usize = 100;

/// A source of keys, the principals it may vouch for, and the claims of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeySource {
    /// The keys.
    pub material: KeyMaterial,
    /// The principals it vouches for.
    pub principals: Vec<PrincipalKind>,
    /// The `iss` of its tokens, if it differs from the general one.
    pub issuer: Option<ClaimText>,
    /// The `aud` of its tokens, if it differs from the general one.
    pub audience: Option<ClaimText>,
    /// The mapping of claims.
    pub mapping: ClaimMapping,
}

/// The location of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A public key.
    PemFile(PathBuf),
    /// A set of public keys.
    JwksFile(PathBuf),
    /// A set of public keys, fetched by URL.
    JwksUrl(DocumentUrl),
    /// A file with a shared secret.
    SecretFile(PathBuf),
    /// A shared secret.
    Secret(Secret),
}

impl KeyMaterial {
    const FIELDS: [&str; 5] = ["pem_file", "jwks_file", "jwks_url", "hs256_secret_file", "hs256_secret"];

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        Ok(match name {
            "pem_file" => Self::PemFile(text.into()),
            "jwks_file" => Self::JwksFile(text.into()),
            "jwks_url" => Self::JwksUrl(DocumentUrl::parse(text).map_err(|wrong| format!("`jwks_url` {wrong}"))?),
            "hs256_secret_file" => Self::SecretFile(text.into()),
            _ if text.len() < MIN_SECRET_BYTES => {
                return Err(format!("`hs256_secret` must have at least {MIN_SECRET_BYTES} bytes"));
            }
            _ => Self::Secret(Secret::new(text.to_owned())),
        })
    }

    fn entry(&self) -> (&'static str, String) {
        match self {
            Self::PemFile(path) => ("pem_file", path.display().to_string()),
            Self::JwksFile(path) => ("jwks_file", path.display().to_string()),
            Self::JwksUrl(url) => ("jwks_url", url.as_str().to_owned()),
            Self::SecretFile(path) => ("hs256_secret_file", path.display().to_string()),
            Self::Secret(secret) => ("hs256_secret", format!("{secret:?}")),
        }
    }
}

/// The fields of an entry that were not read yet.
struct Fields<'r>(BTreeMap<&'r str, &'r Raw>);

impl<'r> Fields<'r> {
    fn text(&mut self, name: &str) -> Result<Option<&'r str>, String> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Raw::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` must be a text")),
        }
    }

    fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let text = self.text(name)?;
        let parsed = text.map(parse).transpose();
        parsed.map_err(|wrong| format!("`{name}` {wrong}"))
    }

    fn claim(&mut self, name: &str) -> Result<Option<ClaimPath>, String> {
        self.parsed(name, |text| ClaimPath::parse(text).map_err(str::to_owned))
    }

    /// Reads one of two words; `false` for the first one and for an absent field.
    fn is_second(&mut self, name: &str, words: [&str; 2]) -> Result<Option<bool>, String> {
        let [first, second] = words;
        self.parsed(name, |text| match text {
            text if text == first => Ok(false),
            text if text == second => Ok(true),
            _ => Err(format!("must be \"{first}\" or \"{second}\"")),
        })
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Raw::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(format!("`{name}` must be true or false")),
        }
    }

    fn end(self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("there is no field `{name}`")),
        }
    }
}

impl TokenKeySource {
    /// Parses the list of key sources.
    ///
    /// # Errors
    /// The rule that the list breaks; never a secret.
    pub fn parse_all(raw: &Raw) -> Result<Vec<Self>, String> {
        match raw {
            Raw::Text(text) => Self::parse_all(&match Raw::parse(text)? {
                Raw::Text(_) => Raw::Other("text"),
                value => value,
            }),
            Raw::List(entries) if entries.len() > MAX_SOURCES => {
                Err(format!("must have at most {MAX_SOURCES} entries"))
            }
            Raw::List(entries) => entries
                .iter()
                .enumerate()
                .map(|(index, entry)| Self::parse(entry).map_err(|wrong| format!("entry {index}: {wrong}")))
                .collect(),
            _ => Err("must be a list, such as [{ jwks_url = \"https://idp.example/jwks.json\" }]".to_owned()),
        }
    }

    fn parse(entry: &Raw) -> Result<Self, String> {
        let Raw::Table(fields) = entry else {
            return Err("must be a table, such as { pem_file = \"key.pem\" }".to_owned());
        };
        let mut fields = Fields(fields.iter().map(|(name, value)| (name.as_str(), value)).collect());
        let mut material = vec![];
        for name in KeyMaterial::FIELDS {
            if let Some(text) = fields.text(name)? {
                material.push(KeyMaterial::parse(name, text)?);
            }
        }
        let principals = match fields.0.remove("principals") {
            None => vec![PrincipalKind::Identity],
            Some(value) => parse_principals(value)?,
        };
        let issuer = fields.parsed("issuer", ClaimText::parse)?;
        let audience = fields.parsed("audience", ClaimText::parse)?;
        let mapping = parse_mapping(&mut fields)?;
        fields.end()?;
        let (Some(material), true) = (material.pop(), material.is_empty()) else {
            return Err(format!("must have exactly one of {}", KeyMaterial::FIELDS.join(", ")));
        };
        match &mapping.principal {
            PrincipalRule::Fixed(principal) if !principals.contains(principal) => {
                Err("`principal` must be one of `principals`".to_owned())
            }
            _ => Ok(Self {
                material,
                principals,
                issuer,
                audience,
                mapping,
            }),
        }
    }

    /// Returns the entry as in the file, with its secret masked.
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let principals: Vec<String> = self.principals.iter().map(|kind| format!("\"{kind}\"")).collect();
        let (name, value) = self.material.entry();
        let mut fields = vec![
            format!("{name} = {}", quoted(&value)),
            format!("principals = [{}]", principals.join(", ")),
        ];
        let texts = [("issuer", &self.issuer), ("audience", &self.audience)];
        for (name, text) in texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_ref()?)))
        {
            fields.push(format!("{name} = {}", quoted(text.as_str())));
        }
        let (mapping, default) = (&self.mapping, ClaimMapping::default());
        let mut field = |name: &str, value: &str| fields.push(format!("{name} = {}", quoted(value)));
        if mapping.subject != default.subject {
            field("subject", mapping.subject.as_str());
        }
        if mapping.subject_claim != subject_claim(mapping.subject) {
            field("subject_claim", mapping.subject_claim.as_str());
        }
        if mapping.principal != default.principal {
            match &mapping.principal {
                PrincipalRule::Fixed(principal) => field("principal", principal.as_str()),
                PrincipalRule::Claim(path) => field("principal_claim", path.as_str()),
            }
        }
        if mapping.account != default.account {
            match &mapping.account {
                AccountRule::Fixed(AccountName::Id(id)) => field("account", &id.to_string()),
                AccountRule::Fixed(AccountName::Slug(slug)) => field("account", slug),
                AccountRule::Id(path) => field("account_claim", path.as_str()),
                AccountRule::Slug(path) => {
                    field("account_claim", path.as_str());
                    field("account_by", "slug");
                }
            }
        }
        if mapping.environment != default.environment {
            match &mapping.environment {
                EnvironmentRule::Fixed(EnvironmentName::Id(id)) => field("environment", &id.to_string()),
                EnvironmentRule::Fixed(EnvironmentName::Path(path)) => field("environment", path),
                EnvironmentRule::Id(path) => field("environment_claim", path.as_str()),
                EnvironmentRule::Path(path) => {
                    field("environment_claim", path.as_str());
                    field("environment_by", "path");
                }
            }
        }
        if !mapping.requires_verified_email {
            fields.push("require_verified_email = false".to_owned());
        }
        format!("{{ {} }}", fields.join(", "))
    }
}

/// Returns the default claim for a subject of this kind.
fn subject_claim(kind: SubjectKind) -> ClaimPath {
    let default = ClaimMapping::default().subject_claim;
    match kind {
        SubjectKind::Id | SubjectKind::ExternalId => default,
        SubjectKind::Email => ClaimPath::parse("email").unwrap_or(default),
    }
}

fn parse_mapping(fields: &mut Fields<'_>) -> Result<ClaimMapping, String> {
    let default = ClaimMapping::default();
    let subject = fields.parsed("subject", |text| {
        SubjectKind::parse(text).ok_or_else(|| "must be \"id\", \"external_id\" or \"email\"".to_owned())
    })?;
    let subject = subject.unwrap_or(default.subject);
    let principal = fields.parsed("principal", |text| {
        PrincipalKind::parse(text).ok_or_else(|| "must be \"operator\", \"admin\" or \"identity\"".to_owned())
    })?;
    let principal = match (principal, fields.claim("principal_claim")?) {
        (None, None) => default.principal,
        (Some(principal), None) => PrincipalRule::Fixed(principal),
        (None, Some(path)) => PrincipalRule::Claim(path),
        (Some(_), Some(_)) => return Err("must not have both `principal` and `principal_claim`".to_owned()),
    };
    let account = fields.parsed("account", parse_account)?;
    let (path, by_slug) = (
        fields.claim("account_claim")?,
        fields.is_second("account_by", ["id", "slug"])?,
    );
    let account = match (account, path, by_slug) {
        (None, None, None) => default.account,
        (Some(account), None, None) => AccountRule::Fixed(account),
        (None, path, by_slug) => {
            let path = path.or_else(|| ClaimPath::parse("account").ok());
            let path = path.ok_or("`account_claim` must be a claim")?;
            if by_slug == Some(true) {
                AccountRule::Slug(path)
            } else {
                AccountRule::Id(path)
            }
        }
        (Some(_), _, _) => return Err("must not have both `account` and `account_claim` or `account_by`".to_owned()),
    };
    let environment = fields.parsed("environment", parse_environment)?;
    let (path, by_path) = (
        fields.claim("environment_claim")?,
        fields.is_second("environment_by", ["id", "path"])?,
    );
    let environment = match (environment, path, by_path) {
        (None, None, None) => default.environment,
        (Some(environment), None, None) => EnvironmentRule::Fixed(environment),
        (None, path, by_path) => {
            let path = path.or_else(|| ClaimPath::parse("environment").ok());
            let path = path.ok_or("`environment_claim` must be a claim")?;
            if by_path == Some(true) {
                EnvironmentRule::Path(path)
            } else {
                EnvironmentRule::Id(path)
            }
        }
        (Some(_), _, _) => {
            return Err("must not have both `environment` and `environment_claim` or `environment_by`".to_owned());
        }
    };
    let requires_verified_email = fields.flag("require_verified_email")?;
    let given_claim = fields.claim("subject_claim")?;
    Ok(ClaimMapping {
        subject,
        subject_claim: given_claim.unwrap_or_else(|| subject_claim(subject)),
        requires_verified_email: requires_verified_email.unwrap_or(default.requires_verified_email),
        principal,
        account,
        environment,
    })
}

/// Parses an id if the text is one, otherwise a slug.
fn parse_account(text: &str) -> Result<AccountName, String> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(AccountName::Id(AccountId::new(id)));
    }
    let slug = Slug::parse(text).map_err(|_| "must be the slug or the id of an account".to_owned())?;
    Ok(AccountName::Slug(slug.as_str().into()))
}

/// Parses an id, or the slugs of application and environment.
fn parse_environment(text: &str) -> Result<EnvironmentName, String> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(EnvironmentName::Id(EnvironmentId::new(id)));
    }
    let is_path = text
        .split_once('/')
        .is_some_and(|(application, environment)| Slug::parse(application).is_ok() && Slug::parse(environment).is_ok());
    if is_path {
        Ok(EnvironmentName::Path(text.into()))
    } else {
        Err("must be an id, or the slugs of application and environment as in notes/production".to_owned())
    }
}

fn parse_principals(value: &Raw) -> Result<Vec<PrincipalKind>, String> {
    let wrong = || "`principals` must be a list of \"operator\", \"admin\" and \"identity\"".to_owned();
    let Raw::List(words) = value else { return Err(wrong()) };
    if words.is_empty() {
        return Err(wrong());
    }
    words
        .iter()
        .map(|word| match word {
            Raw::Text(word) => PrincipalKind::parse(word).ok_or_else(wrong),
            _ => Err(wrong()),
        })
        .collect()
}
