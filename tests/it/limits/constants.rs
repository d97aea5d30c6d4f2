//! The numeric constants of a crate, parsed from its sources: names, modules and values.

use std::path::Path;
use std::rc::Rc;

use syn::{BinOp, Expr, ImplItem, Item, Lit, Stmt, Type, UnOp, UseTree};

/// A constant of a numeric type or of type `Duration`.
#[derive(Clone)]
pub(super) struct Constant {
    /// The crate without its prefix, the modules and the name, as in `server::http::events::EVENTS`.
    pub(super) path: String,
    expression: Expr,
    is_duration: bool,
    imports: Imports,
}

/// Imported names of a module, each with the crate it is from.
type Imports = Rc<Vec<(String, String)>>;

/// The value of a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Number(i128),
    Microseconds(i128),
}

impl Constant {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or_default()
    }

    /// Returns the crate.
    fn crate_name(&self) -> &str {
        self.path.split("::").next().unwrap_or_default()
    }

    fn module(&self) -> &str {
        self.path.rsplit_once("::").map_or("", |(module, _)| module)
    }
}

/// Reads all constants of a crate, starting at its root module, without test code.
pub(super) fn of_crate(name: &str, folder: &Path) -> Vec<Constant> {
    let mut found = Vec::new();
    of_file(name, &folder.join("lib.rs"), folder, &mut found);
    found
}

fn of_file(module: &str, file: &Path, folder: &Path, found: &mut Vec<Constant>) {
    let text = std::fs::read_to_string(file);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&text);
    let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    of_items(module, &parsed.items, folder, found);
}

/// Reads the constants of a source text without modules in other files.
pub(super) fn of_text(module: &str, text: &str) -> Vec<Constant> {
    let mut found = Vec::new();
    let parsed = syn::parse_file(text).unwrap();
    of_items(module, &parsed.items, Path::new("/nowhere"), &mut found);
    found
}

fn of_items(module: &str, items: &[Item], folder: &Path, found: &mut Vec<Constant>) {
    let place = Place {
        module,
        imports: &imports(module, items),
    };
    for item in items {
        match item {
            Item::Const(item) if !is_test(&item.attrs) => {
                place.add(&item.ident, &item.ty, &item.expr, found);
            }
            Item::Mod(item) if !is_test(&item.attrs) => {
                let name = item.ident.to_string();
                let inner = format!("{module}::{name}");
                let below = folder.join(&name);
                match &item.content {
                    Some((_, items)) => of_items(&inner, items, &below, found),
                    None => of_file(&inner, &folder.join(format!("{name}.rs")), &below, found),
                }
            }
            Item::Fn(item) if !is_test(&item.attrs) => place.of_block(&item.block, found),
            Item::Impl(block) if !is_test(&block.attrs) => {
                for item in &block.items {
                    match item {
                        ImplItem::Const(item) if !is_test(&item.attrs) => {
                            place.add(&item.ident, &item.ty, &item.expr, found);
                        }
                        ImplItem::Fn(item) => place.of_block(&item.block, found),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// A module in which constants are defined.
struct Place<'a> {
    module: &'a str,
    imports: &'a Imports,
}

impl Place<'_> {
    fn of_block(&self, block: &syn::Block, found: &mut Vec<Constant>) {
        for statement in &block.stmts {
            if let Stmt::Item(Item::Const(item)) = statement {
                self.add(&item.ident, &item.ty, &item.expr, found);
            }
        }
    }

    fn add(&self, name: &syn::Ident, kind: &Type, value: &Expr, found: &mut Vec<Constant>) {
        // `const _: () = …` is a check at compile time, and has another type.
        let Type::Path(kind) = kind else { return };
        let kind = kind.path.segments.last().unwrap().ident.to_string();
        let is_duration = kind == "Duration";
        let is_number = is_integer(&kind) || kind.starts_with("NonZero") || kind == "f64";
        if is_duration || is_number {
            found.push(Constant {
                path: format!("{}::{name}", self.module),
                expression: value.clone(),
                is_duration,
                imports: Rc::clone(self.imports),
            });
        }
    }
}

fn imports(module: &str, items: &[Item]) -> Imports {
    let mut found = Vec::new();
    for item in items {
        if let Item::Use(item) = item {
            names(&item.tree, &mut found);
        }
    }
    let (own, _) = module.split_once("::").unwrap_or((module, ""));
    // The first segment of a path is a crate or a module of this crate.
    let named = found.into_iter().map(|(name, first)| {
        let name_of_crate = crate_named(&first).unwrap_or(own).to_owned();
        (name, name_of_crate)
    });
    Rc::new(named.collect())
}

/// Returns the crate that the first segment of a path names, if it is one of the workspace.
fn crate_named(first: &str) -> Option<&str> {
    match first {
        "bursar_plugin" => Some("sdk"),
        other => other.strip_prefix("bursar_"),
    }
}

/// Collects the imported names of a `use` with the first segment of their paths.
fn names(tree: &UseTree, found: &mut Vec<(String, String)>) {
    match tree {
        UseTree::Path(path) => {
            let begin = found.len();
            names(&path.tree, found);
            for (_, first) in &mut found[begin..] {
                *first = path.ident.to_string();
            }
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
        UseTree::Name(name) => found.push((name.ident.to_string(), String::new())),
        UseTree::Rename(_) | UseTree::Glob(_) => {}
    }
}

fn is_integer(kind: &str) -> bool {
    let sized = ["8", "16", "32", "64", "128", "size"];
    let width = kind.strip_prefix(['u', 'i']);
    width.is_some_and(|width| sized.contains(&width))
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        let condition = attribute.parse_args::<syn::Path>();
        is_cfg && condition.is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Returns the constants that match a path: a crate, then any number of its last modules, then the name.
pub(super) fn named<'a>(path: &str, all: &'a [Constant]) -> Vec<&'a Constant> {
    let Some((crate_name, rest)) = path.split_once("::") else {
        return Vec::new();
    };
    let end = format!("::{rest}");
    let is_meant = |constant: &&Constant| {
        constant.path.starts_with(&format!("{crate_name}::")) && constant.path.ends_with(&end)
    };
    all.iter().filter(is_meant).collect()
}

/// Evaluates a constant, including constants it refers to.
pub(super) fn value(constant: &Constant, all: &[Constant]) -> Result<Value, String> {
    let number = evaluate(&constant.expression, constant, all)
        .map_err(|reason| format!("{}: {reason}", constant.path))?;
    Ok(if constant.is_duration {
        Value::Microseconds(number)
    } else {
        Value::Number(number)
    })
}

/// Evaluates an expression to a number, or to microseconds for a duration.
fn evaluate(expression: &Expr, within: &Constant, all: &[Constant]) -> Result<i128, String> {
    let go = |expression: &Expr| evaluate(expression, within, all);
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(digits) => digits.base10_parse().map_err(|error| error.to_string()),
            _ => Err("a literal that is no whole number".to_owned()),
        },
        Expr::Paren(inner) => go(&inner.expr),
        Expr::Group(inner) => go(&inner.expr),
        Expr::Cast(cast) => go(&cast.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => Ok(-go(&unary.expr)?),
        Expr::Binary(binary) => {
            let left = go(&binary.left)?;
            let right = go(&binary.right)?;
            operate(binary.op, left, right).ok_or_else(|| "arithmetic out of range".to_owned())
        }
        Expr::Path(path) => look_up(&path.path, within, all),
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else {
                return Err("a call of no name".to_owned());
            };
            let name = function.path.segments.last().unwrap().ident.to_string();
            let argument = call.args.first().ok_or("a call without an argument")?;
            let microseconds = match name.as_str() {
                "new" | "from_micros" => 1,
                "from_millis" => 1_000,
                "from_secs" => 1_000_000,
                "from_mins" => 60_000_000,
                "from_hours" => 3_600_000_000,
                _ => return Err(format!("a call of {name}")),
            };
            Ok(go(argument)? * microseconds)
        }
        Expr::MethodCall(call) => match (call.method.to_string().as_str(), &*call.receiver) {
            ("unwrap" | "expect", receiver) => go(receiver),
            ("len", Expr::Lit(literal)) => match &literal.lit {
                Lit::Str(text) => Ok(text.value().len() as i128),
                _ => Err("the length of no text".to_owned()),
            },
            (name, _) => Err(format!("a call of .{name}()")),
        },
        _ => Err("an expression that is not understood here".to_owned()),
    }
}

fn operate(operator: BinOp, left: i128, right: i128) -> Option<i128> {
    match operator {
        BinOp::Add(_) => left.checked_add(right),
        BinOp::Sub(_) => left.checked_sub(right),
        BinOp::Mul(_) => left.checked_mul(right),
        BinOp::Div(_) => left.checked_div(right),
        BinOp::Shl(_) => left.checked_shl(u32::try_from(right).ok()?),
        BinOp::Shr(_) => left.checked_shr(u32::try_from(right).ok()?),
        _ => None,
    }
}

/// Looks up a name: in the module, else in the crate it is imported from, else as the only one in the crate,
/// else as the only one in the workspace.
fn look_up(path: &syn::Path, within: &Constant, all: &[Constant]) -> Result<i128, String> {
    let segments = path.segments.iter().map(|it| it.ident.to_string());
    let segments: Vec<String> = segments.collect();
    let name = segments.last().ok_or("no name")?;
    if segments.len() == 2 && is_integer(&segments[0]) {
        return match (segments[0].as_str(), name.as_str()) {
            ("u64", "MAX") => Ok(i128::from(u64::MAX)),
            ("u32", "MAX") => Ok(i128::from(u32::MAX)),
            ("i64", "MAX") => Ok(i128::from(i64::MAX)),
            _ => Err(format!("{}::{name}", segments[0])),
        };
    }
    let same = all.iter().filter(|constant| constant.name() == name);
    let same: Vec<&Constant> = same.collect();
    let imported = within.imports.iter().find(|(leaf, _)| leaf == name);
    let imported = imported.map(|(_, name)| name.as_str());
    let imported = crate_named(&segments[0]).or(imported);
    let candidates = [
        same.iter()
            .filter(|it| it.module() == within.module())
            .collect::<Vec<_>>(),
        same.iter()
            .filter(|it| Some(it.crate_name()) == imported)
            .collect(),
        same.iter()
            .filter(|it| it.crate_name() == within.crate_name())
            .collect(),
        same.iter().collect(),
    ];
    let found = candidates.into_iter().find(|some| !some.is_empty());
    match found.unwrap_or_default()[..] {
        [only] => evaluate(&only.expression, only, all),
        [] => Err(format!("{name} is not a constant of ours")),
        _ => Err(format!("{name} has several meanings")),
    }
}
