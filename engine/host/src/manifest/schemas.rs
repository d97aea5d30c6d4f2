//! The schemas of a manifest, ready to use.

use serde_json::Value;

use super::Task;
use super::shape::is_word;
use crate::report::Findings;
use crate::schema::{Patterns, Place, Schema};

/// The schemas of a manifest, by what they describe.
#[derive(Debug)]
pub(super) struct Schemas {
    configuration: Schema,
    /// Names, with the schemas of arguments and replies.
    actions: Vec<(String, Schema, Schema)>,
    /// Replies of schedules that have a schema.
    schedules: Vec<(String, Schema)>,
}

/// Compiles schemas, and adds what is found in them.
struct Builder<'a> {
    patterns: Patterns,
    findings: &'a mut Findings,
}

impl Builder<'_> {
    fn compile(&mut self, what: &str, pointer: &str, schema: Option<&Value>) -> Option<Schema> {
        let place = Place { what, pointer };
        Schema::compile(schema?, place, &mut self.patterns, self.findings)
    }
}

impl Schemas {
    /// Makes all schemas ready. Those that stand where they belong are looked at whatever else is wrong with
    /// the manifest; `None` if anything is.
    pub(super) fn compile(manifest: &Value, findings: &mut Findings) -> Option<Self> {
        let mut builder = Builder {
            patterns: Patterns::default(),
            findings,
        };
        let schema = manifest.get("configuration");
        let configuration = builder.compile("the configuration", "/configuration", schema);
        let actions = list(manifest, "actions").map(|(index, action)| {
            let (at, name) = (format!("/actions/{index}"), name_of(action));
            let shown = name.map_or(format!("action {index}"), |name| format!("`{name}`"));
            let [arguments, reply] = ["arguments", "reply"].map(|part| {
                let what = format!("{shown}'s {part}");
                builder.compile(&what, &format!("{at}/{part}"), action.get(part))
            });
            Some((name?.to_owned(), arguments?, reply?))
        });
        // All are compiled before the first that is none ends this.
        let actions: Vec<_> = actions.collect();
        let with_reply = |(_, schedule): &(usize, &Value)| schedule.get("reply").is_some();
        let schedules = list(manifest, "schedules").filter(with_reply);
        let schedules = schedules.map(|(index, schedule)| {
            let name = name_of(schedule);
            let what = match name {
                Some(name) => format!("the reply of the schedule `{name}`"),
                None => format!("the reply of schedule {index}"),
            };
            let pointer = format!("/schedules/{index}/reply");
            let reply = builder.compile(&what, &pointer, schedule.get("reply"));
            Some((name?.to_owned(), reply?))
        });
        let schedules: Vec<_> = schedules.collect();
        Some(Self {
            configuration: configuration?,
            actions: actions.into_iter().collect::<Option<_>>()?,
            schedules: schedules.into_iter().collect::<Option<_>>()?,
        })
    }

    /// The schema of the configuration.
    pub(super) fn configuration(&self) -> &Schema {
        &self.configuration
    }

    /// The schema of an action's arguments.
    pub(super) fn arguments_of(&self, action: &str) -> Option<&Schema> {
        let found = self.actions.iter().find(|(name, _, _)| name == action)?;
        Some(&found.1)
    }

    /// The schema of a reply. A schedule may have none.
    pub(super) fn reply_to(&self, task: Task<'_>) -> Option<&Schema> {
        match task {
            Task::Action(asked) => {
                let found = self.actions.iter().find(|(name, _, _)| name == asked)?;
                Some(&found.2)
            }
            Task::Schedule(asked) => {
                let found = self.schedules.iter().find(|(name, _)| name == asked)?;
                Some(&found.1)
            }
        }
    }
}

/// The items of a list in a manifest; none where there is no list.
pub(super) fn list<'a>(
    manifest: &'a Value,
    member: &str,
) -> impl Iterator<Item = (usize, &'a Value)> {
    let items = manifest.get(member).and_then(Value::as_array);
    items.into_iter().flatten().enumerate()
}

/// The name of an action or a schedule, if it has one that may stand in a message.
fn name_of(item: &Value) -> Option<&str> {
    let name = item.get("name")?.as_str()?;
    is_word(name).then_some(name)
}
