//! The number of entries that one answer of a list has.

/// The number of entries that one answer of a list has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listing {
    /// A page, whose size a query parameter sets.
    Pages {
        /// The query parameter.
        parameter: &'static str,
        /// The entries, in the plural.
        entries: &'static str,
        /// The size if the parameter is absent.
        default: usize,
        /// The greatest size.
        max: usize,
    },
    /// The whole list.
    Whole {
        /// The bound of its number of entries, as a sentence.
        bound: &'static str,
    },
}

impl Listing {
    /// Returns a sentence about the size.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Pages {
                parameter,
                entries,
                default,
                max,
            } => format!(
                "One answer has at most {max} {entries}; `{parameter}` sets their number, which is \
                 {default} by default."
            ),
            Self::Whole { bound } => format!("The list is not divided into pages: {bound}"),
        }
    }
}
