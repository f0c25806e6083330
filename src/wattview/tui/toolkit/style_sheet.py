"""A style sheet that computes the styles of a widget's parts (its component classes) only when a part is drawn.

Textual computes all of them whenever the widget's own styles may have changed: ten to twenty parts for a table or a
graph, most of them not visible. That took a third of the time to open a screen or to turn a page.
"""

from __future__ import annotations

from textual.css.model import RuleSet
from textual.css.styles import RenderStyles
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

# Textual's own does the same in Python, and is called for every rule of every widget and part that is styled.
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]


class LazyStylesheet(Stylesheet):
    def _process_component_classes(self, node: DOMNode) -> None:
        names = node._get_component_classes()
        if not names:
            return
        before, node._component_styles = node._component_styles, _Parts(self, node, names)
        if any(node._component_styles[name] != styles for name, styles in before.items()):
            node.refresh()


class _Parts(dict[str, RenderStyles]):
    """The styles of those parts that were asked for."""

    def __init__(self, sheet: Stylesheet, node: DOMNode, names: frozenset[str]) -> None:
        super().__init__()
        self._sheet, self._node, self._names = sheet, node, names

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __missing__(self, name: str) -> RenderStyles:
        part = DOMNode(classes=name)
        part._attach(self._node)
        self._sheet.apply(part)
        self[name] = part.styles
        return part.styles
