"""Charts of a result as plot nodes: the growth chart of a region with this scan as a dot, and the importance bars."""

import numpy as np

from NeonatalBrainAgeLib.result import NAMES, Result
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.nodes import stamp
from NeuroGenLib.plots import Series, chartNodes, plotTable, seriesNodes, setRange
from NeuroGenLib.tables import setColumns, tableNode

POINTS = 60  # ages of a curve
BARS = 12
TERM_WEEKS = 37.0
BAND, DOT, BORDER = (0.23, 0.43, 0.65), (0.70, 0.15, 0.12), (0.45, 0.45, 0.45)
STRATA = {
    "term": (_("median, born at term"), (0.11, 0.50, 0.36), False),
    "preterm": (_("median, born preterm"), (0.70, 0.42, 0.00), False),
    "female": (_("median, girls"), (0.48, 0.31, 0.64), True),
    "male": (_("median, boys"), (0.24, 0.24, 0.24), True),
}
CENTILES = (5, 25, 50, 75, 95)


def showGrowth(result: Result, charts, label: int, feature: str):
    """Fill the growth chart of a result with one region; return the chart node. charts: GrowthCharts of the model.

    feature : "rv" or "svr".
    """
    record, row = result.record.content, result.row(label)
    columns = growthColumns(charts, f"{feature}_{label:02d}", record["charts"], record["chart_age_weeks"], row[feature])
    table, chart = result.node("growth"), result.node("growthChart")
    if table is None or chart is None:
        table = result.keep("growth", tableNode(_("{name} growth").format(name=result.table.GetName()), columns))
        chart = _growthChart(result, table)
    setColumns(table, columns)
    title = _("{kind} of {region}: z {z:+.1f}, centile {centile:.0f}").format(
        kind=feature.upper(), region=NAMES[label], z=row[f"{feature}_z"], centile=row[f"{feature}_centile"]
    )
    chart.SetTitle(title)
    chart.SetYAxisTitle(_("relational volume") if feature == "rv" else _("surface-to-volume ratio"))
    setRange(chart, x=_span(columns, "age"), y=_span(columns, "value"))
    return chart


def growthColumns(charts, feature: str, stratum: str, age: float, value: float) -> dict[str, list[float]]:
    """Equally long columns: `age` and centiles of the stratum, age and median of the other strata, the scan, and the
    border between infants born preterm and a norm."""
    from neurogen.brain_age.regions import FEATURE_NAMES

    index = FEATURE_NAMES.index(feature)
    ages = np.linspace(*charts.range_of(stratum), POINTS)
    curves = charts.centile_curves(ages, index, stratum=stratum)
    columns = {"age": ages, **{f"centile {c}": curve for c, curve in zip(CENTILES, curves)}}
    for name in STRATA:
        own = np.linspace(*charts.range_of(name), POINTS)
        columns[f"age {name}"] = own
        columns[name] = charts.centile_curves(own, index, stratum=name)[CENTILES.index(50)]
    columns["scan age"], columns["scan"] = np.full(POINTS, age), np.full(POINTS, value)
    columns["border age"] = np.full(POINTS, TERM_WEEKS)
    columns["border"] = np.linspace(min(curves.min(), value), max(curves.max(), value), POINTS)
    return {name: [float(each) for each in column] for name, column in columns.items()}


def showImportance(result: Result):
    """The bars of the regions that say most about the age, made once; return the chart node."""
    chart = result.node("importanceChart")
    if chart is not None:
        return chart
    leading = sorted(result.rows(), key=lambda row: -row["importance"])[:BARS]
    columns = {"region": [row["name"] for row in leading], "importance": [row["importance"] for row in leading]}
    table = tableNode(_("{name} importance").format(name=result.table.GetName()), columns)
    result.keep("importance", table)
    chart = plotTable(
        table,
        "region",
        [Series("importance", _("importance, 0 to 1"), color=BAND)],
        title=_("Regions that say most about the age"),
        xTitle=_("region"),
        yTitle=_("error when shuffled, scaled"),
        bars=True,
    )
    return _kept(result, "importanceChart", chart)


def _growthChart(result: Result, table):
    bands = [Series(f"centile {c}", _("centile {c}").format(c=c), color=BAND, dashed=c != 50) for c in CENTILES]
    medians = [Series(name, title, color=color, dashed=dashed, x=f"age {name}")
               for name, (title, color, dashed) in STRATA.items()]  # fmt: skip
    border = Series("border", _("before 37 weeks: born preterm, not a norm"), color=BORDER, dashed=True, x="border age")
    scan = Series("scan", _("this scan"), points=True, line=False, color=DOT, x="scan age")
    chart = plotTable(table, "age", [*bands, *medians, border, scan], title="", xTitle=_("postmenstrual weeks"))
    for node in seriesNodes(chart)[:-1]:
        node.SetLineWidth(2)
    seriesNodes(chart)[-1].SetMarkerSize(14)
    return _kept(result, "growthChart", chart)


def _kept(result: Result, role: str, chart):
    for number, node in enumerate(chartNodes(chart)):
        result.keep(role if number == 0 else f"{role}{number}", node)
        stamp(node, result.record.attributes)
    return chart


def _span(columns: dict[str, list[float]], kind: str) -> tuple[float, float]:
    """A range that holds all ages, or all values, with a margin."""
    isAge = kind == "age"
    found = [v for name, column in columns.items() if (name.endswith("age") or name.startswith("age")) == isAge
             for v in (min(column), max(column))]  # fmt: skip
    margin = 0.05 * (max(found) - min(found))
    return min(found) - margin, max(found) + margin
