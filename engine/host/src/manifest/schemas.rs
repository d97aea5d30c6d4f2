//! The compiled schemas of a manifest.

use serde_json::Value;

use super::shape::is_word;
use crate::report::Findings;
use crate::schema::{PatternSet, Schema, SchemaLocation};

/// An action or a schedule. Both may have the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryPoint<'a> {
    /// An action, by its name.
    Action(&'a str),
    /// A schedule, by its name.
    Schedule(&'a str),
}

/// The schemas of a manifest, by what they describe.
#[derive(Debug)]
pub(super) struct ManifestSchemas {
    configuration: Schema,
    /// Names of actions, with the schemas of arguments and replies.
    actions: Vec<(String, Schema, Schema)>,
    /// Names of schedules, with the schemas of replies. Only of those that have a schema.
    schedules: Vec<(String, Schema)>,
}

/// A compiler of the schemas of one manifest, which collects findings.
struct ManifestCompiler<'a> {
    patterns: PatternSet,
    findings: &'a mut Findings,
}

impl ManifestCompiler<'_> {
    fn compile(&mut self, subject: &str, pointer: &str, schema: Option<&Value>) -> Option<Schema> {
        let location = SchemaLocation { subject, pointer };
        Schema::compile(schema?, location, &mut self.patterns, self.findings)
    }
}

impl ManifestSchemas {
    /// Compiles all schemas, even of a manifest that has other findings. `None` if a schema is missing or invalid.
    pub(super) fn compile(manifest: &Value, findings: &mut Findings) -> Option<Self> {
        let mut compiler = ManifestCompiler {
            patterns: PatternSet::default(),
            findings,
        };
        let schema = manifest.get("configuration");
        let configuration = compiler.compile("the configuration", "/configuration", schema);
        let actions = list(manifest, "actions").map(|(index, action)| {
            let at = format!("/actions/{index}");
            let name = name_of(action);
            let shown = name.map_or(format!("action {index}"), |name| format!("`{name}`"));
            let [arguments, reply] = ["arguments", "reply"].map(|part| {
                let subject = format!("{shown}'s {part}");
                compiler.compile(&subject, &format!("{at}/{part}"), action.get(part))
            });
            Some((name?.to_owned(), arguments?, reply?))
        });
        // Collected first, so that an invalid schema does not hide the findings of later ones.
        let actions: Vec<_> = actions.collect();
        let with_reply = |(_, schedule): &(usize, &Value)| schedule.get("reply").is_some();
        let schedules = list(manifest, "schedules").filter(with_reply);
        let schedules = schedules.map(|(index, schedule)| {
            let name = name_of(schedule);
            let subject = match name {
                Some(name) => format!("the reply of the schedule `{name}`"),
                None => format!("the reply of schedule {index}"),
            };
            let pointer = format!("/schedules/{index}/reply");
            let reply = compiler.compile(&subject, &pointer, schedule.get("reply"));
            Some((name?.to_owned(), reply?))
        });
        let schedules: Vec<_> = schedules.collect();
        Some(Self {
            configuration: configuration?,
            actions: actions.into_iter().collect::<Option<_>>()?,
            schedules: schedules.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Returns the schema of the configuration.
    pub(super) fn configuration(&self) -> &Schema {
        &self.configuration
    }

    /// Returns the schema of an action's arguments.
    pub(super) fn arguments_of(&self, action: &str) -> Option<&Schema> {
        let found = self.actions.iter().find(|(name, _, _)| name == action)?;
        Some(&found.1)
    }

    /// Returns the schema of a reply. A schedule may have none.
    pub(super) fn reply_to(&self, entry_point: EntryPoint<'_>) -> Option<&Schema> {
        match entry_point {
            EntryPoint::Action(action) => {
                let found = self.actions.iter().find(|(name, _, _)| name == action)?;
                Some(&found.2)
            }
            EntryPoint::Schedule(schedule) => {
                let found = self.schedules.iter().find(|(name, _)| name == schedule)?;
                Some(&found.1)
            }
        }
    }
}

/// Returns the items of a list in a manifest with their indices. None if there is no list.
pub(super) fn list<'a>(
    manifest: &'a Value,
    member: &str,
) -> impl Iterator<Item = (usize, &'a Value)> {
    let items = manifest.get(member).and_then(Value::as_array);
    items.into_iter().flatten().enumerate()
}

/// Returns the name of an action or a schedule, if it is valid.
fn name_of(item: &Value) -> Option<&str> {
    let name = item.get("name")?.as_str()?;
    is_word(name).then_some(name)
}
