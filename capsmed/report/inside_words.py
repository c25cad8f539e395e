"""What an inspection has found, in sentences that the console and the page share."""

from __future__ import annotations

from typing import Any

from capsmed.report.words import number

#: Entropy above which couplings are called all but equal.
NEARLY_EQUAL = 0.99

#: Agreement below which there is none to speak of, and the share of it that is no change.
NO_AGREEMENT, SAME_AGREEMENT = 0.001, 0.01


def findings(health: dict[str, Any]) -> list[str]:
    """The inspection in a few sentences; ``health`` is the content of health.json."""
    sentences = [_measured(health), _dead(health), _couplings(health), _agreement(health)]
    return [text for text in (*sentences, _routing(health)) if text]


def _measured(health: dict[str, Any]) -> str:
    count, folds = health["cases"], len(health["networks"])
    of = f" of {health['tested']:,}" if health["tested"] > count else ""
    each = f", each by the network of its fold ({folds} networks)" if folds > 1 else ""
    return f"Measured on {count:,}{of} test cases{each}, seed {health['seed']}."


def _dead(health: dict[str, Any]) -> str:
    limit, networks = health["dead_below"], health["networks"]
    lower = f"{networks[0]['types']} lower {'types' if health['grid'] else 'capsules'}"
    parts = []
    for one in networks:
        where = f" in fold {one['fold']}" if len(networks) > 1 else ""
        if one["dead_types"]:
            parts.append(f"{len(one['dead_types'])} of {lower}{where}")
        if one["dead_classes"]:
            names = ", ".join(f"'{name}'" for name in one["dead_classes"])
            parts.append(f"the class capsules {names}{where}")
    answers = [value or 0 for one in networks for value in one.get("without_input", ())]
    rest = max(answers, default=0)
    above = f" (class capsules: above their answer to no input, at most {rest:.2g})"
    limit = f"{limit:g}{above if rest >= limit / 10 else ''}"
    if parts:
        return f"Dead capsules, below {limit} on every case: {'; '.join(parts)}."
    return (
        f"No capsule is dead: each of the {lower} and {len(health['classes'])} class capsules "
        f"exceeds {limit} on some case."
    )


def _couplings(health: dict[str, Any]) -> str:
    last = health["passes"][-1]["entropy"]
    if last is None:
        return f"The couplings of {health['routing']} are no shares, so they have no entropy."
    value = number(last, 4 if last > NEARLY_EQUAL else 3)
    if last > 1 - 1e-6:
        return f"Couplings are equal: entropy {value} of 1."
    if last > NEARLY_EQUAL:
        return f"Couplings are all but equal: entropy {value} of 1."
    return f"Entropy of the couplings: {value} of 1, which would be equal shares."


def _agreement(health: dict[str, Any]) -> str:
    rows = health["passes"]
    first, last = rows[0]["agreement"], rows[-1]["agreement"]
    if len(rows) < 2 or first is None or last is None:
        return ""
    over = f"over {len(rows)} passes"
    if max(abs(first), abs(last)) < NO_AGREEMENT:
        return f"No agreement of votes and class capsules: it stays below {NO_AGREEMENT:g} {over}."
    if abs(last - first) < SAME_AGREEMENT * abs(first):
        return f"Agreement stays at {number(last)} {over}."
    way = "grows" if last > first else "falls"
    return f"Agreement {way} from {number(first)} to {number(last)} {over}."


def _routing(health: dict[str, Any]) -> str:
    tests = {entry["routing"]: entry for entry in health["tests"]}
    trained = next(entry for entry in health["tests"] if entry["trained"])
    uniform = tests["uniform"]
    if not uniform["applies"]:
        return f"Uniform couplings do not apply: {uniform['reason']}."
    return (
        f"Accuracy {number(trained['accuracy'])} with the routing as trained, "
        f"{number(uniform['accuracy'])} with uniform couplings: {uniform['changed']:,} of "
        f"{health['cases']:,} predictions differ."
    )


def test_rows(health: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of routing at test time: name, accuracy, AUC, changed predictions."""
    rows: list[tuple[str, ...]] = []
    for entry in health["tests"]:
        name = entry["routing"]
        name += " (as trained)" if entry["trained"] and name != "as trained" else ""
        if entry["applies"]:
            values = (number(entry["accuracy"]), number(entry["auc"]), f"{entry['changed']:,}")
        else:
            reason = f": {entry['reason']}" if entry.get("reason") else ""
            values = (f"does not apply{reason}", "", "")
        rows.append((name, *values))
    return rows


def pass_rows(health: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of passes: number, entropy, agreement, agreement gained."""
    return [
        (
            str(row["pass"]),
            number(row["entropy"], 4),
            number(row["agreement"]),
            number(row["gained"]) if row["gained"] is not None else "",
        )
        for row in health["passes"]
    ]


def dead_rows(health: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of dead capsules: fold, cases, lower types, class capsules; no rows for none."""
    return [
        (
            str(one["fold"]),
            f"{one['cases']:,}",
            f"{len(one['dead_types'])} of {one['types']}{_numbers(one['dead_types'])}",
            f"{len(one['dead_classes'])} of {len(health['classes'])}"
            f"{_numbers(one['dead_classes'])}",
        )
        for one in health["networks"]
        if one["dead_types"] or one["dead_classes"]
    ]


def _numbers(names: list[Any], most: int = 8) -> str:
    more = ", …" if len(names) > most else ""
    return f" ({', '.join(map(str, names[:most]))}{more})" if names else ""
