//! The compiled form of a schema: a list of parts that refer to each other by index.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Number, Value};

use super::format::Format;
use super::number::{is_whole, values_in};
use super::pattern::Pattern;
use super::steps::of_text;

/// The index of a part in [`SchemaParts::list`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartId(pub(super) usize);

/// All parts of one schema.
///
/// The compiler ensures that no part refers to itself and that no chain of references is long, so recursion over the parts
/// needs no further limit.
#[derive(Debug)]
pub(super) struct SchemaParts {
    pub(super) list: Vec<Part>,
    pub(super) root: PartId,
}

/// One schema within a schema.
#[derive(Debug)]
pub(super) enum Part {
    /// `true`: every value matches.
    Anything,
    /// `false`: no value matches.
    Nothing,
    /// An object of keywords.
    Checks(Vec<Check>),
}

/// The check of one keyword, or of a few that have an effect only together.
#[derive(Debug)]
pub(super) enum Check {
    Type(TypeSet),
    Enum(Vec<Value>),
    Const(Value),
    Format(Format),
    Number(NumberCheck),
    Text(TextCheck),
    Array(ArrayCheck),
    Object(ObjectCheck),
    Combination(Combination),
}

/// A check of numbers.
#[derive(Debug)]
pub(super) enum NumberCheck {
    Minimum(Number),
    Maximum(Number),
    ExclusiveMinimum(Number),
    ExclusiveMaximum(Number),
    MultipleOf(u64),
}

/// A check of texts.
#[derive(Debug)]
pub(super) enum TextCheck {
    MinLength(u64),
    MaxLength(u64),
    Pattern(Arc<Pattern>),
}

/// A check of arrays.
#[derive(Debug)]
pub(super) enum ArrayCheck {
    MinItems(u64),
    MaxItems(u64),
    UniqueItems,
    /// `prefixItems` and `items`.
    Items {
        first: Vec<PartId>,
        rest: Option<PartId>,
    },
    /// `contains`, `minContains` and `maxContains`.
    Contains {
        item: PartId,
        least: u64,
        most: Option<u64>,
    },
}

/// A check of objects.
#[derive(Debug)]
pub(super) enum ObjectCheck {
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
    DependentSchemas(Vec<(String, PartId)>),
    Members(Members),
    PropertyNames(PartId),
}

/// `properties`, `patternProperties` and `additionalProperties`.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) named: BTreeMap<String, PartId>,
    pub(super) matching: Vec<(Arc<Pattern>, PartId)>,
    pub(super) others: Option<PartId>,
}

/// A combination of schemas.
#[derive(Debug)]
pub(super) enum Combination {
    AllOf(Vec<PartId>),
    AnyOf(Vec<PartId>),
    OneOf(Vec<PartId>),
    Not(PartId),
    /// `if`, `then` and `else`.
    If {
        condition: PartId,
        then: Option<PartId>,
        otherwise: Option<PartId>,
    },
    Reference(PartId),
}

/// The types that `type` names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct TypeSet(u8);

/// The names of types, each at the index of its bit.
const TYPE_NAMES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];

const INTEGER: u8 = 1 << 2;
const NUMBER: u8 = 1 << 3;

impl TypeSet {
    /// Adds a type by its name. `None` if no type has that name.
    pub(super) fn with(self, name: &str) -> Option<Self> {
        let index = TYPE_NAMES.iter().position(|known| *known == name)?;
        Some(Self(self.0 | 1 << index))
    }

    /// Returns true if a value has one of the types. A number without a fraction is an integer.
    pub(super) fn has(self, value: &Value) -> bool {
        let kind = match value {
            Value::Null => 1,
            Value::Bool(_) => 1 << 1,
            Value::Number(number) if is_whole(number) => INTEGER | NUMBER,
            Value::Number(_) => NUMBER,
            Value::String(_) => 1 << 4,
            Value::Array(_) => 1 << 5,
            Value::Object(_) => 1 << 6,
        };
        self.0 & kind != 0
    }

    /// Returns the names of the types, for messages.
    pub(super) fn names(self) -> String {
        let has = |index: &usize| self.0 & (1 << index) != 0;
        let names = (0..TYPE_NAMES.len()).filter(has);
        let names: Vec<_> = names.map(|index| TYPE_NAMES[index]).collect();
        names.join(" or ")
    }
}

impl Check {
    /// Calls `visit` with each part that this check refers to.
    pub(super) fn each_part(&self, visit: impl FnMut(PartId)) {
        match self {
            Self::Array(ArrayCheck::Items { first, rest }) => {
                first.iter().chain(rest).copied().for_each(visit);
            }
            Self::Array(ArrayCheck::Contains { item, .. }) => [*item].into_iter().for_each(visit),
            Self::Object(check) => check.each_part(visit),
            Self::Combination(combination) => combination.each_part(visit),
            Self::Array(
                ArrayCheck::MinItems(_) | ArrayCheck::MaxItems(_) | ArrayCheck::UniqueItems,
            )
            | Self::Type(_)
            | Self::Enum(_)
            | Self::Const(_)
            | Self::Format(_)
            | Self::Number(_)
            | Self::Text(_) => {}
        }
    }

    /// Returns the number of values and names in the check itself. Each may take steps.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Enum(values) => values.iter().map(values_in).sum(),
            Self::Const(value) => values_in(value),
            Self::Object(ObjectCheck::Required(names)) => {
                names.iter().map(|name| of_text(name)).sum()
            }
            Self::Object(ObjectCheck::DependentRequired(dependents)) => {
                let size = |(name, names): &(String, Vec<String>)| {
                    of_text(name) + names.iter().map(|name| of_text(name)).sum::<usize>()
                };
                dependents.iter().map(size).sum()
            }
            Self::Object(ObjectCheck::DependentSchemas(dependents)) => {
                dependents.iter().map(|(name, _)| of_text(name)).sum()
            }
            Self::Object(ObjectCheck::Members(members)) => 1 + members.matching.len(),
            Self::Object(
                ObjectCheck::MinProperties(_)
                | ObjectCheck::MaxProperties(_)
                | ObjectCheck::PropertyNames(_),
            )
            | Self::Type(_)
            | Self::Format(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::Array(_)
            | Self::Combination(_) => 1,
        }
    }
}

impl ObjectCheck {
    fn each_part(&self, mut visit: impl FnMut(PartId)) {
        match self {
            Self::DependentSchemas(dependents) => {
                let parts = dependents.iter().map(|(_, part)| *part);
                parts.for_each(visit);
            }
            Self::Members(members) => {
                let matching = members.matching.iter().map(|(_, part)| part);
                let all = members
                    .named
                    .values()
                    .chain(matching)
                    .chain(&members.others);
                all.copied().for_each(visit);
            }
            Self::PropertyNames(part) => visit(*part),
            Self::MinProperties(_)
            | Self::MaxProperties(_)
            | Self::Required(_)
            | Self::DependentRequired(_) => {}
        }
    }
}

impl Combination {
    fn each_part(&self, mut visit: impl FnMut(PartId)) {
        match self {
            Self::AllOf(parts) | Self::AnyOf(parts) | Self::OneOf(parts) => {
                parts.iter().copied().for_each(visit);
            }
            Self::Not(part) | Self::Reference(part) => visit(*part),
            Self::If {
                condition,
                then,
                otherwise,
            } => {
                visit(*condition);
                then.iter().chain(otherwise).copied().for_each(visit);
            }
        }
    }
}
