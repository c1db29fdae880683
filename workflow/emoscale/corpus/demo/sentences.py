"""The words of the demo corpus: most say nothing of emotion, some do."""

PLAIN = [
    "I left the papers on the table.",
    "The bus stops right across the street.",
    "Did you talk to them about the room?",
    "We have to be there before seven.",
    "I think the office is on the second floor.",
    "Somebody called while you were out.",
    "There is a letter for you in the kitchen.",
    "She said the train comes every hour.",
    "You can put the boxes over there.",
    "I will ask my brother about the car.",
    "They moved the meeting to Thursday.",
    "He has been working there since March.",
    "Just fill in the form and sign it.",
    "The store closes early on Sundays.",
    "My number is on the back of the card.",
    "We could take the other road home.",
    "What did he say about the tickets?",
    "I need to see the manager about this.",
    "The window in the hall is open.",
    "It was the blue one, I believe.",
    "You know I was there this morning.",
    "Let me look at the list again.",
    "They will send it in a week or two.",
    "I have your keys in my bag.",
]
"""Sentences that fit any emotion."""

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
"""Sentences that give the emotion away."""

TAGS = ["[LAUGHTER]", "[BREATHING]", "[Garbage]"]
"""Noises as transcripts write them."""
