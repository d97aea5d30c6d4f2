//! The types of functions, compared and written as WIT.
//!
//! The types of an untrusted component can refer to each other so often that their written form grows
//! exponentially. The comparison therefore follows the contract's types, which are small, and the written
//! form has a maximum length.

use std::fmt::{self, Write};

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

use crate::limits::SIGNATURE_CHARS_MAX;

/// A function and the package that resolves its types.
type FunctionRef<'a> = (&'a Resolve, &'a Function);

/// Returns true if two functions have the same type.
///
/// The canonical ABI ignores the names of parameters and types, but not those of fields and cases.
pub(super) fn same([expected, found]: [FunctionRef<'_>; 2]) -> bool {
    let comparison = TypeComparison {
        expected: expected.0,
        found: found.0,
    };
    let expected = expected.1;
    let found = found.1;
    let pairs = expected.params.iter().zip(&found.params);
    expected.kind.is_async() == found.kind.is_async()
        && expected.params.len() == found.params.len()
        && pairs.clone().all(|(a, b)| comparison.same(&a.ty, &b.ty))
        && comparison.same_or_none(expected.result.as_ref(), found.result.as_ref())
}

/// A comparison of the contract's types with the component's. It follows the contract's types, which bounds
/// its cost.
#[derive(Clone, Copy)]
struct TypeComparison<'a> {
    expected: &'a Resolve,
    found: &'a Resolve,
}

impl TypeComparison<'_> {
    fn same(self, a: &Type, b: &Type) -> bool {
        let a = unaliased(self.expected, *a);
        let b = unaliased(self.found, *b);
        let (Type::Id(a), Type::Id(b)) = (a, b) else {
            return a == b;
        };
        match (&self.expected.types[a].kind, &self.found.types[b].kind) {
            (TypeDefKind::Record(a), TypeDefKind::Record(b)) => {
                let fields = a.fields.iter().zip(&b.fields);
                a.fields.len() == b.fields.len() && { fields }
                    .all(|(a, b)| a.name == b.name && self.same(&a.ty, &b.ty))
            }
            (TypeDefKind::Variant(a), TypeDefKind::Variant(b)) => {
                let same = |a: &Option<_>, b: &Option<_>| self.same_or_none(a.as_ref(), b.as_ref());
                let cases = a.cases.iter().zip(&b.cases);
                a.cases.len() == b.cases.len() && { cases }
                    .all(|(a, b)| a.name == b.name && same(&a.ty, &b.ty))
            }
            (TypeDefKind::Enum(a), TypeDefKind::Enum(b)) => {
                let names = |it: &wit_parser::Enum| -> Vec<_> {
                    it.cases.iter().map(|case| case.name.clone()).collect()
                };
                names(a) == names(b)
            }
            (TypeDefKind::Flags(a), TypeDefKind::Flags(b)) => {
                let names = |it: &wit_parser::Flags| -> Vec<_> {
                    it.flags.iter().map(|flag| flag.name.clone()).collect()
                };
                names(a) == names(b)
            }
            (TypeDefKind::Tuple(a), TypeDefKind::Tuple(b)) => {
                a.types.len() == b.types.len()
                    && a.types.iter().zip(&b.types).all(|(a, b)| self.same(a, b))
            }
            (TypeDefKind::Option(a), TypeDefKind::Option(b))
            | (TypeDefKind::List(a), TypeDefKind::List(b)) => self.same(a, b),
            (TypeDefKind::Result(a), TypeDefKind::Result(b)) => {
                self.same_or_none(a.ok.as_ref(), b.ok.as_ref())
                    && self.same_or_none(a.err.as_ref(), b.err.as_ref())
            }
            // The contract has no other kinds of types.
            _ => false,
        }
    }

    fn same_or_none(self, a: Option<&Type>, b: Option<&Type>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

/// Follows type aliases to the type that they name.
fn unaliased(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty
        && let TypeDefKind::Type(of) = &resolve.types[id].kind
    {
        ty = *of;
    }
    ty
}

/// Writes two functions as WIT. Each is followed by the definitions of its types that the other one lacks or
/// defines differently.
pub(super) fn signatures(sides: [FunctionRef<'_>; 2]) -> [String; 2] {
    let [expected, found] = sides.map(|(resolve, function)| Signature::of(resolve, function));
    let with_differing_types = |one: &Signature, other: &Signature| {
        let own = one.types.iter().filter(|it| !other.types.contains(it));
        let lines: Vec<&str> = std::iter::once(&one.function)
            .chain(own)
            .map(|line| &**line)
            .collect();
        lines.join("\n")
    };
    [
        with_differing_types(&expected, &found),
        with_differing_types(&found, &expected),
    ]
}

/// A function as WIT, and the definitions of the types that it names.
struct Signature {
    function: String,
    types: Vec<String>,
}

impl Signature {
    fn of(resolve: &Resolve, function: &Function) -> Self {
        let mut writer = WitWriter::new(resolve);
        let written = writer.function(function);
        let function = writer.take_text(written);
        let mut types = Vec::new();
        // A definition may name further types, which are added to `named`.
        let mut next = 0;
        while let Some(id) = writer.named.get(next).copied() {
            next += 1;
            let written = writer.definition(id);
            let definition = writer.take_text(written);
            if definition.is_empty() {
                break;
            }
            types.push(definition);
        }
        Self { function, types }
    }
}

/// A writer of WIT that stops with an error at a maximum length.
struct WitWriter<'a> {
    resolve: &'a Resolve,
    text: String,
    /// The number of characters that may still be written.
    left: usize,
    /// The types whose names were written and whose definitions follow.
    named: Vec<TypeId>,
}

impl fmt::Write for WitWriter<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let characters = more.chars().count();
        if characters > self.left {
            self.left = 0;
            return Err(fmt::Error);
        }
        self.left -= characters;
        self.text.push_str(more);
        Ok(())
    }
}

impl<'a> WitWriter<'a> {
    fn new(resolve: &'a Resolve) -> Self {
        Self {
            resolve,
            text: String::new(),
            left: SIGNATURE_CHARS_MAX,
            named: Vec::new(),
        }
    }

    /// Takes the text that was written since the last call. An incomplete text ends with an ellipsis.
    fn take_text(&mut self, written: fmt::Result) -> String {
        if written.is_err() && !self.text.is_empty() {
            self.text.push('…');
        }
        std::mem::take(&mut self.text)
    }

    fn function(&mut self, function: &Function) -> fmt::Result {
        let prefix = if function.kind.is_async() {
            "async "
        } else {
            ""
        };
        write!(self, "{}: {prefix}func(", function.name)?;
        for (index, param) in function.params.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(self, "{comma}{}: ", param.name)?;
            self.ty(&param.ty)?;
        }
        self.write_str(")")?;
        if let Some(result) = &function.result {
            self.write_str(" -> ")?;
            self.ty(result)?;
        }
        self.write_str(";")
    }

    fn ty(&mut self, ty: &Type) -> fmt::Result {
        let id = match unaliased(self.resolve, *ty) {
            Type::Id(id) => id,
            Type::ErrorContext => return self.write_str("error-context"),
            plain => return write!(self, "{}", format!("{plain:?}").to_lowercase()),
        };
        let resolve = self.resolve;
        let definition = &resolve.types[id];
        match &definition.kind {
            TypeDefKind::Option(of) => self.generic("option<", [Some(of)]),
            TypeDefKind::List(of) => self.generic("list<", [Some(of)]),
            TypeDefKind::Tuple(tuple) => self.generic("tuple<", tuple.types.iter().map(Some)),
            TypeDefKind::Result(result) => match (&result.ok, &result.err) {
                (None, None) => self.write_str("result"),
                (Some(ok), None) => self.generic("result<", [Some(ok)]),
                (ok, Some(err)) => self.generic("result<", [ok.as_ref(), Some(err)]),
            },
            TypeDefKind::Handle(Handle::Own(of)) => self.name(*of),
            TypeDefKind::Handle(Handle::Borrow(of)) => {
                self.write_str("borrow<")?;
                self.name(*of)?;
                self.write_str(">")
            }
            _ => {
                if !self.named.contains(&id) {
                    self.named.push(id);
                }
                self.name(id)
            }
        }
    }

    fn name(&mut self, id: TypeId) -> fmt::Result {
        let definition = &self.resolve.types[id];
        let name = definition.name.as_deref();
        self.write_str(name.unwrap_or(definition.kind.as_str()))
    }

    fn generic<'t>(
        &mut self,
        opening: &str,
        within: impl IntoIterator<Item = Option<&'t Type>>,
    ) -> fmt::Result {
        self.write_str(opening)?;
        for (index, ty) in within.into_iter().enumerate() {
            if index > 0 {
                self.write_str(", ")?;
            }
            match ty {
                Some(ty) => self.ty(ty)?,
                None => self.write_str("_")?,
            }
        }
        self.write_str(">")
    }

    /// Writes the definition of a named type.
    fn definition(&mut self, id: TypeId) -> fmt::Result {
        let resolve = self.resolve;
        let kind = &resolve.types[id].kind;
        write!(self, "{} ", kind.as_str())?;
        self.name(id)?;
        match kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                self.members(
                    fields.map(|field| (&field.name, Some(&field.ty))),
                    [": ", ""],
                )
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                self.members(cases.map(|case| (&case.name, case.ty.as_ref())), ["(", ")"])
            }
            TypeDefKind::Enum(of) => {
                self.members(of.cases.iter().map(|case| (&case.name, None)), ["", ""])
            }
            TypeDefKind::Flags(of) => {
                self.members(of.flags.iter().map(|flag| (&flag.name, None)), ["", ""])
            }
            _ => self.write_str(";"),
        }
    }

    fn members<'t>(
        &mut self,
        members: impl Iterator<Item = (&'t String, Option<&'t Type>)>,
        [before, after]: [&str; 2],
    ) -> fmt::Result {
        self.write_str(" { ")?;
        for (index, (name, ty)) in members.enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(self, "{comma}{name}")?;
            if let Some(ty) = ty {
                self.write_str(before)?;
                self.ty(ty)?;
                self.write_str(after)?;
            }
        }
        self.write_str(" }")
    }
}
