"""Classification of whole corpora: score every document, and keep those whose scores pass."""
