//! The secrets of WhatsApp apps, kept in Secrets Manager and remembered for a minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use serde::Deserialize;

use crate::count;
use crate::id::SecretId;
use crate::log::Metric;
use crate::time::Time;

/// The time for which the last good secret is used before asking again, after a failure.
const WITHOUT: Duration = Duration::from_secs(10);

/// The time for which the last good secret is used at all, so that one that was taken away stops counting.
const LONGEST: Duration = Duration::from_hours(1);

/// The time for which a secret is used without asking again: a rotated one heals within it.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The secrets that a WhatsApp app shares with us.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct AppSecrets {
    /// The key that signs the webhooks of the app.
    pub app_secret: String,
    /// The tokens of which the app's handshake has to bring one.
    #[serde(rename = "verify_token")]
    pub verify_tokens: OneOrMore,
    /// The token that allows sending messages.
    pub access_token: String,
}

/// One text or a list of them.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One text.
    One(String),
    /// A list of texts.
    More(Vec<String>),
}

impl OneOrMore {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

impl AppSecrets {
    /// True if nothing is empty: an empty secret is one that everybody knows.
    fn is_complete(&self) -> bool {
        let mut tokens = self.verify_tokens.iter().peekable();
        let has_token = tokens.peek().is_some();
        has_token
            && tokens.all(|token| !token.is_empty())
            && !self.app_secret.is_empty()
            && !self.access_token.is_empty()
    }
}

// A secret never gets into a log by being printed.
impl fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecrets")
    }
}

/// The cached secrets of an app.
#[derive(Clone, Debug)]
struct CachedSecrets {
    secrets: Arc<AppSecrets>,
    /// The time at which they were fetched.
    fetched: Time,
    /// The time until which they are used without asking again.
    until: Time,
}

/// The error of reading a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Secrets Manager did not return the secret.
    #[error("secret {id} is unavailable: {code}")]
    Unavailable {
        /// The secret's name.
        id: SecretId,
        /// The error code of Secrets Manager.
        code: String,
    },
    /// The secret is not of the form that is documented for `META_SECRET_ID`.
    #[error(
        "secret {id} is not a JSON object with `app_secret`, `verify_token` and `access_token`, none of them empty"
    )]
    Malformed {
        /// The secret's name.
        id: SecretId,
    },
}

/// The secrets of the WhatsApp apps that speak to us.
#[derive(Clone, Debug)]
pub struct Secrets {
    client: Client,
    default_id: SecretId,
    remembered: Arc<Mutex<HashMap<SecretId, CachedSecrets>>>,
    /// The times at which secrets could not be had that are not remembered.
    missed: Arc<Mutex<HashMap<SecretId, Time>>>,
}

impl Secrets {
    /// Secrets from Secrets Manager; `default_id` names those of the app that channels without a secret of their own use.
    #[must_use]
    pub fn new(client: Client, default_id: SecretId) -> Self {
        Self { client, default_id, remembered: Arc::default(), missed: Arc::default() }
    }

    /// The name of the secret that channels without one of their own use.
    #[must_use]
    pub fn default_id(&self) -> &SecretId {
        &self.default_id
    }

    /// The secrets of one app. While Secrets Manager does not give any, the last ones go on being used, for an hour.
    ///
    /// # Errors
    /// The secrets could not be read, or are not of the documented form.
    pub async fn app(&self, id: &SecretId, now: Time) -> Result<Arc<AppSecrets>, SecretsError> {
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some(known) = known else { return self.fetch(id, now).await };
        if now < known.until {
            return Ok(known.secrets);
        }
        match self.fetch(id, now).await {
            Err(error) if now < known.fetched.plus(LONGEST) => {
                count!(error, Metric::SecretsUnavailable, %error, "secret not refreshed, using the previous one");
                self.go_on_with(id, &known, now.plus(WITHOUT));
                Ok(known.secrets)
            }
            fetched => fetched,
        }
    }

    /// The secrets of one app as they were when they were last asked for, up to an hour ago. Nothing is asked now, so they
    /// are good for a first look: a caller that relies on them asks for them with [`Secrets::app`].
    #[must_use]
    pub fn remembered(&self, id: &SecretId, now: Time) -> Option<Arc<AppSecrets>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(id).filter(|known| now < known.fetched.plus(LONGEST)).map(|known| Arc::clone(&known.secrets))
    }

    /// True if a secret could not be had a few seconds ago, so that it is not worth asking for it again on a mere guess.
    #[must_use]
    pub fn was_missed(&self, id: &SecretId, now: Time) -> bool {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.get(id).is_some_and(|missed| now < missed.plus(WITHOUT))
    }

    async fn fetch(&self, id: &SecretId, now: Time) -> Result<Arc<AppSecrets>, SecretsError> {
        let fetched = self.ask(id, now).await;
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(_) => drop(missed.remove(id)),
            Err(_) => drop(missed.insert(id.clone(), now)),
        }
        fetched
    }

    async fn ask(&self, id: &SecretId, now: Time) -> Result<Arc<AppSecrets>, SecretsError> {
        let answer = self.client.get_secret_value().secret_id(id.as_str()).send().await;
        let text = answer.map_err(|error| unavailable(id, &error))?.secret_string;
        let secrets: Option<AppSecrets> = text.and_then(|text| serde_json::from_str(&text).ok());
        let secrets = secrets.filter(AppSecrets::is_complete).ok_or_else(|| SecretsError::Malformed { id: id.clone() });
        let secrets = Arc::new(secrets?);
        let known = CachedSecrets { secrets: Arc::clone(&secrets), fetched: now, until: now.plus(REMEMBERED) };
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), known);
        Ok(secrets)
    }

    /// Uses cached secrets for a while longer, unless another task has cached newer ones.
    fn go_on_with(&self, id: &SecretId, known: &CachedSecrets, until: Time) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = remembered.get_mut(id).filter(|current| current.fetched == known.fetched) {
            current.until = until;
        }
    }
}

fn unavailable<E: ProvideErrorMetadata>(id: &SecretId, error: &SdkError<E>) -> SecretsError {
    let code = error.code().unwrap_or("no answer").to_owned();
    SecretsError::Unavailable { id: id.clone(), code }
}
