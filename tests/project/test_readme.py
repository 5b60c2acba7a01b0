"""The code in README.md, as a reader copies it, from top to bottom."""

import ast
import builtins
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_name_is_defined_before_it_is_used():
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(snippets) > 3
    known, unknown = {*dir(builtins)}, []
    for statement in ast.parse("\n".join(snippets)).body:
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        unknown += [node.id for node in names if isinstance(node.ctx, ast.Load) and node.id not in known]
        known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        if isinstance(statement, ast.Import | ast.ImportFrom):
            known |= {alias.asname or alias.name for alias in statement.names}
    assert unknown == []
