//! The findings about a component that was rejected.

use std::fmt;

use bursar_ledger::Printable;
use serde::Serialize;

use crate::limits::FINDINGS_OF_A_KIND_MAX;
use crate::text::excerpt;

/// One problem of a component.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// A stable code, for programs.
    pub code: &'static str,
    /// A sentence about the problem.
    pub message: String,
    /// A suggestion how to solve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The place of the problem in the manifest, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The place of the problem in the upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<UploadLocation>,
    /// The contract's type, as WIT, or its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The component's type or version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The known name that is most similar to an unknown one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// A place in an upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UploadLocation {
    /// The offset in bytes.
    pub byte: u64,
    /// The index of the function in its module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<u32>,
    /// The function's name, if the module has a name section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// All findings of the first stage of the check that has any.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
pub struct Report {
    /// The findings, at least one.
    pub findings: Vec<Finding>,
}

impl Finding {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            pointer: None,
            place: None,
            expected: None,
            found: None,
            nearest: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Sets the pointer into the manifest. Its names are untrusted, so unprintable characters are escaped and a long
    /// pointer is cut.
    pub(crate) fn pointer(self, pointer: &str) -> Self {
        Self {
            pointer: Some(excerpt(pointer)),
            ..self
        }
    }

    /// Sets the place in the upload.
    pub(crate) fn at(self, place: UploadLocation) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// Sets the expected type or version and the one that was found.
    pub(crate) fn mismatch(self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: Some(expected.into()),
            found: Some(found.into()),
            ..self
        }
    }

    /// Sets the known name that is most similar to `to`, if one is similar enough.
    pub(crate) fn nearest<'a>(self, to: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            nearest: nearest(to, names).map(Into::into),
            ..self
        }
    }
}

impl UploadLocation {
    pub(crate) fn byte(at: impl TryInto<u64>) -> Self {
        Self {
            byte: at.try_into().unwrap_or(u64::MAX),
            function: None,
            name: None,
        }
    }

    pub(crate) fn in_function(self, index: u32) -> Self {
        Self {
            function: Some(index),
            ..self
        }
    }

    /// Sets the function's name. It is untrusted, so unprintable characters are escaped.
    pub(crate) fn name(&mut self, name: &str) {
        self.name = Some(excerpt(name));
    }
}

/// Returns the most similar name, if one is similar enough.
fn nearest<'a>(to: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let max_distance = (to.len() / 3).max(1);
    // The comparison takes quadratic time, and an untrusted component can have many long names. Names of very
    // different lengths cannot be similar.
    let similar_length = |name: &&str| name.len().abs_diff(to.len()) <= max_distance;
    let names = names.into_iter().filter(similar_length);
    let measured = names.map(|name| (strsim::osa_distance(to, name), name));
    let (distance, name) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= max_distance).then_some(name)
}

impl From<Finding> for Report {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
        }
    }
}

/// An error of loading or checking a component.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The component was rejected.
    #[error(transparent)]
    Refused(#[from] Report),
    /// Too many components wait for the compiler.
    #[error("too many components wait for the compiler")]
    Busy,
    /// The component is being compiled in the background.
    #[error("the component is being compiled; try again later")]
    Compiling,
    /// This machine failed. It is not a finding about the component.
    #[error("{0}")]
    Failed(String),
}

impl From<Finding> for LoadError {
    fn from(finding: Finding) -> Self {
        Self::Refused(finding.into())
    }
}

/// The findings of one stage.
///
/// A component can have thousands of findings, so only the first few of each code are stored, and the rest are counted.
#[derive(Default)]
pub(crate) struct Findings {
    stored: Vec<Finding>,
    /// The number of findings of each code.
    counts: Vec<(&'static str, usize)>,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let known = self
            .counts
            .iter()
            .position(|(code, _)| *code == finding.code);
        let kind = known.unwrap_or(self.counts.len());
        if known.is_none() {
            self.counts.push((finding.code, 0));
        }
        self.counts[kind].1 += 1;
        if self.counts[kind].1 <= FINDINGS_OF_A_KIND_MAX {
            self.stored.push(finding);
        }
    }

    /// Returns the findings that are stored.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Finding] {
        &mut self.stored
    }

    /// Returns a report if there are findings.
    pub(crate) fn report(mut self) -> Result<(), Report> {
        for (code, count) in self.counts {
            let more = count.saturating_sub(FINDINGS_OF_A_KIND_MAX);
            if more > 0 {
                let message = format!("and {more} more of this kind");
                self.stored.push(Finding::new(code, message));
            }
        }
        if self.stored.is_empty() {
            return Ok(());
        }
        Err(Report {
            findings: self.stored,
        })
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }
}

impl fmt::Display for UploadLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {:#x}", self.byte)?;
        if let Some(function) = self.function {
            write!(f, ", in function {function}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        Ok(())
    }
}

/// Writes the code and the message, then one indented line for each detail.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, Printable(&self.message))?;
        if let Some(pointer) = &self.pointer {
            write!(f, "\n    at {}", Printable(pointer))?;
        }
        if let Some(place) = &self.place {
            write!(f, "\n    {place}")?;
        }
        for (label, wit) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(wit) = wit {
                write!(f, "\n    {label}")?;
                for line in wit.split('\n') {
                    write!(f, "\n        {}", Printable(line))?;
                }
            }
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "\n    did you mean `{}`?", Printable(nearest))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    {}", Printable(hint))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}
