"""Terms of the report with their definitions."""

GLOSSARY = [
    (
        "UA",
        "UA (unweighted accuracy) is the mean of the recalls of all classes, so that each class "
        "counts the same, however frequent it is. Chance is one divided by the number of classes.",
    ),
    (
        "WA",
        "WA (weighted accuracy) is the fraction of all utterances that are recognised correctly. "
        "Predicting the majority class for every utterance reaches the fraction of that class.",
    ),
    (
        "Macro-F1",
        "The mean of the F1 scores of all classes. F1 is the harmonic mean of precision and "
        "recall.",
    ),
    (
        "ECE, Brier score",
        "Measures of the calibration of the predicted probabilities; 0 is best. ECE (expected "
        "calibration error) is the mean difference between predicted probability and accuracy. The "
        "Brier score is the mean squared error of the probabilities.",
    ),
    (
        "One more rater",
        "The human ceiling. Each rater's vote is left out in turn, as a prediction of the class "
        "that most of the other raters chose; where they tie, the vote does not count. Fleiss's "
        "kappa and Krippendorff's alpha are 0 for raters who agree by chance, 1 for raters who "
        "always agree.",
    ),
    (
        "95 % confidence interval",
        "The range of a score that is plausible for other speakers and other trainings of the same "
        "kind. It is a bootstrap interval: speakers and repeats are resampled thousands of times. "
        "With few speakers it is wide.",
    ),
    (
        "Points",
        "Percentage points, the unit of differences of percentages: 60 % is 10 points more than "
        "50 %.",
    ),
    (
        "Holm's correction",
        "A correction of p-values for multiple comparisons: the probability that at least one "
        "winner of the study is a false positive is at most 5 %.",
    ),
    (
        "Best experiment",
        "The experiment that is ahead of most others over the training sizes that both have. "
        "Because it is selected by the scores that are shown, its score is slightly optimistic. "
        "Its lead after Holm's correction is not.",
    ),
    (
        "Power",
        "The probability that a comparison finds a difference that is really there. A study of few "
        "speakers has little power for small differences.",
    ),
    (
        "Utterance",
        "One labelled unit of speech. A recording is the audio file, or the part of a file, that "
        "holds it.",
    ),
    (
        "Study, experiment",
        "A study is everything that one configuration file describes. An experiment is one or "
        "several representations with a model; it has one learning curve.",
    ),
    (
        "Fold, role",
        "Each fold tests one part of the speakers. The roles of utterances in a fold are train, "
        "dev (development: selects the stopping step and the settings) and test.",
    ),
    (
        "Size",
        "The training size: the number of labels (labelled training utterances) that a model is "
        "trained on.",
    ),
    (
        "Cell, run",
        "A cell is one experiment in one fold at one size. A run is the folder of results of a "
        "trained cell.",
    ),
    (
        "Repeat, order",
        "A repeat is one training of a cell. It has its own training order, which decides the "
        "training subset, and its own seed, which decides the initialisation.",
    ),
    ("Trial", "One point of a search grid of settings."),
    (
        "Slice, group",
        "A slice is a grouping of the test utterances, for example by sex. A group is one value of "
        "it.",
    ),
    ("Condition", "A way in which the test audio is perturbed, for example noise at one SNR."),
    (
        "Pre-trained weights, layer weights",
        "Pre-trained weights are the parameters of a network that computes a representation. Layer "
        "weights are learned: they weight the layers of that network, and they sum to 100 %.",
    ),
    ("Digest", "A SHA-256 of a file or of settings: equal digests mean equal content."),
]
