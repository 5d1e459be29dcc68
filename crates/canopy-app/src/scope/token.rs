//! From the claims of a verified token to a caller.
//!
//! A token names its account, environment and identity by ids or by names. Names are remembered only where no other process
//! writes to the store, and forgotten with every change that may move them; elsewhere each call looks them up. So a token
//! never speaks for an identity that has lost the name.

use crate::{App, AppError, Caller};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::identity::{Email, ExternalId};
use canopy_domain::port::{
    AccountName, EnvironmentName, PrincipalKind, ReadTx, Share, SubjectKind, TokenError, VerifiedToken,
};
use canopy_domain::{AccountId, EnvironmentId, EnvironmentRef, IdentityId, Slug};
use std::sync::Arc;
use uuid::Uuid;

/// Turns a verified token into a caller: the account, environment and identity it names must exist and belong together.
///
/// # Errors
/// [`TokenError::UnknownAccount`], [`TokenError::UnknownEnvironment`] or [`TokenError::UnknownIdentity`] where they do not;
/// [`AppError::Store`].
pub async fn authenticate(app: &App, token: &VerifiedToken) -> Result<Caller, AppError> {
    if let Some(caller) = authenticate_now(app, token) {
        return Ok(caller);
    }
    if token.principal == PrincipalKind::Operator {
        return Ok(operator(token));
    }
    let mut lookup = Lookup { app, tx: None };
    let account = lookup.account(token.account.as_ref().ok_or(TokenError::Claim)?).await?;
    let environment = match &token.environment {
        None => None,
        Some(name) => Some(lookup.environment(account, name).await?),
    };
    let caller = match token.principal {
        PrincipalKind::Operator => operator(token),
        PrincipalKind::Admin => {
            lookup.require_account(account).await?;
            admin(token, account, environment)
        }
        PrincipalKind::Identity => {
            let id = lookup.identity(account, environment, token).await?;
            Caller::Identity {
                account,
                id,
                environment,
            }
        }
    };
    Ok(caller)
}

/// As [`authenticate`] without a look into the store; `None` where that takes one.
pub fn authenticate_now(app: &App, token: &VerifiedToken) -> Option<Caller> {
    if token.principal == PrincipalKind::Operator {
        return Some(operator(token));
    }
    let directory = app.directory();
    let account = match token.account.as_ref()? {
        AccountName::Id(id) => *id,
        AccountName::Slug(slug) => directory.account_named(slug)?,
    };
    let environment = match &token.environment {
        None => None,
        Some(EnvironmentName::Id(id)) => Some(directory.environment(*id).filter(|place| place.account == account)?),
        Some(EnvironmentName::Path(path)) => Some(directory.environment_at(account, path)?),
    };
    match token.principal {
        PrincipalKind::Operator => Some(operator(token)),
        PrincipalKind::Admin => directory
            .has_account(account)
            .then(|| admin(token, account, environment)),
        PrincipalKind::Identity => {
            let id = match token.subject_kind {
                SubjectKind::Id => identity_id(token)?,
                kind => app.remembered_subjects().identity(account, kind, &token.subject)?,
            };
            is_member(app, id, environment?).then_some(Caller::Identity {
                account,
                id,
                environment,
            })
        }
    }
}

fn operator(token: &VerifiedToken) -> Caller {
    Caller::Operator {
        subject: Arc::clone(&token.subject),
    }
}

fn admin(token: &VerifiedToken, account: AccountId, environment: Option<EnvironmentRef>) -> Caller {
    Caller::Admin {
        account,
        subject: Arc::clone(&token.subject),
        environment,
    }
}

fn identity_id(token: &VerifiedToken) -> Option<IdentityId> {
    Uuid::try_parse(&token.subject).ok().map(IdentityId::new)
}

/// Returns whether an identity is known to the index of the environment that its token names.
fn is_member(app: &App, id: IdentityId, place: EnvironmentRef) -> bool {
    let known = app.decisions().peek(place.environment, |state| state.index.knows(id));
    known.unwrap_or_default()
}

/// Makes sure that an identity that calls is still in its account. Everybody else passes.
///
/// # Errors
/// [`TokenError::UnknownIdentity`] when it is not; [`AppError::Store`].
pub(crate) async fn confirm_identity(app: &App, caller: &Caller) -> Result<(), AppError> {
    if let Caller::Identity { account, id, .. } = caller {
        let found = app.read(*account).await?.identity(*account, *id).await?;
        found.ok_or(TokenError::UnknownIdentity)?;
    }
    Ok(())
}

/// Looks up names in one consistent state of the store, which is opened for the first name that is not remembered.
struct Lookup<'a> {
    app: &'a App,
    tx: Option<Box<dyn ReadTx>>,
}

impl Lookup<'_> {
    /// The transaction, which is charged to whoever needs it first.
    async fn tx(&mut self, share: impl Into<Share>) -> Result<&mut dyn ReadTx, AppError> {
        let tx = match self.tx.take() {
            Some(tx) => tx,
            None => self.app.read(share).await?,
        };
        Ok(self.tx.insert(tx).as_mut())
    }

    async fn account(&mut self, name: &AccountName) -> Result<AccountId, AppError> {
        let slug = match name {
            AccountName::Id(id) => return Ok(*id),
            AccountName::Slug(slug) => slug,
        };
        if let Some(id) = self.app.directory().account_named(slug) {
            return Ok(id);
        }
        let generation = self.app.directory().generation();
        let parsed = Slug::parse(slug).map_err(|_| TokenError::UnknownAccount)?;
        let found = self.tx(Share::Installation).await?.account_by_slug(&parsed).await?;
        let id = found.ok_or(TokenError::UnknownAccount)?.id;
        self.app.directory().remember_account_slug(generation, slug, id);
        Ok(id)
    }

    async fn require_account(&mut self, account: AccountId) -> Result<(), AppError> {
        if !self.app.directory().has_account(account) {
            let generation = self.app.directory().generation();
            let found = self.tx(account).await?.account(account).await?;
            found.ok_or(TokenError::UnknownAccount)?;
            self.app.directory().remember_account(generation, account);
        }
        Ok(())
    }

    async fn environment(&mut self, account: AccountId, name: &EnvironmentName) -> Result<EnvironmentRef, AppError> {
        let found = match name {
            EnvironmentName::Id(id) => self.environment_by_id(*id).await?,
            EnvironmentName::Path(path) => self.environment_at(account, path).await?,
        };
        let found = found.filter(|place| place.account == account);
        Ok(found.ok_or(TokenError::UnknownEnvironment)?)
    }

    async fn environment_by_id(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, AppError> {
        if let Some(place) = self.app.directory().environment(id) {
            return Ok(Some(place));
        }
        let generation = self.app.directory().generation();
        let found = self.tx(id).await?.environment_place(id).await?;
        if let Some(place) = found {
            self.app.directory().remember_environment(generation, place);
        }
        Ok(found)
    }

    async fn environment_at(&mut self, account: AccountId, path: &str) -> Result<Option<EnvironmentRef>, AppError> {
        if let Some(place) = self.app.directory().environment_at(account, path) {
            return Ok(Some(place));
        }
        let generation = self.app.directory().generation();
        let slugs = path.split_once('/');
        let slugs = slugs.and_then(|(application, environment)| {
            Some((Slug::parse(application).ok()?, Slug::parse(environment).ok()?))
        });
        let Some((application, environment)) = slugs else {
            return Ok(None);
        };
        let tx = self.tx(account).await?;
        let Some(application) = tx.application_by_slug(account, &application).await? else {
            return Ok(None);
        };
        let Some(environment) = tx.environment_by_slug(application.id, &environment).await? else {
            return Ok(None);
        };
        let place = EnvironmentRef {
            account,
            application: application.id,
            environment: environment.id,
        };
        if !self.app.is_shared() {
            self.app.directory().remember_path(generation, path, place);
        }
        Ok(Some(place))
    }

    async fn identity(
        &mut self,
        account: AccountId,
        environment: Option<EnvironmentRef>,
        token: &VerifiedToken,
    ) -> Result<IdentityId, AppError> {
        if token.subject_kind != SubjectKind::Id {
            return self.identity_named(account, token.subject_kind, &token.subject).await;
        }
        let id = identity_id(token).ok_or(TokenError::UnknownIdentity)?;
        if !environment.is_some_and(|place| is_member(self.app, id, place)) {
            let found = self.tx(account).await?.identity(account, id).await?;
            found.ok_or(TokenError::UnknownIdentity)?;
        }
        Ok(id)
    }

    /// The identity with this external id or mail address now.
    async fn identity_named(
        &mut self,
        account: AccountId,
        kind: SubjectKind,
        subject: &str,
    ) -> Result<IdentityId, AppError> {
        let unknown = TokenError::UnknownIdentity;
        let mut names = IdentityNames::default();
        let is_named: Box<dyn Fn(&NamedIdentity) -> bool + Send> = match kind {
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
        let generation = self.app.remembered_subjects().generation();
        let found = self.tx(account).await?.identities_named(account, &names).await?;
        let found = found.iter().find(|identity| is_named(identity)).ok_or(unknown)?.id;
        let subject = (account, kind, subject);
        self.app
            .remembered_subjects()
            .remember_identity(generation, subject, found);
        Ok(found)
    }
}
