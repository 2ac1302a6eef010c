"""The curve of the adaptation while it runs: bits per brain pixel by step, in a table and a chart of the scene."""

import re

import slicer

from NeuroGenLib.i18n import tr as _
from NeuroGenLib.plots import chartNodes, plotTable, showChart
from NeuroGenLib.tables import setColumns, tableNode

_STEP = re.compile(r"adapting: step (\d+), ([0-9.]+) bits")


class LiveCurve:
    """Grows with every stage that tells a step; its nodes are made with the first one."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.bits: list[float] = []
        self._table = None
        self._chart = None

    def take(self, stage: str) -> None:
        """Add the step that a stage of the command line tells, if it tells one."""
        found = _STEP.match(stage)
        if not found or (self.steps and int(found[1]) == self.steps[-1]):
            return
        self.steps.append(int(found[1]))
        self.bits.append(float(found[2]))
        self._show()

    def remove(self) -> None:
        """Take the nodes out of the scene: the result has the whole curve."""
        nodes = chartNodes(self._chart) if self._present(self._chart) else []
        for node in [*nodes, self._table]:
            if self._present(node):
                slicer.mrmlScene.RemoveNode(node)
        self._table = self._chart = None

    def _show(self) -> None:
        columns = {"step": self.steps, "bits": self.bits}
        if self._present(self._table):
            setColumns(self._table, columns)
            return
        self._table = tableNode(_("Adaptation"), columns)
        self._chart = plotTable(
            self._table, "step", ["bits"], title=_("Adaptation"), xTitle=_("step"), yTitle=_("bits per brain pixel")
        )
        showChart(self._chart)

    @staticmethod
    def _present(node) -> bool:
        return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))
