"""The few words a reader must know, each in a sentence."""

GLOSSARY = [
    (
        "UA",
        "Unweighted accuracy: the share recognised of each class, averaged over the classes, so "
        "that frequent classes count no more than rare ones. Guessing gives one over the number "
        "of classes.",
    ),
    (
        "WA",
        "Weighted accuracy: the share recognised of all utterances. Always guessing the most "
        "frequent class already gives that class's share.",
    ),
    (
        "Macro-F1",
        "The F1 score of each class (of precision and recall), averaged over the classes.",
    ),
    (
        "95 % interval",
        "Where the number would plausibly lie with other speakers and other trainings of the same "
        "kind: speakers and repeats are drawn again thousands of times. With few speakers it is "
        "wide, and honestly so.",
    ),
    (
        "Points",
        "Differences of percentages are in percentage points: 60 % is 10 points more than 50 %.",
    ),
    (
        "Holm",
        "Among many comparisons some look large by luck. Holm's correction raises each p so that "
        "even one false winner among all of them has a chance of at most 5 %.",
    ),
    (
        "Best of many",
        "The best of several experiments is found by the same test scores that are shown, so its "
        "score flatters it a little; its lead after Holm's correction does not.",
    ),
    (
        "Fold, repeat",
        "A fold tests one part of the speakers and trains on others. A repeat is the same with "
        "another training subset, order and initialisation.",
    ),
    (
        "ECE, Brier score",
        "How far the stated probabilities can be believed: ECE is the mean gap between stated and "
        "true hit rates, the Brier score the mean squared error of the probabilities; 0 is best.",
    ),
]
