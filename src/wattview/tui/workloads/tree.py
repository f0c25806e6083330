"""Workloads as a tree: by control group, in which a pod has its own name, each branch with the sums of what is in it.

A sum with an unknown part is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from wattview.model import Workload
from wattview.model.source import total
from wattview.tui.time_travel.trend_buffers import SummedTrends
from wattview.tui.widgets.workload_columns import WorkloadRow

_OTHERS = {
    "container": "Containers", "pod": "Pods", "unit": "Units", "session": "Sessions", "process": "Programs",
    "kernel": "Kernel",
}  # fmt: skip
"""Branches of workloads whose control group is not known, or that have none."""


class _Branch:
    """A branch while the tree is made. ``path`` ends in ``/``, unlike that of a workload at the same place."""

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.branches: dict[str, _Branch] = {}
        self.leaves: list[WorkloadRow] = []
        self.is_pod = False

    def call_pod(self, one: Workload) -> None:
        self.name, self.is_pod = _pod(one), True

    def compact(self) -> None:
        """A branch that holds nothing but one other is one with it, unless that is a pod."""
        for name, branch in list(self.branches.items()):
            branch.compact()
            if not branch.leaves and len(branch.branches) == 1:
                (only,) = branch.branches.values()
                if not only.is_pod:
                    only.name = f"{branch.name}/{only.name}"
                    self.branches[name] = only

    def all_leaves(self) -> Iterator[WorkloadRow]:
        yield from self.leaves
        for branch in self.branches.values():
            yield from branch.all_leaves()


def tree_rows(rows: Sequence[WorkloadRow], folded: Collection[str] = ()) -> list[WorkloadRow]:
    """The rows and their branches, without the contents of folded branches."""
    root = _Branch("", "")
    for row in rows:
        branch = root
        for path, name in _places(row.workload):
            branch = branch.branches.setdefault(path, _Branch(path, name))
        if row.workload.pod and row.workload.kind == "container":
            branch.call_pod(row.workload)
        branch.leaves.append(row)
    for row in rows:
        _into_its_branch(root, row)
    root.compact()
    return list(_rows(root, None, 0, folded))


def _places(one: Workload) -> Iterator[tuple[str, str]]:
    """Path and name of each branch that it is in, from the outermost."""
    if one.id.startswith("/"):
        path = ""
        for name in one.id.strip("/").split("/")[:-1]:
            path += f"/{name}"
            yield f"{path}/", name
    elif one.pod:
        yield f"{_pod(one)}/", _pod(one)
    else:
        yield f"{one.kind}/", _OTHERS[one.kind]


def _pod(one: Workload) -> str:
    return f"{one.namespace}/{one.pod}"


def _into_its_branch(root: _Branch, row: WorkloadRow) -> None:
    """A workload with others inside it is one of these: its own use is a part of the sum."""
    branch = root
    for path, _ in _places(row.workload):
        branch = branch.branches[path]
    own = branch.branches.get(f"{row.workload.id}/")
    if own is not None:
        branch.leaves.remove(row)
        own.leaves.append(row)
        if row.workload.pod:
            own.call_pod(row.workload)


def _rows(branch: _Branch, parent: str | None, depth: int, folded: Collection[str]) -> Iterator[WorkloadRow]:
    for leaf in branch.leaves:
        yield leaf._replace(depth=depth, parent=parent)
    for below in branch.branches.values():
        leaves = list(below.all_leaves())
        yield _summed(below, leaves)._replace(depth=depth, parent=parent, folded=below.path in folded)
        if below.path not in folded:
            yield from _rows(below, below.path, depth + 1, folded)


def _summed(branch: _Branch, leaves: Sequence[WorkloadRow]) -> WorkloadRow:
    parts = [leaf.workload for leaf in leaves]
    memory = total(one.memory_bytes for one in parts)
    whole = Workload(
        id=branch.path,
        kind=parts[0].kind,
        name=branch.name,
        power_watts=total(one.power_watts for one in parts),
        cpu_percent=total(one.cpu_percent for one in parts),
        memory_bytes=None if memory is None else round(memory),
    )
    trends = SummedTrends(leaves[0].trends, [leaf.trend_key for leaf in leaves])
    return WorkloadRow(whole, None, trends, leaves[0].now, parts=len(parts))
