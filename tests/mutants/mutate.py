"""Mutation testing of the ledger: each small change to the code that decides about money must fail a test.

All changes are built into one test binary, and an environment variable activates one of them. A change therefore
takes the time of a test run and not of a build. A change that fails no test is printed, unless survivors.txt
gives the reason why no test can fail.

The kinds of changes follow the style of the ledger: arithmetic on amounts uses methods (`saturating_add`), and
checks are statements that end with `?`, so removing a statement is a change as well.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CRATE = "engine/ledger"

# The files that decide requests and apply their effects.
DECIDING = [
    "decide.rs", "decide/*.rs", "books.rs", "books/*.rs", "call/*.rs", "call/draft/*.rs", "plugin/installation.rs",
    "plugin/grants.rs", "plugin/grants/*.rs", "plugin/account_pattern.rs", "plugin/budget.rs", "plugin/schedule.rs",
    "working_balances.rs", "amount.rs", "account.rs", "account_limits.rs", "hold.rs", "draw.rs", "draw/*.rs",
    "movement.rs", "economy.rs", "quota.rs", "key/limits.rs",
]  # fmt: skip

RELATIONS = {
    "==": ["!="], "!=": ["=="], "<": ["<=", ">"], "<=": ["<", ">"], ">": [">=", "<"], ">=": [">", "<"],
    "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"],
}  # fmt: skip

METHODS = {
    "saturating_add": "saturating_sub", "saturating_sub": "saturating_add", "checked_add": "checked_sub",
    "checked_sub": "checked_add", "min": "max", "max": "min", "any": "all", "all": "any", "is_some": "is_none",
    "is_none": "is_some", "is_ok": "is_err", "is_err": "is_ok", "is_some_and": "is_none_or",
    "is_none_or": "is_some_and", "min_by_key": "max_by_key", "is_subset": "is_superset",
}  # fmt: skip

NEGATED = {"is_empty", "contains", "contains_key", "is_issuer", "is_own", "is_caller", "has_drawn", "is_open",
           "belongs_to", "starts_with", "is_draw", "narrows"}  # fmt: skip

# Values that replace a function's result, by its return type.
RESULTS = [
    (r"bool", ["true", "false"]),
    (r"(u8|u16|u32|u64|i64|usize)", ["0"]),
    (r"Option<.*>", ["None"]),
    (r"Result<\(\), .*>", ["Ok(())"]),
    (r"Result<Option<.*>, .*>", ["Ok(None)"]),
    (r"Result<Verdict, .*>", ["Ok(Verdict::Unchanged)"]),
    (r"Verdict", ["Verdict::Unchanged"]),
    (r"Vec<.*>", ["Vec::new()"]),
]

SKIPPED_FUNCTIONS = {"fmt", "default"}
WORDS = re.compile(r"\s+")
PARSER = Parser(Language(tree_sitter_rust.language()))


def plain(text):
    return WORDS.sub(" ", text).strip()


class Mutant:
    def __init__(self, number, file, function, line, before, after):
        self.number, self.line = number, line
        self.file, self.function = file, function
        self.change = f"{plain(before)} -> {plain(after)}"

    @property
    def key(self):
        return f"{self.file}: {self.function}: {self.change}"

    def __str__(self):
        return f"{self.file}:{self.line}: in {self.function}: {self.change}"


class Rewriter:
    """Inserts all changes into the text of one file."""

    def __init__(self, file, text, first, dropped):
        self.file, self.bytes = file, text.encode()
        self.next, self.dropped = first, dropped
        self.mutants = []
        self.functions = []

    def text(self, node):
        return self.bytes[node.start_byte : node.end_byte].decode()

    def new(self, node, before, after):
        """Returns the number of a new change, or None if it does not compile."""
        number = self.next
        self.next += 1
        if number in self.dropped:
            return None
        function = "::".join(self.functions) or "file"
        mutant = Mutant(number, self.file, function, node.start_point.row + 1, before, after)
        self.mutants.append(mutant)
        return number

    def choose(self, node, original, variants):
        """Returns an expression that evaluates to the active variant."""
        for before, after, code in variants:
            number = self.new(node, before, after)
            if number is not None:
                original = (
                    f"\n/*<{number}*/(if crate::mutation::is({number}) {{\n{code}\n}} else {{\n{original}\n}})"
                    f"/*{number}>*/\n"
                )
        return original

    def children(self, node, replaced=None):
        """Returns the node's text with its children rewritten."""
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.bytes[at : child.start_byte].decode())
            out.append(replaced[child.id] if replaced and child.id in replaced else self.render(child))
            at = child.end_byte
        out.append(self.bytes[at : node.end_byte].decode())
        return "".join(out)

    def render(self, node):
        kind = node.type
        if kind in ("attribute_item", "inner_attribute_item", "macro_invocation", "macro_definition", "use_declaration",
                    "const_item", "static_item", "type_item", "where_clause", "type_arguments", "line_comment",
                    "block_comment", "let_condition_pattern"):  # fmt: skip
            return self.text(node)
        if kind in ("source_file", "declaration_list"):
            return self.items(node)
        if kind == "impl_item":
            return self.impl(node)
        if kind == "function_item":
            return self.function(node)
        if not self.functions:
            return self.children(node)
        if kind.endswith("_pattern") and kind != "match_pattern":
            return self.text(node)
        rewrite = getattr(self, f"rewrite_{kind}", None)
        return rewrite(node) if rewrite else self.children(node)

    def items(self, node):
        """Rewrites items, except those compiled only for tests."""
        replaced, tests = {}, False
        for child in node.children:
            if child.type == "attribute_item":
                tests = tests or "cfg(test)" in self.text(child)
            elif child.type not in ("line_comment", "block_comment"):
                if tests:
                    replaced[child.id] = self.text(child)
                tests = False
        return self.children(node, replaced)

    def impl(self, node):
        made_for = node.child_by_field_name("trait")
        if made_for is not None and self.text(made_for).split("::")[-1].startswith(("Display", "Debug", "Serialize")):
            return self.text(node)
        owner = self.text(node.child_by_field_name("type"))
        self.functions.append(owner.split("<")[0])
        out = self.children(node, {child.id: self.text(child) for child in node.children if child.type != "declaration_list"})
        self.functions.pop()
        return out

    def function(self, node):
        name = self.text(node.child_by_field_name("name"))
        head = self.bytes[node.start_byte : node.child_by_field_name("name").start_byte].decode()
        body = node.child_by_field_name("body")
        if "const " in head or name in SKIPPED_FUNCTIONS or body is None:
            return self.text(node)
        self.functions.append(name)
        returned = node.child_by_field_name("return_type")
        returned = plain(self.text(returned)) if returned is not None else ""
        early = []
        for pattern, values in RESULTS:
            if re.fullmatch(pattern, returned) and not re.fullmatch(r"\{\s*\}", self.text(body)):
                for value in values:
                    number = self.new(body, "its result", value)
                    if number is not None:
                        early.append(f"\n/*<{number}*/if crate::mutation::is({number}) {{ return {value}; }}/*{number}>*/\n")
                break
        inner = self.render(body)
        before = self.bytes[node.start_byte : body.start_byte].decode()
        self.functions.pop()
        return before + inner[0] + "".join(early) + inner[1:]

    def has_let(self, node):
        if node.type in ("let_condition", "let_chain"):
            return True
        return node.type not in ("block", "closure_expression") and any(self.has_let(child) for child in node.children)

    def rewrite_binary_expression(self, node):
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = self.text(node.child_by_field_name("operator"))
        if self.has_let(node) or operator not in RELATIONS:
            return self.children(node)
        original = f"({self.render(left)}) {operator} ({self.render(right)})"
        variants = [
            (self.text(node), f"{self.text(left)} {other} {self.text(right)}", f"({self.text(left)}) {other} ({self.text(right)})")
            for other in RELATIONS[operator]
        ]
        return self.choose(node, original, variants)

    def rewrite_unary_expression(self, node):
        text = self.text(node)
        if not text.startswith("!"):
            return self.children(node)
        return self.choose(node, self.children(node), [(text, text[1:], text[1:])])

    def condition(self, node):
        """Changes a condition to true or false."""
        text = self.text(node)
        return self.choose(node, self.render(node), [(text, "true", "true"), (text, "false", "false")])

    def rewrite_let_chain(self, node):
        parts = {}
        for child in node.named_children:
            if child.type not in ("let_condition", "let_chain"):
                text = self.text(child)
                parts[child.id] = self.choose(child, self.render(child), [(text, "true", "true")])
        return self.children(node, parts)

    def rewrite_if_expression(self, node):
        condition = node.child_by_field_name("condition")
        if self.has_let(condition):
            return self.children(node)
        return self.children(node, {condition.id: self.condition(condition)})

    def rewrite_match_pattern(self, node):
        guard = node.child_by_field_name("condition")
        if guard is None or self.has_let(guard):
            return self.text(node)
        keep = {child.id: self.text(child) for child in node.children if child.id != guard.id}
        return self.children(node, {**keep, guard.id: self.condition(guard)})

    def rewrite_call_expression(self, node):
        called = node.child_by_field_name("function")
        if called.type != "field_expression":
            return self.children(node)
        name, receiver = called.child_by_field_name("field"), called.child_by_field_name("value")
        method, text = self.text(name), self.text(node)
        arguments = self.text(node.child_by_field_name("arguments"))
        original = f"{self.render(receiver)}.{method}{self.render(node.child_by_field_name('arguments'))}"
        shown = f".{method}{arguments}"
        variants = []
        if method in METHODS:
            other = METHODS[method]
            variants.append((shown, f".{other}{arguments}", f"{self.text(receiver)}.{other}{arguments}"))
        elif method in NEGATED:
            variants.append((text, f"!{text}", f"!({text})"))
        if method == "contains" and receiver.type == "parenthesized_expression":
            bounds = self.text(receiver)
            if "..=" in bounds:
                open_ended = bounds.replace("..=", "..")
                variants.append((text, f"{open_ended}.contains{arguments}", f"{open_ended}.contains{arguments}"))
        return self.choose(node, original, variants)

    def rewrite_integer_literal(self, node):
        if node.parent.type in ("field_expression", "match_pattern", "range_expression", "tuple_struct_pattern", "array_type"):
            return self.text(node)
        text = self.text(node)
        digits = text.replace("_", "")
        if not digits.isdigit():
            return text
        more = str(int(digits) + 1)
        around = plain(self.text(node.parent.parent if node.parent.type == "arguments" else node.parent))[-90:]
        return self.choose(node, text, [(f"{text} in {around}", more, more)])

    def rewrite_expression_statement(self, node):
        """Removes a statement."""
        inner = node.named_children[0]
        text = self.text(node)
        if inner.type not in ("call_expression", "try_expression", "assignment_expression", "compound_assignment_expr"):
            return self.children(node)
        number = self.new(node, text, "nothing")
        original = self.children(node)
        if number is None:
            return original
        return f"\n/*<{number}*/if !crate::mutation::is({number}) {{\n{original}\n}}/*{number}>*/\n"


SWITCH = '''//! The switch of the changes that are built in.

use std::sync::OnceLock;

/// Returns true if a change is active.
pub(crate) fn is(number: u32) -> bool {
    static ON: OnceLock<u32> = OnceLock::new();
    let read = || std::env::var("BURSAR_MUTANT").ok()?.parse().ok();
    *ON.get_or_init(|| read().unwrap_or(0)) == number
}
'''


class Workspace:
    """A copy of the crate with all changes."""

    def __init__(self, work):
        self.folder, self.target = work / "workspace", work / "target"
        self.crate = self.folder / CRATE
        self.dropped = set()
        self.binary = None
        self.mutants = []

    def write(self):
        self.crate.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.crate)
        shutil.copytree(ROOT / CRATE, self.crate, ignore=shutil.ignore_patterns("proptest-regressions"))
        manifest = (ROOT / "Cargo.toml").read_text()
        for name in ("members", "default-members"):
            manifest = re.sub(rf"(?ms)^{name} = \[.*?\]", f'{name} = ["{CRATE}"]', manifest)
        # Profiles of packages that are not built here are removed.
        manifest = re.sub(r"(?m)^\[profile\.dev\.package\.(?!\"\*\").*\]\nopt-level = 2\n", "", manifest)
        manifest = manifest.replace("[profile.dev]\n", "[profile.dev]\nopt-level = 1\n")
        (self.folder / "Cargo.toml").write_text(manifest)
        shutil.copy(ROOT / "Cargo.lock", self.folder)
        source = self.crate / "src"
        (source / "mutation.rs").write_text(SWITCH)
        with (source / "lib.rs").open("a") as lib:
            lib.write("\nmod mutation;\n")
        self.mutants, number = [], 1
        files = sorted({file for pattern in DECIDING for file in source.glob(pattern)})
        assert len(files) > 20, "the patterns of DECIDING match the files"
        for file in files:
            name = str(file.relative_to(source))
            text = file.read_text()
            rewriter = Rewriter(name, text, number, self.dropped)
            file.write_text(rewriter.render(PARSER.parse(text.encode()).root_node))
            self.mutants += rewriter.mutants
            number = rewriter.next

    def cargo(self):
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target), "RUSTFLAGS": "-Awarnings"}
        command = ["cargo", "test", "--lib", "--no-run", "--package", "bursar-ledger",
                   "--message-format", "json"]  # fmt: skip
        built = subprocess.run(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        errors = []
        for line in built.stdout.decode().splitlines():
            message = json.loads(line)
            if message["reason"] == "compiler-artifact" and message.get("executable"):
                self.binary = message["executable"]
            if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
                errors.append(message["message"])
        if built.returncode != 0 and not errors:
            sys.exit(built.stderr.decode())
        return errors

    def covering(self, file, byte):
        """Returns the innermost change at a position in a rewritten file."""
        text = (self.folder / file).read_bytes()
        found = None
        for begin in re.finditer(rb"/\*<(\d+)\*/", text):
            number = int(begin.group(1))
            end = text.find(b"/*%d>*/" % number, begin.end())
            if begin.start() <= byte <= end and (found is None or end - begin.start() < found[1]):
                found = (number, end - begin.start())
        return found[0] if found else None

    def build(self):
        """Builds, and drops changes that do not compile."""
        for _ in range(12):
            self.write()
            errors = self.cargo()
            if not errors:
                return
            before = len(self.dropped)
            for error in errors:
                for span in error["spans"]:
                    number = self.covering(span["file_name"], span["byte_start"])
                    if number is not None:
                        self.dropped.add(number)
            if len(self.dropped) == before:
                sys.exit("the changed ledger does not build:\n" + "\n".join(error["rendered"] for error in errors))
            print(f"{len(self.dropped)} changes do not compile", file=sys.stderr)
        sys.exit("the changed ledger does not build after 12 attempts")


def run(binary, folder, number, timeout, cases):
    """Returns the name of a test that fails with the change, or the exit of a run that crashes or hangs; else None."""
    environment = {**os.environ, "BURSAR_MUTANT": str(number), "PROPTEST_CASES": str(cases),
                   "PROPTEST_MAX_SHRINK_ITERS": "0", "RUST_BACKTRACE": "0",
                   # Each run has the same cases, so that a change is noticed always or never.
                   "PROPTEST_RNG_SEED": "1", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true"}  # fmt: skip
    command = [binary, "--test-threads", "1", "--skip", "tests::samples"]
    tests = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             start_new_session=True)  # fmt: skip
    timer = threading.Timer(timeout, lambda: os.killpg(tests.pid, signal.SIGKILL))
    timer.start()
    noticed = None
    for line in tests.stdout:
        # The line has the name of the test and its result; a panic may print between them.
        if line.rstrip().endswith(b"FAILED"):
            noticed = line.decode(errors="replace").split(" ... ")[0].strip()
            os.killpg(tests.pid, signal.SIGKILL)
            break
    tests.stdout.close()
    ended = tests.wait()
    timer.cancel()
    if noticed is None and ended != 0:
        noticed = f"the tests ended with {ended}"
    return noticed


def accepted():
    """Returns the changes that cannot fail a test, with their reasons."""
    reasons, reason = {}, None
    for line in (HERE / "survivors.txt").read_text().splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tried", type=int, help="the number of changes to try; default: all")
    parser.add_argument("--seed", default="1", help="the seed that selects the changes")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", type=int, default=64, help="random cases of each property")
    parser.add_argument("--only", nargs="*", help="files of the ledger to change")
    options = parser.parse_args()

    workspace = Workspace(options.work.resolve())
    workspace.build()
    known = {mutant.key for mutant in workspace.mutants}
    reasons = accepted()
    stale = [key for key in reasons if key not in known]
    began = time.monotonic()
    failed = run(workspace.binary, workspace.crate, 0, 600, options.cases)
    if failed is not None:
        sys.exit(f"the tests fail without any change: {failed}")
    once = time.monotonic() - began
    tried = [mutant for mutant in workspace.mutants if mutant.key not in reasons]
    if options.only:
        tried = [mutant for mutant in tried if mutant.file in options.only]
    if options.tried is not None and options.tried < len(tried):
        tried = random.Random(options.seed).sample(tried, options.tried)
    print(f"{len(workspace.mutants)} changes, {len(reasons)} of them accepted; trying {len(tried)}, at most {once:.0f} s each")
    timeout = 30 + 10 * once
    survivors = []

    def attempt(mutant):
        return mutant, run(workspace.binary, workspace.crate, mutant.number, timeout, options.cases)

    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, noticed in pool.map(attempt, tried):
            if noticed is None:
                survivors.append(mutant)
                print(f"no test fails: {mutant}", flush=True)
    for key in stale:
        print(f"survivors.txt names a change that does not exist: {key}")
    print(f"{len(tried) - len(survivors)} of {len(tried)} changes fail a test, in {time.monotonic() - began:.0f} s")
    sys.exit(1 if survivors or stale else 0)


if __name__ == "__main__":
    main()
