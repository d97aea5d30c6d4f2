//! Authentication of requests, and the permissions of their keys.

use std::sync::{Arc, LazyLock};

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bursar_ledger::{
    ApiKey, CallerAdmission, Digest, EconomyId, KeyDefinition, KeyId, Scope, TransferCap,
};

use super::problem::Problem;
use super::rate;
use super::state::Api;
use crate::api_keys::Secret;
use crate::service::error::ServiceError;

/// The actor of requests with the owner's token, as records name it.
const OWNER: &str = "owner";

/// The rights of the owner's token.
static OWNER_RIGHTS: LazyLock<KeyDefinition> = LazyLock::new(KeyDefinition::admin);

/// The sender of a request and the permissions of its key.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name of the key, as records name it.
    pub(super) actor: String,
    credential: Credential,
}

/// The credential of a request.
#[derive(Clone, Debug)]
enum Credential {
    /// The owner's token. It is valid as long as the process runs.
    Owner,
    /// The secret of a key, and the key as it was when the request began.
    Key(KeyId, Arc<ApiKey>),
}

impl Caller {
    /// Returns the sender of requests with the owner's token.
    pub(super) fn owner() -> Self {
        Self {
            actor: OWNER.into(),
            credential: Credential::Owner,
        }
    }

    fn definition(&self) -> &KeyDefinition {
        match &self.credential {
            Credential::Owner => &OWNER_RIGHTS,
            Credential::Key(_, key) => &key.definition,
        }
    }

    /// Returns true if the key has a scope.
    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.definition().allows(scope)
    }

    /// Requires a scope in an economy. An economy that the key may not see is reported as not
    /// found, so that the key's owner cannot find out which economies exist.
    pub(super) fn require(&self, scope: Scope, economy: &EconomyId) -> Result<(), Problem> {
        if !self.sees(economy) {
            return Err(ServiceError::NoEconomy.into());
        }
        self.require_scope(scope)
    }

    /// Requires the permission to open an account: the scope `transfer`, or a key with the scope
    /// `call` that admits members. Returns the admission of such a key, which limits what it may do
    /// with accounts.
    pub(super) fn require_account(
        &self,
        economy: &EconomyId,
    ) -> Result<Option<CallerAdmission>, Problem> {
        if self.allows(Scope::Call)
            && !self.allows(Scope::Transfer)
            && self.sees(economy)
            && let Some(admits) = &self.definition().admits
        {
            return Ok(Some(admits.clone()));
        }
        self.require(Scope::Transfer, economy)?;
        Ok(None)
    }

    /// Requires a scope in all economies, for requests about the whole server.
    pub(super) fn require_everywhere(&self, scope: Scope) -> Result<(), Problem> {
        self.require_scope(scope)?;
        if self.definition().economies.is_some() {
            return Err(Problem::forbidden(
                "this request requires a key that is not bound to single economies",
            ));
        }
        Ok(())
    }

    /// Requires the owner's token.
    pub(super) fn require_owner(&self) -> Result<(), Problem> {
        match self.credential {
            Credential::Owner => Ok(()),
            Credential::Key(..) => Err(Problem::forbidden(
                "this request requires the owner's token: run the corresponding `bursar` command \
                 on the machine of the server",
            )),
        }
    }

    /// Requires that the key is unchanged since the request began. A body may take seconds to
    /// arrive, and the key may be revoked in the meantime.
    pub(super) fn unchanged(&self, api: &Api) -> Result<(), Problem> {
        let Credential::Key(id, key) = &self.credential else {
            return Ok(());
        };
        let state = api.service.state();
        let system = state.books(api.service.system());
        match system.and_then(|system| system.key(id)) {
            // The pointer is compared first: only a change of the key replaces it.
            Some(now) if Arc::ptr_eq(now, key) || now == key => Ok(()),
            Some(_) | None => Err(Problem::unauthorized()),
        }
    }

    /// Returns true if the credential is still valid for a scope in an economy.
    pub(super) fn is_still_valid(&self, api: &Api, scope: Scope, economy: &EconomyId) -> bool {
        let Credential::Key(id, before) = &self.credential else {
            return true;
        };
        let state = api.service.state();
        let system = state.books(api.service.system());
        system.and_then(|system| system.key(id)).is_some_and(|key| {
            let now = &key.definition;
            let same = key.secret_hash == before.secret_hash && !now.revoked;
            same && now.reaches(economy) && now.allows(scope)
        })
    }

    /// Returns the most that the key may move in one request.
    pub(super) fn transfer_cap(&self) -> Option<TransferCap> {
        self.definition().transfer_cap.clone()
    }

    /// Returns true if the key may see an economy.
    pub(super) fn sees(&self, economy: &EconomyId) -> bool {
        self.definition().reaches(economy)
    }

    fn require_scope(&self, scope: Scope) -> Result<(), Problem> {
        if self.allows(scope) {
            return Ok(());
        }
        let detail = format!(
            "this request requires a key with the scope `{}`",
            scope.as_str()
        );
        Err(Problem::forbidden(detail).with("scope", scope.as_str()))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(bearer).ok_or_else(Problem::unauthorized)?;
        let Some(secret) = Secret::parse(token) else {
            // The owner's token is hexadecimal, so it is no key, and keys are not compared with it.
            let is_owner = api.owner.matches(token);
            let owner = is_owner.then(Self::owner);
            return owner.ok_or_else(Problem::unauthorized);
        };
        let state = api.service.state();
        let kept = state
            .books(api.service.system())
            .and_then(|system| system.key(secret.id()));
        // An unknown key takes as long as a wrong secret, so that response times do not reveal
        // which names of keys exist.
        let hash = kept.map_or(Digest::ZERO, |key| key.secret_hash);
        match kept {
            Some(key) if secret.matches(&hash) && !key.definition.revoked => {
                if let Some(limit) = key.definition.rate_limit {
                    rate::count(parts, &api.rates, secret.id(), limit)?;
                }
                Ok(Self {
                    actor: secret.id().to_string(),
                    credential: Credential::Key(secret.id().clone(), Arc::clone(key)),
                })
            }
            Some(_) | None => {
                secret.matches(&hash);
                Err(Problem::unauthorized())
            }
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
