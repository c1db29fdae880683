"""Published corpora, one module each; the module's name is the `reader` of the configuration.

Emotions have the same English noun in all of them (anger, boredom, calm, contempt, disgust, fear,
happiness, neutral, sadness, surprise …), so that one `labels.classes` serves several corpora. What
a corpus calls joy, gioia, joie or Freude is happiness where its list of emotions has no other word
for it; excitement and amusement are other labels. Only IEMOCAP keeps the codes of its release.
"""
