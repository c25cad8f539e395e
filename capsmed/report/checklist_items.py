"""The items of two reporting checklists: their numbers, what they ask, what answers them.

CLAIM: Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300. TRIPOD+AI: Collins et
al., BMJ 2024;385:e078378. The items are told in a few words of our own; the papers have them whole.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        number: as in the paper.
        asks: what is to be reported, in short.
        facts: keys of `capsmed.report.checklist_facts.facts` that answer it, wholly or in part.
        hint: what is left for the authors to write; '' for nothing.
    """

    number: str
    asks: str
    facts: tuple[str, ...] = ()
    hint: str = ""


_ETHICS = "which committee approved the study, and consent or its waiver"
_FUNDING = "who paid, and what part they had in the work"

CLAIM = (
    Item("1", "AI study named as such, with its technique", ("technique",), "put it in the title"),
    Item("2", "Structured summary", (), "design, methods, results, conclusions in the abstract"),
    Item(
        "3", "Background and intended role of the AI", (), "the clinical question, who would use it"
    ),
    Item("4", "Aims, objectives, hypotheses", (), "what was to be shown, fixed before the results"),
    Item("5", "Prospective or retrospective", (), "how the data were collected"),
    Item("6", "Goal of the study", (), "new model, feasibility, comparison"),
    Item(
        "7", "Data sources", ("source", "digest"), "institutions, dates, public sets with citation"
    ),
    Item("8", "Inclusion and exclusion", ("eligibility",), "criteria before the table was made"),
    Item("9", "Preprocessing", ("inputs", "checks"), ""),
    Item("10", "Data subsets", ("subsets",), "why a part was taken, if one was"),
    Item("11", "De-identification", ("pseudonyms",), "of the images, before they came here"),
    Item("12", "Missing data", ("missing",), "why they are missing"),
    Item("13", "Image acquisition", (), "scanners, protocols, contrast, reconstruction"),
    Item(
        "14",
        "How the reference standard was obtained",
        ("reference",),
        "pathology, follow-up, readers",
    ),
    Item("15", "Why this reference standard", (), "alternatives and their errors"),
    Item("16", "Source of the annotations", (), "who annotated, with what training and tool"),
    Item(
        "17", "Annotation of the test set", (), "whether it differs from that of the training data"
    ),
    Item("18", "Variability of the annotators", (), "agreement between and within readers"),
    Item("19", "How data went to the parts", ("split", "sizes"), ""),
    Item("20", "At which level the parts are disjoint", ("disjoint",), ""),
    Item("21", "Intended sample size", (), "how it was set; the numbers reached are in item 35"),
    Item("22", "The model in detail", ("architecture", "parameters", "inputs", "output")),
    Item("23", "Software and versions", ("software",)),
    Item("24", "Initial values of the parameters", ("start",), "where given weights came from"),
    Item(
        "25",
        "Training",
        ("training", "augmentation", "imbalance", "settings"),
        "how they were chosen",
    ),
    Item("26", "How the final model was selected", ("selection", "epochs")),
    Item("27", "Ensembles", ("ensemble",)),
    Item("28", "Metrics", ("metrics", "values", "auc"), "why these"),
    Item("29", "Significance and uncertainty", ("level", "intervals", "comparison_method")),
    Item("30", "Robustness or sensitivity", ("robustness",), "other analyses"),
    Item("31", "Explainability", ("explained",), "whether the maps were validated"),
    Item("32", "Evaluation on internal data", ("internal",)),
    Item("33", "Testing on external data", ("external",), "where they came from"),
    Item("34", "Trial registration", (), "number and register, or that there is none"),
    Item("35", "Numbers included and excluded", ("eligibility",), "a flow diagram"),
    Item(
        "36",
        "Characteristics of each part",
        ("characteristics", "sizes"),
        "age, sex, site, disease",
    ),
    Item("37", "Performance with uncertainty", ("performance", "comparisons")),
    Item("38", "Diagnostic performance and its precision", ("decisions", "thresholds")),
    Item("39", "Failures", ("failures",), "what the wrong cases have in common"),
    Item("40", "Limitations", ("noted",), "bias, uncertainty, to whom it applies"),
    Item("41", "Implications for practice", (), "intended use; this software is for research only"),
    Item("42", "Protocol or technical details", ("settings",), "where the protocol is"),
    Item(
        "43",
        "Availability of software, model, data",
        ("code", "weights"),
        "where and under which licence",
    ),
    Item("44", "Funding", (), _FUNDING),
)

TRIPOD_AI = (
    Item(
        "1",
        "Study, population and outcome in the title",
        (),
        "developing or evaluating, in whom, what",
    ),
    Item("2", "Abstract", (), "by TRIPOD+AI for Abstracts"),
    Item(
        "3a", "Healthcare context, existing models", (), "diagnostic or prognostic, and why a model"
    ),
    Item("3b", "Population, purpose, users", (), "where in the care pathway"),
    Item("3c", "Known health inequalities", (), "between which groups"),
    Item("4", "Objectives", (), "development, evaluation, or both"),
    Item(
        "5a",
        "Sources of data",
        ("source", "digest"),
        "kind of study, why these data, representative of whom",
    ),
    Item("5b", "Dates of the data", (), "first and last participant, end of follow-up"),
    Item("6a", "Setting and centres", (), "kind of care, number and place of centres"),
    Item("6b", "Eligibility", ("eligibility",), "criteria before the table was made"),
    Item("6c", "Treatments", (), "if any mattered"),
    Item(
        "7",
        "Preparation and quality checks of data",
        ("inputs", "checks"),
        "whether alike in all groups",
    ),
    Item("8a", "Outcome", ("reference",), "how and when assessed, and why this one"),
    Item("8b", "Assessors of the outcome", (), "qualification, if judged by people"),
    Item("8c", "Blinding of the outcome", (), "what the assessors knew"),
    Item("9a", "Choice of predictors", ("predictors",), "why these"),
    Item("9b", "Definition of the predictors", ("inputs",), "how and when measured"),
    Item("9c", "Assessors of the predictors", (), "who set points and outlines, if people did"),
    Item("10", "Sample size", (), "how arrived at, and whether enough"),
    Item("11", "Missing data", ("missing",), "why they are missing"),
    Item("12a", "How data were used and parted", ("split", "sizes", "disjoint")),
    Item("12b", "Handling of the predictors", ("inputs", "augmentation")),
    Item(
        "12c",
        "Model, building steps, internal validation",
        ("architecture", "start", "training", "selection", "settings"),
        "rationale; how settings were chosen",
    ),
    Item("12d", "Differences between clusters", ("clusters_method",), "hospitals, countries"),
    Item("12e", "Measures and plots", ("metrics", "level", "intervals", "baselines"), "why these"),
    Item("12f", "Model updating", ("updating_method",), "if the model was updated"),
    Item("12g", "How predictions were made", ("ensemble", "code")),
    Item("13", "Class imbalance", ("imbalance", "updating_method"), "why, if a method was used"),
    Item("14", "Fairness", ("subgroups_method",), "what was done for it"),
    Item(
        "15",
        "Output and thresholds",
        ("output", "thresholds_method"),
        "what a threshold is to serve",
    ),
    Item("16", "Development against evaluation data", (), "setting, criteria, outcome, predictors"),
    Item("17", "Ethical approval", (), _ETHICS),
    Item("18a", "Funding", (), _FUNDING),
    Item("18b", "Conflicts of interest", (), "of all authors"),
    Item("18c", "Protocol", (), "where it is, or that there is none"),
    Item("18d", "Registration", (), "number and register, or that there is none"),
    Item("18e", "Sharing of data", (), "where, to whom"),
    Item("18f", "Sharing of code", ("code",), "where your own code is"),
    Item("19", "Patient and public involvement", (), "in what, or that there was none"),
    Item(
        "20a",
        "Flow of participants",
        ("eligibility", "characteristics"),
        "a flow diagram, follow-up",
    ),
    Item(
        "20b",
        "Characteristics",
        ("characteristics", "missing"),
        "age, sex, site, dates, treatments",
    ),
    Item(
        "20c", "Evaluation against development data", (), "distributions of predictors and outcome"
    ),
    Item("21", "Participants and events in each analysis", ("events",)),
    Item(
        "22",
        "The whole model",
        ("architecture", "parameters", "settings", "weights"),
        "access and its limits",
    ),
    Item(
        "23a",
        "Performance with intervals, subgroups",
        ("performance", "decisions", "calibration", "subgroups"),
    ),
    Item("23b", "Performance across clusters", ("clusters",), "hospitals, countries"),
    Item("24", "Results of updating", ("updating",), "if the model was updated"),
    Item("25", "Interpretation", (), "with fairness and earlier studies"),
    Item("26", "Limitations", ("noted",), "sample, overfitting, missing data"),
    Item("27a", "Poor or missing input", ("checks",), "what to do with it in use"),
    Item(
        "27b", "Interaction and expertise of users", (), "who sets the point, who reads the output"
    ),
    Item("27c", "Next steps", (), "towards use and other populations"),
)
