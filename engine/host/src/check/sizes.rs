//! What makes validating and compiling slow, counted before either: one walk over the bytes, which
//! reads nothing that stands within itself.

use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ComponentImportSectionReader, Encoding, FunctionBody, ImportSectionReader,
    KnownCustom, Name, NameSectionReader, Operator, Parser, Payload, TableSectionReader, TypeRef,
};

use super::instances::Tally;
use super::options::check_options;
use super::validity::invalid;
use crate::limits::{
    BLOCKS_NESTED_MAX, BODY_BYTES_MAX, BRANCHES_MAX, CODE_BYTES_MAX, FUNCTIONS_MAX, IMPORTS_MAX,
    INSTANCES_MAX, LOCALS_MAX, NESTING_MAX, PARTS_MAX, TABLE_ELEMENTS_MAX, TYPES_BYTES_MAX,
    TYPES_MAX,
};
use crate::report::{Finding, Findings, Report, UploadLocation};

/// Sizes, counts and options of everything in a component.
pub(crate) fn check_sizes(bytes: &[u8]) -> Result<(), Report> {
    let mut walk = Walk::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let taken = payload.and_then(|payload| walk.take(payload));
        taken.map_err(|error| invalid(&error))?;
    }
    walk.report()
}

/// A module or component that is being read.
#[derive(Default)]
struct Part {
    is_component: bool,
    imports: usize,
    /// The index of the function whose body comes next. Imported ones come first.
    next_function: u32,
    /// How many findings were kept before it.
    findings_before: usize,
}

#[derive(Default)]
struct Walk {
    findings: Findings,
    open: Vec<Part>,
    instances: Tally,
    functions: usize,
    code: usize,
    parts: usize,
    types: usize,
    nesting: usize,
}

type Read = Result<(), BinaryReaderError>;

/// A finding if there is more of something than there may be.
fn over(code: &'static str, what: &str, is: usize, most: usize) -> Option<Finding> {
    (is > most).then(|| Finding::new(code, format!("{what}: {is}, of at most {most}")))
}

fn count(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

impl Walk {
    fn take(&mut self, payload: Payload<'_>) -> Read {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding == Encoding::Component),
            Payload::End(_) => self.leave(),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.parts += 1,
            Payload::ImportSection(imports) => self.imports(imports)?,
            Payload::ComponentImportSection(imports) => self.component_imports(imports)?,
            Payload::TypeSection(types) => self.types += count(types.count()),
            Payload::CoreTypeSection(types) => {
                self.types += count(types.count());
                self.section_of_types(&types.range());
            }
            Payload::ComponentTypeSection(types) => {
                self.types += count(types.count());
                self.section_of_types(&types.range());
            }
            Payload::TableSection(tables) => self.tables(tables)?,
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            Payload::InstanceSection(instances) => self.instances.modules(instances)?,
            Payload::ComponentInstanceSection(instances) => self.instances.components(instances)?,
            Payload::ComponentAliasSection(aliases) => self.instances.aliases(aliases)?,
            Payload::ComponentExportSection(exports) => self.instances.exports(exports)?,
            Payload::ComponentCanonicalSection(functions) => {
                check_options(functions, &mut self.findings)?;
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Name(names) = custom.as_known() {
                    self.name(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, is_component: bool) {
        self.open.push(Part {
            is_component,
            findings_before: self.findings.kept().len(),
            ..Part::default()
        });
        if is_component {
            // The outermost one is within nothing, and all that are open are components.
            self.nesting = self.nesting.max(self.open.len() - 1);
            self.instances.open();
        }
    }

    fn leave(&mut self) {
        if self.open.pop().is_some_and(|part| part.is_component) {
            self.instances.close();
        }
    }

    fn imports(&mut self, imports: ImportSectionReader<'_>) -> Read {
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
        let found = over("too_many_imports", "imports", part.imports, IMPORTS_MAX);
        self.find(found, at);
        Ok(())
    }

    fn component_imports(&mut self, imports: ComponentImportSectionReader<'_>) -> Read {
        let at = imports.range().start;
        let Some(part) = self.open.last_mut() else {
            return Ok(());
        };
        for import in imports {
            part.imports += 1;
            self.instances.import(&import?);
        }
        let found = over("too_many_imports", "imports", part.imports, IMPORTS_MAX);
        self.find(found, at);
        Ok(())
    }

    /// Types stand within types in such a section, and are read so by all that comes after.
    fn section_of_types(&mut self, range: &Range<usize>) {
        let what = "bytes in a section of types";
        let found = over("types_too_large", what, range.len(), TYPES_BYTES_MAX);
        self.find(found, range.start);
    }

    fn tables(&mut self, tables: TableSectionReader<'_>) -> Read {
        for table in tables.into_iter_with_offsets() {
            let (at, table) = table?;
            let what = "elements that a table begins with";
            let elements = count(table.ty.initial);
            let found = over("table_too_large", what, elements, TABLE_ELEMENTS_MAX);
            self.find(found, at);
        }
        Ok(())
    }

    fn find(&mut self, found: Option<Finding>, at: usize) {
        let found = found.map(|finding| finding.at(UploadLocation::byte(at)));
        self.findings.extend(found);
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Read {
        let index = self.open.last_mut().map_or(0, |part| {
            let index = part.next_function;
            part.next_function = index.saturating_add(1);
            index
        });
        let range = body.range();
        self.functions += 1;
        self.code += range.len();
        let Shape {
            locals,
            depth,
            branches,
        } = shape(body)?;
        let found = [
            over(
                "function_too_large",
                "bytes in a function",
                range.len(),
                BODY_BYTES_MAX,
            ),
            over(
                "too_many_locals",
                "locals in a function",
                locals,
                LOCALS_MAX,
            ),
            over(
                "function_too_deep",
                "blocks within blocks in a function",
                depth,
                BLOCKS_NESTED_MAX,
            ),
            over(
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

    /// Names the functions that something was found in. Names that cannot be read are none.
    fn name(&mut self, names: NameSectionReader<'_>) {
        let Some(part) = self.open.last().filter(|part| !part.is_component) else {
            return;
        };
        let findings = &mut self.findings.kept()[part.findings_before..];
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

    fn report(mut self) -> Result<(), Report> {
        let Self {
            functions,
            code,
            parts,
            types,
            nesting,
            ..
        } = self;
        let found = [
            over("too_many_functions", "functions", functions, FUNCTIONS_MAX),
            over("too_much_code", "bytes of code", code, CODE_BYTES_MAX),
            over("too_many_types", "types", types, TYPES_MAX),
            over(
                "too_many_parts",
                "nested modules and components",
                parts,
                PARTS_MAX,
            ),
            over(
                "parts_too_deep",
                "components within components",
                nesting,
                NESTING_MAX,
            ),
        ];
        self.findings.extend(found.into_iter().flatten());
        self.findings.extend(too_many_instances(&self.instances));
        self.findings.report()
    }
}

fn too_many_instances(instances: &Tally) -> Vec<Finding> {
    let code = "too_many_instances";
    let Some(total) = instances.total() else {
        let message = "it instantiates a component that it imports, which cannot be counted before";
        return vec![Finding::new(code, message)];
    };
    let found = [
        ("instances of modules", total.modules),
        ("instances of components", total.components),
    ];
    let found = found.map(|(what, is)| over(code, what, count(is), INSTANCES_MAX));
    found.into_iter().flatten().collect()
}

/// What makes compiling a function slow, beside its bytes.
struct Shape {
    locals: usize,
    /// How deep blocks stand within blocks.
    depth: usize,
    /// Targets of all its `br_table`.
    branches: usize,
}

fn shape(body: &FunctionBody<'_>) -> Result<Shape, BinaryReaderError> {
    let mut locals = 0_usize;
    for run in body.get_locals_reader()? {
        locals = locals.saturating_add(count(run?.0));
    }
    let (mut depth, mut deepest, mut branches) = (0_usize, 0, 0_usize);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            // The last one closes the function itself.
            Operator::End => depth = depth.saturating_sub(1),
            Operator::BrTable { targets } => branches += count(targets.len()),
            _ => {}
        }
    }
    Ok(Shape {
        locals,
        depth: deepest,
        branches,
    })
}
