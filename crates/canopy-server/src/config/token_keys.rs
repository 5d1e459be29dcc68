//! Keys that tokens may be signed with, besides the installation's own.

use super::layers::Raw;
use super::value::Secret;
use canopy_domain::port::PrincipalKind;
use std::path::PathBuf;

/// The fewest bytes of an HS256 secret.
pub const MIN_SECRET_BYTES: usize = 32;

/// A source of keys, and whom it may vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeySource {
    /// The keys.
    pub material: KeyMaterial,
    /// The principals it vouches for.
    pub principals: Vec<PrincipalKind>,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A public key.
    PemFile(PathBuf),
    /// A set of public keys.
    JwksFile(PathBuf),
    /// A file with a shared secret.
    SecretFile(PathBuf),
    /// A shared secret.
    Secret(Secret),
}

impl TokenKeySource {
    /// Reads the list of key sources.
    ///
    /// # Errors
    /// What is wrong with it; never a secret.
    pub fn parse_all(raw: &Raw) -> Result<Vec<Self>, String> {
        match raw {
            Raw::Text(text) => Self::parse_all(&match Raw::parse(text)? {
                Raw::Text(_) => Raw::Other("text"),
                value => value,
            }),
            Raw::List(entries) => entries
                .iter()
                .enumerate()
                .map(|(index, entry)| Self::parse(entry).map_err(|wrong| format!("entry {index}: {wrong}")))
                .collect(),
            _ => Err("must be a list, such as [{ pem_file = \"key.pem\", principals = [\"identity\"] }]".to_owned()),
        }
    }

    fn parse(entry: &Raw) -> Result<Self, String> {
        let Raw::Table(fields) = entry else {
            return Err("must be a table, such as { pem_file = \"key.pem\" }".to_owned());
        };
        let mut material = vec![];
        let mut principals = vec![PrincipalKind::Identity];
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("principals", value) => principals = parse_principals(value)?,
                ("pem_file", Raw::Text(path)) => material.push(KeyMaterial::PemFile(path.into())),
                ("jwks_file", Raw::Text(path)) => material.push(KeyMaterial::JwksFile(path.into())),
                ("hs256_secret_file", Raw::Text(path)) => material.push(KeyMaterial::SecretFile(path.into())),
                ("hs256_secret", Raw::Text(secret)) if secret.len() < MIN_SECRET_BYTES => {
                    return Err(format!("`hs256_secret` must have at least {MIN_SECRET_BYTES} bytes"));
                }
                ("hs256_secret", Raw::Text(secret)) => material.push(KeyMaterial::Secret(Secret::new(secret.clone()))),
                ("pem_file" | "jwks_file" | "hs256_secret_file" | "hs256_secret", _) => {
                    return Err(format!("`{name}` must be a text"));
                }
                _ => return Err(format!("there is no field `{name}`")),
            }
        }
        match (material.pop(), material.is_empty()) {
            (Some(material), true) => Ok(Self { material, principals }),
            _ => Err("must have exactly one of pem_file, jwks_file, hs256_secret_file and hs256_secret".to_owned()),
        }
    }

    /// The entry as the file would have it, its secret masked.
    pub fn to_toml(&self) -> String {
        let principals: Vec<String> = self.principals.iter().map(|kind| format!("\"{kind}\"")).collect();
        let (name, value) = match &self.material {
            KeyMaterial::PemFile(path) => ("pem_file", path.display().to_string()),
            KeyMaterial::JwksFile(path) => ("jwks_file", path.display().to_string()),
            KeyMaterial::SecretFile(path) => ("hs256_secret_file", path.display().to_string()),
            KeyMaterial::Secret(secret) => ("hs256_secret", format!("{secret:?}")),
        };
        let value = toml::Value::String(value);
        format!("{{ {name} = {value}, principals = [{}] }}", principals.join(", "))
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
