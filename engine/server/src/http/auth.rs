//! Who asks, and what that key allows.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bursar_ledger::{CallerAdmission, Digest, EconomyId, KeyDefinition, KeyId, Scope, TransferCap};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{Api, rate};
use crate::api_keys::Secret;
use crate::service::error::ServiceError;

/// Who asks with the owner's token, as records name it.
const OWNER: &str = "owner";

/// A bearer token for the commands of whoever runs the server: it stands in the lock file, which
/// only that user can read, and ends with the process.
pub struct OwnerToken(Digest);

impl OwnerToken {
    /// The token as it is kept.
    pub fn new(token: &str) -> Self {
        Self(Digest::of(token.as_bytes()))
    }

    fn matches(&self, token: &str) -> bool {
        Digest::of(token.as_bytes())
            .as_bytes()
            .ct_eq(self.0.as_bytes())
            .into()
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The id of the key, as records name it.
    pub(super) actor: String,
    definition: KeyDefinition,
    proof: Proof,
}

/// What let somebody in.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Proof {
    /// The token of whoever runs the server; it is good as long as the process.
    Owner,
    /// The secret of a key.
    Secret(KeyId, Digest),
}

impl Caller {
    /// Whether the key allows something.
    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.definition.allows(scope)
    }

    /// Asks for a scope in an economy. An economy that the key may not see is not there.
    pub(super) fn require(&self, scope: Scope, economy: &EconomyId) -> Result<(), Problem> {
        if !self.sees(economy) {
            return Err(ServiceError::NoEconomy.into());
        }
        self.require_scope(scope)
    }

    /// Asks for the right to open an account: the scope `transfer`, or a key with the scope `call` that admits
    /// members. Such a key says what it may open, and may do nothing else about accounts.
    pub(super) fn require_account(
        &self,
        economy: &EconomyId,
    ) -> Result<Option<CallerAdmission>, Problem> {
        if self.allows(Scope::Call)
            && !self.allows(Scope::Transfer)
            && self.sees(economy)
            && let Some(admits) = &self.definition.admits
        {
            return Ok(Some(admits.clone()));
        }
        self.require(Scope::Transfer, economy)?;
        Ok(None)
    }

    /// Asks for a scope in all economies, for what concerns the whole server.
    pub(super) fn require_everywhere(&self, scope: Scope) -> Result<(), Problem> {
        self.require_scope(scope)?;
        if self.definition.economies.is_some() {
            return Err(Problem::forbidden(
                "this needs a key that is not bound to economies",
            ));
        }
        Ok(())
    }

    /// Asks for the token of whoever runs the server.
    pub(super) fn require_owner(&self) -> Result<(), Problem> {
        match self.proof {
            Proof::Owner => Ok(()),
            Proof::Secret(..) => Err(Problem::forbidden(
                "only whoever runs the server may ask for this: use the command `bursar` there",
            )),
        }
    }

    /// Makes sure, once the body is there, that the key is what it was when its request began: a body
    /// may take seconds to arrive, and a key that is revoked meanwhile is good for nothing.
    pub(super) fn unchanged(&self, api: &Api) -> Result<(), Problem> {
        let Proof::Secret(id, secret_hash) = &self.proof else {
            return Ok(());
        };
        let state = api.service.state();
        let system = state.books(api.service.system());
        match system.and_then(|system| system.key(id)) {
            Some(key) if key.secret_hash == *secret_hash && key.definition == self.definition => {
                Ok(())
            }
            Some(_) | None => Err(Problem::unauthorized()),
        }
    }

    /// Whether what let the caller in still does.
    pub(super) fn is_still_good(&self, api: &Api, scope: Scope, economy: &EconomyId) -> bool {
        let Proof::Secret(id, secret_hash) = &self.proof else {
            return true;
        };
        let state = api.service.state();
        let system = state.books(api.service.system());
        system.and_then(|system| system.key(id)).is_some_and(|key| {
            let now = &key.definition;
            let same = key.secret_hash == *secret_hash && !now.revoked;
            same && now.reaches(economy) && now.allows(scope)
        })
    }

    /// The most that the key may move in one request.
    pub(super) fn transfer_cap(&self) -> Option<TransferCap> {
        self.definition.transfer_cap.clone()
    }

    /// Whether the key may see an economy.
    pub(super) fn sees(&self, economy: &EconomyId) -> bool {
        self.definition.reaches(economy)
    }

    fn require_scope(&self, scope: Scope) -> Result<(), Problem> {
        if self.allows(scope) {
            return Ok(());
        }
        let detail = format!("this needs a key with the scope `{}`", scope.as_str());
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
        if api.owner.matches(token) {
            let definition = KeyDefinition::admin();
            return Ok(Self {
                actor: OWNER.into(),
                definition,
                proof: Proof::Owner,
            });
        }
        let secret = Secret::parse(token).ok_or_else(Problem::unauthorized)?;
        let state = api.service.state();
        let kept = state
            .books(api.service.system())
            .and_then(|system| system.key(secret.id()));
        // An unknown id takes as long as a wrong secret.
        let hash = kept.map_or(Digest::ZERO, |key| key.secret_hash);
        match kept {
            Some(key) if secret.matches(&hash) && !key.definition.revoked => {
                if let Some(limit) = key.definition.rate_limit {
                    rate::ask(parts, api, secret.id(), limit)?;
                }
                Ok(Self {
                    actor: secret.id().to_string(),
                    definition: key.definition.clone(),
                    proof: Proof::Secret(secret.id().clone(), hash),
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
