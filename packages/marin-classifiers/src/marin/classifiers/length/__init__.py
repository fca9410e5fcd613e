"""The reference back end: classifies by the length of the text and needs no library."""
