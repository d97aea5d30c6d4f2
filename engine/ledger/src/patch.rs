//! One member of a PUT: absent, null, or a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a PUT says of one member: absent members stay, `null` clears, a value sets.
///
/// Members of this type carry `#[serde(default)]`, so that an absent one is [`Patch::Keep`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Patch<T> {
    /// The member was absent.
    #[default]
    Keep,
    /// The member was `null`.
    Clear,
    /// The member had a value.
    Set(T),
}

impl<T> Patch<T> {
    /// What an optional member becomes.
    pub fn over(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Keep => present,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Whether the PUT leaves the member alone.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<T>::deserialize(deserializer)? {
            Some(value) => Self::Set(value),
            None => Self::Clear,
        })
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // An absent member is left out by its struct.
            Self::Keep | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}
