"""Walks one file, tells for each expression what it is, and looks its names up."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from . import infer, names
from .findings import Findings, own_names
from .kinds import UNKNOWN, Foreign, Function, Kind, Module, QtObject, Ui
from .rules import Rules

TOP = ""
MENDING = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception"}
SLICERS_STYLE = re.compile(r"^(?:[A-Z][a-z]+(?:[A-Z0-9]\w*)+|[a-z]+[A-Z]\w*)$")


def check_source(
    source: str, file: str, ui: Mapping[str, str] | None = None, own: frozenset[str] = frozenset()
) -> Findings:
    """Checks one file.

    Args:
        ui: name -> class of the widgets in the project's .ui files; `TOP` -> class of the one that holds them all.
        own: names that the project defines itself, wherever.
    """
    tree = ast.parse(source, file)
    checker = Checker(file, dict(ui or {}), own | frozenset(own_names(tree)))
    checker.learn(tree)
    checker.learn(tree)  # what is set further down is used further up
    checker.findings = Findings()
    checker.checking = True
    checker.learn(tree)
    return checker.findings


class Checker(ast.NodeVisitor):
    def __init__(self, file: str, ui: dict[str, str], own: frozenset[str]) -> None:
        self.file, self.ui, self.own = file, ui, own
        self.findings, self.checking = Findings(), False
        self.scopes: list[dict[str, Kind]] = [{}]
        self.attributes: dict[str, dict[str, Kind]] = {}
        self.classes: list[str] = []
        self.guarded = 0
        self.rules = Rules(self)

    # What the rules ask for

    def error(self, node: ast.AST, text: str) -> None:
        if self.checking:
            self.findings.errors.append(f"{self.file}:{getattr(node, 'lineno', 0)}: {text}")

    def looked_up(self, name: str) -> None:
        self.findings.checked.add(name)

    def unchecked(self, name: str) -> None:
        self.findings.unchecked.add(name)

    # Walking

    def learn(self, tree: ast.AST) -> None:
        self.scopes = [self.scopes[0]]
        self.visit(tree)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.split(".")[0]
            if root in infer.MODULES:
                name = alias.name if alias.asname else root
                self.scopes[-1][alias.asname or root] = Module(name)
                self.rules.module(node, alias.name, self.guarded > 0)
            elif not root.startswith("MedSAM"):
                self.scopes[-1][alias.asname or root] = Foreign(alias.name if alias.asname else root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or (module.split(".")[0] not in infer.MODULES and not names.python_module(module)):
            if module == "SegmentEditorEffects":
                for alias in node.names:
                    self.rules.python_name(node, names.PYTHON_EFFECT, alias.name, self.guarded > 0)
            elif not node.level and not module.startswith("MedSAM"):
                for alias in node.names:
                    self.scopes[-1][alias.asname or alias.name] = Foreign(f"{module}.{alias.name}")
            return
        self.rules.module(node, module, guarded=True)  # its releases are asked name by name
        for alias in node.names:
            if alias.name != "*":
                self.rules.attribute(node, Module(module), alias.name, self.guarded > 0)
                self.scopes[-1][alias.asname or alias.name] = infer.attribute(Module(module), alias.name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            self.kind(base)
        inherited: dict[str, Kind] = {}
        for base in node.bases:
            inherited.update(infer.INHERITED.get(ast.unparse(base).split(".")[-1], {}))
        self.attributes.setdefault(node.name, {}).update(inherited)
        self.classes.append(node.name)
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                self.remember(self.attributes[node.name], statement.target.id, self.annotated(statement.annotation))
            self.visit(statement)
        self.classes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d), *node.decorator_list]:
            self.kind(default)
        scope: dict[str, Kind] = {}
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            promised = self.annotated(argument.annotation)
            scope[argument.arg] = promised if promised is not UNKNOWN else infer.ARGUMENTS.get(argument.arg, UNKNOWN)
        self.scopes.append(scope)
        for _round in range(2):
            quiet, self.checking = self.checking, self.checking and _round == 1
            for statement in node.body:
                self.visit(statement)
            self.checking = quiet
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_Try(self, node: ast.Try) -> None:
        caught = {name for handler in node.handlers for name in re.findall(r"\w+", ast.unparse(handler.type or ast.Name("Exception")))}  # fmt: skip
        self.within(node.body, bool(caught & MENDING))
        for part in (*(handler.body for handler in node.handlers), node.orelse, node.finalbody):
            self.within(part, False)

    def visit_If(self, node: ast.If) -> None:
        self.kind(node.test)
        asks = bool(
            re.search(
                r"\b(hasattr|find_spec|TYPE_CHECKING|majorVersion|minorVersion|applicationVersion)\b",
                ast.unparse(node.test),
            )
        )
        self.within(node.body, asks)
        self.within(node.orelse, asks)

    def within(self, body: list[ast.stmt], guarded: bool) -> None:
        self.guarded += guarded
        for statement in body:
            self.visit(statement)
        self.guarded -= guarded

    def visit_Assign(self, node: ast.Assign) -> None:
        kind = self.kind(node.value)
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple) and len(target.elts) == len(node.value.elts):  # fmt: skip
                quiet, self.checking = self.checking, False  # the values were looked at just now
                for part, value in zip(target.elts, node.value.elts, strict=True):
                    self.assign(part, self.kind(value))
                self.checking = quiet
            else:
                self.assign(target, kind)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        kind = self.kind(node.value) if node.value is not None else UNKNOWN
        promised = self.annotated(node.annotation)
        self.assign(node.target, promised if promised is not UNKNOWN else kind)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            kind = self.kind(item.context_expr)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, kind)
        for statement in node.body:
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        self.kind(node.iter)
        self.assign(node.target, UNKNOWN)
        for statement in [*node.body, *node.orelse]:
            self.visit(statement)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self.kind(node)
        else:
            super().generic_visit(node)

    def assign(self, target: ast.expr, kind: Kind) -> None:
        if isinstance(target, ast.Name):
            self.remember(self.scopes[-1], target.id, kind)
        elif isinstance(target, ast.Attribute):
            if isinstance(target.value, ast.Name) and target.value.id == "self" and self.classes:
                self.remember(self.attributes[self.classes[-1]], target.attr, kind)
            else:
                self.rules.assignment(target, self.kind(target.value), target.attr)
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self.assign(element, UNKNOWN)
        else:
            self.kind(target)

    @staticmethod
    def remember(scope: dict[str, Kind], name: str, kind: Kind) -> None:
        """A name that is given None at first and an object later has the object's kind."""
        if kind is not UNKNOWN or name not in scope:
            scope[name] = kind

    def annotated(self, annotation: ast.expr | None) -> Kind:
        return infer.of_annotation(annotation, self.kind)

    # Expressions

    def kind(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in reversed(self.scopes) if node.id in scope), UNKNOWN)
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.NamedExpr):
            kind = self.kind(node.value)
            self.assign(node.target, kind)
            return kind
        if isinstance(node, ast.BoolOp):
            kinds = [self.kind(value) for value in node.values]
            return next((kind for kind in kinds if kind is not UNKNOWN), UNKNOWN)
        if isinstance(node, ast.IfExp):
            self.kind(node.test)
            kinds = [self.kind(node.body), self.kind(node.orelse)]
            return next((kind for kind in kinds if kind is not UNKNOWN), UNKNOWN)
        if isinstance(node, ast.Lambda):
            self.scopes.append({argument.arg: UNKNOWN for argument in node.args.args})
            self.kind(node.body)
            self.scopes.pop()
            return UNKNOWN
        self.inside(node)
        return UNKNOWN

    def inside(self, node: ast.AST) -> None:
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            self.scopes.append({})
            for generator in node.generators:
                self.kind(generator.iter)
                self.assign(generator.target, UNKNOWN)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.kind(child)
            elif not isinstance(child, ast.expr_context | ast.operator | ast.cmpop):
                self.inside(child)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            self.scopes.pop()

    def attribute(self, node: ast.Attribute) -> Kind:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and self.classes:
            return self.attributes[self.classes[-1]].get(node.attr, UNKNOWN)
        base = self.kind(node.value)
        if isinstance(base, Ui):
            return self.widget(node)
        if base is UNKNOWN:
            self.style(node)
            return UNKNOWN
        self.rules.attribute(node, base, node.attr, self.guarded > 0)
        return infer.attribute(base, node.attr)

    def widget(self, node: ast.Attribute) -> Kind:
        self.looked_up(f"ui.{node.attr}")
        if node.attr not in self.ui:
            self.error(node, f"no .ui file has a widget named '{node.attr}'")
            return UNKNOWN
        return QtObject(self.ui[node.attr])

    def style(self, node: ast.Attribute) -> None:
        """A name in Slicer's style on who knows what: it has to exist somewhere in Slicer, or in the project."""
        if SLICERS_STYLE.match(node.attr) and node.attr not in self.own:
            if (
                node.attr in names.all_vtk_members()
                or names.SPELLED.get(node.attr, node.attr) in names.all_qt_members()
            ):
                self.findings.somewhere.add(node.attr)
            else:
                self.error(node, f"'{node.attr}' looks like a name of Slicer's, but no class there has it")

    def call(self, node: ast.Call) -> Kind:
        function = self.kind(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.kind(argument)
        self.rules.call(node, function)
        if isinstance(function, Kind) and ast.unparse(node.func) in ("cast", "typing.cast") and len(node.args) == 2:
            return self.annotated(node.args[0])
        if isinstance(function, Function) and function.name == "loadUI" and TOP in self.ui:
            return QtObject(self.ui[TOP])
        return infer.result(function, node)
