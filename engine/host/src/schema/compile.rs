//! The compiler of schemas: from JSON to typed parts.
//!
//! It accepts only keywords of the dialect and checks the type and the bounds of each value. It reports all findings in one
//! pass.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::dialect::{DRAFT, KEYWORDS, hint_for};
use super::error::{ValuePath, shown};
use super::format::Format;
use super::measure::measure;
use super::parts::{
    ArrayCheck, Check, Combination, Members, NumberCheck, ObjectCheck, Part, PartId, SchemaParts,
    TextCheck, TypeSet,
};
use super::pattern::PatternSet;
use crate::limits::{FORMAT_BYTES_MAX, MULTIPLE_MAX};
use crate::report::{Finding, Findings};
use crate::text::excerpt;

/// The place of a schema in its manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchemaLocation<'a> {
    /// A noun phrase for what the schema describes.
    pub(crate) subject: &'a str,
    /// A JSON pointer into the manifest.
    pub(crate) pointer: &'a str,
}

/// Compiles a schema. `None` if it has findings.
pub(super) fn compile(
    schema: &Value,
    location: SchemaLocation<'_>,
    patterns: &mut PatternSet,
    findings: &mut Findings,
) -> Option<SchemaParts> {
    let mut compiler = SchemaCompiler {
        location,
        patterns,
        findings,
        is_valid: true,
        list: Vec::new(),
        definitions: BTreeMap::new(),
    };
    compiler.compile_definitions(schema);
    let root = compiler.add_part(schema, &ValuePath::TOP);
    let SchemaCompiler { list, is_valid, .. } = compiler;
    if !is_valid {
        return None;
    }
    let parts = SchemaParts { list, root };
    match measure(&parts) {
        Ok(()) => Some(parts),
        Err(error) => {
            let message = format!("the schema of {}: {error}", location.subject);
            let finding = Finding::new("schema_invalid", message).pointer(location.pointer);
            findings.add(finding.hint(error.hint()));
            None
        }
    }
}

struct SchemaCompiler<'a> {
    location: SchemaLocation<'a>,
    patterns: &'a mut PatternSet,
    findings: &'a mut Findings,
    is_valid: bool,
    list: Vec<Part>,
    /// The parts that `$ref` can name, by their names in `$defs`.
    definitions: BTreeMap<String, PartId>,
}

/// A constructor of a check against a bound.
type NumberBound = fn(Number) -> NumberCheck;

/// The keywords of one schema and the path to it.
#[derive(Clone, Copy)]
struct Keywords<'a> {
    members: &'a Map<String, Value>,
    at: &'a ValuePath<'a>,
}

impl SchemaCompiler<'_> {
    fn report(&mut self, at: &ValuePath<'_>, message: &str, hint: impl Into<String>) {
        self.is_valid = false;
        let pointer = format!("{}{}", self.location.pointer, at.pointer());
        let message = format!("the schema of {}: {message}", self.location.subject);
        let finding = Finding::new("schema_invalid", message).pointer(&pointer);
        self.findings.add(finding.hint(hint));
    }

    fn reserve(&mut self) -> PartId {
        self.list.push(Part::Nothing);
        PartId(self.list.len() - 1)
    }

    /// Compiles `$defs`. Reserves all parts first, because definitions may refer to each other in any order.
    fn compile_definitions(&mut self, schema: &Value) {
        let Some(Value::Object(definitions)) = schema.get("$defs") else {
            return;
        };
        for name in definitions.keys() {
            let id = self.reserve();
            self.definitions.insert(name.clone(), id);
        }
        let top = ValuePath::TOP;
        let at = top.member("$defs");
        for (name, definition) in definitions {
            let id = self.definitions[name];
            self.list[id.0] = self.compile_part(definition, &at.member(name));
        }
    }

    fn add_part(&mut self, schema: &Value, at: &ValuePath<'_>) -> PartId {
        let id = self.reserve();
        self.list[id.0] = self.compile_part(schema, at);
        id
    }

    fn compile_part(&mut self, schema: &Value, at: &ValuePath<'_>) -> Part {
        match schema {
            Value::Bool(true) => Part::Anything,
            Value::Bool(false) => Part::Nothing,
            Value::Object(members) => Part::Checks(self.compile_checks(Keywords { members, at })),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let message = format!("{} is not a schema", shown(schema));
                self.report(at, &message, "a schema must be an object, true or false");
                Part::Nothing
            }
        }
    }

    fn compile_checks(&mut self, schema: Keywords<'_>) -> Vec<Check> {
        self.check_keywords(schema);
        let format = self.check_annotations(schema);
        // Cheap checks come first, and those with the clearest messages.
        let mut checks = Vec::new();
        checks.extend(self.compile_types(schema).map(Check::Type));
        checks.extend(format.map(Check::Format));
        checks.extend(self.compile_values(schema));
        self.compile_numbers(schema, &mut checks);
        self.compile_texts(schema, &mut checks);
        self.compile_arrays(schema, &mut checks);
        self.compile_objects(schema, &mut checks);
        self.compile_combinations(schema, &mut checks);
        checks
    }

    /// Checks that all keywords belong to the dialect.
    fn check_keywords(&mut self, Keywords { members, at }: Keywords<'_>) {
        for keyword in members.keys() {
            if KEYWORDS.contains(&keyword.as_str()) {
                continue;
            }
            let message = format!("`{}` is not a keyword of plugin schemas", excerpt(keyword));
            self.report(&at.member(keyword), &message, hint_for(keyword));
        }
    }

    /// Checks the keywords that only annotate, and returns the format if values are checked against it.
    fn check_annotations(&mut self, schema: Keywords<'_>) -> Option<Format> {
        for keyword in ["$comment", "title", "description"] {
            self.read_typed(schema, keyword, "a text", Value::as_str);
        }
        for keyword in ["deprecated", "readOnly", "writeOnly"] {
            self.read_typed(schema, keyword, "true or false", Value::as_bool);
        }
        self.read_typed(schema, "examples", "a list", Value::as_array);
        let format = self.read_typed(schema, "format", "a text", Value::as_str);
        if format.is_some_and(|format| format.len() > FORMAT_BYTES_MAX) {
            let message = format!("a format can have at most {FORMAT_BYTES_MAX} bytes");
            let hint = "use a word such as `date`, which people and forms understand";
            self.report(&schema.at.member("format"), &message, hint);
        }
        if let Some(draft) = self.read_typed(schema, "$schema", "a text", Value::as_str)
            && draft != DRAFT
        {
            let message = format!("`{}` is another version of JSON Schema", excerpt(draft));
            let hint = format!("leave `$schema` out, or write \"{DRAFT}\"");
            self.report(&schema.at.member("$schema"), &message, hint);
        }
        if schema.members.contains_key("$defs") && !schema.at.is_top() {
            let hint = "move them to the `$defs` at the top of the schema";
            let message = "`$defs` is allowed only at the top of a schema";
            self.report(&schema.at.member("$defs"), message, hint);
        } else {
            self.read_typed(schema, "$defs", "an object of schemas", Value::as_object);
        }
        format.and_then(Format::by_name)
    }

    /// Returns the value of a keyword, if it is present and has the right type.
    fn read_typed<'v, T: 'v>(
        &mut self,
        Keywords { members, at }: Keywords<'v>,
        keyword: &'v str,
        expected: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = members.get(keyword)?;
        let typed = read(value);
        if typed.is_none() {
            let message = format!("`{keyword}` must be {expected}, not {}", shown(value));
            let hint = format!("write {expected}, or leave `{keyword}` out");
            self.report(&at.member(keyword), &message, hint);
        }
        typed
    }

    fn read_count(&mut self, schema: Keywords<'_>, keyword: &str) -> Option<u64> {
        self.read_typed(
            schema,
            keyword,
            "a whole number from 0 upwards",
            Value::as_u64,
        )
    }

    fn read_bound(&mut self, schema: Keywords<'_>, keyword: &str) -> Option<Number> {
        let number = self.read_typed(schema, keyword, "a number", Value::as_number);
        number.cloned()
    }

    fn add_schema(
        &mut self,
        Keywords { members, at }: Keywords<'_>,
        keyword: &str,
    ) -> Option<PartId> {
        let schema = members.get(keyword)?;
        Some(self.add_part(schema, &at.member(keyword)))
    }

    fn add_schemas(&mut self, schema: Keywords<'_>, keyword: &str) -> Option<Vec<PartId>> {
        let expected = "a list of at least one schema";
        let list = self.read_typed(schema, keyword, expected, |value| {
            value.as_array().filter(|list| !list.is_empty())
        })?;
        let at = schema.at.member(keyword);
        let parts = list.iter().enumerate();
        Some(
            parts
                .map(|(index, schema)| self.add_part(schema, &at.item(index)))
                .collect(),
        )
    }

    fn add_named_schemas(&mut self, schema: Keywords<'_>, keyword: &str) -> Vec<(String, PartId)> {
        let Some(named) =
            self.read_typed(schema, keyword, "an object of schemas", Value::as_object)
        else {
            return Vec::new();
        };
        let at = schema.at.member(keyword);
        let parts = named.iter();
        parts
            .map(|(name, schema)| (name.clone(), self.add_part(schema, &at.member(name))))
            .collect()
    }

    fn compile_types(&mut self, schema: Keywords<'_>) -> Option<TypeSet> {
        let expected = "null, boolean, integer, number, string, array or object, or a list of them";
        self.read_typed(schema, "type", expected, |value| match value {
            Value::String(name) => TypeSet::default().with(name),
            Value::Array(names) if !names.is_empty() => {
                let mut names = names.iter();
                names.try_fold(TypeSet::default(), |set, name| set.with(name.as_str()?))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        })
    }

    fn compile_values(&mut self, schema: Keywords<'_>) -> Vec<Check> {
        let constant = schema.members.get("const");
        let mut checks: Vec<_> = constant.cloned().map(Check::Const).into_iter().collect();
        let values = self.read_typed(schema, "enum", "a list of at least one value", |value| {
            value.as_array().filter(|values| !values.is_empty())
        });
        checks.extend(values.cloned().map(Check::Enum));
        checks
    }

    fn compile_numbers(&mut self, schema: Keywords<'_>, checks: &mut Vec<Check>) {
        let bounds: [(&str, NumberBound); 4] = [
            ("minimum", NumberCheck::Minimum),
            ("maximum", NumberCheck::Maximum),
            ("exclusiveMinimum", NumberCheck::ExclusiveMinimum),
            ("exclusiveMaximum", NumberCheck::ExclusiveMaximum),
        ];
        for (keyword, check) in bounds {
            let bound = self.read_bound(schema, keyword);
            checks.extend(bound.map(check).map(Check::Number));
        }
        let expected = format!("a whole number from 1 to {MULTIPLE_MAX}");
        let multiple = self.read_typed(schema, "multipleOf", &expected, |value| {
            value.as_u64().filter(|of| (1..=MULTIPLE_MAX).contains(of))
        });
        checks.extend(multiple.map(NumberCheck::MultipleOf).map(Check::Number));
    }

    fn compile_texts(&mut self, schema: Keywords<'_>, checks: &mut Vec<Check>) {
        checks.extend(
            self.read_count(schema, "minLength")
                .map(TextCheck::MinLength)
                .map(Check::Text),
        );
        checks.extend(
            self.read_count(schema, "maxLength")
                .map(TextCheck::MaxLength)
                .map(Check::Text),
        );
        if let Some(text) = self.read_typed(schema, "pattern", "a text", Value::as_str) {
            match self.patterns.compile(text) {
                Ok(pattern) => checks.push(Check::Text(TextCheck::Pattern(pattern))),
                Err(error) => self.report(&schema.at.member("pattern"), &error.message, error.hint),
            }
        }
    }

    fn compile_arrays(&mut self, schema: Keywords<'_>, checks: &mut Vec<Check>) {
        checks.extend(
            self.read_count(schema, "minItems")
                .map(ArrayCheck::MinItems)
                .map(Check::Array),
        );
        checks.extend(
            self.read_count(schema, "maxItems")
                .map(ArrayCheck::MaxItems)
                .map(Check::Array),
        );
        let first = self.add_schemas(schema, "prefixItems").unwrap_or_default();
        let rest = self.add_schema(schema, "items");
        if !first.is_empty() || rest.is_some() {
            checks.push(Check::Array(ArrayCheck::Items { first, rest }));
        }
        let least = self.read_count(schema, "minContains");
        let most = self.read_count(schema, "maxContains");
        match self.add_schema(schema, "contains") {
            Some(item) => checks.push(Check::Array(ArrayCheck::Contains {
                item,
                least: least.unwrap_or(1),
                most,
            })),
            None => self.report_without_effect(schema, "contains", &["minContains", "maxContains"]),
        }
        let unique = self.read_typed(schema, "uniqueItems", "true or false", Value::as_bool);
        if unique == Some(true) {
            checks.push(Check::Array(ArrayCheck::UniqueItems));
        }
    }

    /// Reports keywords that have no effect without another one.
    fn report_without_effect(
        &mut self,
        Keywords { members, at }: Keywords<'_>,
        without: &str,
        keywords: &[&str],
    ) {
        for keyword in keywords {
            if members.contains_key(*keyword) {
                let message = format!("`{keyword}` has no effect without `{without}`");
                let hint = format!("leave it out, or add `{without}`");
                self.report(&at.member(keyword), &message, hint);
            }
        }
    }

    fn read_names(
        &mut self,
        schema: Keywords<'_>,
        keyword: &str,
        value: &Value,
    ) -> Option<Vec<String>> {
        let names = value.as_array().and_then(|names| {
            let mut names = names.iter();
            names.try_fold(Vec::new(), |mut all, name| {
                all.push(name.as_str()?.to_owned());
                Some(all)
            })
        });
        if names.is_none() {
            let message = format!("`{keyword}` must have lists of names, not {}", shown(value));
            let hint = "write a list of texts";
            self.report(&schema.at.member(keyword), &message, hint);
        }
        names
    }

    fn compile_objects(&mut self, schema: Keywords<'_>, checks: &mut Vec<Check>) {
        checks.extend(
            self.read_count(schema, "minProperties")
                .map(ObjectCheck::MinProperties)
                .map(Check::Object),
        );
        checks.extend(
            self.read_count(schema, "maxProperties")
                .map(ObjectCheck::MaxProperties)
                .map(Check::Object),
        );
        if let Some(value) = schema.members.get("required") {
            let names = self.read_names(schema, "required", value);
            checks.extend(names.map(ObjectCheck::Required).map(Check::Object));
        }
        let keyword = "dependentRequired";
        let expected = "an object of lists of names";
        if let Some(dependents) = self.read_typed(schema, keyword, expected, Value::as_object) {
            let lists = dependents.iter().filter_map(|(name, value)| {
                Some((name.clone(), self.read_names(schema, keyword, value)?))
            });
            checks.push(Check::Object(ObjectCheck::DependentRequired(
                lists.collect(),
            )));
        }
        let dependents = self.add_named_schemas(schema, "dependentSchemas");
        if !dependents.is_empty() {
            checks.push(Check::Object(ObjectCheck::DependentSchemas(dependents)));
        }
        let named = self.add_named_schemas(schema, "properties");
        let matching = self.add_named_schemas(schema, "patternProperties");
        let matching = matching.into_iter().filter_map(|(pattern, part)| {
            match self.patterns.compile(&pattern) {
                Ok(pattern) => Some((pattern, part)),
                Err(error) => {
                    let at = schema.at.member("patternProperties");
                    self.report(&at.member(&pattern), &error.message, error.hint);
                    None
                }
            }
        });
        let members = Members {
            named: named.into_iter().collect(),
            matching: matching.collect(),
            others: self.add_schema(schema, "additionalProperties"),
        };
        if !members.named.is_empty() || !members.matching.is_empty() || members.others.is_some() {
            checks.push(Check::Object(ObjectCheck::Members(members)));
        }
        checks.extend(
            self.add_schema(schema, "propertyNames")
                .map(ObjectCheck::PropertyNames)
                .map(Check::Object),
        );
    }

    fn compile_combinations(&mut self, schema: Keywords<'_>, checks: &mut Vec<Check>) {
        if let Some(reference) = self.read_typed(schema, "$ref", "a text", Value::as_str) {
            let part = self.resolve_reference(schema, reference);
            checks.extend(part.map(Combination::Reference).map(Check::Combination));
        }
        checks.extend(
            self.add_schemas(schema, "allOf")
                .map(Combination::AllOf)
                .map(Check::Combination),
        );
        checks.extend(
            self.add_schemas(schema, "anyOf")
                .map(Combination::AnyOf)
                .map(Check::Combination),
        );
        checks.extend(
            self.add_schemas(schema, "oneOf")
                .map(Combination::OneOf)
                .map(Check::Combination),
        );
        checks.extend(
            self.add_schema(schema, "not")
                .map(Combination::Not)
                .map(Check::Combination),
        );
        match self.add_schema(schema, "if") {
            Some(condition) => checks.push(Check::Combination(Combination::If {
                condition,
                then: self.add_schema(schema, "then"),
                otherwise: self.add_schema(schema, "else"),
            })),
            None => self.report_without_effect(schema, "if", &["then", "else"]),
        }
    }

    fn resolve_reference(&mut self, schema: Keywords<'_>, reference: &str) -> Option<PartId> {
        let name = reference.strip_prefix("#/$defs/");
        let name = name.map(|name| name.replace("~1", "/").replace("~0", "~"));
        let id = name.and_then(|name| self.definitions.get(&name).copied());
        if id.is_none() {
            let message = format!("`{}` is not a valid reference", excerpt(reference));
            let hint = "use `#/$defs/NAME`, where NAME is in the `$defs` at the top";
            self.report(&schema.at.member("$ref"), &message, hint);
        }
        id
    }
}
