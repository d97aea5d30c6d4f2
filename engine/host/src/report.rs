//! Why a component may not run here, in plain words.

use std::fmt;

use bursar_ledger::Printable;
use serde::Serialize;

use crate::limits::FINDINGS_OF_A_KIND_MAX;
use crate::text::excerpt;

/// One thing that is wrong with a component.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// A stable name for it, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The place of the problem in the manifest, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Where it stands in the upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<UploadLocation>,
    /// What the contract has there: a type in WIT, or a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the component has instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What may have been meant: the name that comes nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// A place in an upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UploadLocation {
    /// How many bytes are before it.
    pub byte: u64,
    /// The index of the function that it is in, in its module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<u32>,
    /// That function's name, if the module keeps names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Everything that one stage of the check has found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
pub struct Report {
    /// What is wrong: all findings of the first stage that has any.
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

    /// Says where in the manifest it is. Names in a pointer are the manifest's: what does not print is
    /// escaped, and a long pointer is cut.
    pub(crate) fn pointer(self, pointer: &str) -> Self {
        Self {
            pointer: Some(excerpt(pointer)),
            ..self
        }
    }

    /// Says where it is.
    pub(crate) fn at(self, place: UploadLocation) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }

    /// Says what should be there, and what is.
    pub(crate) fn instead(self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: Some(expected.into()),
            found: Some(found.into()),
            ..self
        }
    }

    /// Says which of the names that there are may have been meant, if any comes near.
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

    /// Names the function. The name is a stranger's: what is no plain character is shown escaped.
    pub(crate) fn name(&mut self, name: &str) {
        self.name = Some(excerpt(name));
    }
}

/// The name that comes nearest, unless it is another word altogether. Names of very different lengths
/// are not even compared: a stranger's may be long, and there may be many.
fn nearest<'a>(to: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (to.len() / 3).max(1);
    let near = |name: &&str| name.len().abs_diff(to.len()) <= most;
    let names = names.into_iter().filter(near);
    let measured = names.map(|name| (strsim::osa_distance(to, name), name));
    let (distance, name) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then_some(name)
}

impl From<Finding> for Report {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
        }
    }
}

/// Why a component is not ready to run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The component may not run here.
    #[error(transparent)]
    Refused(#[from] Report),
    /// Too many others wait for the compiler.
    #[error("too many components wait for the compiler")]
    Busy,
    /// It is being compiled, and nobody waits for that.
    #[error("it is being compiled; ask again later")]
    Compiling,
    /// This machine fails, and nothing is said about the component.
    #[error("{0}")]
    Failed(String),
}

impl From<Finding> for LoadError {
    fn from(finding: Finding) -> Self {
        Self::Refused(finding.into())
    }
}

/// What a stage has found so far. Of each kind a few are kept, and how many more there are: a
/// component can have thousands of them.
#[derive(Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    kinds: Vec<(&'static str, usize)>,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let known = self
            .kinds
            .iter()
            .position(|(code, _)| *code == finding.code);
        let kind = known.unwrap_or(self.kinds.len());
        if known.is_none() {
            self.kinds.push((finding.code, 0));
        }
        self.kinds[kind].1 += 1;
        if self.kinds[kind].1 <= FINDINGS_OF_A_KIND_MAX {
            self.kept.push(finding);
        }
    }

    /// Those that are kept.
    pub(crate) fn kept(&mut self) -> &mut [Finding] {
        &mut self.kept
    }

    /// All is well unless something was found.
    pub(crate) fn report(mut self) -> Result<(), Report> {
        for (code, count) in self.kinds {
            let more = count.saturating_sub(FINDINGS_OF_A_KIND_MAX);
            if more > 0 {
                let message = format!("and {more} more of this kind");
                self.kept.push(Finding::new(code, message));
            }
        }
        if self.kept.is_empty() {
            return Ok(());
        }
        Err(Report {
            findings: self.kept,
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

/// Several lines: what is wrong, and beneath it what is known of it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, Printable(&self.message))?;
        if let Some(pointer) = &self.pointer {
            write!(f, "\n    at {}", Printable(pointer))?;
        }
        if let Some(place) = &self.place {
            write!(f, "\n    {place}")?;
        }
        for (what, wit) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(wit) = wit {
                write!(f, "\n    {what}")?;
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
