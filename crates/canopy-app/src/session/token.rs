//! From the claims of a verified token to a caller.
//!
//! A token names its account, environment and identity by ids or by names. A process caches names only where no other
//! process writes to the store, and clears them with every change that may move them; elsewhere each call looks them up. So a
//! token never speaks for an identity that has lost the name.

use super::Sessions;
use super::reader::Reader;
use crate::{AppError, Caller};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::identity::{Email, ExternalId};
use canopy_domain::port::{AccountName, EnvironmentName, PrincipalKind, Share, SubjectKind, TokenError, VerifiedToken};
use canopy_domain::{AccountId, EnvironmentId, EnvironmentRef, IdentityId};
use std::sync::Arc;
use uuid::Uuid;

impl Sessions {
    /// Turns a verified token into a caller: the account, environment and identity that it names must exist and belong
    /// together.
    ///
    /// # Errors
    /// [`TokenError::UnknownAccount`], [`TokenError::UnknownEnvironment`] or [`TokenError::UnknownIdentity`] where they do not;
    /// [`AppError::Store`].
    pub(super) async fn token_caller(
        &self,
        token: &VerifiedToken,
        reader: &mut Reader<'_>,
    ) -> Result<Caller, AppError> {
        if token.principal == PrincipalKind::Operator {
            return Ok(operator(token));
        }
        let name = token.account.as_ref().ok_or(TokenError::Claim)?;
        let account = self.token_account(name, reader).await?;
        let environment = match &token.environment {
            None => None,
            Some(name) => Some(self.token_environment(account, name, reader).await?),
        };
        match token.principal {
            PrincipalKind::Operator => Ok(operator(token)),
            PrincipalKind::Admin => {
                self.must_have_account(account, reader).await?;
                Ok(Caller::Admin {
                    account,
                    subject: Arc::clone(&token.subject),
                    environment,
                })
            }
            PrincipalKind::Identity => {
                let id = self.token_identity(account, environment, token, reader).await?;
                Ok(Caller::Identity {
                    account,
                    id,
                    environment,
                })
            }
        }
    }

    async fn token_account(&self, name: &AccountName, reader: &mut Reader<'_>) -> Result<AccountId, AppError> {
        let slug = match name {
            AccountName::Id(id) => return Ok(*id),
            AccountName::Slug(slug) => slug,
        };
        if let Some(id) = self.places.account_slugs.get::<str>(slug) {
            return Ok(id);
        }
        let found = self.read_account(slug, Share::Installation, reader).await?;
        Ok(found.ok_or(TokenError::UnknownAccount)?)
    }

    async fn must_have_account(&self, account: AccountId, reader: &mut Reader<'_>) -> Result<(), AppError> {
        let accounts = &self.places.accounts;
        if accounts.get(&account).is_none() {
            let generation = accounts.generation();
            let found = reader.tx(account).await?.account(account).await?;
            found.ok_or(TokenError::UnknownAccount)?;
            accounts.insert(generation, account, ());
        }
        Ok(())
    }

    async fn token_environment(
        &self,
        account: AccountId,
        name: &EnvironmentName,
        reader: &mut Reader<'_>,
    ) -> Result<EnvironmentRef, AppError> {
        let found = match name {
            EnvironmentName::Id(id) => self.environment_by_id(account, *id, reader).await?,
            EnvironmentName::Path(path) => self.environment_by_slugs(account, path, reader).await?,
        };
        let found = found.filter(|place| place.account == account);
        Ok(found.ok_or(TokenError::UnknownEnvironment)?)
    }

    async fn environment_by_id(
        &self,
        account: AccountId,
        id: EnvironmentId,
        reader: &mut Reader<'_>,
    ) -> Result<Option<EnvironmentRef>, AppError> {
        let environments = &self.places.environments;
        if let Some(place) = environments.get(&id) {
            return Ok(Some(place));
        }
        let generation = environments.generation();
        let found = reader.tx(account).await?.environment_place(id).await?;
        if let Some(place) = found {
            environments.insert(generation, id, place);
        }
        Ok(found)
    }

    async fn environment_by_slugs(
        &self,
        account: AccountId,
        path: &str,
        reader: &mut Reader<'_>,
    ) -> Result<Option<EnvironmentRef>, AppError> {
        let Some((application, environment)) = path.split_once('/') else {
            return Ok(None);
        };
        // Another process may give the slugs to another environment, and no fence confirms those of a token.
        if !self.is_shared()
            && let Some((_, found)) = self.places.path(account, application, environment)
        {
            return Ok(Some(found.place));
        }
        let found = self
            .read_environment(account, application, environment, account, reader)
            .await?;
        Ok(found.ok())
    }

    async fn token_identity(
        &self,
        account: AccountId,
        environment: Option<EnvironmentRef>,
        token: &VerifiedToken,
        reader: &mut Reader<'_>,
    ) -> Result<IdentityId, AppError> {
        let unknown = TokenError::UnknownIdentity;
        let id = if token.subject_kind == SubjectKind::Id {
            Uuid::try_parse(&token.subject)
                .ok()
                .map(IdentityId::new)
                .ok_or(unknown)?
        } else {
            let cached = self.names.subject(account, token.subject_kind, &token.subject);
            match cached.filter(|id| self.is_member(*id, environment)) {
                Some(id) => return Ok(id),
                // The store says as well that the identity exists.
                None => {
                    return self
                        .identity_named(account, token.subject_kind, &token.subject, reader)
                        .await;
                }
            }
        };
        if !self.is_member(id, environment) {
            let found = reader.tx(account).await?.identity(account, id).await?;
            found.ok_or(unknown)?;
        }
        Ok(id)
    }

    /// Returns whether the index of the environment that a token names has the identity.
    fn is_member(&self, id: IdentityId, environment: Option<EnvironmentRef>) -> bool {
        let known = environment.and_then(|place| self.decisions.peek(place.environment, |state| state.index.knows(id)));
        known.unwrap_or_default()
    }

    /// Returns the identity that has this external id or mail address now.
    async fn identity_named(
        &self,
        account: AccountId,
        attribute: SubjectKind,
        subject: &str,
        reader: &mut Reader<'_>,
    ) -> Result<IdentityId, AppError> {
        let unknown = TokenError::UnknownIdentity;
        let mut names = IdentityNames::default();
        let is_named: Box<dyn Fn(&NamedIdentity) -> bool + Send> = match attribute {
            SubjectKind::Id => return Err(unknown.into()),
            SubjectKind::ExternalId => {
                let wanted = ExternalId::parse(subject).map_err(|_| unknown)?;
                names.external_ids.insert(wanted.clone());
                Box::new(move |identity| identity.external_id.as_ref() == Some(&wanted))
            }
            SubjectKind::Email => {
                let wanted = Email::parse(subject).map_err(|_| unknown)?;
                names.emails.insert(wanted.clone());
                Box::new(move |identity| identity.email == wanted)
            }
        };
        let before = self.names.before_read();
        let found = reader.tx(account).await?.identities_named(account, &names).await?;
        let found = found.iter().find(|identity| is_named(identity)).ok_or(unknown)?.id;
        self.names.insert_subject(before, (account, attribute, subject), found);
        Ok(found)
    }
}

fn operator(token: &VerifiedToken) -> Caller {
    Caller::Operator {
        subject: Arc::clone(&token.subject),
    }
}
