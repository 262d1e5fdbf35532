"""What axe-core, the checker of accessibility of Deque, finds wrong in a page."""

import importlib.util
from pathlib import Path

from tests.browser import Driven

_PACKAGE = importlib.util.find_spec("axe_playwright_python")  # brings the script; not imported
AXE = Path(_PACKAGE.origin).with_name("axe.min.js") if _PACKAGE and _PACKAGE.origin else None
_RUN = """axe.run({resultTypes: ["violations"]}).then(({violations}) => violations
  .filter(one => ["serious", "critical"].includes(one.impact))
  .flatMap(one => one.nodes.map(node => `${one.id}: ${node.target.join(" ")}: ${one.help}; `
    + node.any.concat(node.all, node.none).map(check => check.message).join("; "))))"""


def violations(page: Driven) -> list[str]:
    """Serious and critical violations: rule, element and reason of each.

    Raises
    ------
    RuntimeError
        If axe-core is not installed.
    """
    if AXE is None:
        raise RuntimeError("axe-core is missing: pip install --no-deps axe-playwright-python")
    page.evaluate(f"(() => {{ {AXE.read_text(encoding='utf-8')} }})()")
    return page.evaluate(_RUN)
