"""Text analysis: words, sentences, syllables, language, and counts of simple text."""
