//! The one confirmation of what a call rests on, and the view that confirms it at the revision of an answer.

use super::Sessions;
use super::place::AskedEnvironment;
use crate::decisions::{Consistency, EnvironmentState, StateView};
use crate::{AppError, Caller};
use canopy_domain::port::TokenError;
use canopy_domain::{TenancyError, Tenant, Timestamp};

/// A fact that a call rests on, and that another process may have changed since it was cached.
#[derive(Debug, Clone, Copy)]
pub enum Basis<'a> {
    /// The API key of the caller. Other callers have none.
    Key,
    /// The environment that the token of the caller names. Keys are confirmed by themselves.
    BoundEnvironment,
    /// The environment that a path names, perhaps another than was found; for a caller with a key, the key.
    Path(&'a AskedEnvironment),
}

impl Sessions {
    /// Makes sure that the basis of a call holds as of a moment after this call. Costs one fence at most.
    ///
    /// # Errors
    /// [`AppError::InvalidApiKey`]; [`TokenError::UnknownEnvironment`]; not found, of the path; [`AppError::Store`].
    pub async fn confirm(&self, caller: &Caller, basis: Basis<'_>) -> Result<(), AppError> {
        match (basis, caller) {
            (Basis::Key | Basis::Path(_), Caller::ApiKey { place, id, .. }) => {
                self.key_access(place, *id).await.map(drop)
            }
            (Basis::Path(asked), _) => self.confirm_path(caller, asked).await.map(drop),
            (
                Basis::BoundEnvironment,
                Caller::Admin {
                    environment: Some(place),
                    ..
                }
                | Caller::Identity {
                    environment: Some(place),
                    ..
                },
            ) => {
                let fenced = self.decisions.fence(place).await;
                fenced.map(drop).map_err(|error| blame_credential(caller, error))
            }
            (Basis::Key | Basis::BoundEnvironment, _) => Ok(()),
        }
    }

    /// Views the state of an environment for an answer that needs no check of its own, at a revision at which the caller is
    /// valid. One fence serves for that, for the path of the environment, and for the answer. Where the state is in memory
    /// and no fence is needed, nothing is awaited. A caller that leaves cancels nothing for others.
    ///
    /// # Errors
    /// [`AppError::InvalidApiKey`]; [`TokenError::UnknownEnvironment`] and [`TokenError::UnknownIdentity`]; not found;
    /// [`AppError::Store`].
    pub(crate) async fn view<R: Send>(
        &self,
        (caller, environment): (&Caller, &AskedEnvironment),
        consistency: Consistency,
        answer: impl FnOnce(StateView<'_>, Timestamp) -> R + Send,
    ) -> Result<R, AppError> {
        let ask = |view: StateView<'_>| {
            let (now, state) = (self.now(), view.state());
            if is_revoked(caller, state, now) {
                return Err(AppError::InvalidApiKey);
            }
            let has_caller = has_identity(caller, state);
            Ok((answer(view, now), has_caller))
        };
        let asked = if environment.is_confirmed(consistency) {
            self.decisions.view(environment.place(), consistency, ask).await
        } else {
            let confirmed = self.confirm_path(caller, environment).await?;
            if confirmed.is_fenced {
                self.decisions.view_fenced(&confirmed.place, ask).await
            } else {
                self.decisions.view(&confirmed.place, consistency, ask).await
            }
        };
        let (answer, has_caller) = asked.map_err(|error| blame_credential(caller, error))??;
        if !has_caller && let Caller::Identity { account, id, .. } = caller {
            let found = self
                .store
                .read_for((*account).into())
                .await?
                .identity(*account, *id)
                .await?;
            found.ok_or(TokenError::UnknownIdentity)?;
        }
        Ok(answer)
    }
}

/// Returns whether the caller comes with a key that is not valid in this state.
fn is_revoked(caller: &Caller, state: &EnvironmentState, now: Timestamp) -> bool {
    match caller {
        Caller::ApiKey { id, .. } => state.keys.find(*id, now).is_none(),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } => false,
    }
}

/// Returns whether an identity that asks for itself is known in this state.
fn has_identity(caller: &Caller, state: &EnvironmentState) -> bool {
    match caller {
        Caller::Identity { id, .. } => state.index.knows(*id),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::ApiKey { .. } => true,
    }
}

/// Turns the absence of the environment that a credential is bound to into a fault of the credential.
fn blame_credential(caller: &Caller, error: AppError) -> AppError {
    match (caller, error) {
        (Caller::ApiKey { .. }, AppError::Tenancy(TenancyError::NotFound(Tenant::Environment))) => {
            AppError::InvalidApiKey
        }
        (
            Caller::Admin {
                environment: Some(_), ..
            }
            | Caller::Identity {
                environment: Some(_), ..
            },
            AppError::Tenancy(TenancyError::NotFound(Tenant::Environment)),
        ) => TokenError::UnknownEnvironment.into(),
        (_, error) => error,
    }
}
