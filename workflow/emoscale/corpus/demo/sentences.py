"""Sentences of the demo corpus: templates without emotional content, and emotional cues."""

SENTENCE_TEMPLATES = [
    "I left the {thing} on the {place}.",
    "The bus stops right across from the {place}.",
    "Did you talk to {person} about the {thing}?",
    "We have to be there before {hour}.",
    "I think the {thing} is in the {place}.",
    "{person} called at {hour} while you were out.",
    "There is a {thing} for you in the {place}.",
    "{person} said the train comes at {hour}.",
    "You can put the {thing} over there by the {place}.",
    "I will ask {person} about the {thing}.",
    "They moved the meeting to {day}.",
    "{person} has been working there since {day}.",
    "Just give the {thing} to {person} and sign it.",
    "The {place} closes early on {day}.",
    "We could go to the {place} on {day}.",
    "What did {person} say about {day}?",
    "I need to see {person} about this {thing}.",
    "The window in the {place} is open.",
    "It was the other {thing}, I believe.",
    "You know I was in the {place} at {hour}.",
    "Let me look at the {thing} again.",
    "They will send the {thing} on {day}.",
    "I have your {thing} in my bag.",
]
"""Sentences that fit any emotion, with slots for the words below."""

SLOTS = {
    "thing": [
        "letter",
        "form",
        "ticket",
        "box",
        "key",
        "card",
        "paper",
        "phone",
        "bag",
        "list",
        "picture",
        "bill",
    ],
    "place": [
        "kitchen",
        "office",
        "hall",
        "station",
        "garden",
        "library",
        "basement",
        "school",
        "corner",
        "lobby",
    ],
    "person": ["Anna", "my brother", "the manager", "Tom", "her mother", "the driver", "Julia"],
    "hour": ["seven", "noon", "eight", "midnight", "four", "nine"],
    "day": ["Monday", "Thursday", "Sunday", "Friday", "March", "Saturday"],
}
"""Words for the slots."""

CUES = {
    "neu": [
        "All right, that is fine with me.",
        "Okay, go ahead.",
        "Yes, that is the usual way.",
        "Sure, I can do that.",
        "It does not matter much either way.",
        "Well, those are the rules.",
    ],
    "hap": [
        "That is wonderful news.",
        "I am so glad you came.",
        "It makes me smile every time.",
        "We had such a lovely day.",
        "You look great, really.",
        "I love that song.",
    ],
    "exc": [
        "Oh my god, I got in!",
        "I can not believe it, we won!",
        "This is amazing, it is amazing!",
        "I am getting married!",
        "We are going to have so much fun!",
        "Guess what, guess what!",
    ],
    "ang": [
        "Do not tell me what to do.",
        "This is ridiculous, and you know it.",
        "Get out of my house!",
        "You never listen to me.",
        "I am sick of your lies.",
        "How dare you say that to me!",
    ],
    "sad": [
        "I miss her every single day.",
        "I do not know how to go on.",
        "It is all over now.",
        "He is not coming back.",
        "I feel so alone here.",
        "I wish I had said goodbye.",
    ],
    "fru": [
        "I have told you this three times.",
        "Why does this always happen to me?",
        "Nobody here can help me, apparently.",
        "I have been waiting for hours.",
        "This makes no sense at all.",
        "Can we please get this done?",
    ],
    "sur": ["What? Are you serious?", "Wow, I had no idea.", "Really? Since when?"],
    "fea": [
        "Did you hear that noise?",
        "I am scared to go in there.",
        "Please do not leave me alone.",
    ],
}
"""Sentences that reveal the emotion."""

TAGS = ["[LAUGHTER]", "[BREATHING]", "[Garbage]"]
"""Noises, as written in transcripts."""
