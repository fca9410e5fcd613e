"""The fastText back end: linear classifiers over words and word n-grams."""
