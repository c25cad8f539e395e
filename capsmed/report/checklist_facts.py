"""What a run's files say of itself, by the keys that the items of a checklist name."""

from __future__ import annotations

from typing import Any

import pandas as pd

from capsmed.metrics.tables import HELD_OUT, SCORE
from capsmed.report import cohort, words
from capsmed.report.checklist_results import results
from capsmed.report.methods import topics
from capsmed.report.run import RunFiles
from capsmed.report.tuned import replaced

#: Reasons for leaving cases out that are told, the most frequent first.
MOST_REASONS = 8


def facts(run: RunFiles) -> dict[str, str]:
    """Sentences by key; '' where the run's files do not say.

    Those of the methods paragraph are that paragraph's own.
    """
    told = {name: " ".join(texts) for name, texts in topics(run).items()}
    kept = ("source", "inputs", "split", "selection", "training", "augmentation", "parameters")
    same = {name: told.get(name, "") for name in (*kept, "epochs", "values", "auc", "intervals")}
    elsewhere = f" Evaluated on the cohort '{run.evaluation}'." if run.evaluation else ""
    return {
        **same,
        "source": f"{same['source']}{elsewhere}",
        "baselines": told.get("baselines", ""),
        "start": " ".join(filter(None, (_chance(run.config), told.get("start")))),
        **_data(run),
        **_parts(run),
        **_network(run),
        **_analysis(run),
        **results(run),
    }


def _data(run: RunFiles) -> dict[str, str]:
    data, split = (run.config.get(key) or {} for key in ("data", "split"))
    table = run.cohort
    left = cohort.excluded_rows(run)
    kept = int((table["status"] == "included").sum())
    out = "; ".join(f"{why} ({count})" for why, count in left[:MOST_REASONS])
    if len(left) > MOST_REASONS:
        out += f"; {len(left) - MOST_REASONS:,} more reasons in cohort.csv"
    digest = "" if run.evaluation else str(run.environment.get("data_digest") or "")
    limit = None if run.evaluation not in ("", HELD_OUT) else data.get("limit")
    limits = {"data.limit": limit, "split.train_cases": split.get("train_cases")}
    taken = "; ".join(f"at most {n:,} cases ({key})" for key, n in limits.items() if n)
    return {
        "digest": f"Digest of labels and images: {digest}." if digest else "",
        "eligibility": f"{kept:,} cases included. "
        + (f"Left out: {out}." if out else "No case was left out."),
        "subsets": f"Taken: {taken}." if taken else "",
        "pseudonyms": "Patients stand in the run's tables by pseudonym."
        if "patient" in table and (table["patient"] != "").any()
        else "",
        "checks": _checks(run),
        "missing": _missing(run),
        "reference": f"Classes, as the data's labels give them: {', '.join(run.classes)}."
        + (f" Positive: {run.positive}." if len(run.classes) == 2 else ""),
        "predictors": _predictors(run),
    }


def _checks(run: RunFiles) -> str:
    """Which checks of an image the configuration asks for, and how many cases were warned of."""
    checks = (run.config.get("data") or {}).get("checks") or {}
    ways = {"error": "refuse an image", "skip": "leave its case out", "warn": "only warn"}
    groups = {way: [k.replace("_", " ") for k, v in checks.items() if v == way] for way in ways}
    found = [f"{', '.join(names)} {ways[way]}" for way, names in groups.items() if names]
    table = run.cohort[run.cohort["status"] == "included"]
    warned = int((table["findings"].fillna("") != "").sum()) if "findings" in table else 0
    texts = [
        f"Checks of images as configured: {'; '.join(found)}." if found else "",
        f"{warned:,} included cases failed a check that only warns." if warned else "",
    ]
    return " ".join(filter(None, texts))


def _missing(run: RunFiles) -> str:
    way = (run.config.get("data") or {}).get("on_bad_case")
    bad = {"skip": "was left out and listed", "error": "stops the run"}.get(str(way))
    without = cohort.without_diameter(run)
    clinical = (run.config.get("baselines") or {}).get("clinical") or []
    texts = [
        f"A case that cannot be used {bad}." if bad else "",
        f"{without:,} included cases have no diameter and are not in the size-only model."
        if without
        else "",
        f"Of {', '.join(map(str, clinical))}: single missing values were filled in inside the "
        "folds, cases without any are not in the clinical model."
        if clinical and "clinical" in run.metrics["baselines"]
        else "",
    ]
    return " ".join(filter(None, texts))


def _predictors(run: RunFiles) -> str:
    if not run.config.get("patch"):
        return ""
    columns = (run.config.get("baselines") or {}).get("clinical") or []
    scores = [k.removeprefix(SCORE) for k in run.metrics["baselines"] if k.startswith(SCORE)]
    beside = [*map(str, columns), *scores]
    own = "The network sees the image patch and nothing else."
    return f"{own} In baselines only: {', '.join(beside)}." if beside else own


def _parts(run: RunFiles) -> dict[str, str]:
    rows = cohort.part_rows(run)
    sizes = ", ".join(f"{name} {count}" for name, count in rows)
    return {
        "sizes": f"Cases of each fold: {sizes}." if sizes else "",
        "disjoint": _disjoint(run),
        "events": _events(run),
    }


def _disjoint(run: RunFiles) -> str:
    """Whether a patient stands in two parts of a fold, counted in the run's own tables."""
    if not len(run.splits):
        return ""
    table = run.cohort.drop_duplicates("case_id").set_index("case_id")
    patients = table["patient"].reindex(run.splits["case_id"])
    if (patients.fillna("") == "").any():
        return "Case level: patients are not known."
    rows = run.splits.assign(patient=patients.to_numpy())
    parts = rows.groupby(["repeat", "fold", "patient"])["part"].nunique()
    shared = int((parts > 1).groupby("patient").any().sum())
    if shared:
        return f"Case level: {shared:,} patients stand in more than one part of a fold."
    return "Patient level: no patient stands in two parts of a fold."


def _events(run: RunFiles) -> str:
    if not len(run.splits):
        return ""
    rows = run.splits.merge(run.cohort[["case_id", "label"]], on="case_id")
    counts = pd.crosstab([rows["repeat"], rows["fold"], rows["part"]], rows["label"])
    shown = [run.positive] if len(run.classes) == 2 else list(run.classes)
    texts = []
    for name, _ in cohort.part_rows(run):
        part = counts.xs(name, level="part")
        whole = _range(part.sum(axis=1))
        events = ", ".join(f"{_range(part[k])} {k}" for k in shown if k in part)
        texts.append(f"{name} {whole} cases, of them {events}")
    return f"In each fold: {'; '.join(texts)}."


def _range(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _network(run: RunFiles) -> dict[str, str]:
    config = run.config
    training, loss = config.get("training") or {}, config.get("loss")
    network = _options(config.get("network"))
    weights = loss.get("class_weights") if isinstance(loss, dict) else None
    sampling = {
        "balanced": "Balanced sampling: in training the classes come equally often.",
        "natural": "Natural sampling: in training each case comes once an epoch.",
    }.get(str(training.get("sampling")), "")
    weighed = f" Class weights of the loss: {weights}." if weights else ""
    several = len(run.metrics["model"]["per_seed"])
    balance = f"{sampling}{weighed}".strip()
    return {
        "technique": f"Deep learning: {_name(config.get('network'))}." if network else "",
        "architecture": network and f"Network {network}. {replaced(run, 'network')}".strip(),
        "output": f"Output: a probability for each of {len(run.classes)} classes.",
        "imbalance": balance and f"{balance} {replaced(run, 'training', 'loss')}".strip(),
        "settings": "Every setting is in the run's config.yaml." if config else "",
        "ensemble": _ensemble(run, several),
    }


def _ensemble(run: RunFiles, runs: int) -> str:
    mean = f" The metrics, not the predictions, are averaged over {runs} runs." if runs > 1 else ""
    if run.evaluation and "out-of-fold" in run.metrics["note"]:
        first = "Patients that the run has trained on are predicted by networks of their own test "
        first += "folds alone, others by the mean probability of all folds' networks."
    elif run.evaluation:
        first = "Each run predicts by the mean probability of its folds' networks."
    else:
        first = "No ensemble: in each run one network predicts a case."
    held = run.folder / "evaluations" / HELD_OUT / "metrics.json"
    if not run.evaluation and held.exists():
        first += " The held-out part is predicted by the mean probability of the folds' networks."
    return first + mean


def _options(component: Any) -> str:
    """'capsnet with channels [16, 32]'."""
    if not component:
        return ""
    options = component if isinstance(component, dict) else {}
    told = ", ".join(f"{k} {v}" for k, v in options.items() if k != "name")
    return f"{_name(component)} with {told}" if told else _name(component)


def _name(component: Any) -> str:
    return str(component.get("name", "?") if isinstance(component, dict) else component)


def _chance(config: dict[str, Any]) -> str:
    """What is said of weights that no checkpoint has filled."""
    weights = config.get("weights")
    if weights is None or (weights.get("file") and not weights.get("into")):
        return ""
    seeds = ", ".join(map(str, config.get("seeds") or []))
    rest = "The other weights were" if weights.get("file") else "Weights were"
    return f"{rest} drawn at random, seeds {seeds}."


def _analysis(run: RunFiles) -> dict[str, str]:
    metrics, config = run.metrics, run.config
    names = [*words.metric_rows(metrics).values(), *words.more_rows(metrics).values()]
    evaluation, split = (config.get(key) or {} for key in ("evaluation", "split"))
    groups = evaluation.get("subgroups") or []
    cluster = split.get("leave_out")
    ends = metrics["baselines"] and any(e["auc_difference"].get("delong") for e in _rivals(run))
    return {
        "metrics": f"Metrics: {', '.join(names)}.",
        "level": f"{words.level(metrics)} intervals.",
        "comparison_method": "Paired differences to the baselines on the same cases, resampled "
        "together; p by DeLong."
        if ends
        else "",
        "subgroups_method": f"Measured apart by {', '.join(map(str, groups))}." if groups else "",
        "clusters_method": f"One fold for each value of '{cluster}': every cluster is tested by a "
        "network that was trained on the others."
        if cluster
        else "",
        "software": _software(run.environment),
        "code": _code(run.environment),
    }


def _rivals(run: RunFiles) -> list[dict[str, Any]]:
    return list(run.metrics["baselines"].values())


def _software(environment: dict[str, Any]) -> str:
    packages = environment.get("packages") or {}
    own = {"capsmed": environment.get("capsmed"), "Python": environment.get("python"), **packages}
    named = ", ".join(f"{name} {number}" for name, number in own.items() if number)
    return f"{named}; computed on {environment.get('device', '?')}." if named else ""


def _code(environment: dict[str, Any]) -> str:
    commit = environment.get("commit")
    own = f"capsmed {environment['capsmed']}" if environment.get("capsmed") else ""
    texts = [own, f"commit {commit}" if commit else "", environment.get("command") or ""]
    return f"{'; '.join(filter(None, texts))}." if any(texts) else ""
