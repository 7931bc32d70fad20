"""The leaderboard's own checker, run from the installed package's source.

Importing it the usual way needs tree-sitter and the client of every model there is. Its Python
branch uses neither, so those imports are given empty stand-ins.
"""

import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

_CONSTANTS = "bfcl_eval.constants"
_CONVERTERS = "bfcl_eval.eval_checker.ast_eval.type_convertor"
_STAND_INS: dict[str, dict[str, Any]] = {
    f"{_CONSTANTS}.model_config": {"MODEL_CONFIG_MAPPING": {"any": SimpleNamespace(underscore_to_dot=False)}},
    f"{_CONSTANTS}.type_mappings": {"JAVA_TYPE_CONVERSION": {}, "JS_TYPE_CONVERSION": {}},
    f"{_CONVERTERS}.java_type_converter": {"java_type_converter": None},
    f"{_CONVERTERS}.js_type_converter": {"js_type_converter": None},
}

Accepts = Callable[[list[dict[str, Any]], str, dict[str, Any], dict[str, Any], str], bool]


def load() -> Accepts:
    """Return ``accepts(functions, name, arguments, ground_truth, category)`` of the leaderboard."""
    origin = find_spec("bfcl_eval").origin
    path = Path(origin).parent / "eval_checker" / "ast_eval" / "ast_checker.py"
    modules = {name: ModuleType(name) for name in _STAND_INS}
    for name, attributes in _STAND_INS.items():
        vars(modules[name]).update(attributes)
    with mock.patch.dict(sys.modules, modules):
        spec = spec_from_file_location("bfcl_ast_checker", path)
        checker = module_from_spec(spec)
        spec.loader.exec_module(checker)

    def accepts(functions, name, arguments, ground_truth, category):
        reply = [{name: arguments}]
        result = checker.ast_checker(functions, reply, [ground_truth], checker.Language.PYTHON, category, "any")
        return bool(result["valid"])

    return accepts
