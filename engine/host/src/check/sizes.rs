//! The limits on everything that makes validating and compiling a component slow.
//!
//! One pass over the bytes counts it, before the validator and the compiler run. The pass does not recurse into types.

use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ComponentImportSectionReader, Encoding, FunctionBody, ImportSectionReader,
    KnownCustom, Name, NameSectionReader, Operator, Parser, Payload, TableSectionReader, TypeRef,
};

use super::instances::{InstanceCounter, ReadResult};
use super::options::check_options;
use super::validity::invalid;
use crate::limits::{
    BLOCKS_NESTED_MAX, BODY_BYTES_MAX, BRANCHES_MAX, CODE_BYTES_MAX, FUNCTIONS_MAX, IMPORTS_MAX,
    INSTANCES_MAX, LOCALS_MAX, NESTING_MAX, PARTS_MAX, TABLE_ELEMENTS_MAX, TYPES_BYTES_MAX,
    TYPES_MAX,
};
use crate::report::{Finding, Findings, Report, UploadLocation};

/// Checks the sizes, counts and options of a component.
pub(crate) fn check_sizes(bytes: &[u8]) -> Result<(), Report> {
    let mut check = SizeCheck::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let visited = payload.and_then(|payload| check.visit(payload));
        visited.map_err(|error| invalid(&error))?;
    }
    check.into_result()
}

/// A module or component that is being parsed.
#[derive(Default)]
struct OpenModule {
    is_component: bool,
    imports: usize,
    /// The index of the next function body. Imported functions have the first indices.
    next_function: u32,
    /// The number of findings before this module.
    findings_before: usize,
}

#[derive(Default)]
struct SizeCheck {
    findings: Findings,
    open: Vec<OpenModule>,
    instances: InstanceCounter,
    functions: usize,
    code: usize,
    parts: usize,
    types: usize,
    nesting: usize,
}

/// Returns a finding if a count is over its limit.
fn over_limit(code: &'static str, noun: &str, count: usize, max: usize) -> Option<Finding> {
    (count > max).then(|| Finding::new(code, format!("{noun}: {count}; at most {max} are allowed")))
}

fn count(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

impl SizeCheck {
    fn visit(&mut self, payload: Payload<'_>) -> ReadResult {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding == Encoding::Component),
            Payload::End(_) => self.leave(),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.parts += 1,
            Payload::ImportSection(imports) => self.count_imports(imports)?,
            Payload::ComponentImportSection(imports) => self.count_component_imports(imports)?,
            Payload::TypeSection(types) => self.types += count(types.count()),
            Payload::CoreTypeSection(types) => {
                self.types += count(types.count());
                self.check_type_section(&types.range());
            }
            Payload::ComponentTypeSection(types) => {
                self.types += count(types.count());
                self.check_type_section(&types.range());
            }
            Payload::TableSection(tables) => self.check_tables(tables)?,
            Payload::CodeSectionEntry(body) => self.check_function(&body)?,
            Payload::InstanceSection(instances) => self.instances.count_modules(instances)?,
            Payload::ComponentInstanceSection(instances) => {
                self.instances.count_components(instances)?;
            }
            Payload::ComponentAliasSection(aliases) => self.instances.add_aliases(aliases)?,
            Payload::ComponentExportSection(exports) => self.instances.add_exports(exports)?,
            Payload::ComponentCanonicalSection(functions) => {
                check_options(functions, &mut self.findings)?;
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Name(names) = custom.as_known() {
                    self.name_functions(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, is_component: bool) {
        self.open.push(OpenModule {
            is_component,
            findings_before: self.findings.as_mut_slice().len(),
            ..OpenModule::default()
        });
        if is_component {
            // A component stands only within components, so all that are open count, without the outermost.
            self.nesting = self.nesting.max(self.open.len() - 1);
            self.instances.enter_component();
        }
    }

    fn leave(&mut self) {
        if self.open.pop().is_some_and(|part| part.is_component) {
            self.instances.leave_component();
        }
    }

    fn count_imports(&mut self, imports: ImportSectionReader<'_>) -> ReadResult {
        let at = imports.range().start;
        let Some(part) = self.open.last_mut() else {
            return Ok(());
        };
        for import in imports.into_imports() {
            part.imports += 1;
            if matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                part.next_function = part.next_function.saturating_add(1);
            }
        }
        let found = over_limit("too_many_imports", "imports", part.imports, IMPORTS_MAX);
        self.add(found, at);
        Ok(())
    }

    fn count_component_imports(&mut self, imports: ComponentImportSectionReader<'_>) -> ReadResult {
        let at = imports.range().start;
        let Some(part) = self.open.last_mut() else {
            return Ok(());
        };
        for import in imports {
            part.imports += 1;
            self.instances.add_import(&import?);
        }
        let found = over_limit("too_many_imports", "imports", part.imports, IMPORTS_MAX);
        self.add(found, at);
        Ok(())
    }

    /// Checks the size of a section in which types nest: all later stages parse it recursively.
    fn check_type_section(&mut self, range: &Range<usize>) {
        let noun = "bytes in a section of types";
        let found = over_limit("types_too_large", noun, range.len(), TYPES_BYTES_MAX);
        self.add(found, range.start);
    }

    fn check_tables(&mut self, tables: TableSectionReader<'_>) -> ReadResult {
        for table in tables.into_iter_with_offsets() {
            let (at, table) = table?;
            let noun = "initial elements of a table";
            let elements = count(table.ty.initial);
            let found = over_limit("table_too_large", noun, elements, TABLE_ELEMENTS_MAX);
            self.add(found, at);
        }
        Ok(())
    }

    fn add(&mut self, found: Option<Finding>, at: usize) {
        let found = found.map(|finding| finding.at(UploadLocation::byte(at)));
        self.findings.extend(found);
    }

    fn check_function(&mut self, body: &FunctionBody<'_>) -> ReadResult {
        let index = self.open.last_mut().map_or(0, |part| {
            let index = part.next_function;
            part.next_function = index.saturating_add(1);
            index
        });
        let range = body.range();
        self.functions += 1;
        self.code += range.len();
        let FunctionShape {
            locals,
            depth,
            branches,
        } = measure(body)?;
        let found = [
            over_limit(
                "function_too_large",
                "bytes in a function",
                range.len(),
                BODY_BYTES_MAX,
            ),
            over_limit(
                "too_many_locals",
                "locals in a function",
                locals,
                LOCALS_MAX,
            ),
            over_limit(
                "function_too_deep",
                "nested blocks in a function",
                depth,
                BLOCKS_NESTED_MAX,
            ),
            over_limit(
                "too_many_branches",
                "targets of `br_table` in a function",
                branches,
                BRANCHES_MAX,
            ),
        ];
        let place = || UploadLocation::byte(range.start).in_function(index);
        let found = found.into_iter().flatten();
        self.findings
            .extend(found.map(|finding| finding.at(place())));
        Ok(())
    }

    /// Adds the names of functions to the findings about them. Names that cannot be parsed are ignored.
    fn name_functions(&mut self, names: NameSectionReader<'_>) {
        let Some(part) = self.open.last().filter(|part| !part.is_component) else {
            return;
        };
        let findings = &mut self.findings.as_mut_slice()[part.findings_before..];
        if findings.is_empty() {
            return;
        }
        for named in names.into_iter().map_while(Result::ok) {
            let Name::Function(functions) = named else {
                continue;
            };
            for naming in functions.into_iter().map_while(Result::ok) {
                for place in findings.iter_mut().filter_map(|it| it.place.as_mut()) {
                    if place.function == Some(naming.index) {
                        place.name(naming.name);
                    }
                }
            }
        }
    }

    fn into_result(mut self) -> Result<(), Report> {
        let Self {
            functions,
            code,
            parts,
            types,
            nesting,
            ..
        } = self;
        let found = [
            over_limit("too_many_functions", "functions", functions, FUNCTIONS_MAX),
            over_limit("too_much_code", "bytes of code", code, CODE_BYTES_MAX),
            over_limit("too_many_types", "types", types, TYPES_MAX),
            over_limit(
                "too_many_parts",
                "nested modules and components",
                parts,
                PARTS_MAX,
            ),
            over_limit(
                "parts_too_deep",
                "levels of nested components",
                nesting,
                NESTING_MAX,
            ),
        ];
        self.findings.extend(found.into_iter().flatten());
        self.findings.extend(too_many_instances(&self.instances));
        self.findings.report()
    }
}

fn too_many_instances(instances: &InstanceCounter) -> Vec<Finding> {
    let code = "too_many_instances";
    let Some(total) = instances.total() else {
        let message = "it instantiates an imported component, so its instances cannot be counted";
        return vec![Finding::new(code, message)];
    };
    let found = [
        ("instances of modules", total.modules),
        ("instances of components", total.components),
    ];
    let found =
        found.map(|(noun, instances)| over_limit(code, noun, count(instances), INSTANCES_MAX));
    found.into_iter().flatten().collect()
}

/// The measures of a function that make compiling it slow, apart from its size.
struct FunctionShape {
    locals: usize,
    /// The nesting depth of blocks.
    depth: usize,
    /// The targets of all `br_table` instructions.
    branches: usize,
}

fn measure(body: &FunctionBody<'_>) -> Result<FunctionShape, BinaryReaderError> {
    let mut locals = 0_usize;
    for run in body.get_locals_reader()? {
        locals = locals.saturating_add(count(run?.0));
    }
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut branches = 0_usize;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            // The last `end` closes the function itself.
            Operator::End => depth = depth.saturating_sub(1),
            Operator::BrTable { targets } => branches += count(targets.len()),
            _ => {}
        }
    }
    Ok(FunctionShape {
        locals,
        depth: deepest,
        branches,
    })
}
