//! Types of functions, compared and written out as WIT. A stranger's type can unfold without measure;
//! the contract's side and a length bound both.

use std::fmt::{self, Write};

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

use crate::limits::SIGNATURE_CHARS_MAX;

/// A function, and where its types are.
type Side<'a> = (&'a Resolve, &'a Function);

/// Whether two functions take and give the same. Names of parameters and of types mean nothing at the
/// border, names of fields and cases do.
pub(super) fn same([expected, found]: [Side<'_>; 2]) -> bool {
    let both = Both(expected.0, found.0);
    let (expected, found) = (expected.1, found.1);
    let pairs = expected.params.iter().zip(&found.params);
    expected.kind.is_async() == found.kind.is_async()
        && expected.params.len() == found.params.len()
        && pairs.clone().all(|(a, b)| both.same(&a.ty, &b.ty))
        && both.same_or_none(expected.result.as_ref(), found.result.as_ref())
}

/// The contract's types and the component's. As many steps as the contract has are taken at most.
#[derive(Clone, Copy)]
struct Both<'a>(&'a Resolve, &'a Resolve);

impl Both<'_> {
    fn same(self, a: &Type, b: &Type) -> bool {
        let (a, b) = (resolved(self.0, *a), resolved(self.1, *b));
        let (Type::Id(a), Type::Id(b)) = (a, b) else {
            return a == b;
        };
        match (&self.0.types[a].kind, &self.1.types[b].kind) {
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
            // The contract has nothing else.
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

/// What a type is under its other names.
fn resolved(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty
        && let TypeDefKind::Type(of) = &resolve.types[id].kind
    {
        ty = *of;
    }
    ty
}

/// Both as WIT: the function, and beneath it those types of its that are not written the same on the
/// other side.
pub(super) fn signatures(sides: [Side<'_>; 2]) -> [String; 2] {
    let [expected, found] = sides.map(|(resolve, function)| Written::of(resolve, function));
    let told = |one: &Written, other: &Written| {
        let own = one.types.iter().filter(|it| !other.types.contains(it));
        let lines: Vec<&str> = std::iter::once(&one.function)
            .chain(own)
            .map(|line| &**line)
            .collect();
        lines.join("\n")
    };
    [told(&expected, &found), told(&found, &expected)]
}

/// A function as WIT, with the types that it names.
struct Written {
    function: String,
    types: Vec<String>,
}

impl Written {
    fn of(resolve: &Resolve, function: &Function) -> Self {
        let mut text = Text::new(resolve);
        let written = text.function(function);
        let function = text.cut(written);
        let mut types = Vec::new();
        // Writing one type may name further ones.
        let mut next = 0;
        while let Some(id) = text.named.get(next).copied() {
            next += 1;
            let written = text.definition(id);
            let definition = text.cut(written);
            if definition.is_empty() {
                break;
            }
            types.push(definition);
        }
        Self { function, types }
    }
}

/// A text that ends somewhere, whatever it is to say.
struct Text<'a> {
    resolve: &'a Resolve,
    said: String,
    left: usize,
    /// Types that were named and have a definition of their own.
    named: Vec<TypeId>,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let characters = more.chars().count();
        if characters > self.left {
            self.left = 0;
            return Err(fmt::Error);
        }
        self.left -= characters;
        self.said.push_str(more);
        Ok(())
    }
}

impl<'a> Text<'a> {
    fn new(resolve: &'a Resolve) -> Self {
        Self {
            resolve,
            said: String::new(),
            left: SIGNATURE_CHARS_MAX,
            named: Vec::new(),
        }
    }

    /// What was written since the last time, with a sign if it is not all.
    fn cut(&mut self, written: fmt::Result) -> String {
        if written.is_err() && !self.said.is_empty() {
            self.said.push('…');
        }
        std::mem::take(&mut self.said)
    }

    fn function(&mut self, function: &Function) -> fmt::Result {
        let sync = if function.kind.is_async() {
            "async "
        } else {
            ""
        };
        write!(self, "{}: {sync}func(", function.name)?;
        for (place, param) in function.params.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
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
        let id = match resolved(self.resolve, *ty) {
            Type::Id(id) => id,
            Type::ErrorContext => return self.write_str("error-context"),
            plain => return write!(self, "{}", format!("{plain:?}").to_lowercase()),
        };
        let resolve = self.resolve;
        let definition = &resolve.types[id];
        match &definition.kind {
            TypeDefKind::Option(of) => self.around("option<", [Some(of)]),
            TypeDefKind::List(of) => self.around("list<", [Some(of)]),
            TypeDefKind::Tuple(tuple) => self.around("tuple<", tuple.types.iter().map(Some)),
            TypeDefKind::Result(result) => match (&result.ok, &result.err) {
                (None, None) => self.write_str("result"),
                (Some(ok), None) => self.around("result<", [Some(ok)]),
                (ok, Some(err)) => self.around("result<", [ok.as_ref(), Some(err)]),
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

    fn around<'t>(
        &mut self,
        opening: &str,
        within: impl IntoIterator<Item = Option<&'t Type>>,
    ) -> fmt::Result {
        self.write_str(opening)?;
        for (place, ty) in within.into_iter().enumerate() {
            if place > 0 {
                self.write_str(", ")?;
            }
            match ty {
                Some(ty) => self.ty(ty)?,
                None => self.write_str("_")?,
            }
        }
        self.write_str(">")
    }

    /// What a type with a name is.
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
        for (place, (name, ty)) in members.enumerate() {
            let comma = if place > 0 { ", " } else { "" };
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
